//! Values as text, as Python's `str` and `repr` write them.

use super::budget::{Budget, Outcome};
use super::value::Value;

/// What `{{ value }}` prints.
pub(super) fn string_of(value: &Value, budget: &mut Budget) -> Outcome<String> {
    let mut writer = Writer { text: String::new(), budget };
    writer.string(value)?;
    Ok(writer.text)
}

/// What Python's `repr` gives: texts in quotes.
pub(super) fn repr_of(value: &Value, budget: &mut Budget) -> Outcome<String> {
    let mut writer = Writer { text: String::new(), budget };
    writer.repr(value)?;
    Ok(writer.text)
}

struct Writer<'b> {
    text: String,
    budget: &'b mut Budget,
}

impl Writer<'_> {
    /// Counts before it grows: a list may hold one long text a thousand times.
    fn push(&mut self, text: &str) -> Outcome<()> {
        self.budget.bytes(text.len())?;
        self.text.push_str(text);
        Ok(())
    }

    fn string(&mut self, value: &Value) -> Outcome<()> {
        match value {
            Value::Undefined(_) => Ok(()),
            Value::Str(text) => self.push(text),
            other => self.repr(other),
        }
    }

    fn repr(&mut self, value: &Value) -> Outcome<()> {
        self.budget.steps(1)?;
        match value {
            Value::Undefined(_) => self.push("Undefined"),
            Value::None => self.push("None"),
            Value::Bool(true) => self.push("True"),
            Value::Bool(false) => self.push("False"),
            Value::Int(value) => self.push(&value.to_string()),
            Value::Float(value) => self.push(&float(*value)),
            Value::Str(text) => self.quoted(text),
            Value::List(items) => self.items(&items.values, "[", "]"),
            Value::Tuple(items) if items.values.len() == 1 => self.items(&items.values, "(", ",)"),
            Value::Tuple(items) => self.items(&items.values, "(", ")"),
            Value::Dict(entries) => self.pairs(&entries.pairs),
            other => self.push(&format!("<{}>", other.type_name())),
        }
    }

    fn items(&mut self, values: &[Value], open: &str, close: &str) -> Outcome<()> {
        self.push(open)?;
        for (at, value) in values.iter().enumerate() {
            self.push(if at > 0 { ", " } else { "" })?;
            self.repr(value)?;
        }
        self.push(close)
    }

    /// A text in the quotes that Python chooses, counted before any of it is written: a letter may become ten.
    fn quoted(&mut self, text: &str) -> Outcome<()> {
        let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
        let bytes = 2 + text.chars().map(|letter| escaped_bytes(letter, quote)).sum::<usize>();
        self.budget.steps(bytes / 16)?;
        self.budget.bytes(bytes)?;
        self.text.reserve(bytes);
        self.text.push(quote);
        text.chars().for_each(|letter| push_escaped(&mut self.text, letter, quote));
        self.text.push(quote);
        Ok(())
    }

    fn pairs(&mut self, pairs: &[(Value, Value)]) -> Outcome<()> {
        self.push("{")?;
        for (at, (key, value)) in pairs.iter().enumerate() {
            self.push(if at > 0 { ", " } else { "" })?;
            self.repr(key)?;
            self.push(": ")?;
            self.repr(value)?;
        }
        self.push("}")
    }
}

/// The shortest digits that read back as the same number, laid out as Python does.
pub(super) fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>().unwrap_or(0) {
        exponent @ -4..=15 => {
            let plain = format!("{value}");
            if exponent >= 0 && !plain.contains('.') { format!("{plain}.0") } else { plain }
        }
        exponent => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
    }
}

/// Bytes that `push_escaped` writes.
fn escaped_bytes(letter: char, quote: char) -> usize {
    match letter {
        '\n' | '\r' | '\t' | '\\' => 2,
        _ if letter == quote => 2,
        _ if is_printable(letter) => letter.len_utf8(),
        '\0'..='\u{ff}' => 4,
        '\u{100}'..='\u{ffff}' => 6,
        _ => 10,
    }
}

fn push_escaped(text: &mut String, letter: char, quote: char) {
    match letter {
        '\n' => *text += "\\n",
        '\r' => *text += "\\r",
        '\t' => *text += "\\t",
        '\\' => *text += "\\\\",
        _ if letter == quote => text.extend(['\\', letter]),
        _ if is_printable(letter) => text.push(letter),
        '\0'..='\u{ff}' => push_code(text, 'x', letter as u32, 2),
        '\u{100}'..='\u{ffff}' => push_code(text, 'u', letter as u32, 4),
        _ => push_code(text, 'U', letter as u32, 8),
    }
}

/// `\u` or its like, and so many hexadecimal digits.
pub(super) fn push_code(text: &mut String, kind: char, code: u32, digits: u32) {
    text.extend(['\\', kind]);
    let digit = |place: u32| char::from_digit((code >> (4 * place)) & 0xf, 16);
    text.extend((0..digits).rev().filter_map(digit));
}

/// Python's `isprintable`, but for code points that Unicode has not given out.
fn is_printable(letter: char) -> bool {
    let is_format = matches!(letter, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}' | '\u{e0001}'..='\u{e007f}');
    letter == ' ' || !(letter.is_control() || letter.is_whitespace() || is_format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_python_writes_them() {
        // As `python3 -c "print(...)"` prints them.
        let pairs = [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-2.5, "-2.5"),
            (123456789.125, "123456789.125"),
        ];
        for (value, expected) in pairs {
            assert_eq!(float(value), expected);
        }
    }
}
