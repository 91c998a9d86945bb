//! Sets, points and intervals.

use super::super::formula::Formula;
use super::super::split::{self, Join};
use super::super::token::Token;
use super::{Answer, Bound, Unit, item, member, of_tokens};

/// Unions and what is taken from the line; none where no sign of sets is there.
pub(super) fn of_sets(tokens: &[Token], nested: usize) -> Option<Option<Answer>> {
    if tokens == [Token::Reals] {
        let bound = |at| Bound { at, closed: false };
        let below = Formula::negative(Formula::Infinity);
        return Some(Some(Answer::Interval(bound(below), bound(Formula::Infinity))));
    }
    if tokens == [Token::EmptySet] {
        return Some(Some(Answer::Set(Vec::new())));
    }
    let parts = split::at(tokens, &Token::Union);
    if parts.len() > 1 {
        let parts: Option<Vec<Answer>> =
            parts.into_iter().map(|part| member(part, nested + 1)).collect();
        return Some(parts.map(union));
    }
    if let [Token::Reals, Token::Without, rest @ ..] = tokens {
        return Some(match member(rest, nested + 1) {
            Some(Answer::Set(items)) => Some(Answer::AllBut(items)),
            _ => None,
        });
    }
    None
}

/// A union of sets of single things is a set of them.
fn union(parts: Vec<Answer>) -> Answer {
    let are_sets = parts.iter().all(|part| matches!(part, Answer::Set(_) | Answer::List(_)));
    if !are_sets {
        return Answer::Union(parts);
    }
    let items = parts.into_iter().flat_map(|part| match part {
        Answer::Set(items) | Answer::List(items) => items,
        _ => Vec::new(),
    });
    Answer::Set(items.collect())
}

pub(super) fn bracketed(open: char, inner: &[Token], close: char, nested: usize) -> Option<Answer> {
    if open == 'S' && close == 'S' && inner.is_empty() {
        return Some(Answer::Set(Vec::new()));
    }
    let items = split::items(inner)?;
    if items.iter().any(|(join, _)| *join == Join::Word) {
        return if matches!((open, close), ('(', ')') | ('{', '}')) {
            of_tokens(inner, nested + 1)
        } else {
            None
        };
    }
    let answers: Option<Vec<Answer>> =
        items.iter().map(|(_, tokens)| item(tokens, nested + 1)).collect();
    let mut answers = answers?;
    match (open, close, answers.len()) {
        ('S', 'S', _) => Some(Answer::Set(spread(answers))),
        ('{', '}', 1) | ('(', ')', 1) => match answers.remove(0) {
            // A bracket around a value belongs to the formula, with what stands in it.
            Answer::Value(..) => None,
            answer => Some(answer),
        },
        ('{', '}', _) => Some(Answer::List(spread(answers))),
        ('(' | '<', ')' | '<', 2..) => Some(Answer::Tuple(answers)),
        ('[', ']', 3..) => Some(Answer::Row(answers)),
        ('[' | '(', ']' | ')', 2) => interval(open == '[', answers, close == ']'),
        _ => None,
    }
}

/// Each `±` in a list is two items.
pub(super) fn spread(answers: Vec<Answer>) -> Vec<Answer> {
    let each = |answer| match answer {
        Answer::List(items) => items,
        answer => vec![answer],
    };
    answers.into_iter().flat_map(each).collect()
}

fn interval(closed_below: bool, bounds: Vec<Answer>, closed_above: bool) -> Option<Answer> {
    let mut bounds = bounds.into_iter().map(|bound| match bound {
        Answer::Value(at, Unit::None) => Some(at),
        _ => None,
    });
    let (low, high) = (bounds.next()??, bounds.next()??);
    Some(Answer::Interval(
        Bound { at: low, closed: closed_below },
        Bound { at: high, closed: closed_above },
    ))
}
