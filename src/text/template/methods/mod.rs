//! Methods of texts, lists and dicts; those that change a list or dict are refused, as by jinja2's sandbox.

mod containers;
pub(super) mod strings;

use super::budget::Outcome;
use super::call::Arguments;
use super::machine::Machine;
use super::value::Value;

const OF_LIST: [&str; 3] = ["copy", "count", "index"];
const OF_TUPLE: [&str; 2] = ["count", "index"];
const OF_DICT: [&str; 5] = ["copy", "get", "items", "keys", "values"];
/// Methods that change what they belong to: there, but not to be called.
const CHANGE_LIST: [&str; 8] =
    ["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"];
const CHANGE_DICT: [&str; 5] = ["clear", "pop", "popitem", "setdefault", "update"];

/// Whether a value has a method of this name.
pub(super) fn has(value: &Value, name: &str) -> bool {
    match value {
        Value::Str(_) => strings::NAMES.contains(&name),
        Value::List(_) => OF_LIST.contains(&name) || CHANGE_LIST.contains(&name),
        Value::Tuple(_) => OF_TUPLE.contains(&name),
        Value::Dict(_) => OF_DICT.contains(&name) || CHANGE_DICT.contains(&name),
        Value::Cycler(_) => ["next", "reset"].contains(&name),
        Value::Float(_) => name == "is_integer",
        Value::Int(_) | Value::Bool(_) => name == "bit_length",
        _ => false,
    }
}

pub(super) fn call(
    machine: &mut Machine,
    value: &Value,
    name: &str,
    arguments: Arguments,
) -> Outcome<Value> {
    match value {
        Value::Str(text) => strings::call(machine, text, name, arguments),
        Value::List(_) if CHANGE_LIST.contains(&name) => Err(changes("list", name)),
        Value::Dict(_) if CHANGE_DICT.contains(&name) => Err(changes("dict", name)),
        Value::List(_) | Value::Tuple(_) => containers::of_list(machine, value, name, arguments),
        Value::Dict(entries) => containers::of_dict(machine, entries, name, arguments),
        Value::Cycler(at) => {
            arguments.none()?;
            let cycle = &mut machine.cycles[*at];
            if name == "reset" {
                cycle.at = 0;
                return Ok(Value::None);
            }
            let item = cycle.items[cycle.at].clone();
            cycle.at = (cycle.at + 1) % cycle.items.len();
            Ok(item)
        }
        Value::Float(number) => Ok(Value::Bool(number.fract() == 0.0)),
        other => {
            let size = other.as_int().unwrap_or(0).unsigned_abs();
            Ok(Value::Int((u128::BITS - size.leading_zeros()).into()))
        }
    }
}

fn changes(kind: &str, name: &str) -> String {
    format!("{kind}.{name}() would change the {kind}, which a chat template may not")
}
