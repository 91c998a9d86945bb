//! Filters that give numbers, or write them.

use super::super::budget::Outcome;
use super::super::call::Arguments;
use super::super::machine::Machine;
use super::super::value::Value;

pub(super) fn abs(_: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    arguments.none()?;
    match (value.as_int(), value.as_float()) {
        (Some(number), _) => number.checked_abs().map(Value::Int).ok_or_else(|| "too large".into()),
        (_, Some(number)) => Ok(Value::Float(number.abs())),
        _ => Err(format!("{} has no absolute value", value.type_name())),
    }
}

fn defined(value: &Value) -> Outcome<()> {
    match value {
        Value::Undefined(name) => Err(format!("{name} is undefined")),
        _ => Ok(()),
    }
}

/// Counts the copies of a text that reading it as a number makes.
fn counted(machine: &mut Machine, value: &Value) -> Outcome<()> {
    let length = value.as_str().map_or(0, str::len);
    machine.budget.steps(length / 16)?;
    machine.budget.bytes(3 * length)
}

/// A text as Python's `float` reads it.
fn parsed(text: &str) -> Option<f64> {
    let text = text.trim().replace('_', "");
    // Rust reads these as Python does, but for words that Python does not know.
    let is_word = text.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_alphabetic());
    let known = ["inf", "infinity", "nan"];
    let word = text.trim_start_matches(['+', '-']).to_lowercase();
    text.parse().ok().filter(|_| !is_word || known.contains(&word.as_str()))
}

pub(super) fn float(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    defined(&value)?;
    counted(machine, &value)?;
    let [default] = arguments.bind(["default"])?;
    let number = value.as_float().or_else(|| parsed(value.as_str()?));
    Ok(number.map(Value::Float).or(default).unwrap_or(Value::Float(0.0)))
}

pub(super) fn int(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    defined(&value)?;
    counted(machine, &value)?;
    let [default, base] = arguments.bind(["default", "base"])?;
    let base = base.and_then(|base| base.as_int()).unwrap_or(10);
    let base = u32::try_from(base).ok().filter(|base| *base == 0 || (2..=36).contains(base));
    let whole = match &value {
        Value::Str(text) => base.and_then(|base| whole(text, base)),
        other => other.as_int(),
    };
    let float = || value.as_float().or_else(|| parsed(value.as_str()?));
    let number =
        whole.or_else(|| float().filter(|float| float.is_finite()).map(|float| float as i128));
    Ok(number.map(Value::Int).or(default).unwrap_or(Value::Int(0)))
}

fn whole(text: &str, base: u32) -> Option<i128> {
    let text = text.trim().replace('_', "").to_lowercase();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(&text)),
    };
    let prefixed = |prefix: &str| digits.strip_prefix(prefix);
    let (digits, base) = match base {
        16 => (prefixed("0x").unwrap_or(digits), 16),
        8 => (prefixed("0o").unwrap_or(digits), 8),
        2 => (prefixed("0b").unwrap_or(digits), 2),
        0 => [("0x", 16), ("0o", 8), ("0b", 2)]
            .iter()
            .find_map(|(prefix, base)| Some((prefixed(prefix)?, *base)))
            .unwrap_or((digits, 10)),
        base => (digits, base),
    };
    i128::from_str_radix(&format!("{sign}{digits}"), base)
        .ok()
        .filter(|_| !digits.starts_with(['+', '-']))
}

pub(super) fn round(_: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    let [precision, method] = arguments.bind(["precision", "method"])?;
    let number =
        value.as_float().ok_or_else(|| format!("{} cannot be rounded", value.type_name()))?;
    let precision = precision.map_or(Some(0), |value| value.as_int());
    let precision =
        precision.and_then(|value| i32::try_from(value).ok().filter(|p| p.abs() <= 300));
    let precision = precision.ok_or("round(precision) needs a small whole number")?;
    let scale = 10f64.powi(precision);
    match method.as_ref().map_or(Some("common"), Value::as_str) {
        Some("ceil") => Ok(Value::Float((number * scale).ceil() / scale)),
        Some("floor") => Ok(Value::Float((number * scale).floor() / scale)),
        // Python keeps whole numbers whole.
        Some("common") if value.as_int().is_some() && precision >= 0 => Ok(value),
        Some("common") if value.as_int().is_some() => {
            Ok(Value::Int(((number * scale).round_ties_even() / scale) as i128))
        }
        Some("common") if precision >= 0 => {
            // Digits of the exact value, halves to even, as Python rounds.
            let text = format!("{number:.*}", precision as usize);
            Ok(Value::Float(text.parse().unwrap_or(number)))
        }
        Some("common") => Ok(Value::Float((number * scale).round_ties_even() / scale)),
        _ => Err("round(method) is common, ceil or floor".into()),
    }
}

pub(super) fn filesizeformat(
    machine: &mut Machine,
    value: Value,
    arguments: Arguments,
) -> Outcome<Value> {
    let [binary] = arguments.bind(["binary"])?;
    let binary = binary.is_some_and(|value| value.is_true());
    counted(machine, &value)?;
    let bytes = value.as_float().or_else(|| parsed(value.as_str()?)).ok_or("no size in bytes")?;
    let base: f64 = if binary { 1024.0 } else { 1000.0 };
    let prefixes = match binary {
        true => ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"],
        false => ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"],
    };
    let text = if bytes == 1.0 {
        "1 Byte".to_owned()
    } else if bytes < base {
        format!("{} Bytes", bytes as i64)
    } else {
        let fits = |at: &usize| bytes < base.powi(*at as i32 + 2);
        let at = (0..prefixes.len()).find(fits).unwrap_or(prefixes.len() - 1);
        format!("{:.1} {}", base * bytes / base.powi(at as i32 + 2), prefixes[at])
    };
    machine.budget.text(text)
}
