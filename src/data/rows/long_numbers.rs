//! Numbers of JSON that no number of the program holds.

use serde_json::{Number, Value};

/// No number of fewer digits is rounded.
const EXACT_DIGITS: usize = 15;

/// Reads JSON; a number that would be rounded, such as 2^64, is kept as the text that stands there.
pub(super) fn parse(json: &[u8]) -> serde_json::Result<Value> {
    let value = serde_json::from_slice(json)?;
    if !has_long_run(json) {
        return Ok(value);
    }
    // It is valid JSON by now, so what looks like a number outside strings is one.
    serde_json::from_slice(&quoted(json))
}

fn has_long_run(json: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    json.split(|byte| !is_part(byte)).any(|run| run.len() > EXACT_DIGITS)
}

/// The JSON with quotes around the numbers that would be rounded.
fn quoted(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + 16);
    let mut rest = json;
    while let Some(first) = rest.first() {
        let length = match first {
            b'"' => string_length(rest),
            b'-' | b'0'..=b'9' => number_length(rest),
            _ => 1,
        };
        let (token, after) = rest.split_at(length);
        let quote: &[u8] = if is_rounded(token) { b"\"" } else { b"" };
        out.extend_from_slice(&[quote, token, quote].concat());
        rest = after;
    }
    out
}

fn string_length(json: &[u8]) -> usize {
    let mut escaped = false;
    let end = json.iter().skip(1).position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map_or(json.len(), |end| end + 2)
}

fn number_length(json: &[u8]) -> usize {
    let is_part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    json.iter().position(|byte| !is_part(byte)).unwrap_or(json.len())
}

/// Whether a token is a number whose digits the program would not give back.
fn is_rounded(token: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(token) else { return false };
    let read: Option<Number> = serde_json::from_str(text).ok();
    read.is_some_and(|number| digits(&number.to_string()) != digits(text))
}

/// Digits without the zeros around them; the exponent is never rounded.
fn digits(number: &str) -> String {
    let mantissa = number.split(['e', 'E']).next().unwrap_or(number);
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(json: &str) -> Value {
        parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn a_number_that_would_be_rounded_is_kept_as_text_at_any_depth() {
        assert_eq!(
            parsed(r#"{"a": 18446744073709551616, "b": [-12345678901234567890123.50]}"#),
            json!({"a": "18446744073709551616", "b": ["-12345678901234567890123.50"]})
        );
    }

    #[test]
    fn a_number_that_the_program_holds_stays_a_number() {
        assert_eq!(parsed("18446744073709551615"), json!(u64::MAX));
        assert_eq!(parsed("-9223372036854775808"), json!(i64::MIN));
        assert_eq!(parsed("0.30000000000000004"), json!(0.1 + 0.2));
        assert_eq!(parsed("[100000000000000000000]"), json!([1e20]));
        assert_eq!(parsed("1.00000000000000000000"), json!(1.0));
    }

    #[test]
    fn digits_in_a_string_are_left_alone() {
        let text = r#"{"a\"": "x\\", "18446744073709551616": "\"18446744073709551616"}"#;
        assert_eq!(parsed(text), serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn broken_json_is_as_broken_as_before() {
        assert!(parse(br#"{"a": 018446744073709551616}"#).is_err());
        assert!(parse(br#"{"a": 18446744073709551616"#).is_err());
    }
}
