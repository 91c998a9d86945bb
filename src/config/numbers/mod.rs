//! Every number of a configuration with its range, checked before anything is made of it.
//!
//! The table speaks of single numbers; what two of them must be to each other stands in `check`.

mod table;
#[cfg(test)]
mod tests;

use serde_json::Value;

use super::load::Misfit;
use crate::quote::shown;
use table::{NUMBERS, Range};

/// Checks every number of a tree. A number that was written as text, as in `"1e-6"` or `1_000`, is
/// read as the number where a key takes one.
///
/// # Errors
/// The first number out of its range, with its key.
pub(super) fn check(tree: &mut Value) -> Result<(), Misfit> {
    NUMBERS.iter().try_for_each(|(key, range)| {
        let way: Vec<&str> = key.split('.').collect();
        check_inside(tree, &way, *range, &mut Vec::new())
    })
}

/// Every key of a number: where it stands, its range as a JSON schema has it, and in words.
pub(super) fn ranges() -> impl Iterator<Item = (&'static str, Vec<(&'static str, Value)>, String)> {
    NUMBERS.iter().map(|(key, range)| (*key, range.bounds(), range.words()))
}

/// Follows the rest of a way down to its numbers.
fn check_inside(
    place: &mut Value,
    way: &[&str],
    range: Range,
    keys: &mut Vec<String>,
) -> Result<(), Misfit> {
    let Some((key, rest)) = way.split_first() else { return check_one(place, range, keys) };
    let inner: Vec<(String, &mut Value)> = match place {
        Value::Array(items) if *key == "*" => {
            items.iter_mut().enumerate().map(|(at, item)| (format!("[{at}]"), item)).collect()
        }
        Value::Object(block) => {
            block.get_mut(*key).map(|value| ((*key).to_owned(), value)).into_iter().collect()
        }
        _ => Vec::new(),
    };
    for (key, value) in inner {
        keys.push(key);
        check_inside(value, rest, range, keys)?;
        keys.pop();
    }
    Ok(())
}

fn check_one(value: &mut Value, range: Range, keys: &[String]) -> Result<(), Misfit> {
    let written = match &*value {
        Value::String(text) => text.clone(),
        number => number.to_string(),
    };
    if let Value::String(text) = &*value {
        // Other text is of the wrong type, which is said where the tree gets its types.
        let Some(number) = number(text) else { return Ok(()) };
        *value = number;
    }
    if !matches!(value, Value::Number(_) | Value::String(_)) || range.takes(value) {
        return Ok(());
    }
    let key = keys.join(".").replace(".[", "[");
    let problem = format!("{key} is {}; it must be {}", shown(&written), range.words());
    Err(Misfit { keys: keys.to_vec(), line: None, problem })
}

/// The number that a text stands for: as JSON has it, or as the text of one that JSON does not have.
fn number(text: &str) -> Option<Value> {
    let plain = text.trim().replace('_', "");
    let unsigned = plain.trim_start_matches(['+', '-']).to_lowercase();
    if [".nan", "nan", ".inf", "inf", "infinity"].contains(&unsigned.as_str()) {
        return Some(Value::String(plain));
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let whole =
        plain.parse::<u64>().map(Value::from).or_else(|_| plain.parse::<i64>().map(Value::from));
    whole.ok().or_else(|| match plain.parse::<f64>() {
        Ok(number) if number.is_finite() => Some(number.into()),
        Ok(_) => Some(Value::String(plain)),
        Err(_) => None,
    })
}
