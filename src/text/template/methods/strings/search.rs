//! What a text holds, where it holds it, and other text in its place.

use super::super::super::budget::Outcome;
use super::super::super::call::Arguments;
use super::super::super::machine::Machine;
use super::super::super::value::Value;
use super::{needed, string};

pub(super) fn begins_or_ends(
    machine: &mut Machine,
    text: &str,
    arguments: Arguments,
    ends: bool,
) -> Outcome<Value> {
    let [part, start, stop] = arguments.bind(["prefix", "start", "end"])?;
    let part = needed(part, "startswith")?;
    let Some((text, _)) = within(text, start, stop)? else { return Ok(Value::Bool(false)) };
    let is_there = |part: &Value| -> Outcome<bool> {
        let part = string(part, "startswith")?;
        Ok(if ends { text.ends_with(part) } else { text.starts_with(part) })
    };
    let parts = match &part {
        Value::Tuple(items) => &items.values,
        single => return Ok(Value::Bool(is_there(single)?)),
    };
    machine.budget.steps(parts.len())?;
    for part in parts {
        if is_there(part)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

pub(super) fn removed(
    machine: &mut Machine,
    text: &str,
    arguments: Arguments,
    remove: for<'a> fn(&'a str, &str) -> Option<&'a str>,
) -> Outcome<Value> {
    let part = arguments.one("part")?;
    let part = string(&part, "removeprefix")?;
    machine.budget.text(remove(text, part).unwrap_or(text))
}

/// A text with parts replaced, its size known before it is made.
pub(in crate::text::template) fn replaced(
    machine: &mut Machine,
    text: &str,
    old: &str,
    new: &str,
    count: Option<&Value>,
) -> Outcome<Value> {
    let limit = match count {
        None | Some(Value::None) => -1,
        Some(count) => count.as_int().ok_or("replace(count) needs a whole number")?,
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let found = text.matches(old).count().min(limit);
    machine.budget.bytes(text.len() + found.saturating_mul(new.len()))?;
    machine.budget.text(text.replacen(old, new, limit))
}

/// The part of a text between two places counted in characters, and the byte it begins at.
pub(super) fn within(
    text: &str,
    start: Option<Value>,
    stop: Option<Value>,
) -> Outcome<Option<(&str, usize)>> {
    if start.is_none() && stop.is_none() {
        return Ok(Some((text, 0)));
    }
    let count = text.chars().count() as i128;
    let place = |value: Option<Value>, default: i128| match value {
        None | Some(Value::None) => Ok(default),
        Some(value) => {
            let at = value.as_int().ok_or("a place in a text is a whole number")?;
            Ok::<_, String>(if at < 0 { at.saturating_add(count).max(0) } else { at })
        }
    };
    let (start, stop) = (place(start, 0)?, place(stop, count)?.min(count));
    if start > stop {
        return Ok(None);
    }
    let byte = |at: i128| text.char_indices().nth(at as usize).map_or(text.len(), |(byte, _)| byte);
    Ok(Some((&text[byte(start)..byte(stop)], byte(start))))
}

pub(super) fn find(
    machine: &mut Machine,
    text: &str,
    name: &str,
    arguments: Arguments,
) -> Outcome<Value> {
    let [part, start, stop] = arguments.bind(["sub", "start", "end"])?;
    let part = needed(part, name)?;
    let part = string(&part, name)?;
    machine.budget.steps(text.len() / 16)?;
    let range = within(text, start, stop)?;
    if name == "count" {
        let count = range.map_or(0, |(inside, _)| inside.matches(part).count());
        return Ok(Value::Int(count as i128));
    }
    let from_right = name.starts_with('r');
    let found = range.and_then(|(inside, offset)| {
        let at = if from_right { inside.rfind(part) } else { inside.find(part) }?;
        Some(text[..offset + at].chars().count() as i128)
    });
    match (found, name.ends_with("index")) {
        (Some(at), _) => Ok(Value::Int(at)),
        (None, true) => Err(format!("{name}(): the part is not in the text")),
        (None, false) => Ok(Value::Int(-1)),
    }
}
