//! What an answer says: a number, a point, an interval, a set, an equation, words.

mod sets;
mod value;

use super::formula::Formula;
use super::lexer::tokens;
use super::parse;
use super::split::{self, Join};
use super::text::clean;
use super::token::{Relation, Token};

use sets::{bracketed, of_sets};
use value::value;

/// Brackets within brackets, as deep as any answer.
const MOST_NESTED: usize = 12;
/// As many items make a list.
const MOST_ITEMS: usize = 200;

/// What stands behind a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unit {
    None,
    Percent,
    Degree,
    Named(String),
}

/// A bound that belongs to an interval or does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) at: Formula,
    pub(super) closed: bool,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Value(Formula, Unit),
    /// `x = 5`, `(p, q) = (3, 2)`.
    Named(String, Box<Answer>),
    Equation(Formula, Formula),
    Unequal(Formula, Formula),
    /// Each formula is below 0, or at most 0 where it is told so.
    Below(Vec<(Formula, bool)>),
    Interval(Bound, Bound),
    /// `(a, b)`, which may be an open interval too.
    Tuple(Vec<Answer>),
    /// `[a, b, c]`.
    Row(Vec<Answer>),
    Set(Vec<Answer>),
    /// Items without a bracket: all solutions, in any order.
    List(Vec<Answer>),
    Union(Vec<Answer>),
    /// `R \ {a, b}`.
    AllBut(Vec<Answer>),
    Ratio(Vec<Formula>),
    /// Words, lower case; a letter in brackets is told apart.
    Words(String, bool),
    Dots,
}

/// The answer that a text is; none where we cannot read it. `2,75` is a decimal.
pub(super) fn answer(text: &str) -> Option<Answer> {
    read(&clean(text), true)
}

/// The other way to read a text: `2,75` as two numbers; none where there is but one way.
pub(super) fn other_reading(text: &str) -> Option<Answer> {
    let text = clean(text);
    let has_comma = text.bytes().filter(|byte| *byte == b',').count() == 1;
    let other = has_comma.then(|| read(&text, false)).flatten()?;
    (read(&text, true)? != other).then_some(other)
}

fn read(text: &str, decimal_comma: bool) -> Option<Answer> {
    if text.is_empty() {
        return None;
    }
    // More commas than one part items.
    let decimal_comma = decimal_comma && text.bytes().filter(|byte| *byte == b',').count() == 1;
    match tokens(text, decimal_comma) {
        Some(tokens) => of_tokens(&tokens, 0).or_else(|| words_of(text)),
        None => words_of(text),
    }
}

/// A text without digits or signs is words.
fn words_of(text: &str) -> Option<Answer> {
    let is_words =
        text.chars().all(|c| c.is_alphabetic() || c.is_whitespace() || ",.'-!?\"".contains(c));
    let has_words =
        text.split_whitespace().any(|word| word.chars().filter(|c| c.is_alphabetic()).count() > 1);
    (is_words && has_words && text.len() < 400)
        .then(|| Answer::Words(joined(text.split(|c: char| !c.is_alphabetic())), false))
}

fn joined<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    words.join(" ")
}

fn of_tokens(tokens: &[Token], nested: usize) -> Option<Answer> {
    if nested > MOST_NESTED {
        return None;
    }
    let tokens = split::trimmed(tokens);
    if tokens.is_empty() {
        return None;
    }
    if let Some(words) = words(tokens) {
        return Some(words);
    }
    let items = split::items(tokens)?;
    if items.len() > 1 {
        return list(&items, nested);
    }
    item(tokens, nested)
}

/// Words alone, with a choice's letter.
fn words(tokens: &[Token]) -> Option<Answer> {
    let (inner, bracketed) = match tokens {
        [Token::Open('('), inner @ .., Token::Close(')')] if inner.len() == 1 => (inner, true),
        [inner, Token::Close(')')] => (std::slice::from_ref(inner), true),
        _ => (tokens, false),
    };
    let mut words = Vec::new();
    for token in inner {
        match token {
            Token::Word(word) => words.push(word.as_str()),
            Token::Letter(letter) if letter.len() == 1 && (bracketed || inner.len() > 1) => {
                words.push(letter)
            }
            Token::Joint if inner.len() > 1 => words.push("and"),
            Token::Comma | Token::Prime if inner.len() > 1 => {}
            _ => return None,
        }
    }
    // `A and C` are two letters.
    if words.len() > 1 && words.iter().all(|word| word.len() == 1 || *word == "and") {
        return None;
    }
    let is_letter = words.len() == 1 && words[0].len() == 1;
    let has_word = inner.iter().any(|token| matches!(token, Token::Word(_)));
    if !(has_word || bracketed && is_letter) {
        return None;
    }
    // One letter keeps its case: x and X are two unknowns.
    let text = if is_letter { words[0].to_owned() } else { joined(words.into_iter()) };
    Some(Answer::Words(text, bracketed || has_word && is_letter))
}

fn list(items: &[(Join, &[Token])], nested: usize) -> Option<Answer> {
    if items.len() > MOST_ITEMS {
        return None;
    }
    if let Some(groups) = split::groups(items) {
        let groups: Option<Vec<Answer>> =
            groups.iter().map(|group| plain_list(group, nested)).collect();
        return groups.map(Answer::List);
    }
    let items: Vec<&[Token]> = items.iter().map(|(_, item)| *item).collect();
    plain_list(&items, nested)
}

fn plain_list(items: &[&[Token]], nested: usize) -> Option<Answer> {
    let mut answers = Vec::new();
    let mut name: Option<String> = None;
    for tokens in items {
        let answer = item(split::trimmed(tokens), nested + 1)?;
        // `n = 1, 2, 3`: the name goes on.
        let answer = match (answer, &name) {
            (answer @ (Answer::Value(..) | Answer::Tuple(_)), Some(name)) => {
                Answer::Named(name.clone(), Box::new(answer))
            }
            (answer, _) => answer,
        };
        match answer {
            Answer::Named(own, value) => {
                name = Some(own.clone());
                match *value {
                    Answer::List(values) => {
                        answers.extend(
                            values
                                .into_iter()
                                .map(|value| Answer::Named(own.clone(), Box::new(value))),
                        );
                    }
                    value => answers.push(Answer::Named(own, Box::new(value))),
                }
            }
            Answer::List(inner) => answers.extend(inner),
            answer => answers.push(answer),
        }
    }
    let are_intervals = answers.iter().all(is_part_of_line);
    Some(if are_intervals && items.len() > 1 {
        Answer::Union(answers)
    } else {
        Answer::List(answers)
    })
}

/// `x < 1 or x > 2` is a union.
fn is_part_of_line(answer: &Answer) -> bool {
    match answer {
        Answer::Interval(..) => true,
        Answer::Named(_, value) => matches!(value.as_ref(), Answer::Interval(..)),
        _ => false,
    }
}

fn item(tokens: &[Token], nested: usize) -> Option<Answer> {
    let sides = split::relations(tokens);
    if sides.len() > 1 {
        return super::relation::related(&sides, nested);
    }
    member(tokens, nested)
}

/// An answer without relations.
pub(super) fn member(tokens: &[Token], nested: usize) -> Option<Answer> {
    if nested > MOST_NESTED {
        return None;
    }
    let tokens = split::trimmed(tokens);
    if tokens == [Token::Dots] {
        return Some(Answer::Dots);
    }
    if let Some(words) = words(tokens) {
        return Some(words);
    }
    if let Some(set) = of_sets(tokens, nested) {
        return set;
    }
    let parts = split::at(tokens, &Token::Colon);
    if parts.len() > 1 {
        let parts: Option<Vec<Formula>> = parts.into_iter().map(parse::formula).collect();
        return parts.map(Answer::Ratio);
    }
    let inside = split::bracketed(tokens);
    inside
        .and_then(|(open, inner, close)| bracketed(open, inner, close, nested))
        .or_else(|| value(tokens))
}

/// Whether a relation is of the kind that makes intervals.
pub(super) fn is_order(relation: Relation) -> bool {
    matches!(relation, Relation::Less | Relation::AtMost | Relation::More | Relation::AtLeast)
}
