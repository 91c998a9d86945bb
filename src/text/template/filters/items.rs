//! Filters over lists, dicts and what can be iterated.

use std::cmp::Ordering;

use super::super::ast::Operator;
use super::super::budget::Outcome;
use super::super::call::Arguments;
use super::super::machine::Machine;
use super::super::methods::strings::most_in_another_case;
use super::super::operators::{arithmetic, equal, ordering};
use super::super::value::Value;

pub(super) fn default(_: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    let [default, boolean] = arguments.bind(["default_value", "boolean"])?;
    let falls_back = matches!(value, Value::Undefined(_))
        || boolean.is_some_and(|boolean| boolean.is_true()) && !value.is_true();
    Ok(if falls_back { default.unwrap_or_else(|| Value::text("")) } else { value })
}

pub(super) fn attr(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    let name = arguments.one("name")?;
    let name = machine.string(&name)?;
    match machine.attribute(&value, &name)? {
        // Only attributes: a dict's items are none.
        found @ (Value::Method(_) | Value::Undefined(_)) => Ok(found),
        found if matches!(value, Value::Loop(_) | Value::Namespace(_)) => Ok(found),
        _ => Ok(Value::undefined(name)),
    }
}

/// `a.b.0` of an item: names and numbers of items, one after another.
pub(super) fn attribute_of(machine: &mut Machine, item: &Value, path: &Value) -> Outcome<Value> {
    let Some(text) = path.as_str() else { return machine.item(item, path) };
    let mut value = item.clone();
    for part in text.split('.') {
        let key = match part.parse::<u32>() {
            Ok(number) => Value::Int(number.into()),
            Err(_) => machine.budget.text(part)?,
        };
        value = machine.item(&value, &key)?;
    }
    Ok(value)
}

fn whole(value: Option<Value>, default: usize, what: &str) -> Outcome<usize> {
    let Some(value) = value else { return Ok(default) };
    let number = value.as_int().ok_or_else(|| format!("{what} needs a whole number"))?;
    Ok(usize::try_from(number.max(0)).unwrap_or(usize::MAX))
}

pub(super) fn batch(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    let [count, fill] = arguments.bind(["linecount", "fill_with"])?;
    let count = whole(Some(count.ok_or("batch() needs a number")?), 0, "batch()")?.max(1);
    let items = machine.items(&value)?;
    let mut batches = Vec::new();
    for batch in items.chunks(count) {
        let mut batch = batch.to_vec();
        if let Some(fill) = fill.as_ref().filter(|fill| !matches!(fill, Value::None)) {
            machine.budget.room(count)?;
            batch.resize(count, fill.clone());
        }
        batches.push(machine.budget.list(batch)?);
    }
    machine.iterator(batches)
}

pub(super) fn slice(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    let [count, fill] = arguments.bind(["slices", "fill_with"])?;
    let count = whole(Some(count.ok_or("slice() needs a number")?), 0, "slice()")?;
    let items = machine.items(&value)?;
    if count == 0 {
        return Err("slice() into 0 parts".into());
    }
    machine.budget.room(count)?;
    let (each, extra) = (items.len() / count, items.len() % count);
    let mut slices = Vec::new();
    let mut start = 0;
    for at in 0..count {
        let end = start + each + usize::from(at < extra);
        let mut slice = items[start..end].to_vec();
        if at >= extra
            && let Some(fill) = fill.as_ref().filter(|fill| !matches!(fill, Value::None))
        {
            slice.push(fill.clone());
        }
        slices.push(machine.budget.list(slice)?);
        start = end;
    }
    machine.iterator(slices)
}

pub(super) fn length(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    arguments.none()?;
    let count = match &value {
        Value::Undefined(_) => 0,
        Value::Str(text) => {
            machine.budget.steps(text.len() / 64)?;
            text.chars().count()
        }
        Value::List(items) | Value::Tuple(items) => items.values.len(),
        Value::Dict(entries) => entries.pairs.len(),
        Value::Loop(at) => machine.loops[*at].items.len(),
        other => return Err(format!("{} has no length", other.type_name())),
    };
    Ok(Value::Int(count as i128))
}

pub(super) fn first(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    arguments.none()?;
    let none = || Value::undefined("the first item of nothing");
    if let Value::Iterator(at) = value {
        return Ok(machine.next_of(at).unwrap_or_else(none));
    }
    Ok(machine.items(&value)?.into_iter().next().unwrap_or_else(none))
}

pub(super) fn last(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    arguments.none()?;
    if matches!(value, Value::Iterator(_)) {
        return Err("a generator has no last item".into());
    }
    let last = machine.items(&value)?.pop();
    Ok(last.unwrap_or_else(|| Value::undefined("the last item of nothing")))
}

pub(super) fn items(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    arguments.none()?;
    let pairs = match &value {
        Value::Undefined(_) => Vec::new(),
        Value::Dict(entries) => pairs(machine, &entries.pairs)?,
        other => return Err(format!("{} has no pairs of keys and values", other.type_name())),
    };
    machine.iterator(pairs)
}

/// Keys with their values, each a tuple.
pub(in super::super) fn pairs(
    machine: &mut Machine,
    pairs: &[(Value, Value)],
) -> Outcome<Vec<Value>> {
    machine.budget.room(pairs.len())?;
    let pair =
        |(key, value): &(Value, Value)| machine.budget.tuple(vec![key.clone(), value.clone()]);
    pairs.iter().map(pair).collect()
}

pub(super) fn join(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    let [separator, attribute] = arguments.bind(["d", "attribute"])?;
    let separator = match separator {
        Some(separator) => machine.string(&separator)?,
        None => String::new(),
    };
    let mut text = String::new();
    for (at, item) in machine.items(&value)?.into_iter().enumerate() {
        let item = match &attribute {
            None | Some(Value::None) => item,
            Some(attribute) => attribute_of(machine, &item, attribute)?,
        };
        if at > 0 {
            machine.budget.bytes(separator.len())?;
            text += &separator;
        }
        text += &machine.string(&item)?;
    }
    machine.budget.text(text)
}

pub(super) fn list(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    arguments.none()?;
    let items = machine.items(&value)?;
    machine.budget.list(items)
}

pub(super) fn reverse(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    arguments.none()?;
    if let Value::Str(text) = &value {
        machine.budget.steps(text.len() / 16)?;
        machine.budget.bytes(text.len())?;
        let reversed: String = text.chars().rev().collect();
        return machine.budget.text(reversed);
    }
    let mut items = machine.items(&value)?;
    items.reverse();
    machine.iterator(items)
}

/// What items are ordered by: small letters and capitals alike, unless told otherwise.
fn key_of(
    machine: &mut Machine,
    item: &Value,
    attribute: Option<&Value>,
    case_sensitive: bool,
) -> Outcome<Value> {
    let key = match attribute {
        None | Some(Value::None) => item.clone(),
        Some(attribute) => attribute_of(machine, item, attribute)?,
    };
    match &key {
        Value::Str(text) if !case_sensitive => {
            machine.budget.steps(text.len() / 16)?;
            machine.budget.bytes(most_in_another_case(text))?;
            machine.budget.text(text.to_lowercase())
        }
        _ => Ok(key),
    }
}

/// An empty list for so many items with their keys.
fn room_for_keys(machine: &mut Machine, items: usize) -> Outcome<Vec<(Value, Value)>> {
    machine.budget.room(2 * items)?;
    Ok(Vec::with_capacity(items))
}

/// Items with their keys, in order; items of one key stay as they stood.
fn sorted(
    machine: &mut Machine,
    mut keyed: Vec<(Value, Value)>,
    reverse: bool,
) -> Outcome<Vec<(Value, Value)>> {
    let mut problem = None;
    keyed.sort_by(|(left, _), (right, _)| {
        if problem.is_some() {
            return Ordering::Equal;
        }
        match ordering(left, right, &mut machine.budget) {
            Ok(order) if reverse => order.unwrap_or(Ordering::Equal).reverse(),
            Ok(order) => order.unwrap_or(Ordering::Equal),
            Err(error) => {
                problem = Some(error);
                Ordering::Equal
            }
        }
    });
    problem.map_or(Ok(keyed), Err)
}

pub(super) fn sort(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    let [reverse, case_sensitive, attribute] =
        arguments.bind(["reverse", "case_sensitive", "attribute"])?;
    let case_sensitive = case_sensitive.is_some_and(|value| value.is_true());
    let items = machine.items(&value)?;
    let mut keyed = room_for_keys(machine, items.len())?;
    for item in items {
        let key = match attribute.as_ref().and_then(Value::as_str) {
            Some(paths) if paths.contains(',') => {
                let keys = paths
                    .split(',')
                    .map(|path| key_of(machine, &item, Some(&Value::text(path)), case_sensitive));
                let keys: Vec<Value> = keys.collect::<Outcome<_>>()?;
                machine.budget.list(keys)?
            }
            _ => key_of(machine, &item, attribute.as_ref(), case_sensitive)?,
        };
        keyed.push((key, item));
    }
    let sorted = sorted(machine, keyed, reverse.is_some_and(|value| value.is_true()))?;
    machine.budget.list(sorted.into_iter().map(|(_, item)| item).collect())
}

pub(super) fn dictsort(
    machine: &mut Machine,
    value: Value,
    arguments: Arguments,
) -> Outcome<Value> {
    let [case_sensitive, by, reverse] = arguments.bind(["case_sensitive", "by", "reverse"])?;
    let case_sensitive = case_sensitive.is_some_and(|value| value.is_true());
    let Value::Dict(entries) = &value else {
        return Err(format!("{} cannot be sorted by key", value.type_name()));
    };
    let by = match by.as_ref().map_or(Some("key"), Value::as_str) {
        Some("key") => 0,
        Some("value") => 1,
        _ => return Err("dictsort(by) is 'key' or 'value'".into()),
    };
    let mut keyed = room_for_keys(machine, entries.pairs.len())?;
    for pair in pairs(machine, &entries.pairs)? {
        keyed.push((key_of(machine, &pair, Some(&Value::Int(by)), case_sensitive)?, pair));
    }
    let sorted = sorted(machine, keyed, reverse.is_some_and(|value| value.is_true()))?;
    machine.budget.list(sorted.into_iter().map(|(_, pair)| pair).collect())
}

pub(super) fn groupby(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    let [attribute, default, case_sensitive] =
        arguments.bind(["attribute", "default", "case_sensitive"])?;
    let attribute = attribute.ok_or("groupby() needs an attribute")?;
    let case_sensitive = case_sensitive.is_some_and(|value| value.is_true());
    let items = machine.items(&value)?;
    let mut keyed = room_for_keys(machine, items.len())?;
    for item in items {
        let key = match (key_of(machine, &item, Some(&attribute), case_sensitive)?, &default) {
            (Value::Undefined(_), Some(default)) => default.clone(),
            (key, _) => key,
        };
        keyed.push((key, item));
    }
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    for (key, item) in sorted(machine, keyed, false)? {
        match groups.last_mut() {
            Some((last, items)) if equal(last, &key, &mut machine.budget)? => items.push(item),
            _ => groups.push((key, vec![item])),
        }
    }
    let mut results = Vec::new();
    for (key, items) in groups {
        let real = match attribute_of(machine, &items[0], &attribute)? {
            Value::Undefined(_) => key,
            real => real,
        };
        let items = machine.budget.list(items)?;
        results.push(machine.budget.tuple(vec![real, items])?);
    }
    machine.budget.list(results)
}

pub(super) fn min(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    extreme(machine, &value, arguments, Ordering::Less)
}

pub(super) fn max(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    extreme(machine, &value, arguments, Ordering::Greater)
}

fn extreme(
    machine: &mut Machine,
    value: &Value,
    arguments: Arguments,
    wanted: Ordering,
) -> Outcome<Value> {
    let [case_sensitive, attribute] = arguments.bind(["case_sensitive", "attribute"])?;
    let case_sensitive = case_sensitive.is_some_and(|value| value.is_true());
    let mut best: Option<(Value, Value)> = None;
    for item in machine.items(value)? {
        let key = key_of(machine, &item, attribute.as_ref(), case_sensitive)?;
        let is_better = match &best {
            Some((best, _)) => ordering(&key, best, &mut machine.budget)? == Some(wanted),
            None => true,
        };
        if is_better {
            best = Some((key, item));
        }
    }
    Ok(best.map_or_else(|| Value::undefined("the extreme of nothing"), |(_, item)| item))
}

pub(super) fn sum(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    let [attribute, start] = arguments.bind(["attribute", "start"])?;
    let mut total = start.unwrap_or(Value::Int(0));
    if matches!(total, Value::Str(_)) {
        return Err("sum() adds no texts; use join".into());
    }
    for item in machine.items(&value)? {
        let item = match &attribute {
            None | Some(Value::None) => item,
            Some(attribute) => attribute_of(machine, &item, attribute)?,
        };
        total = arithmetic(Operator::Add, &total, &item, &mut machine.budget)?;
    }
    Ok(total)
}

pub(super) fn unique(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    let [case_sensitive, attribute] = arguments.bind(["case_sensitive", "attribute"])?;
    let case_sensitive = case_sensitive.is_some_and(|value| value.is_true());
    let (mut seen, mut results): (Vec<Value>, Vec<Value>) = Default::default();
    'items: for item in machine.items(&value)? {
        let key = key_of(machine, &item, attribute.as_ref(), case_sensitive)?;
        if !key.is_hashable() {
            return Err(format!("{} cannot be told apart by unique", key.type_name()));
        }
        for other in &seen {
            if equal(other, &key, &mut machine.budget)? {
                continue 'items;
            }
        }
        seen.push(key);
        results.push(item);
    }
    machine.iterator(results)
}
