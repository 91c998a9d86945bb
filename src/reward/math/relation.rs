//! Equations and inequalities as answers.

use super::answer::{Answer, Bound, is_order, member};
use super::formula::Formula;
use super::parse;
use super::split;
use super::token::{Relation, Token};

type Side<'a> = (Option<Relation>, &'a [Token]);

/// The answer that sides with relations between them are.
pub(super) fn related(sides: &[Side<'_>], nested: usize) -> Option<Answer> {
    let sides = exact(sides);
    let relations: Vec<Relation> = sides.iter().filter_map(|(relation, _)| *relation).collect();
    let first = split::trimmed(sides.first()?.1);
    let last = split::trimmed(sides.last()?.1);
    match relations.as_slice() {
        [] => member(first, nested),
        [Relation::In] => {
            let name = name(first)?;
            Some(Answer::Named(name, Box::new(member(last, nested + 1)?)))
        }
        [Relation::Unequal] => Some(unequal(first, parse::formula(first)?, parse::formula(last)?)),
        all if all.iter().all(|relation| matches!(relation, Relation::Equal | Relation::About)) => {
            equation(first, &sides[1..], nested)
        }
        all if all.iter().all(|relation| is_order(*relation)) => ordered(sides),
        _ => None,
    }
}

/// The sides up to what is only an approximation of them.
fn exact<'a, 'b>(sides: &'b [Side<'a>]) -> &'b [Side<'a>] {
    let about = sides.iter().position(|(relation, _)| *relation == Some(Relation::About));
    match about {
        // `x ≈ 11` says no more than that; `\sqrt{2} ≈ 1.41` has an exact side.
        Some(1) if name(split::trimmed(sides[0].1)).is_some() => sides,
        Some(at) => &sides[..at],
        None => sides,
    }
}

fn equation(first: &[Token], rest: &[Side<'_>], nested: usize) -> Option<Answer> {
    let last = split::trimmed(rest.last()?.1);
    if let Some(name) = name(first) {
        return Some(Answer::Named(name, Box::new(member(last, nested + 1)?)));
    }
    // `5 = x`
    if let (Some(name), [_]) = (name(last), rest) {
        return Some(Answer::Named(name, Box::new(member(first, nested + 1)?)));
    }
    let left = parse::formula(first);
    // What is worked out comes to its last side.
    if left.as_ref().is_some_and(|left| left.unknowns().is_empty()) {
        let value = member(last, nested + 1)?;
        let is_open = matches!(&value, Answer::Value(right, _) if !right.unknowns().is_empty());
        if !is_open {
            return Some(value);
        }
    }
    match (left, parse::formula(last)) {
        (Some(left), Some(right)) => Some(Answer::Equation(left, right)),
        _ => None,
    }
}

fn unequal(first: &[Token], left: Formula, right: Formula) -> Answer {
    match name(first) {
        Some(name) if right.unknowns().is_empty() => {
            let hole = Answer::Value(right, super::answer::Unit::None);
            Answer::Named(name, Box::new(Answer::AllBut(vec![hole])))
        }
        _ => Answer::Unequal(left, right),
    }
}

/// `a < x ≤ b` as an interval, and anything else as what is below 0.
fn ordered(sides: &[Side<'_>]) -> Option<Answer> {
    let goes_up = |relation: Relation| matches!(relation, Relation::Less | Relation::AtMost);
    let up = goes_up(sides.get(1)?.0?);
    if sides[1..]
        .iter()
        .any(|(relation, _)| relation.is_none_or(|relation| goes_up(relation) != up))
    {
        return None;
    }
    let mut ordered: Vec<Side<'_>> = sides.to_vec();
    let mut closed: Vec<bool> = sides[1..]
        .iter()
        .map(|(relation, _)| matches!(relation, Some(Relation::AtMost | Relation::AtLeast)))
        .collect();
    if !up {
        ordered.reverse();
        closed.reverse();
    }
    if let Some(interval) = interval(&ordered, &closed) {
        return Some(interval);
    }
    let formulas: Option<Vec<Formula>> =
        ordered.iter().map(|(_, side)| parse::formula(split::trimmed(side))).collect();
    let formulas = formulas?;
    let steps = formulas.windows(2).zip(&closed);
    Some(Answer::Below(
        steps
            .map(|(pair, closed)| (Formula::difference(pair[0].clone(), pair[1].clone()), *closed))
            .collect(),
    ))
}

/// From the smaller side to the larger.
fn interval(sides: &[Side<'_>], closed: &[bool]) -> Option<Answer> {
    let constant = |side: &[Token]| {
        parse::formula(split::trimmed(side)).filter(|side| side.unknowns().is_empty())
    };
    let named = |side: &[Token]| name(split::trimmed(side));
    let (name, low, high) = match (sides, closed) {
        ([(_, a), (_, b)], [is_closed]) => match (named(a), named(b)) {
            (Some(name), None) => {
                let low = Bound { at: Formula::negative(Formula::Infinity), closed: false };
                (name, low, Bound { at: constant(b)?, closed: *is_closed })
            }
            (None, Some(name)) => {
                let high = Bound { at: Formula::Infinity, closed: false };
                (name, Bound { at: constant(a)?, closed: *is_closed }, high)
            }
            _ => return None,
        },
        ([(_, a), (_, x), (_, b)], [below, above]) => {
            let low = Bound { at: constant(a)?, closed: *below };
            (named(x)?, low, Bound { at: constant(b)?, closed: *above })
        }
        _ => return None,
    };
    Some(Answer::Named(name, Box::new(Answer::Interval(low, high))))
}

/// The name that a side is: an unknown, a function of unknowns, a segment, several of them in
/// brackets or as a ratio; none where it says more than a name.
pub(super) fn name(tokens: &[Token]) -> Option<String> {
    // `The solution is x = 2` names x.
    let words = tokens.iter().take_while(|token| matches!(token, Token::Word(_))).count();
    let tokens = if words < tokens.len() { &tokens[words..] } else { tokens };
    let mut written = String::new();
    let mut letters = 0;
    let mut has_operation = false;
    for token in tokens {
        match token {
            Token::Letter(letter)
                if ["e", "i", "pi"].contains(&letter.as_str()) && tokens.len() == 1 =>
            {
                return None;
            }
            Token::Letter(letter) | Token::Word(letter) => {
                letters += 1;
                written.push_str(letter);
            }
            // An index, as in x_1, and no other number.
            Token::Number(numeral) if written.ends_with('_') || written.ends_with("_{") => {
                written.push_str(&numeral.digits);
            }
            Token::Below => written.push('_'),
            Token::Prime => written.push('\''),
            Token::Open(open @ ('(' | '{')) => written.push(*open),
            Token::Close(close @ (')' | '}')) => written.push(*close),
            Token::Comma => written.push(','),
            Token::Colon | Token::Fraction | Token::Over => {
                has_operation = true;
                written.push(':');
            }
            Token::Overline => {}
            _ => return None,
        }
    }
    let is_one = letters == 1
        || is_applied(tokens)
        || is_tuple(tokens)
        || is_segment(tokens)
        || has_operation;
    let is_words = tokens.iter().any(|token| matches!(token, Token::Word(_)));
    let plain = written.replace(['{', '}'], "");
    (letters > 0 && (is_one || is_words || is_indexed(tokens))).then_some(plain)
}

/// `f(x)`.
fn is_applied(tokens: &[Token]) -> bool {
    matches!(tokens, [Token::Letter(_), Token::Open('('), .., Token::Close(')')])
        || matches!(
            tokens,
            [Token::Letter(_), Token::Prime, Token::Open('('), .., Token::Close(')')]
        )
}

/// `(x, y)`.
fn is_tuple(tokens: &[Token]) -> bool {
    matches!(tokens, [Token::Open('('), .., Token::Close(')')]) && tokens.contains(&Token::Comma)
}

/// `AB`, `ABC`: points in capitals.
fn is_segment(tokens: &[Token]) -> bool {
    let is_point = |token: &Token| match token {
        Token::Letter(letter) => letter.starts_with(|c: char| c.is_ascii_uppercase()),
        Token::Prime | Token::Overline | Token::Open('{') | Token::Close('}') => true,
        _ => false,
    };
    tokens.iter().all(is_point)
}

/// `S_{ABC}`.
fn is_indexed(tokens: &[Token]) -> bool {
    matches!(tokens, [Token::Letter(_), Token::Below, Token::Open('{'), .., Token::Close('}')])
        || matches!(tokens, [Token::Letter(_), Token::Below, Token::Letter(_) | Token::Number(_)])
}
