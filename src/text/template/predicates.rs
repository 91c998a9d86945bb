//! `value is name`, as jinja2's `tests.py` answers it.

use super::ast::Comparison;
use super::budget::Outcome;
use super::call::Arguments;
use super::filters;
use super::functions::Function;
use super::machine::Machine;
use super::operators::arithmetic;
use super::value::Value;

/// Names of tests, for `'name' is test`.
const NAMES: [&str; 39] = [
    "odd",
    "even",
    "divisibleby",
    "defined",
    "undefined",
    "filter",
    "test",
    "none",
    "boolean",
    "false",
    "true",
    "integer",
    "float",
    "lower",
    "upper",
    "string",
    "mapping",
    "number",
    "sequence",
    "iterable",
    "callable",
    "sameas",
    "escaped",
    "in",
    "==",
    "eq",
    "equalto",
    "!=",
    "ne",
    ">",
    "gt",
    "greaterthan",
    "ge",
    ">=",
    "<",
    "lt",
    "lessthan",
    "<=",
    "le",
];

pub(super) fn holds(
    machine: &mut Machine,
    name: &str,
    value: &Value,
    arguments: Arguments,
) -> Outcome<bool> {
    if let Some(comparison) = comparison(name) {
        let other = arguments.one("other")?;
        return machine.compare(comparison, value, &other);
    }
    match name {
        "divisibleby" => {
            let divisor = arguments.one("num")?;
            let rest =
                arithmetic(super::ast::Operator::Remainder, value, &divisor, &mut machine.budget)?;
            return Ok(rest.as_float() == Some(0.0));
        }
        "sameas" => {
            let other = arguments.one("other")?;
            return same(machine, value, &other);
        }
        _ => arguments.none()?,
    }
    Ok(match name {
        "odd" | "even" => {
            let two = Value::Int(2);
            let rest =
                arithmetic(super::ast::Operator::Remainder, value, &two, &mut machine.budget)?;
            rest.as_float() == Some(if name == "odd" { 1.0 } else { 0.0 })
        }
        "defined" => !matches!(value, Value::Undefined(_)),
        "undefined" => matches!(value, Value::Undefined(_)),
        "none" => matches!(value, Value::None),
        "boolean" => matches!(value, Value::Bool(_)),
        "true" => matches!(value, Value::Bool(true)),
        "false" => matches!(value, Value::Bool(false)),
        "integer" => matches!(value, Value::Int(_)),
        "float" => matches!(value, Value::Float(_)),
        "number" => value.as_float().is_some(),
        "string" => matches!(value, Value::Str(_)),
        "mapping" => matches!(value, Value::Dict(_)),
        "sequence" => is_sequence(value),
        "iterable" => is_sequence(value) || matches!(value, Value::Iterator(_)),
        "callable" => is_callable(value),
        "escaped" => false,
        "lower" | "upper" => {
            let text = machine.string(value)?;
            machine.budget.steps(text.len() / 16)?;
            cased(&text, name == "upper")
        }
        "filter" => value.as_str().is_some_and(filters::is_known),
        "test" => value.as_str().is_some_and(|name| NAMES.contains(&name)),
        other => return Err(format!("no test is named {other:?}")),
    })
}

fn comparison(name: &str) -> Option<Comparison> {
    Some(match name {
        "==" | "eq" | "equalto" => Comparison::Equal,
        "!=" | "ne" => Comparison::NotEqual,
        ">" | "gt" | "greaterthan" => Comparison::Greater,
        ">=" | "ge" => Comparison::GreaterOrEqual,
        "<" | "lt" | "lessthan" => Comparison::Less,
        "<=" | "le" => Comparison::LessOrEqual,
        "in" => Comparison::In,
        _ => return None,
    })
}

/// What has a length and items in Python: texts and dicts too, and jinja2's undefined.
fn is_sequence(value: &Value) -> bool {
    matches!(
        value,
        Value::Undefined(_) | Value::Str(_) | Value::List(_) | Value::Tuple(_) | Value::Dict(_)
    )
}

fn is_callable(value: &Value) -> bool {
    matches!(
        value,
        Value::Undefined(_)
            | Value::Function(Function::Range | _)
            | Value::Method(_)
            | Value::Macro(_)
            | Value::Loop(_)
            | Value::Joiner(_)
    )
}

/// Python's `islower` and `isupper`: some letter has a case, and none the other.
pub(super) fn cased(text: &str, upper: bool) -> bool {
    let has = |test: fn(&char) -> bool| text.chars().any(|letter| test(&letter));
    let (lower, upper_case) = (has(|c| c.is_lowercase()), has(|c| c.is_uppercase()));
    if upper { upper_case && !lower } else { lower && !upper_case }
}

/// Python's `is`: numbers and texts that are equal are taken for the same.
fn same(machine: &mut Machine, left: &Value, right: &Value) -> Outcome<bool> {
    use std::sync::Arc;
    Ok(match (left, right) {
        (Value::List(left), Value::List(right)) | (Value::Tuple(left), Value::Tuple(right)) => {
            Arc::ptr_eq(left, right)
        }
        (Value::Dict(left), Value::Dict(right)) => Arc::ptr_eq(left, right),
        _ if std::mem::discriminant(left) != std::mem::discriminant(right) => false,
        _ => machine.compare(Comparison::Equal, left, right)?,
    })
}
