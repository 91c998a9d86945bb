//! Arithmetic and comparison as in Python, each result within the budget.

use std::cmp::Ordering;

use super::ast::{Comparison, Operator};
use super::budget::{Budget, Outcome};
use super::format::percent;
use super::value::Value;

/// `left operator right`.
pub(super) fn arithmetic(
    operator: Operator,
    left: &Value,
    right: &Value,
    budget: &mut Budget,
) -> Outcome<Value> {
    match (operator, left, right) {
        (_, Value::Undefined(name), _) => Err(format!("{name} is undefined")),
        (Operator::Remainder, Value::Str(format), _) => percent(format, right, budget),
        (_, _, Value::Undefined(name)) => Err(format!("{name} is undefined")),
        (Operator::Add, Value::Str(left), Value::Str(right)) => {
            budget.bytes(left.len() + right.len())?;
            budget.text(format!("{left}{right}"))
        }
        (Operator::Add, Value::List(_), Value::List(_)) => joined(left, right, budget),
        (Operator::Add, Value::Tuple(_), Value::Tuple(_)) => joined(left, right, budget),
        (Operator::Multiply, sequence, count) | (Operator::Multiply, count, sequence)
            if is_sequence(sequence) && count.as_int().is_some() =>
        {
            repeated(sequence, count.as_int().unwrap_or(0), budget)
        }
        _ => numeric(operator, left, right),
    }
}

fn is_sequence(value: &Value) -> bool {
    matches!(value, Value::Str(_) | Value::List(_) | Value::Tuple(_))
}

fn joined(left: &Value, right: &Value, budget: &mut Budget) -> Outcome<Value> {
    let (first, second) =
        (left.as_slice().unwrap_or_default(), right.as_slice().unwrap_or_default());
    budget.room(first.len() + second.len())?;
    let values = [first, second].concat();
    like(left, values, budget)
}

/// A list or a tuple, as `model` is.
pub(super) fn like(model: &Value, values: Vec<Value>, budget: &mut Budget) -> Outcome<Value> {
    match model {
        Value::Tuple(_) => budget.tuple(values),
        _ => budget.list(values),
    }
}

fn repeated(sequence: &Value, count: i128, budget: &mut Budget) -> Outcome<Value> {
    let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
    if let Value::Str(text) = sequence {
        budget.bytes(text.len().saturating_mul(count))?;
        return budget.text(text.repeat(if text.is_empty() { 0 } else { count }));
    }
    let values = sequence.as_slice().unwrap_or_default();
    budget.room(values.len().saturating_mul(count))?;
    let count = if values.is_empty() { 0 } else { count };
    like(sequence, values.iter().cycle().take(values.len() * count).cloned().collect(), budget)
}

fn numeric(operator: Operator, left: &Value, right: &Value) -> Outcome<Value> {
    let unfit = || {
        let (left, right) = (left.type_name(), right.type_name());
        format!("{operator:?} does not work on {left} and {right}")
    };
    match (left.as_int(), right.as_int()) {
        (Some(left), Some(right)) => integers(operator, left, right),
        _ => match (left.as_float(), right.as_float()) {
            (Some(left), Some(right)) => floats(operator, left, right),
            _ => Err(unfit()),
        },
    }
}

fn integers(operator: Operator, left: i128, right: i128) -> Outcome<Value> {
    let whole = match operator {
        Operator::Add => left.checked_add(right),
        Operator::Subtract => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        Operator::FloorDivide | Operator::Remainder | Operator::Divide if right == 0 => {
            return Err("division by zero".into());
        }
        Operator::FloorDivide => floor_divide(left, right),
        Operator::Remainder => {
            floor_divide(left, right).and_then(|quotient| left.checked_sub(quotient * right))
        }
        Operator::Power if right >= 0 => {
            u32::try_from(right).ok().and_then(|power| left.checked_pow(power))
        }
        Operator::Divide | Operator::Power => return floats(operator, left as f64, right as f64),
    };
    whole.map(Value::Int).ok_or_else(|| "a whole number grows beyond 128 bits".to_owned())
}

fn floor_divide(left: i128, right: i128) -> Option<i128> {
    let quotient = left.checked_div(right)?;
    let rest = left.checked_rem(right)?;
    Some(quotient - i128::from(rest != 0 && (rest < 0) != (right < 0)))
}

fn floats(operator: Operator, left: f64, right: f64) -> Outcome<Value> {
    let divides =
        matches!(operator, Operator::Divide | Operator::FloorDivide | Operator::Remainder);
    if divides && right == 0.0 {
        return Err("division by zero".into());
    }
    Ok(Value::Float(match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        Operator::FloorDivide => (left / right).floor(),
        Operator::Remainder => left - right * (left / right).floor(),
        Operator::Power => left.powf(right),
    }))
}

/// `left comparison right`, but for `in`, which may have to read an iterator.
pub(super) fn compare(
    comparison: Comparison,
    left: &Value,
    right: &Value,
    budget: &mut Budget,
) -> Outcome<bool> {
    Ok(match comparison {
        Comparison::Equal => equal(left, right, budget)?,
        Comparison::NotEqual => !equal(left, right, budget)?,
        // Nothing is less, equal or greater than NaN.
        _ => match (ordering(left, right, budget)?, comparison) {
            (None, _) => false,
            (Some(order), Comparison::Less) => order.is_lt(),
            (Some(order), Comparison::LessOrEqual) => order.is_le(),
            (Some(order), Comparison::Greater) => order.is_gt(),
            (Some(order), _) => order.is_ge(),
        },
    })
}

/// Python's `==`.
pub(super) fn equal(left: &Value, right: &Value, budget: &mut Budget) -> Outcome<bool> {
    budget.steps(1)?;
    Ok(match (left, right) {
        (Value::Undefined(_), Value::Undefined(_)) | (Value::None, Value::None) => true,
        (Value::Str(left), Value::Str(right)) => {
            budget.steps(left.len().min(right.len()) / 256)?;
            left == right
        }
        (Value::List(left), Value::List(right)) | (Value::Tuple(left), Value::Tuple(right)) => {
            left.values.len() == right.values.len()
                && all(left.values.iter().zip(&right.values), |(left, right)| {
                    equal(left, right, budget)
                })?
        }
        (Value::Dict(left), Value::Dict(right)) => {
            left.pairs.len() == right.pairs.len()
                && all(left.pairs.iter(), |(key, value)| {
                    match lookup(&right.pairs, key, budget)? {
                        Some(other) => equal(value, other, budget),
                        None => Ok(false),
                    }
                })?
        }
        (Value::Iterator(left), Value::Iterator(right))
        | (Value::Namespace(left), Value::Namespace(right))
        | (Value::Macro(left), Value::Macro(right))
        | (Value::Loop(left), Value::Loop(right))
        | (Value::Cycler(left), Value::Cycler(right))
        | (Value::Joiner(left), Value::Joiner(right)) => left == right,
        (Value::Function(left), Value::Function(right)) => left == right,
        _ => match (left.as_int(), right.as_int()) {
            (Some(left), Some(right)) => left == right,
            _ => left.as_float().is_some_and(|left| Some(left) == right.as_float()),
        },
    })
}

fn all<T>(
    mut values: impl Iterator<Item = T>,
    mut holds: impl FnMut(T) -> Outcome<bool>,
) -> Outcome<bool> {
    // The first that does not hold, or whose comparison fails, ends it.
    let failed = values.find_map(|value| match holds(value) {
        Ok(true) => None,
        other => Some(other),
    });
    failed.unwrap_or(Ok(true))
}

/// The value of a key.
pub(super) fn lookup<'p>(
    pairs: &'p [(Value, Value)],
    key: &Value,
    budget: &mut Budget,
) -> Outcome<Option<&'p Value>> {
    for (found, value) in pairs {
        if equal(found, key, budget)? {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// Which of two comes first; nothing for NaN.
///
/// # Errors
/// Types that Python does not order.
pub(super) fn ordering(
    left: &Value,
    right: &Value,
    budget: &mut Budget,
) -> Outcome<Option<Ordering>> {
    budget.steps(1)?;
    match (left, right) {
        (Value::Str(left), Value::Str(right)) => {
            budget.steps(left.len().min(right.len()) / 256)?;
            Ok(Some(left.cmp(right)))
        }
        (Value::List(first), Value::List(second)) | (Value::Tuple(first), Value::Tuple(second)) => {
            for (left, right) in first.values.iter().zip(&second.values) {
                if !equal(left, right, budget)? {
                    return ordering(left, right, budget);
                }
            }
            Ok(Some(first.values.len().cmp(&second.values.len())))
        }
        _ => match (left.as_int(), right.as_int(), left.as_float(), right.as_float()) {
            (Some(left), Some(right), ..) => Ok(Some(left.cmp(&right))),
            (_, _, Some(left), Some(right)) => Ok(left.partial_cmp(&right)),
            _ => {
                let (left, right) = (left.type_name(), right.type_name());
                Err(format!("{left} and {right} cannot be compared"))
            }
        },
    }
}
