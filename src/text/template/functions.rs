//! Functions that a template may call, and what `loop` knows.

use super::budget::Outcome;
use super::call::Arguments;
use super::dates;
use super::machine::{Cycle, Machine};
use super::operators::equal;
use super::value::Value;

/// jinja2's sandbox refuses longer ranges too.
const LONGEST_RANGE: i128 = 100_000;

/// A function by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Range,
    Dict,
    Namespace,
    Cycler,
    Joiner,
    RaiseException,
    StrftimeNow,
    LoopCycle(usize),
    LoopChanged(usize),
}

impl Function {
    pub(super) fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "range" => Self::Range,
            "dict" => Self::Dict,
            "namespace" => Self::Namespace,
            "cycler" => Self::Cycler,
            "joiner" => Self::Joiner,
            "raise_exception" => Self::RaiseException,
            "strftime_now" => Self::StrftimeNow,
            _ => return None,
        })
    }
}

pub(super) fn call(
    machine: &mut Machine,
    function: Function,
    arguments: Arguments,
) -> Outcome<Value> {
    match function {
        Function::Range => range(machine, arguments),
        Function::Dict => {
            let pairs = pairs(machine, arguments)?;
            machine.budget.dict(pairs)
        }
        Function::Namespace => {
            let pairs = pairs(machine, arguments)?;
            machine.budget.room(2 * pairs.len())?;
            machine.namespaces.push(pairs);
            Ok(Value::Namespace(machine.namespaces.len() - 1))
        }
        Function::Cycler if arguments.positional.is_empty() => Err("cycler() needs items".into()),
        Function::Cycler => {
            machine.budget.room(arguments.positional.len())?;
            machine.cycles.push(Cycle { items: arguments.positional, at: 0 });
            Ok(Value::Cycler(machine.cycles.len() - 1))
        }
        Function::Joiner => {
            let [separator] = arguments.bind(["sep"])?;
            machine.budget.room(1)?;
            machine.joiners.push((separator.unwrap_or_else(|| Value::text(", ")), false));
            Ok(Value::Joiner(machine.joiners.len() - 1))
        }
        Function::RaiseException => {
            let message = arguments.one("message")?;
            Err(machine.string(&message)?)
        }
        Function::StrftimeNow => {
            let format = arguments.one("format")?;
            let format = format.as_str().ok_or("strftime_now() needs a text")?;
            machine.budget.bytes(format.len().saturating_mul(10))?;
            let text = dates::strftime_now(format)?;
            machine.budget.text(text)
        }
        Function::LoopCycle(at) if arguments.positional.is_empty() => {
            let _ = at;
            Err("loop.cycle() needs items".into())
        }
        Function::LoopCycle(at) => {
            let state = &machine.loops[at];
            Ok(arguments.positional[state.at % arguments.positional.len()].clone())
        }
        Function::LoopChanged(at) => changed(machine, at, arguments.positional),
    }
}

fn range(machine: &mut Machine, arguments: Arguments) -> Outcome<Value> {
    let number = |value: Option<Value>, default: i128| match value {
        Some(value) => value.as_int().ok_or("range() needs whole numbers"),
        None => Ok(default),
    };
    let [first, second, step] = arguments.bind(["start", "stop", "step"])?;
    let first = number(Some(first.ok_or("range() needs a number")?), 0)?;
    let (start, stop) = match second {
        Some(stop) => (first, number(Some(stop), 0)?),
        None => (0, first),
    };
    let step = number(step, 1)?;
    if step == 0 {
        return Err("range() has step 0".into());
    }
    let count = count_of(start, stop, step).filter(|count| *count <= LONGEST_RANGE);
    let count = count.ok_or_else(|| format!("range() gives more than {LONGEST_RANGE} numbers"))?;
    machine.budget.room(count as usize)?;
    machine.budget.list((0..count).map(|at| Value::Int(start + at * step)).collect())
}

fn count_of(start: i128, stop: i128, step: i128) -> Option<i128> {
    let distance = if step > 0 { stop.checked_sub(start)? } else { start.checked_sub(stop)? };
    let step = step.checked_abs()?;
    Some((distance.max(0)).checked_add(step - 1)? / step)
}

/// What `dict(...)` and `namespace(...)` are given: a mapping or pairs, and names.
fn pairs(machine: &mut Machine, arguments: Arguments) -> Outcome<Vec<(Value, Value)>> {
    let mut pairs = Vec::new();
    if arguments.positional.len() > 1 {
        return Err("at most one argument without a name is taken".into());
    }
    for value in &arguments.positional {
        if let Value::Dict(entries) = value {
            machine.budget.room(2 * entries.pairs.len())?;
            pairs.extend(entries.pairs.iter().cloned());
            continue;
        }
        for pair in machine.items(value)? {
            let [key, value] = <[Value; 2]>::try_from(machine.items(&pair)?)
                .map_err(|_| "a pair of key and value is needed")?;
            machine.insert(&mut pairs, (key, value))?;
        }
    }
    for (name, value) in arguments.named {
        let name = machine.budget.text(name)?;
        machine.insert(&mut pairs, (name, value))?;
    }
    Ok(pairs)
}

fn changed(machine: &mut Machine, at: usize, values: Vec<Value>) -> Outcome<Value> {
    machine.budget.room(values.len())?;
    let seen = machine.loops[at].seen.replace(values);
    let Some(seen) = seen else { return Ok(Value::Bool(true)) };
    let now = machine.loops[at].seen.clone().unwrap_or_default();
    if seen.len() != now.len() {
        return Ok(Value::Bool(true));
    }
    for (before, after) in seen.iter().zip(&now) {
        if !equal(before, after, &mut machine.budget)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

impl Machine<'_> {
    /// What `loop.name` is.
    pub(super) fn loop_attribute(&mut self, at: usize, name: &str) -> Outcome<Option<Value>> {
        let state = &self.loops[at];
        let (index, count) = (state.at, state.items.len());
        let number = |value: usize| Value::Int(value as i128);
        let beside = |at: Option<usize>, which: &str| {
            let item = at.and_then(|at| state.items.get(at)).cloned();
            item.unwrap_or_else(|| Value::undefined(format!("the {which} item of the loop")))
        };
        Ok(Some(match name {
            "index" => number(index + 1),
            "index0" => number(index),
            "revindex" => number(count - index),
            "revindex0" => number(count - index - 1),
            "first" => Value::Bool(index == 0),
            "last" => Value::Bool(index + 1 == count),
            "length" => number(count),
            "depth" => number(state.depth + 1),
            "depth0" => number(state.depth),
            "previtem" => beside(index.checked_sub(1), "previous"),
            "nextitem" => beside(Some(index + 1), "next"),
            "cycle" => Value::Function(Function::LoopCycle(at)),
            "changed" => Value::Function(Function::LoopChanged(at)),
            _ => return Ok(None),
        }))
    }
}
