//! Methods of lists, tuples and dicts.

use std::sync::Arc;

use super::super::budget::Outcome;
use super::super::call::Arguments;
use super::super::filters::pairs;
use super::super::machine::Machine;
use super::super::operators::{equal, lookup};
use super::super::value::{Entries, Value};

pub(super) fn of_list(
    machine: &mut Machine,
    value: &Value,
    name: &str,
    arguments: Arguments,
) -> Outcome<Value> {
    if name == "copy" {
        arguments.none()?;
        return Ok(value.clone());
    }
    let items = value.as_slice().unwrap_or_default();
    let [wanted, start, stop] = arguments.bind(["value", "start", "stop"])?;
    let wanted = wanted.ok_or_else(|| format!("{name}() needs a value"))?;
    let place = |place: Option<Value>, default: usize| match place.and_then(|place| place.as_int())
    {
        Some(at) if at < 0 => usize::try_from(at.saturating_add(items.len() as i128)).unwrap_or(0),
        Some(at) => usize::try_from(at).unwrap_or(usize::MAX),
        None => default,
    };
    let (start, stop) = (place(start, 0), place(stop, usize::MAX));
    let mut count = 0;
    for (at, item) in items.iter().enumerate() {
        if equal(item, &wanted, &mut machine.budget)? {
            if name == "index" && (start..stop).contains(&at) {
                return Ok(Value::Int(at as i128));
            }
            count += 1;
        }
    }
    match name {
        "index" => Err("index(): the value is not in the list".into()),
        _ => Ok(Value::Int(count)),
    }
}

pub(super) fn of_dict(
    machine: &mut Machine,
    entries: &Arc<Entries>,
    name: &str,
    arguments: Arguments,
) -> Outcome<Value> {
    if name == "get" {
        let [key, default] = arguments.bind(["key", "default"])?;
        let key = key.ok_or("get() needs a key")?;
        if !key.is_hashable() {
            return Err(format!("{} is no key", key.type_name()));
        }
        let found = lookup(&entries.pairs, &key, &mut machine.budget)?.cloned();
        return Ok(found.or(default).unwrap_or(Value::None));
    }
    arguments.none()?;
    machine.budget.room(entries.pairs.len())?;
    let values = match name {
        "copy" => return Ok(Value::Dict(entries.clone())),
        "items" => pairs(machine, &entries.pairs)?,
        "keys" => entries.pairs.iter().map(|(key, _)| key.clone()).collect(),
        _ => entries.pairs.iter().map(|(_, value)| value.clone()).collect(),
    };
    machine.budget.list(values)
}
