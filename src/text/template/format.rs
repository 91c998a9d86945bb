//! `"%s" % value` and `"{}".format(value)`.

use super::budget::{Budget, Outcome};
use super::operators::lookup;
use super::text::{float, repr_of, string_of};
use super::value::Value;

/// How a value is laid out.
#[derive(Debug, Default, Clone)]
struct Layout {
    fill: Option<char>,
    /// `<`, `>`, `^` or `=`.
    align: Option<char>,
    plus: Option<char>,
    alternate: bool,
    width: usize,
    comma: bool,
    precision: Option<usize>,
    kind: Option<char>,
}

/// Python's `format % arguments`.
pub(super) fn percent(format: &str, arguments: &Value, budget: &mut Budget) -> Outcome<Value> {
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
        result += &converted(value, layout, budget)?;
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

fn count(letters: &mut std::iter::Peekable<std::str::Chars>) -> Outcome<Option<usize>> {
    let mut digits = String::new();
    while let Some(digit) = letters.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    match digits.is_empty() {
        true => Ok(None),
        false => digits.parse().map(Some).map_err(|_| format!("{digits} is too wide for a format")),
    }
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

/// Python's `"{}".format(...)`.
pub(super) fn format_method(
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
                result += &placed(&field, positional, named, &mut next, budget)?;
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

fn cut(text: String, precision: Option<usize>) -> String {
    match precision {
        Some(count) => text.chars().take(count).collect(),
        None => text,
    }
}

fn signed(negative: bool, digits: String, plus: Option<char>) -> String {
    match (negative, plus) {
        (true, _) => format!("-{digits}"),
        (false, Some(sign)) => format!("{sign}{digits}"),
        (false, None) => digits,
    }
}

fn radix(whole: i128, kind: char, layout: &Layout) -> String {
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

fn small(precision: usize) -> Outcome<usize> {
    match precision <= 1000 {
        true => Ok(precision),
        false => Err(format!("a format with {precision} digits is not read here")),
    }
}

fn real(number: f64, kind: char, layout: &Layout) -> Outcome<String> {
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

fn grouped(digits: &str) -> String {
    let mut result = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            result.push(',');
        }
        result.push(digit);
    }
    result
}

/// Fills a text up to the width; `=` fills between sign and digits.
fn padded(text: String, layout: &Layout, budget: &mut Budget) -> Outcome<String> {
    let missing = layout.width.saturating_sub(text.chars().count());
    if missing == 0 {
        return Ok(text);
    }
    budget.bytes(missing.saturating_mul(4))?;
    let fill = |count: usize| layout.fill.unwrap_or(' ').to_string().repeat(count);
    Ok(match layout.align {
        Some('<') => text + &fill(missing),
        Some('^') => fill(missing / 2) + &text + &fill(missing - missing / 2),
        Some('=') => {
            let sign = usize::from(text.starts_with(['-', '+', ' ']));
            format!("{}{}{}", &text[..sign], fill(missing), &text[sign..])
        }
        _ => fill(missing) + &text,
    })
}
