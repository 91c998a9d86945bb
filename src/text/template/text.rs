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
            Value::Str(text) => {
                self.budget.bytes(text.len())?;
                self.push(&quoted(text))
            }
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

/// A text in the quotes that Python chooses.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut result = String::with_capacity(text.len() + 2);
    result.push(quote);
    for letter in text.chars() {
        match letter {
            '\n' => result += "\\n",
            '\r' => result += "\\r",
            '\t' => result += "\\t",
            '\\' => result += "\\\\",
            _ if letter == quote => result.extend(['\\', letter]),
            _ if is_printable(letter) => result.push(letter),
            _ => result += &escaped(letter as u32),
        }
    }
    result.push(quote);
    result
}

fn escaped(code: u32) -> String {
    match code {
        0..=0xff => format!("\\x{code:02x}"),
        0x100..=0xffff => format!("\\u{code:04x}"),
        _ => format!("\\U{code:08x}"),
    }
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
