//! Values with their units.

use super::super::parse;
use super::super::token::Token;
use super::super::units::may_be_unit;
use super::{Answer, Unit};

/// A formula with its unit; several where it has a sign `±`.
pub(super) fn value(tokens: &[Token]) -> Option<Answer> {
    let (formula, rest) = parse::prefix(tokens)?;
    let unit = unit(rest)?;
    let mut choices = formula.choices()?;
    if choices.len() == 1 {
        return Some(Answer::Value(choices.remove(0), unit));
    }
    Some(Answer::List(
        choices.into_iter().map(|choice| Answer::Value(choice, unit.clone())).collect(),
    ))
}

/// What stands behind a formula, where that leaves it what it is.
fn unit(rest: &[Token]) -> Option<Unit> {
    match rest {
        [] => return Some(Unit::None),
        [Token::Percent] | [Token::Percent, Token::Word(_)] => return Some(Unit::Percent),
        [Token::Degree, rest @ ..] if rest.len() <= 1 => return temperature(rest),
        _ => {}
    }
    if let Some(length) = parse::is_raised_degree(rest) {
        return temperature(&rest[length..]);
    }
    let mut named = None;
    for token in rest {
        match token {
            Token::Word(word) if may_be_unit(word) => {
                named.get_or_insert_with(|| word.clone());
            }
            // The power of a unit, and units per unit.
            Token::Number(numeral) if named.is_some() && numeral.digits.len() == 1 => {}
            Token::Power
            | Token::Minus
            | Token::Open('{' | '(')
            | Token::Close('}' | ')')
            | Token::Times
                if named.is_some() => {}
            Token::Over => {
                named.get_or_insert_with(String::new);
            }
            Token::Letter(letter) if named.is_some() && letter.len() == 1 => {}
            _ => return None,
        }
    }
    named.map(Unit::Named)
}

fn temperature(rest: &[Token]) -> Option<Unit> {
    let is_scale = match rest {
        [] => true,
        [Token::Letter(scale) | Token::Word(scale)] => ["C", "F"].contains(&scale.as_str()),
        _ => false,
    };
    is_scale.then_some(Unit::Degree)
}
