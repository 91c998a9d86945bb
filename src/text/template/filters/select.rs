//! Filters that take other filters or tests by name.

use super::super::budget::Outcome;
use super::super::call::Arguments;
use super::super::machine::Machine;
use super::super::predicates::holds;
use super::super::value::Value;
use super::apply;
use super::items::attribute_of;

/// What is iterated; jinja2 asks nothing that is false, `none` too, for its items.
fn items_of(machine: &mut Machine, value: &Value) -> Outcome<Vec<Value>> {
    if value.is_true() { machine.items(value) } else { Ok(Vec::new()) }
}

/// Copies of the arguments, for each item anew.
fn again(machine: &mut Machine, arguments: &Arguments) -> Outcome<Arguments> {
    machine.budget.room(arguments.positional.len() + arguments.named.len())?;
    Ok(Arguments { positional: arguments.positional.clone(), named: arguments.named.clone() })
}

pub(super) fn map(machine: &mut Machine, value: Value, mut arguments: Arguments) -> Outcome<Value> {
    let items = items_of(machine, &value)?;
    let mut results = Vec::new();
    if arguments.positional.is_empty() {
        let [attribute, default] = arguments.bind(["attribute", "default"])?;
        let attribute = attribute.ok_or("map() needs a filter or an attribute")?;
        for item in items {
            let found = attribute_of(machine, &item, &attribute)?;
            results.push(match (found, &default) {
                (Value::Undefined(_), Some(default)) => default.clone(),
                (found, _) => found,
            });
        }
    } else {
        let filter = arguments.positional.remove(0);
        let filter = filter.as_str().ok_or("map() needs the name of a filter")?;
        for item in items {
            let arguments = again(machine, &arguments)?;
            results.push(apply(machine, filter, item, arguments)?);
        }
    }
    machine.iterator(results)
}

pub(super) fn select(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    chosen(machine, &value, arguments, true, false)
}

pub(super) fn reject(machine: &mut Machine, value: Value, arguments: Arguments) -> Outcome<Value> {
    chosen(machine, &value, arguments, false, false)
}

pub(super) fn selectattr(
    machine: &mut Machine,
    value: Value,
    arguments: Arguments,
) -> Outcome<Value> {
    chosen(machine, &value, arguments, true, true)
}

pub(super) fn rejectattr(
    machine: &mut Machine,
    value: Value,
    arguments: Arguments,
) -> Outcome<Value> {
    chosen(machine, &value, arguments, false, true)
}

/// The items, or those whose attribute, a test says `wanted` of.
fn chosen(
    machine: &mut Machine,
    value: &Value,
    mut arguments: Arguments,
    wanted: bool,
    by_attribute: bool,
) -> Outcome<Value> {
    let attribute = match by_attribute && arguments.positional.is_empty() {
        true => return Err("the name of an attribute is missing".into()),
        false => by_attribute.then(|| arguments.positional.remove(0)),
    };
    let test = (!arguments.positional.is_empty()).then(|| arguments.positional.remove(0));
    let mut results = Vec::new();
    for item in items_of(machine, value)? {
        let subject = match &attribute {
            Some(attribute) => attribute_of(machine, &item, attribute)?,
            None => item.clone(),
        };
        let answer = match &test {
            Some(test) => {
                let arguments = again(machine, &arguments)?;
                holds(
                    machine,
                    test.as_str().ok_or("a test is named by a text")?,
                    &subject,
                    arguments,
                )?
            }
            None => subject.is_true(),
        };
        if answer == wanted {
            results.push(item);
        }
    }
    machine.iterator(results)
}
