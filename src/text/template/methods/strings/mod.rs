//! Methods of texts, as Python's `str` has them.

mod letters;
mod parts;
mod search;
mod width;

use super::super::budget::Outcome;
use super::super::call::Arguments;
use super::super::format::format_method;
use super::super::machine::Machine;
use super::super::value::Value;

pub(in crate::text::template) use letters::{capitalized, most_in_another_case};
pub(in crate::text::template) use parts::stripped;
pub(in crate::text::template) use search::replaced;
pub(in crate::text::template) use width::justified;

use letters::{asked, turned};
use parts::{partition, split, splitlines, strip};
use search::{begins_or_ends, find, removed};
use width::{expandtabs, zfill};

/// What is called on a text.
pub(in crate::text::template) const NAMES: [&str; 42] = [
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
pub(in crate::text::template) enum Side {
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
    if letters::TURNS.contains(&name) {
        machine.budget.bytes(most_in_another_case(text))?;
    }
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
