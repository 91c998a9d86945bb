//! Parts of a text: without its ends, and cut at separators, white space or lines.

use super::super::super::budget::Outcome;
use super::super::super::call::Arguments;
use super::super::super::machine::Machine;
use super::super::super::value::Value;
use super::{Side, string};

/// A text without white space, or without these characters, at its ends.
pub(in crate::text::template) fn stripped<'a>(
    machine: &mut Machine,
    text: &'a str,
    chars: Option<&Value>,
    side: Side,
) -> Outcome<&'a str> {
    let chars = match chars {
        None | Some(Value::None) => None,
        Some(chars) => Some(string(chars, "strip")?),
    };
    let work = text.len().saturating_mul(chars.map_or(1, str::len));
    machine.budget.steps(work / 64)?;
    let is_cut = |letter: char| match chars {
        Some(chars) => chars.contains(letter),
        None => letter.is_whitespace() || ('\x1c'..='\x1f').contains(&letter),
    };
    let text = if side == Side::Right { text } else { text.trim_start_matches(is_cut) };
    Ok(if side == Side::Left { text } else { text.trim_end_matches(is_cut) })
}

pub(super) fn strip(
    machine: &mut Machine,
    text: &str,
    arguments: Arguments,
    side: Side,
) -> Outcome<Value> {
    let [chars] = arguments.bind(["chars"])?;
    let stripped = stripped(machine, text, chars.as_ref(), side)?;
    machine.budget.text(stripped)
}

/// A list of parts that were found from the left, or from the right.
fn list_of<'p>(
    machine: &mut Machine,
    parts: impl Iterator<Item = &'p str> + Clone,
    from_right: bool,
) -> Outcome<Value> {
    let mut values = machine.budget.texts(parts)?;
    if from_right {
        values.reverse();
    }
    machine.budget.counted_list(values)
}

pub(super) fn split(
    machine: &mut Machine,
    text: &str,
    arguments: Arguments,
    from_right: bool,
) -> Outcome<Value> {
    let [separator, limit] = arguments.bind(["sep", "maxsplit"])?;
    let limit = match limit {
        None => -1,
        Some(limit) => limit.as_int().ok_or("split(maxsplit) needs a whole number")?,
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let separator = match &separator {
        None | Some(Value::None) => {
            return list_of(machine, words(text, limit, from_right), from_right);
        }
        Some(separator) => string(separator, "split")?,
    };
    if separator.is_empty() {
        return Err("split() with an empty separator".into());
    }
    let count = limit.saturating_add(1);
    match from_right {
        true => list_of(machine, text.rsplitn(count, separator), true),
        false => list_of(machine, text.splitn(count, separator), false),
    }
}

/// Parts between white space, the last ones first if `from_right`; what is beyond the limit stays together, with
/// the white space at its far end.
fn words(text: &str, limit: usize, from_right: bool) -> impl Iterator<Item = &str> + Clone {
    let (mut rest, mut given) = (text, 0);
    std::iter::from_fn(move || {
        let trimmed = if from_right { rest.trim_end() } else { rest.trim_start() };
        let cut = match from_right {
            true => trimmed.rfind(char::is_whitespace),
            false => trimmed.find(char::is_whitespace),
        };
        let cut = cut.filter(|_| given < limit).map(|at| trimmed.split_at(at));
        let (part, left) = match (cut, from_right) {
            (None, _) => (trimmed, ""),
            (Some((before, after)), true) => (after.trim_start(), before),
            (Some((before, after)), false) => (before, after),
        };
        (rest, given) = (left, given + 1);
        (!part.is_empty()).then_some(part)
    })
}

pub(super) fn splitlines(
    machine: &mut Machine,
    text: &str,
    arguments: Arguments,
) -> Outcome<Value> {
    let [keep] = arguments.bind(["keepends"])?;
    let keep = keep.is_some_and(|keep| keep.is_true());
    let mut rest = text;
    let lines = std::iter::from_fn(move || {
        let (line, end, after) = first_line(rest)?;
        let length = line.len() + if keep { end } else { 0 };
        let line = &rest[..length];
        rest = after;
        Some(line)
    });
    list_of(machine, lines, false)
}

/// The first line, the length of its end and what follows; nothing where no text is left.
fn first_line(text: &str) -> Option<(&str, usize, &str)> {
    let is_end = |letter: char| {
        matches!(
            letter,
            '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    if text.is_empty() {
        return None;
    }
    let at = text.find(is_end).unwrap_or(text.len());
    let end = match text[at..].starts_with("\r\n") {
        true => 2,
        false => text[at..].chars().next().map_or(0, char::len_utf8),
    };
    Some((&text[..at], end, &text[at + end..]))
}

pub(super) fn partition(
    machine: &mut Machine,
    text: &str,
    arguments: Arguments,
    last: bool,
) -> Outcome<Value> {
    let separator = arguments.one("sep")?;
    let separator = string(&separator, "partition")?;
    if separator.is_empty() {
        return Err("partition() with an empty separator".into());
    }
    let found = if last { text.rsplit_once(separator) } else { text.split_once(separator) };
    let parts = match (found, last) {
        (Some((before, after)), _) => [before, separator, after],
        (None, true) => ["", "", text],
        (None, false) => [text, "", ""],
    };
    let parts: Vec<Value> =
        parts.into_iter().map(|part| machine.budget.text(part)).collect::<Outcome<_>>()?;
    machine.budget.tuple(parts)
}
