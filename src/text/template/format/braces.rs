//! Python's `"{}".format(...)`.

use super::super::budget::{Budget, Outcome};
use super::super::operators::lookup;
use super::super::text::{float, repr_of, string_of};
use super::super::value::Value;
use super::digits::{grouped, radix, real, signed};
use super::layout::{Layout, count, cut, padded};

/// Python's `"{}".format(...)`.
pub(in crate::text::template) fn format_method(
    format: &str,
    positional: &[Value],
    named: &[(String, Value)],
    budget: &mut Budget,
) -> Outcome<Value> {
    budget.bytes(format.len())?;
    let mut result = String::new();
    let mut letters = format.chars().peekable();
    let mut next = 0;
    while let Some(letter) = letters.next() {
        match letter {
            '{' if letters.next_if_eq(&'{').is_some() => result.push('{'),
            '}' if letters.next_if_eq(&'}').is_some() => result.push('}'),
            '}' => return Err("a single '}' in a format".into()),
            '{' => {
                let mut field = String::new();
                loop {
                    match letters.next() {
                        Some('}') => break,
                        Some('{') => return Err("a format inside a format is not read here".into()),
                        Some(letter) => field.push(letter),
                        None => return Err("a single '{' in a format".into()),
                    }
                }
                let part = placed(&field, positional, named, &mut next, budget)?;
                budget.bytes(part.len())?;
                result += &part;
            }
            other => result.push(other),
        }
    }
    budget.text(result)
}

fn placed(
    field: &str,
    positional: &[Value],
    named: &[(String, Value)],
    next: &mut usize,
    budget: &mut Budget,
) -> Outcome<String> {
    budget.steps(1 + (field.len() + named.len()) / 8)?;
    let (name, spec) = field.split_once(':').unwrap_or((field, ""));
    let (name, conversion) = name.split_once('!').unwrap_or((name, ""));
    let (first, rest) = name.split_at(name.find(['.', '[']).unwrap_or(name.len()));
    let value = match first.parse::<usize>() {
        Ok(index) => positional.get(index),
        Err(_) if first.is_empty() => {
            *next += 1;
            positional.get(*next - 1)
        }
        Err(_) => named.iter().find(|(name, _)| name == first).map(|(_, value)| value),
    };
    let value =
        value.ok_or_else(|| format!("the format asks for {first:?}, which is not given"))?;
    let value = &subscripted(value, rest, budget)?;
    let value = &match conversion {
        "" => value.clone(),
        "s" => budget_text(string_of(value, budget)?),
        "r" | "a" => budget_text(repr_of(value, budget)?),
        other => return Err(format!("the conversion !{other} is not known")),
    };
    formatted(value, layout_of(spec)?, budget)
}

fn budget_text(text: String) -> Value {
    Value::Str(text.into())
}

/// `[key]` after a field's name; attributes are those of Python's objects, of which there are none here.
fn subscripted(value: &Value, rest: &str, budget: &mut Budget) -> Outcome<Value> {
    if rest.is_empty() {
        return Ok(value.clone());
    }
    let key = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let found = match (value, key) {
        (Value::Dict(entries), Some(key)) => {
            lookup(&entries.pairs, &Value::text(key), budget)?.cloned()
        }
        (Value::List(items) | Value::Tuple(items), Some(key)) => {
            key.parse::<usize>().ok().and_then(|at| items.values.get(at).cloned())
        }
        _ => None,
    };
    found.ok_or_else(|| format!("the format asks for {rest:?}, which is not there"))
}

fn layout_of(spec: &str) -> Outcome<Layout> {
    let mut layout = Layout::default();
    let mut letters = spec.chars().peekable();
    let is_align = |letter: &char| "<>^=".contains(*letter);
    let mut ahead = spec.chars();
    let (first, second) = (ahead.next(), ahead.next());
    if second.as_ref().is_some_and(is_align) {
        (layout.fill, layout.align) = (first, second);
        letters.nth(1);
    } else {
        layout.align = letters.next_if(is_align);
    }
    layout.plus = letters.next_if(|letter| "+- ".contains(*letter)).filter(|sign| *sign != '-');
    layout.alternate = letters.next_if_eq(&'#').is_some();
    if letters.next_if_eq(&'0').is_some() {
        layout.fill = layout.fill.or(Some('0'));
        layout.align = layout.align.or(Some('='));
    }
    layout.width = count(&mut letters)?.unwrap_or(0);
    layout.comma = letters.next_if(|letter| ",_".contains(*letter)).is_some();
    if letters.next_if_eq(&'.').is_some() {
        layout.precision = count(&mut letters)?;
    }
    layout.kind = letters.next();
    match letters.next() {
        None => Ok(layout),
        Some(_) => Err(format!("the format {spec:?} is not read here")),
    }
}

/// One value of a `format` call.
fn formatted(value: &Value, layout: Layout, budget: &mut Budget) -> Outcome<String> {
    let right = Layout { align: layout.align.or(Some('>')), ..layout.clone() };
    let wrong = |kind: char| format!("the format {kind:?} does not fit {}", value.type_name());
    match (layout.kind, value) {
        (None | Some('s'), Value::Str(text)) => {
            budget.bytes(text.len())?;
            padded(
                cut(text.to_string(), layout.precision),
                &Layout { align: layout.align.or(Some('<')), ..layout },
                budget,
            )
        }
        (None | Some('d'), Value::Int(whole)) => {
            let digits = whole.unsigned_abs().to_string();
            let digits = if layout.comma { grouped(&digits) } else { digits };
            padded(signed(*whole < 0, digits, layout.plus), &right, budget)
        }
        (Some(kind @ ('x' | 'X' | 'o' | 'b')), Value::Int(whole)) => {
            padded(radix(*whole, kind, &right), &right, budget)
        }
        (Some('%'), _) => {
            let number = value.as_float().ok_or_else(|| wrong('%'))?;
            padded(format!("{}%", real(number * 100.0, 'f', &layout)?), &right, budget)
        }
        (Some(kind @ ('f' | 'F' | 'e' | 'E' | 'g' | 'G')), _) => {
            let number = value.as_float().ok_or_else(|| wrong(kind))?;
            padded(real(number, kind, &layout)?, &right, budget)
        }
        (None, Value::Float(number)) => match layout.precision {
            Some(_) => padded(real(*number, 'g', &layout)?, &right, budget),
            None => padded(float(*number), &right, budget),
        },
        (None, other) => padded(string_of(other, budget)?, &right, budget),
        (Some(kind), _) => Err(wrong(kind)),
    }
}
