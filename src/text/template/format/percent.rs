//! Python's `format % arguments`.

use super::super::budget::{Budget, Outcome};
use super::super::operators::lookup;
use super::super::text::{repr_of, string_of};
use super::super::value::Value;
use super::digits::{radix, real, signed, small};
use super::layout::{Layout, count, cut, padded};

/// Python's `format % arguments`.
pub(in crate::text::template) fn percent(
    format: &str,
    arguments: &Value,
    budget: &mut Budget,
) -> Outcome<Value> {
    budget.bytes(format.len())?;
    let mut single = std::slice::from_ref(arguments).iter();
    let mut values = match arguments {
        Value::Tuple(items) => items.values.iter(),
        _ => std::slice::from_ref(arguments).iter(),
    };
    let mut result = String::new();
    let mut letters = format.chars().peekable();
    let mut named = false;
    while let Some(letter) = letters.next() {
        if letter != '%' {
            result.push(letter);
            continue;
        }
        let mut value = None;
        if letters.next_if_eq(&'(').is_some() {
            let key: String = letters.by_ref().take_while(|letter| *letter != ')').collect();
            let Value::Dict(entries) = arguments else {
                return Err("format requires a mapping".into());
            };
            value = lookup(&entries.pairs, &Value::text(&key), budget)?;
            value.ok_or_else(|| format!("the format names {key:?}, which is not given"))?;
            named = true;
        }
        let mut layout = Layout { align: Some('>'), ..Layout::default() };
        while let Some(flag) = letters.next_if(|letter| "-+ 0#".contains(*letter)) {
            match flag {
                '-' => layout.align = Some('<'),
                '0' if layout.align != Some('<') => {
                    (layout.fill, layout.align) = (Some('0'), Some('='))
                }
                '#' => layout.alternate = true,
                '+' | ' ' => layout.plus = Some(flag),
                _ => {}
            }
        }
        let mut next = || values.next().ok_or("not enough arguments for the format");
        layout.width = match letters.next_if_eq(&'*') {
            Some(_) => usize::try_from(next()?.as_int().unwrap_or(0)).unwrap_or(0),
            None => count(&mut letters)?.unwrap_or(0),
        };
        if letters.next_if_eq(&'.').is_some() {
            layout.precision = Some(count(&mut letters)?.unwrap_or(0));
        }
        layout.kind = letters.next();
        if layout.kind == Some('%') {
            result.push('%');
            continue;
        }
        let value = match value {
            Some(value) => value,
            None => next()?,
        };
        let part = converted(value, layout, budget)?;
        budget.steps(1)?;
        budget.bytes(part.len())?;
        result += &part;
    }
    let left_over = match arguments {
        // A mapping may give more than the format takes, and so may anything named.
        Value::Dict(_) => false,
        _ => values.next().is_some() && !named && single.next().is_some(),
    };
    if left_over {
        return Err("not all arguments are used by the format".into());
    }
    budget.text(result)
}

/// One value of a `%` format.
fn converted(value: &Value, layout: Layout, budget: &mut Budget) -> Outcome<String> {
    let kind = layout.kind.ok_or("the format ends inside a placeholder")?;
    let no_number = || format!("%{kind} needs a number, not {}", value.type_name());
    match kind {
        's' | 'r' | 'a' => {
            let text = match kind {
                's' => string_of(value, budget)?,
                _ => repr_of(value, budget)?,
            };
            let text = cut(text, layout.precision);
            let fill = None;
            padded(
                text,
                &Layout { fill, align: layout.align.filter(|a| *a == '<').or(Some('>')), ..layout },
                budget,
            )
        }
        'd' | 'i' | 'u' => {
            let float = value.as_float().filter(|float| float.is_finite()).ok_or_else(no_number)?;
            let whole = value.as_int().unwrap_or(float as i128);
            let text = format!(
                "{:0width$}",
                whole.unsigned_abs(),
                width = small(layout.precision.unwrap_or(1))?
            );
            padded(signed(whole < 0, text, layout.plus), &layout, budget)
        }
        'x' | 'X' | 'o' => {
            let whole = value.as_int().ok_or_else(no_number)?;
            padded(radix(whole, kind, &layout), &layout, budget)
        }
        'f' | 'F' | 'e' | 'E' | 'g' | 'G' => {
            let number = value.as_float().ok_or_else(no_number)?;
            padded(real(number, kind, &layout)?, &layout, budget)
        }
        'c' => match (value.as_int(), value.as_str()) {
            (Some(code), _) => {
                let letter = u32::try_from(code).ok().and_then(char::from_u32);
                padded(letter.ok_or("%c is out of range")?.to_string(), &layout, budget)
            }
            (_, Some(text)) if text.chars().count() == 1 => {
                padded(text.to_owned(), &layout, budget)
            }
            _ => Err("%c needs one character".into()),
        },
        other => Err(format!("the format character {other:?} is not known")),
    }
}
