//! Parts of a text: without its ends, and cut at separators, white space or lines.

use super::super::super::budget::Outcome;
use super::super::super::call::Arguments;
use super::super::super::machine::Machine;
use super::super::super::value::Value;
use super::{Side, string};

/// A text without white space, or without these characters, at its ends.
pub(in crate::text::template) fn stripped<'a>(
    _: &Machine,
    text: &'a str,
    chars: Option<&Value>,
    side: Side,
) -> Outcome<&'a str> {
    let chars = match chars {
        None | Some(Value::None) => None,
        Some(chars) => Some(string(chars, "strip")?),
    };
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
    let count = chars.as_ref().and_then(Value::as_str).map_or(1, str::len);
    machine.budget.steps((text.len() / 64).saturating_mul(count))?;
    let stripped = stripped(machine, text, chars.as_ref(), side)?;
    machine.budget.text(stripped)
}

pub(super) fn texts(machine: &mut Machine, parts: Vec<&str>) -> Outcome<Value> {
    let parts = parts.into_iter().map(|part| machine.budget.text(part));
    let parts: Vec<Value> = parts.collect::<Outcome<_>>()?;
    machine.budget.list(parts)
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
            let parts = words(text, limit, from_right);
            return texts(machine, parts);
        }
        Some(separator) => string(separator, "split")?,
    };
    if separator.is_empty() {
        return Err("split() with an empty separator".into());
    }
    let count = limit.saturating_add(1);
    let mut parts: Vec<&str> = match from_right {
        true => text.rsplitn(count, separator).collect(),
        false => text.splitn(count, separator).collect(),
    };
    if from_right {
        parts.reverse();
    }
    texts(machine, parts)
}

/// Parts between white space; what is beyond the limit stays together, with the white space at its far end.
pub(super) fn words(text: &str, limit: usize, from_right: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        rest = if from_right { rest.trim_end() } else { rest.trim_start() };
        if rest.is_empty() {
            break;
        }
        let cut = match from_right {
            true => rest.rfind(char::is_whitespace),
            false => rest.find(char::is_whitespace),
        };
        let Some(at) = cut.filter(|_| parts.len() < limit) else {
            parts.push(rest);
            break;
        };
        let (before, after) = rest.split_at(at);
        let (part, left) = if from_right { (after.trim_start(), before) } else { (before, after) };
        parts.push(part);
        rest = left;
    }
    if from_right {
        parts.reverse();
    }
    parts
}

pub(super) fn splitlines(
    machine: &mut Machine,
    text: &str,
    arguments: Arguments,
) -> Outcome<Value> {
    let [keep] = arguments.bind(["keepends"])?;
    let keep = keep.is_some_and(|keep| keep.is_true());
    let mut lines = Vec::new();
    let mut rest = text;
    let is_end = |letter: char| {
        matches!(
            letter,
            '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    while let Some(at) = rest.find(is_end) {
        let length = match rest[at..].starts_with("\r\n") {
            true => 2,
            false => rest[at..].chars().next().map_or(1, char::len_utf8),
        };
        lines.push(&rest[..if keep { at + length } else { at }]);
        rest = &rest[at + length..];
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    texts(machine, lines)
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
