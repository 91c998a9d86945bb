//! Filters over text; what is no text is written as one first.

use super::super::budget::Outcome;
use super::super::call::Arguments;
use super::super::format::percent;
use super::super::machine::Machine;
use super::super::methods::strings as methods;
use super::super::methods::strings::most_in_another_case;
use super::super::value::Value;

fn text_of(machine: &mut Machine, value: &Value) -> Outcome<String> {
    let text = machine.string(value)?;
    machine.budget.steps(text.len() / 16)?;
    Ok(text)
}

/// A filter that only turns one text into another of `most` bytes at most.
fn turned(
    machine: &mut Machine,
    value: &Value,
    arguments: Arguments,
    most: impl FnOnce(&str) -> usize,
    turn: impl FnOnce(&str) -> String,
) -> Outcome<Value> {
    arguments.none()?;
    let text = text_of(machine, value)?;
    machine.budget.bytes(most(&text))?;
    machine.budget.text(turn(&text))
}

pub(super) fn capitalize(
    machine: &mut Machine,
    value: Value,
    arguments: Arguments,
) -> Outcome<Value> {
    turned(machine, &value, arguments, most_in_another_case, methods::capitalized)
}

pub(super) fn lower(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    turned(machine, &value, arguments, most_in_another_case, str::to_lowercase)
}

pub(super) fn upper(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    turned(machine, &value, arguments, most_in_another_case, str::to_uppercase)
}

pub(super) fn string(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    turned(machine, &value, arguments, str::len, str::to_owned)
}

/// Each word with a capital; unlike the method, an apostrophe ends no word.
pub(super) fn title(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    turned(machine, &value, arguments, most_in_another_case, |text| {
        let mut result = String::new();
        let mut begins = true;
        for letter in text.chars() {
            match begins {
                true => result.extend(letter.to_uppercase()),
                false => result.extend(letter.to_lowercase()),
            }
            begins = letter.is_whitespace() || "-({[<".contains(letter);
        }
        result
    })
}

pub(super) fn escape(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    let most = |text: &str| {
        text.chars().map(|letter| escape_of(letter).map_or(letter.len_utf8(), str::len)).sum()
    };
    turned(machine, &value, arguments, most, |text| {
        let mut result = String::new();
        for letter in text.chars() {
            match escape_of(letter) {
                Some(escape) => result += escape,
                None => result.push(letter),
            }
        }
        result
    })
}

fn escape_of(letter: char) -> Option<&'static str> {
    Some(match letter {
        '&' => "&amp;",
        '<' => "&lt;",
        '>' => "&gt;",
        '\'' => "&#39;",
        '"' => "&#34;",
        _ => return None,
    })
}

/// Tags and comments of HTML left out, white space as single spaces.
pub(super) fn striptags(
    machine: &mut Machine,
    value: Value,
    arguments: Arguments,
) -> Outcome<Value> {
    turned(
        machine,
        &value,
        arguments,
        |text| 2 * text.len(),
        |text| {
            let mut kept = String::new();
            let mut rest = text;
            while let Some(at) = rest.find('<') {
                let (end, length) =
                    if rest[at..].starts_with("<!--") { ("-->", 3) } else { (">", 1) };
                let Some(to) = rest[at..].find(end) else { break };
                kept += &rest[..at];
                rest = &rest[at + to + length..];
            }
            kept += rest;
            let mut result = String::new();
            for word in kept.split_whitespace() {
                result += if result.is_empty() { "" } else { " " };
                result += word;
            }
            result
        },
    )
}

pub(super) fn wordcount(
    machine: &mut Machine,
    value: Value,
    arguments: Arguments,
) -> Outcome<Value> {
    arguments.none()?;
    let text = text_of(machine, &value)?;
    let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    Ok(Value::Int(words.filter(|word| !word.is_empty()).count() as i128))
}

pub(super) fn urlencode(
    machine: &mut Machine,
    value: Value,
    arguments: Arguments,
) -> Outcome<Value> {
    arguments.none()?;
    if matches!(value, Value::Dict(_) | Value::List(_) | Value::Tuple(_)) {
        return Err("urlencode takes a text here".into());
    }
    let text = text_of(machine, &value)?;
    machine.budget.bytes(3 * text.len())?;
    let mut result = String::new();
    for byte in text.bytes() {
        match byte.is_ascii_alphanumeric() || b"_.-~/".contains(&byte) {
            true => result.push(byte.into()),
            false => result += &format!("%{byte:02X}"),
        }
    }
    machine.budget.text(result)
}

pub(super) fn center(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    let [width] = arguments.bind(["width"])?;
    let text = text_of(machine, &value)?;
    let width = width.unwrap_or(Value::Int(80));
    methods::justified(machine, &text, &width, ' ', methods::Side::Both)
}

pub(super) fn format(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    let text = text_of(machine, &value)?;
    let values = match (arguments.positional, arguments.named) {
        (positional, named) if named.is_empty() => machine.budget.tuple(positional)?,
        (positional, named) if positional.is_empty() => {
            let pairs =
                named.into_iter().map(|(name, value)| (Value::text(&name), value)).collect();
            machine.budget.dict(pairs)?
        }
        _ => return Err("format takes places or names, not both".into()),
    };
    percent(&text, &values, &mut machine.budget)
}

pub(super) fn indent(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    let [width, first, blank] = arguments.bind(["width", "first", "blank"])?;
    let text = text_of(machine, &value)?;
    let indent = match width.unwrap_or(Value::Int(4)) {
        Value::Str(text) => text.to_string(),
        width => {
            let width = width.as_int().ok_or("indent() needs a number or a text")?;
            let width = usize::try_from(width.max(0)).unwrap_or(usize::MAX);
            machine.budget.bytes(width)?;
            " ".repeat(width)
        }
    };
    let is_true = |value: Option<Value>| value.is_some_and(|value| value.is_true());
    let (first, blank) = (is_true(first), is_true(blank));
    let indents = (text.matches('\n').count() + 1).saturating_mul(indent.len());
    machine.budget.bytes(text.len().saturating_add(indents))?;
    let mut result = String::new();
    for (at, line) in text.split('\n').enumerate() {
        let stays = (at == 0 && !first) || (line.is_empty() && !blank && at > 0);
        result += if at > 0 { "\n" } else { "" };
        result += if stays { "" } else { &indent };
        result += line;
    }
    machine.budget.text(result)
}

pub(super) fn replace(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    let [old, new, count] = arguments.bind(["old", "new", "count"])?;
    let text = text_of(machine, &value)?;
    let (old, new) =
        (old.ok_or("replace() needs two texts")?, new.ok_or("replace() needs two texts")?);
    let (old, new) = (machine.string(&old)?, machine.string(&new)?);
    methods::replaced(machine, &text, &old, &new, count.as_ref())
}

pub(super) fn trim(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    let [chars] = arguments.bind(["chars"])?;
    let text = text_of(machine, &value)?;
    let stripped = methods::stripped(machine, &text, chars.as_ref(), methods::Side::Both)?;
    machine.budget.text(stripped)
}

pub(super) fn truncate(
    machine: &mut Machine,
    value: Value,
    arguments: Arguments,
) -> Outcome<Value> {
    let [length, kill_words, end, leeway] =
        arguments.bind(["length", "killwords", "end", "leeway"])?;
    let text = text_of(machine, &value)?;
    let number = |value: Option<Value>, default: i128| match value {
        None | Some(Value::None) => Ok(default),
        Some(value) => value.as_int().ok_or("truncate() needs whole numbers"),
    };
    let (length, leeway) = (number(length, 255)?, number(leeway, 5)?);
    let end = match end {
        Some(end) => machine.string(&end)?,
        None => "...".into(),
    };
    let kept = length - end.chars().count() as i128;
    if kept < 0 || leeway < 0 {
        return Err("truncate() needs a length of at least its end's".into());
    }
    if text.chars().count() as i128 <= length.saturating_add(leeway) {
        return machine.budget.text(text);
    }
    let cut: String = text.chars().take(usize::try_from(kept).unwrap_or(usize::MAX)).collect();
    let cut = match kill_words.is_some_and(|value| value.is_true()) {
        true => cut.as_str(),
        false => cut.rsplit_once(' ').map_or(cut.as_str(), |(before, _)| before),
    };
    machine.budget.text(format!("{cut}{end}"))
}
