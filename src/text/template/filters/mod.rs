//! `value|name(arguments)`, as jinja2's `filters.py` computes it.

mod items;
mod numbers;
mod select;
mod strings;

use super::budget::Outcome;
use super::call::Arguments;
use super::json::to_json;
use super::machine::Machine;
use super::value::Value;

pub(super) use items::pairs;

type Filter = fn(&mut Machine, Value, Arguments) -> Outcome<Value>;

fn find(name: &str) -> Option<Filter> {
    Some(match name {
        "tojson" => |machine, value, arguments| to_json(&value, arguments, &mut machine.budget),
        "default" | "d" => items::default,
        "attr" => items::attr,
        "batch" => items::batch,
        "slice" => items::slice,
        "count" | "length" => items::length,
        "dictsort" => items::dictsort,
        "first" => items::first,
        "last" => items::last,
        "groupby" => items::groupby,
        "items" => items::items,
        "join" => items::join,
        "list" => items::list,
        "max" => items::max,
        "min" => items::min,
        "reverse" => items::reverse,
        "sort" => items::sort,
        "sum" => items::sum,
        "unique" => items::unique,
        "map" => select::map,
        "select" => select::select,
        "reject" => select::reject,
        "selectattr" => select::selectattr,
        "rejectattr" => select::rejectattr,
        "abs" => numbers::abs,
        "float" => numbers::float,
        "int" => numbers::int,
        "round" => numbers::round,
        "filesizeformat" => numbers::filesizeformat,
        "capitalize" => strings::capitalize,
        "center" => strings::center,
        "e" | "escape" | "forceescape" => strings::escape,
        "format" => strings::format,
        "indent" => strings::indent,
        "lower" => strings::lower,
        "replace" => strings::replace,
        "safe" | "string" => strings::string,
        "striptags" => strings::striptags,
        "title" => strings::title,
        "trim" => strings::trim,
        "truncate" => strings::truncate,
        "upper" => strings::upper,
        "urlencode" => strings::urlencode,
        "wordcount" => strings::wordcount,
        _ => return None,
    })
}

/// Whether there is a filter of this name.
pub(super) fn is_known(name: &str) -> bool {
    find(name).is_some()
}

/// Runs the filter of this name.
pub(super) fn apply(
    machine: &mut Machine,
    name: &str,
    value: Value,
    arguments: Arguments,
) -> Outcome<Value> {
    let filter = find(name).ok_or_else(|| format!("no filter is named {name:?}"))?;
    // Filters may run filters, as `map` does.
    machine.budget.enter()?;
    let result = filter(machine, value, arguments)?;
    machine.budget.leave();
    Ok(result)
}
