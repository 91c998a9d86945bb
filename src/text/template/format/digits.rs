//! Numbers as digits, as Python writes them.

use super::super::budget::Outcome;
use super::super::text::float;
use super::layout::Layout;

pub(super) fn signed(negative: bool, digits: String, plus: Option<char>) -> String {
    match (negative, plus) {
        (true, _) => format!("-{digits}"),
        (false, Some(sign)) => format!("{sign}{digits}"),
        (false, None) => digits,
    }
}

pub(super) fn radix(whole: i128, kind: char, layout: &Layout) -> String {
    let size = whole.unsigned_abs();
    let (prefix, digits) = match kind {
        'x' => ("0x", format!("{size:x}")),
        'X' => ("0X", format!("{size:X}")),
        'o' => ("0o", format!("{size:o}")),
        _ => ("0b", format!("{size:b}")),
    };
    let digits = if layout.alternate { format!("{prefix}{digits}") } else { digits };
    signed(whole < 0, digits, layout.plus)
}

pub(super) fn small(precision: usize) -> Outcome<usize> {
    match precision <= 1000 {
        true => Ok(precision),
        false => Err(format!("a format with {precision} digits is not read here")),
    }
}

pub(super) fn real(number: f64, kind: char, layout: &Layout) -> Outcome<String> {
    let precision = small(layout.precision.unwrap_or(6))?;
    let size = number.abs();
    let text = match kind.to_ascii_lowercase() {
        _ if !number.is_finite() => float(size),
        'f' => format!("{size:.precision$}"),
        'e' => exponent(&format!("{size:.precision$e}")),
        _ => general(size, precision.max(1)),
    };
    let text = match text.split_once('.') {
        Some((whole, rest)) if layout.comma => format!("{}.{rest}", grouped(whole)),
        None if layout.comma => grouped(&text),
        _ => text,
    };
    let text = if kind.is_ascii_uppercase() { text.to_uppercase() } else { text };
    Ok(signed(number.is_sign_negative() && !number.is_nan(), text, layout.plus))
}

/// `1e5` as `1e+05`.
fn exponent(text: &str) -> String {
    let (digits, power) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, power) = match power.strip_prefix('-') {
        Some(power) => ('-', power),
        None => ('+', power),
    };
    format!("{digits}e{sign}{power:0>2}")
}

fn general(size: f64, precision: usize) -> String {
    let scientific = format!("{size:.*e}", precision - 1);
    let power: i32 =
        scientific.split_once('e').and_then(|(_, power)| power.parse().ok()).unwrap_or(0);
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if power < -4 || power >= precision as i32 {
        let text = exponent(&scientific);
        let (digits, power) = text.split_once('e').unwrap_or((&text, ""));
        return format!("{}e{power}", trimmed(digits));
    }
    let decimals = (precision as i32 - 1 - power).max(0) as usize;
    trimmed(&format!("{size:.decimals$}"))
}

pub(super) fn grouped(digits: &str) -> String {
    let mut result = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            result.push(',');
        }
        result.push(digit);
    }
    result
}
