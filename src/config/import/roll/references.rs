//! `${key}`: what stands at another key of the file. They can run in circles, and a few that name each
//! other twice and more can come to any length, so all of a file share one budget.

use serde_json::Value;

use crate::quote::shown;

/// Longest chain of references that is followed.
const MOST_REFERENCES: usize = 8;
/// How many references a whole file may have followed.
const MOST_LOOK_UPS: usize = 10_000;
/// Bytes of all that they may bring in.
const MOST_BYTES: usize = 1 << 20;
/// Blocks inside blocks: a pipeline has five.
const MOST_LEVELS: usize = 64;

/// A file with each `${key}` replaced by what stands there. A whole reference keeps the type of it, and
/// one that points at nothing, or into a circle, stays as it is.
///
/// # Errors
/// References that come to too much, and blocks too deep in each other.
pub(super) fn resolve(file: &Value) -> Result<Value, String> {
    Resolver { file, look_ups: 0, bytes: 0 }.value(file, MOST_REFERENCES, MOST_LEVELS)
}

/// Why a value is not what its file says: the text with the reference, and what that came to. `raw` is what
/// the file has in its place, and null inside of what a reference brought in.
pub(super) fn lost(raw: &Value, resolved: &Value) -> Option<String> {
    let inside = |raw: Option<&Value>, value| lost(raw.unwrap_or(&Value::Null), value);
    match (raw, resolved) {
        (Value::String(raw), Value::Null) => Some(format!("`{}` points at null", shown(raw))),
        (Value::String(text), value) | (_, value @ Value::String(text)) if is_left_in(value) => {
            Some(format!("`{}` points at nothing in this file, or runs in a circle", shown(text)))
        }
        (_, Value::Array(list)) => {
            list.iter().enumerate().find_map(|(at, item)| inside(raw.get(at), item))
        }
        (_, Value::Object(block)) => {
            block.iter().find_map(|(key, value)| inside(raw.get(key), value))
        }
        _ => None,
    }
}

/// Whether a reference is left somewhere in a value.
pub(super) fn is_left_in(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("${"),
        Value::Array(list) => list.iter().any(is_left_in),
        Value::Object(block) => block.values().any(is_left_in),
        _ => false,
    }
}

/// The key of a text that is one reference and nothing else.
pub(super) fn whole(text: &str) -> Option<&str> {
    let key = text.strip_prefix("${")?.strip_suffix('}')?;
    (!key.contains(['$', '}'])).then_some(key)
}

struct Resolver<'a> {
    file: &'a Value,
    look_ups: usize,
    bytes: usize,
}

impl Resolver<'_> {
    /// A value through so many references and blocks at most.
    fn value(&mut self, value: &Value, chain: usize, levels: usize) -> Result<Value, String> {
        let Some(inside) = levels.checked_sub(1) else {
            return Err(format!(
                "it has more than {MOST_LEVELS} blocks inside each other, which no pipeline of ROLL has"
            ));
        };
        match value {
            Value::String(text) => self.text(text, chain, inside),
            Value::Array(list) => list.iter().map(|item| self.value(item, chain, inside)).collect(),
            Value::Object(block) => {
                let keys = block.iter();
                keys.map(|(key, item)| Ok((key.clone(), self.value(item, chain, inside)?)))
                    .collect()
            }
            other => Ok(other.clone()),
        }
    }

    fn text(&mut self, text: &str, chain: usize, levels: usize) -> Result<Value, String> {
        if let Some(key) = whole(text) {
            return Ok(self.pointed(key, chain, levels)?.unwrap_or_else(|| text.into()));
        }
        let mut pieces = text.split("${");
        let mut whole = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let found = match piece.split_once('}') {
                Some((key, rest)) => self.pointed(key, chain, levels)?.map(|found| (found, rest)),
                None => None,
            };
            match found {
                Some((Value::String(found), rest)) => whole += &(found + rest),
                Some((found, rest)) if !found.is_null() => whole += &format!("{found}{rest}"),
                _ => whole += &format!("${{{piece}"),
            }
        }
        Ok(whole.into())
    }

    /// What a reference points at; nothing where it points at itself or out of the file.
    fn pointed(&mut self, key: &str, chain: usize, levels: usize) -> Result<Option<Value>, String> {
        let pointer = format!("/{}", key.trim().replace('.', "/"));
        let (Some(value), Some(chain)) = (self.file.pointer(&pointer), chain.checked_sub(1)) else {
            return Ok(None);
        };
        self.look_ups += 1;
        self.check()?;
        let found = self.value(value, chain, levels)?;
        self.bytes += bytes(&found);
        self.check()?;
        Ok(Some(found))
    }

    fn check(&self) -> Result<(), String> {
        if self.look_ups <= MOST_LOOK_UPS && self.bytes <= MOST_BYTES {
            return Ok(());
        }
        Err(format!(
            "its references `${{...}}` bring in more than {MOST_BYTES} bytes or are more than {MOST_LOOK_UPS} with \
             those that they lead to; write out what they stand for"
        ))
    }
}

/// About how many bytes a value takes.
fn bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 8,
        Value::Array(list) => list.iter().map(bytes).sum::<usize>() + 8,
        Value::Object(block) => {
            block.iter().map(|(key, value)| key.len() + bytes(value)).sum::<usize>() + 8
        }
        _ => 8,
    }
}
