//! `value|tojson`, as transformers has it: Python's `json.dumps`, text beyond ASCII as it is.

use super::budget::{Budget, Outcome};
use super::call::Arguments;
use super::operators::ordering;
use super::text::{float, push_code};
use super::value::Value;

/// How the JSON is laid out.
struct Layout {
    ascii: bool,
    indent: Option<String>,
    item: String,
    key: String,
    sorted: bool,
}

pub(super) fn to_json(value: &Value, arguments: Arguments, budget: &mut Budget) -> Outcome<Value> {
    let names = ["ensure_ascii", "indent", "separators", "sort_keys"];
    let [ascii, indent, separators, sorted] = arguments.bind(names)?;
    let indent = match indent {
        None | Some(Value::None) => None,
        Some(Value::Str(text)) => Some(text.to_string()),
        Some(width) => {
            let width = width.as_int().ok_or("tojson(indent) needs a number or a text")?;
            let width = usize::try_from(width.max(0)).unwrap_or(usize::MAX);
            budget.bytes(width)?;
            Some(" ".repeat(width))
        }
    };
    let mut layout = Layout {
        ascii: ascii.is_some_and(|value| value.is_true()),
        item: if indent.is_some() { "," } else { ", " }.into(),
        key: ": ".into(),
        indent,
        sorted: sorted.is_some_and(|value| value.is_true()),
    };
    if let Some(separators) = separators.filter(|value| !matches!(value, Value::None)) {
        let texts: Option<Vec<&str>> =
            separators.as_slice().and_then(|parts| parts.iter().map(Value::as_str).collect());
        let Some([item, key]) = texts.as_deref() else {
            return Err("tojson(separators) needs two texts".into());
        };
        (layout.item, layout.key) = (item.to_string(), key.to_string());
    }
    let mut writer = Writer { text: String::new(), layout, budget };
    writer.value(value, 0)?;
    let text = writer.text;
    budget.text(text)
}

struct Writer<'b> {
    text: String,
    layout: Layout,
    budget: &'b mut Budget,
}

impl Writer<'_> {
    fn push(&mut self, text: &str) -> Outcome<()> {
        self.budget.bytes(text.len())?;
        self.text.push_str(text);
        Ok(())
    }

    fn value(&mut self, value: &Value, depth: usize) -> Outcome<()> {
        self.budget.steps(1)?;
        match value {
            Value::None => self.push("null"),
            Value::Bool(value) => self.push(if *value { "true" } else { "false" }),
            Value::Int(value) => self.push(&value.to_string()),
            Value::Float(value) => self.push(&number(*value)),
            Value::Str(text) => self.string(text),
            Value::List(items) | Value::Tuple(items) => {
                self.all(&items.values, ["[", "]"], depth, |writer, value| {
                    writer.value(value, depth + 1)
                })
            }
            Value::Dict(entries) if self.layout.sorted => {
                self.budget.room(2 * entries.pairs.len())?;
                let mut pairs = entries.pairs.clone();
                sort(&mut pairs, self.budget)?;
                self.pairs(&pairs, depth)
            }
            Value::Dict(entries) => self.pairs(&entries.pairs, depth),
            other => Err(format!("{} cannot be written as JSON", other.type_name())),
        }
    }

    fn pairs(&mut self, pairs: &[(Value, Value)], depth: usize) -> Outcome<()> {
        self.all(pairs, ["{", "}"], depth, |writer, (key, value)| {
            let key = match key {
                Value::Str(key) => key.to_string(),
                Value::Bool(key) => key.to_string(),
                Value::None => "null".into(),
                Value::Int(key) => key.to_string(),
                Value::Float(key) => number(*key),
                other => return Err(format!("{} is no key of JSON", other.type_name())),
            };
            writer.string(&key)?;
            let separator = writer.layout.key.clone();
            writer.push(&separator)?;
            writer.value(value, depth + 1)
        })
    }

    fn all<T>(
        &mut self,
        parts: &[T],
        [open, close]: [&str; 2],
        depth: usize,
        write: impl Fn(&mut Self, &T) -> Outcome<()>,
    ) -> Outcome<()> {
        self.push(open)?;
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                let separator = self.layout.item.clone();
                self.push(&separator)?;
            }
            self.new_line(depth + 1)?;
            write(self, part)?;
        }
        if !parts.is_empty() {
            self.new_line(depth)?;
        }
        self.push(close)
    }

    fn new_line(&mut self, depth: usize) -> Outcome<()> {
        let Some(indent) = &self.layout.indent else { return Ok(()) };
        self.budget.bytes(indent.len().saturating_mul(depth) + 1)?;
        self.text.push('\n');
        (0..depth).for_each(|_| self.text.push_str(indent));
        Ok(())
    }

    fn string(&mut self, text: &str) -> Outcome<()> {
        // Counted before any of it is written: a letter may become six.
        let ascii = self.layout.ascii;
        let escaped = text.chars().map(|letter| escaped_bytes(letter, ascii)).sum::<usize>();
        self.budget.steps(escaped / 16)?;
        self.budget.bytes(escaped + 2)?;
        self.text.reserve(escaped + 2);
        self.text.push('"');
        text.chars().for_each(|letter| push_escaped(&mut self.text, letter, ascii));
        self.text.push('"');
        Ok(())
    }
}

/// Bytes that `push_escaped` writes.
fn escaped_bytes(letter: char, ascii: bool) -> usize {
    match letter {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ if letter.is_ascii() || !ascii => letter.len_utf8(),
        _ => 6 * letter.len_utf16(),
    }
}

fn push_escaped(text: &mut String, letter: char, ascii: bool) {
    match letter {
        '"' => *text += "\\\"",
        '\\' => *text += "\\\\",
        '\n' => *text += "\\n",
        '\r' => *text += "\\r",
        '\t' => *text += "\\t",
        '\u{8}' => *text += "\\b",
        '\u{c}' => *text += "\\f",
        '\0'..='\u{1f}' => push_code(text, 'u', letter as u32, 4),
        _ if letter.is_ascii() || !ascii => text.push(letter),
        _ => {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                push_code(text, 'u', u32::from(*unit), 4);
            }
        }
    }
}

fn number(value: f64) -> String {
    match value {
        _ if value.is_nan() => "NaN".into(),
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        _ => float(value),
    }
}

fn sort(pairs: &mut [(Value, Value)], budget: &mut Budget) -> Outcome<()> {
    let mut problem = None;
    pairs.sort_by(|(left, _), (right, _)| match ordering(left, right, budget) {
        Ok(order) => order.unwrap_or(std::cmp::Ordering::Equal),
        Err(error) => {
            problem.get_or_insert(error);
            std::cmp::Ordering::Equal
        }
    });
    problem.map_or(Ok(()), Err)
}
