//! Texts filled up to a width.

use super::super::super::budget::Outcome;
use super::super::super::call::Arguments;
use super::super::super::machine::Machine;
use super::super::super::value::Value;
use super::Side;

/// A text filled up to a width; `side` is where the filling goes.
pub(in crate::text::template) fn justified(
    machine: &mut Machine,
    text: &str,
    width: &Value,
    fill: char,
    side: Side,
) -> Outcome<Value> {
    let width = width.as_int().ok_or("a width must be a whole number")?;
    let width = usize::try_from(width.max(0)).unwrap_or(usize::MAX);
    let missing = width.saturating_sub(text.chars().count());
    machine.budget.bytes(missing.saturating_mul(fill.len_utf8()).saturating_add(text.len()))?;
    // Python puts the odd one left where the width is odd.
    let left = match side {
        Side::Left => missing,
        Side::Right => 0,
        Side::Both => missing / 2 + (missing & width & 1),
    };
    let mut filled = String::with_capacity(text.len() + missing * fill.len_utf8());
    filled.extend(std::iter::repeat_n(fill, left));
    filled += text;
    filled.extend(std::iter::repeat_n(fill, missing - left));
    machine.budget.text(filled)
}

pub(super) fn zfill(machine: &mut Machine, text: &str, width: &Value) -> Outcome<Value> {
    let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
    let width = Value::Int(width.as_int().unwrap_or(0) - sign.len() as i128);
    let filled = justified(machine, digits, &width, '0', Side::Left)?;
    machine.budget.text(format!("{sign}{}", filled.as_str().unwrap_or_default()))
}

pub(super) fn expandtabs(
    machine: &mut Machine,
    text: &str,
    arguments: Arguments,
) -> Outcome<Value> {
    let [size] = arguments.bind(["tabsize"])?;
    let size =
        usize::try_from(size.map_or(Some(8), |size| size.as_int()).unwrap_or(8)).unwrap_or(0);
    machine.budget.bytes(text.len() + text.matches('\t').count().saturating_mul(size))?;
    let mut result = String::new();
    let mut column = 0;
    for letter in text.chars() {
        match letter {
            '\t' if size > 0 => {
                let spaces = size - column % size;
                result += &" ".repeat(spaces);
                column += spaces;
            }
            '\t' => {}
            _ => {
                column = if matches!(letter, '\n' | '\r') { 0 } else { column + 1 };
                result.push(letter);
            }
        }
    }
    machine.budget.text(result)
}
