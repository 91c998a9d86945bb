//! Methods of texts, as Python's `str` has them.

use super::super::budget::Outcome;
use super::super::call::Arguments;
use super::super::format::format_method;
use super::super::machine::Machine;
use super::super::predicates::cased;
use super::super::value::Value;

/// What is called on a text.
pub(in super::super) const NAMES: [&str; 42] = [
    "capitalize",
    "casefold",
    "center",
    "count",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "islower",
    "isnumeric",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "upper",
    "zfill",
    "isidentifier",
];

/// Which end of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Side {
    Left,
    Right,
    Both,
}

pub(super) fn call(
    machine: &mut Machine,
    text: &str,
    name: &str,
    arguments: Arguments,
) -> Outcome<Value> {
    machine.budget.steps(text.len() / 16)?;
    if let Some(turned) = turned(text, name) {
        arguments.none()?;
        return machine.budget.text(turned);
    }
    if let Some(answer) = asked(text, name) {
        arguments.none()?;
        return Ok(Value::Bool(answer));
    }
    match name {
        "strip" => strip(machine, text, arguments, Side::Both),
        "lstrip" => strip(machine, text, arguments, Side::Left),
        "rstrip" => strip(machine, text, arguments, Side::Right),
        "split" => split(machine, text, arguments, false),
        "rsplit" => split(machine, text, arguments, true),
        "splitlines" => splitlines(machine, text, arguments),
        "partition" | "rpartition" => partition(machine, text, arguments, name == "rpartition"),
        "startswith" | "endswith" => begins_or_ends(machine, text, arguments, name == "endswith"),
        "removeprefix" => removed(machine, text, arguments, |text, part| text.strip_prefix(part)),
        "removesuffix" => removed(machine, text, arguments, |text, part| text.strip_suffix(part)),
        "replace" => {
            let [old, new, count] = arguments.bind(["old", "new", "count"])?;
            let (old, new) = (needed(old, name)?, needed(new, name)?);
            let (old, new) = (string(&old, name)?, string(&new, name)?);
            replaced(machine, text, old, new, count.as_ref())
        }
        "join" => join(machine, text, &arguments.one("iterable")?),
        "format" => {
            format_method(text, &arguments.positional, &arguments.named, &mut machine.budget)
        }
        "center" | "ljust" | "rjust" => {
            let [width, fill] = arguments.bind(["width", "fillchar"])?;
            let fill = fill.as_ref().and_then(Value::as_str).and_then(|fill| fill.chars().next());
            let side = match name {
                "center" => Side::Both,
                "ljust" => Side::Right,
                _ => Side::Left,
            };
            justified(machine, text, &needed(width, name)?, fill.unwrap_or(' '), side)
        }
        "zfill" => zfill(machine, text, &arguments.one("width")?),
        "expandtabs" => expandtabs(machine, text, arguments),
        _ => find(machine, text, name, arguments),
    }
}

fn needed(value: Option<Value>, name: &str) -> Outcome<Value> {
    value.ok_or_else(|| format!("{name}() needs more arguments"))
}

fn string<'v>(value: &'v Value, name: &str) -> Outcome<&'v str> {
    value.as_str().ok_or_else(|| format!("{name}() needs a text, not {}", value.type_name()))
}

/// Methods that give another text and take nothing.
fn turned(text: &str, name: &str) -> Option<String> {
    Some(match name {
        "lower" => text.to_lowercase(),
        "casefold" => text.to_lowercase().replace('ß', "ss"),
        "upper" => text.to_uppercase(),
        "capitalize" => capitalized(text),
        "title" => title(text),
        "swapcase" => {
            let swap = |letter: char| -> String {
                match letter.is_uppercase() {
                    true => letter.to_lowercase().collect(),
                    false => letter.to_uppercase().collect(),
                }
            };
            text.chars().map(swap).collect()
        }
        _ => return None,
    })
}

pub(in super::super) fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first: String =
        letters.next().map(|letter| letter.to_uppercase().collect()).unwrap_or_default();
    first + &letters.as_str().to_lowercase()
}

fn title(text: &str) -> String {
    let mut result = String::new();
    let mut inside = false;
    for letter in text.chars() {
        match inside {
            true => result.extend(letter.to_lowercase()),
            false => result.extend(letter.to_uppercase()),
        }
        inside = letter.is_alphabetic();
    }
    result
}

/// Methods that say yes or no and take nothing.
fn asked(text: &str, name: &str) -> Option<bool> {
    let all = |test: fn(char) -> bool| !text.is_empty() && text.chars().all(test);
    Some(match name {
        "isalnum" => all(char::is_alphanumeric),
        "isalpha" => all(char::is_alphabetic),
        "isascii" => text.is_ascii(),
        "isdigit" | "isdecimal" => all(|letter| letter.is_numeric() && letter.is_ascii_digit()),
        "isnumeric" => all(char::is_numeric),
        "isspace" => all(char::is_whitespace),
        "islower" => cased(text, false),
        "isupper" => cased(text, true),
        "istitle" => title(text) == *text && text.chars().any(char::is_alphabetic),
        "isidentifier" => {
            let mut letters = text.chars();
            let begins = |letter: char| letter.is_alphabetic() || letter == '_';
            letters.next().is_some_and(begins) && letters.all(|c| c.is_alphanumeric() || c == '_')
        }
        _ => return None,
    })
}

/// A text without white space, or without these characters, at its ends.
pub(in super::super) fn stripped<'a>(
    _: &Machine,
    text: &'a str,
    chars: Option<&Value>,
    side: Side,
) -> Outcome<&'a str> {
    let chars = match chars {
        None | Some(Value::None) => None,
        Some(chars) => Some(string(chars, "strip")?),
    };
    let is_cut = |letter: char| match chars {
        Some(chars) => chars.contains(letter),
        None => letter.is_whitespace() || ('\x1c'..='\x1f').contains(&letter),
    };
    let text = if side == Side::Right { text } else { text.trim_start_matches(is_cut) };
    Ok(if side == Side::Left { text } else { text.trim_end_matches(is_cut) })
}

fn strip(machine: &mut Machine, text: &str, arguments: Arguments, side: Side) -> Outcome<Value> {
    let [chars] = arguments.bind(["chars"])?;
    let count = chars.as_ref().and_then(Value::as_str).map_or(1, str::len);
    machine.budget.steps((text.len() / 64).saturating_mul(count))?;
    let stripped = stripped(machine, text, chars.as_ref(), side)?;
    machine.budget.text(stripped)
}

fn texts(machine: &mut Machine, parts: Vec<&str>) -> Outcome<Value> {
    let parts = parts.into_iter().map(|part| machine.budget.text(part));
    let parts: Vec<Value> = parts.collect::<Outcome<_>>()?;
    machine.budget.list(parts)
}

fn split(
    machine: &mut Machine,
    text: &str,
    arguments: Arguments,
    from_right: bool,
) -> Outcome<Value> {
    let [separator, limit] = arguments.bind(["sep", "maxsplit"])?;
    let limit = match limit {
        None => -1,
        Some(limit) => limit.as_int().ok_or("split(maxsplit) needs a whole number")?,
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let separator = match &separator {
        None | Some(Value::None) => {
            let parts = words(text, limit, from_right);
            return texts(machine, parts);
        }
        Some(separator) => string(separator, "split")?,
    };
    if separator.is_empty() {
        return Err("split() with an empty separator".into());
    }
    let count = limit.saturating_add(1);
    let mut parts: Vec<&str> = match from_right {
        true => text.rsplitn(count, separator).collect(),
        false => text.splitn(count, separator).collect(),
    };
    if from_right {
        parts.reverse();
    }
    texts(machine, parts)
}

/// Parts between white space; what is beyond the limit stays together, with the white space at its far end.
fn words(text: &str, limit: usize, from_right: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        rest = if from_right { rest.trim_end() } else { rest.trim_start() };
        if rest.is_empty() {
            break;
        }
        let cut = match from_right {
            true => rest.rfind(char::is_whitespace),
            false => rest.find(char::is_whitespace),
        };
        let Some(at) = cut.filter(|_| parts.len() < limit) else {
            parts.push(rest);
            break;
        };
        let (before, after) = rest.split_at(at);
        let (part, left) = if from_right { (after.trim_start(), before) } else { (before, after) };
        parts.push(part);
        rest = left;
    }
    if from_right {
        parts.reverse();
    }
    parts
}

fn splitlines(machine: &mut Machine, text: &str, arguments: Arguments) -> Outcome<Value> {
    let [keep] = arguments.bind(["keepends"])?;
    let keep = keep.is_some_and(|keep| keep.is_true());
    let mut lines = Vec::new();
    let mut rest = text;
    let is_end = |letter: char| {
        matches!(
            letter,
            '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    while let Some(at) = rest.find(is_end) {
        let length = match rest[at..].starts_with("\r\n") {
            true => 2,
            false => rest[at..].chars().next().map_or(1, char::len_utf8),
        };
        lines.push(&rest[..if keep { at + length } else { at }]);
        rest = &rest[at + length..];
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    texts(machine, lines)
}

fn partition(
    machine: &mut Machine,
    text: &str,
    arguments: Arguments,
    last: bool,
) -> Outcome<Value> {
    let separator = arguments.one("sep")?;
    let separator = string(&separator, "partition")?;
    if separator.is_empty() {
        return Err("partition() with an empty separator".into());
    }
    let found = if last { text.rsplit_once(separator) } else { text.split_once(separator) };
    let parts = match (found, last) {
        (Some((before, after)), _) => [before, separator, after],
        (None, true) => ["", "", text],
        (None, false) => [text, "", ""],
    };
    let parts: Vec<Value> =
        parts.into_iter().map(|part| machine.budget.text(part)).collect::<Outcome<_>>()?;
    machine.budget.tuple(parts)
}

fn begins_or_ends(
    machine: &mut Machine,
    text: &str,
    arguments: Arguments,
    ends: bool,
) -> Outcome<Value> {
    let [part, start, stop] = arguments.bind(["prefix", "start", "end"])?;
    let part = needed(part, "startswith")?;
    let Some((text, _)) = within(text, start, stop)? else { return Ok(Value::Bool(false)) };
    let is_there = |part: &Value| -> Outcome<bool> {
        let part = string(part, "startswith")?;
        Ok(if ends { text.ends_with(part) } else { text.starts_with(part) })
    };
    let parts = match &part {
        Value::Tuple(items) => &items.values,
        single => return Ok(Value::Bool(is_there(single)?)),
    };
    machine.budget.steps(parts.len())?;
    for part in parts {
        if is_there(part)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn removed(
    machine: &mut Machine,
    text: &str,
    arguments: Arguments,
    remove: for<'a> fn(&'a str, &str) -> Option<&'a str>,
) -> Outcome<Value> {
    let part = arguments.one("part")?;
    let part = string(&part, "removeprefix")?;
    machine.budget.text(remove(text, part).unwrap_or(text))
}

/// A text with parts replaced, its size known before it is made.
pub(in super::super) fn replaced(
    machine: &mut Machine,
    text: &str,
    old: &str,
    new: &str,
    count: Option<&Value>,
) -> Outcome<Value> {
    let limit = match count {
        None | Some(Value::None) => -1,
        Some(count) => count.as_int().ok_or("replace(count) needs a whole number")?,
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let found = text.matches(old).count().min(limit);
    machine.budget.bytes(text.len() + found.saturating_mul(new.len()))?;
    machine.budget.text(text.replacen(old, new, limit))
}

fn join(machine: &mut Machine, separator: &str, items: &Value) -> Outcome<Value> {
    let mut text = String::new();
    for (at, item) in machine.items(items)?.iter().enumerate() {
        let item = string(item, "join")?;
        machine.budget.bytes(separator.len() + item.len())?;
        if at > 0 {
            text += separator;
        }
        text += item;
    }
    machine.budget.text(text)
}

/// A text filled up to a width; `side` is where the filling goes.
pub(in super::super) fn justified(
    machine: &mut Machine,
    text: &str,
    width: &Value,
    fill: char,
    side: Side,
) -> Outcome<Value> {
    let width = width.as_int().ok_or("a width must be a whole number")?;
    let width = usize::try_from(width.max(0)).unwrap_or(usize::MAX);
    let missing = width.saturating_sub(text.chars().count());
    machine.budget.bytes(missing.saturating_mul(fill.len_utf8()))?;
    let filling = |count: usize| fill.to_string().repeat(count);
    // Python puts the odd one left where the width is odd.
    let left = match side {
        Side::Left => missing,
        Side::Right => 0,
        Side::Both => missing / 2 + (missing & width & 1),
    };
    machine.budget.text(filling(left) + text + &filling(missing - left))
}

fn zfill(machine: &mut Machine, text: &str, width: &Value) -> Outcome<Value> {
    let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
    let width = Value::Int(width.as_int().unwrap_or(0) - sign.len() as i128);
    let filled = justified(machine, digits, &width, '0', Side::Left)?;
    machine.budget.text(format!("{sign}{}", filled.as_str().unwrap_or_default()))
}

fn expandtabs(machine: &mut Machine, text: &str, arguments: Arguments) -> Outcome<Value> {
    let [size] = arguments.bind(["tabsize"])?;
    let size =
        usize::try_from(size.map_or(Some(8), |size| size.as_int()).unwrap_or(8)).unwrap_or(0);
    machine.budget.bytes(text.len() + text.matches('\t').count().saturating_mul(size))?;
    let mut result = String::new();
    let mut column = 0;
    for letter in text.chars() {
        match letter {
            '\t' if size > 0 => {
                let spaces = size - column % size;
                result += &" ".repeat(spaces);
                column += spaces;
            }
            '\t' => {}
            _ => {
                column = if matches!(letter, '\n' | '\r') { 0 } else { column + 1 };
                result.push(letter);
            }
        }
    }
    machine.budget.text(result)
}

/// The part of a text between two places counted in characters, and the byte it begins at.
fn within(text: &str, start: Option<Value>, stop: Option<Value>) -> Outcome<Option<(&str, usize)>> {
    if start.is_none() && stop.is_none() {
        return Ok(Some((text, 0)));
    }
    let count = text.chars().count() as i128;
    let place = |value: Option<Value>, default: i128| match value {
        None | Some(Value::None) => Ok(default),
        Some(value) => {
            let at = value.as_int().ok_or("a place in a text is a whole number")?;
            Ok::<_, String>(if at < 0 { at.saturating_add(count).max(0) } else { at })
        }
    };
    let (start, stop) = (place(start, 0)?, place(stop, count)?.min(count));
    if start > stop {
        return Ok(None);
    }
    let byte = |at: i128| text.char_indices().nth(at as usize).map_or(text.len(), |(byte, _)| byte);
    Ok(Some((&text[byte(start)..byte(stop)], byte(start))))
}

fn find(machine: &mut Machine, text: &str, name: &str, arguments: Arguments) -> Outcome<Value> {
    let [part, start, stop] = arguments.bind(["sub", "start", "end"])?;
    let part = needed(part, name)?;
    let part = string(&part, name)?;
    machine.budget.steps(text.len() / 16)?;
    let range = within(text, start, stop)?;
    if name == "count" {
        let count = range.map_or(0, |(inside, _)| inside.matches(part).count());
        return Ok(Value::Int(count as i128));
    }
    let from_right = name.starts_with('r');
    let found = range.and_then(|(inside, offset)| {
        let at = if from_right { inside.rfind(part) } else { inside.find(part) }?;
        Some(text[..offset + at].chars().count() as i128)
    });
    match (found, name.ends_with("index")) {
        (Some(at), _) => Ok(Value::Int(at)),
        (None, true) => Err(format!("{name}(): the part is not in the text")),
        (None, false) => Ok(Value::Int(-1)),
    }
}
