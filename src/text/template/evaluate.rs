//! Expressions, evaluated.

use std::sync::Arc;

use super::ast::{self, Expr, Suffix};
use super::budget::Outcome;
use super::call::Arguments;
use super::functions::Function;
use super::machine::Machine;
use super::operators::{arithmetic, lookup};
use super::value::{Method, Value};
use super::{filters, methods, predicates};

impl<'t> Machine<'t> {
    pub(super) fn evaluate(&mut self, expression: &'t Expr) -> Outcome<Value> {
        self.budget.enter()?;
        let value = self.value_of(expression)?;
        self.budget.leave();
        Ok(value)
    }

    fn value_of(&mut self, expression: &'t Expr) -> Outcome<Value> {
        match expression {
            Expr::Constant(value) => Ok(value.clone()),
            Expr::Name(name) => self.named(name),
            Expr::Tuple(parts) => {
                let values = self.all(parts)?;
                self.budget.tuple(values)
            }
            Expr::List(parts) => {
                let values = self.all(parts)?;
                self.budget.list(values)
            }
            Expr::Dict(parts) => self.dict(parts),
            Expr::Suffixed(value, suffixes) => {
                let value = match (&**value, suffixes.first()) {
                    (Expr::Name(name), Some(first)) if asks_whether_there(first) => {
                        self.lenient(name)?
                    }
                    _ => self.evaluate(value)?,
                };
                self.suffixes(value, suffixes)
            }
            Expr::Not(value) => Ok(Value::Bool(!self.evaluate(value)?.is_true())),
            Expr::Signed(negates, value) => {
                let value = self.evaluate(value)?;
                signed(*negates, &value)
            }
            Expr::And(parts) => self.first(parts, |value| !value.is_true()),
            Expr::Or(parts) => self.first(parts, Value::is_true),
            Expr::Math(first, rest) => {
                let mut value = self.evaluate(first)?;
                for (operator, operand) in rest {
                    let operand = self.evaluate(operand)?;
                    value = arithmetic(*operator, &value, &operand, &mut self.budget)?;
                }
                Ok(value)
            }
            Expr::Concat(parts) => self.concat(parts),
            Expr::Compare(first, rest) => self.comparison(first, rest),
            Expr::If(parts, otherwise) => self.conditional(parts, otherwise.as_deref()),
        }
    }

    fn named(&mut self, name: &Arc<str>) -> Outcome<Value> {
        match self.lenient(name)? {
            Value::Undefined(name) if self.is_strict => Err(format!("{name} is undefined")),
            value => Ok(value),
        }
    }

    fn lenient(&mut self, name: &Arc<str>) -> Outcome<Value> {
        let function = || Function::by_name(name).map(Value::Function);
        let found = self.find(name)?.or_else(function);
        Ok(found.unwrap_or_else(|| Value::Undefined(name.clone())))
    }

    fn all(&mut self, parts: &'t [Expr]) -> Outcome<Vec<Value>> {
        parts.iter().map(|part| self.evaluate(part)).collect()
    }

    fn dict(&mut self, parts: &'t [(Expr, Expr)]) -> Outcome<Value> {
        let mut pairs = Vec::with_capacity(parts.len());
        for (key, value) in parts {
            let pair = (self.evaluate(key)?, self.evaluate(value)?);
            self.insert(&mut pairs, pair)?;
        }
        self.budget.dict(pairs)
    }

    /// Adds a pair, or changes the value of a key that is there.
    pub(super) fn insert(
        &mut self,
        pairs: &mut Vec<(Value, Value)>,
        (key, value): (Value, Value),
    ) -> Outcome<()> {
        if !key.is_hashable() {
            return Err(format!("{} is no key", key.type_name()));
        }
        for (found, old) in pairs.iter_mut() {
            if super::operators::equal(found, &key, &mut self.budget)? {
                *old = value;
                return Ok(());
            }
        }
        pairs.push((key, value));
        Ok(())
    }

    /// The first value that ends `and` or `or`, or else the last.
    fn first(&mut self, parts: &'t [Expr], ends: impl Fn(&Value) -> bool) -> Outcome<Value> {
        let mut value = Value::None;
        for part in parts {
            value = self.evaluate(part)?;
            if ends(&value) {
                break;
            }
        }
        Ok(value)
    }

    fn concat(&mut self, parts: &'t [Expr]) -> Outcome<Value> {
        let mut text = String::new();
        for value in self.all(parts)? {
            text += &self.string(&value)?;
        }
        self.budget.text(text)
    }

    fn comparison(
        &mut self,
        first: &'t Expr,
        rest: &'t [(ast::Comparison, Expr)],
    ) -> Outcome<Value> {
        let mut left = self.evaluate(first)?;
        for (comparison, right) in rest {
            let right = self.evaluate(right)?;
            if !self.compare(*comparison, &left, &right)? {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    fn conditional(&mut self, parts: &'t [Expr; 2], otherwise: Option<&'t Expr>) -> Outcome<Value> {
        let [condition, then] = parts;
        match (self.evaluate(condition)?.is_true(), otherwise) {
            (true, _) => self.evaluate(then),
            (false, Some(otherwise)) => self.evaluate(otherwise),
            (false, None) => Ok(Value::undefined("the value of an `if` without `else`")),
        }
    }

    pub(super) fn suffixes(&mut self, mut value: Value, suffixes: &'t [Suffix]) -> Outcome<Value> {
        for suffix in suffixes {
            self.budget.steps(1)?;
            value = match suffix {
                Suffix::Attribute(name) => self.attribute(&value, name)?,
                Suffix::Item(key) => {
                    let key = self.evaluate(key)?;
                    self.item(&value, &key)?
                }
                Suffix::Slice(bounds) => self.slice(&value, bounds)?,
                Suffix::Call(arguments) => {
                    let arguments = self.arguments(arguments)?;
                    self.call(&value, arguments)?
                }
                Suffix::Filter(name, arguments) => {
                    let arguments = self.arguments(arguments)?;
                    filters::apply(self, name, value, arguments)?
                }
                Suffix::Test(name, arguments, negated) => {
                    let arguments = self.arguments(arguments)?;
                    let holds = predicates::holds(self, name, &value, arguments)?;
                    Value::Bool(holds != *negated)
                }
            };
        }
        Ok(value)
    }

    pub(super) fn arguments(&mut self, arguments: &'t ast::Arguments) -> Outcome<Arguments> {
        let mut positional = self.all(&arguments.positional)?;
        let mut named = Vec::new();
        for (name, value) in &arguments.named {
            self.budget.bytes(name.len())?;
            named.push((name.to_string(), self.evaluate(value)?));
        }
        if let Some(star) = &arguments.star {
            let more = self.evaluate(star)?;
            positional.extend(self.items(&more)?);
        }
        if let Some(double_star) = &arguments.double_star {
            let Value::Dict(entries) = self.evaluate(double_star)? else {
                return Err("** needs a dict".into());
            };
            self.budget.room(2 * entries.pairs.len())?;
            for (key, value) in &entries.pairs {
                let key = key.as_str().ok_or("a name of an argument is no text")?;
                self.budget.bytes(key.len())?;
                named.push((key.into(), value.clone()));
            }
        }
        Ok(Arguments { positional, named })
    }

    /// `value.name`: a method or attribute first, then an item.
    pub(super) fn attribute(&mut self, value: &Value, name: &str) -> Outcome<Value> {
        if let Some(found) = self.own_attribute(value, name)? {
            return Ok(found);
        }
        match self.item_of(value, &Value::text(name))? {
            Some(found) => Ok(found),
            None => Ok(Value::undefined(format!("{} has no {name:?}, which", value.type_name()))),
        }
    }

    /// `value[key]`: an item first, then a method or attribute.
    pub(super) fn item(&mut self, value: &Value, key: &Value) -> Outcome<Value> {
        if let Value::Undefined(name) = value {
            return Err(format!("{name} is undefined"));
        }
        if let Some(found) = self.item_of(value, key)? {
            return Ok(found);
        }
        if let Some(name) = key.as_str()
            && let Some(found) = self.own_attribute(value, name)?
        {
            return Ok(found);
        }
        let key = super::text::repr_of(key, &mut self.budget)?;
        let key: String = key.chars().take(80).collect();
        Ok(Value::undefined(format!("{} has no {key}, which", value.type_name())))
    }

    fn own_attribute(&mut self, value: &Value, name: &str) -> Outcome<Option<Value>> {
        match value {
            Value::Undefined(undefined) => Err(format!("{undefined} is undefined")),
            Value::Namespace(at) => {
                let pairs = &self.namespaces[*at];
                self.budget.steps(pairs.len() / 8)?;
                let found = pairs.iter().find(|(key, _)| key.as_str() == Some(name));
                Ok(found.map(|(_, value)| value.clone()))
            }
            Value::Loop(at) => self.loop_attribute(*at, name),
            Value::Cycler(at) if name == "current" => {
                let cycle = &self.cycles[*at];
                Ok(cycle.items.get(cycle.at).cloned())
            }
            Value::Macro(at) if name == "name" => {
                Ok(Some(Value::Str(self.closures[*at].definition.name.clone())))
            }
            _ if methods::has(value, name) => {
                let method = Method { value: value.clone(), name: name.into() };
                self.budget.bytes(size_of::<Method>() + name.len())?;
                Ok(Some(Value::Method(Arc::new(method))))
            }
            _ => Ok(None),
        }
    }

    fn item_of(&mut self, value: &Value, key: &Value) -> Outcome<Option<Value>> {
        match value {
            Value::Dict(entries) if key.is_hashable() => {
                Ok(lookup(&entries.pairs, key, &mut self.budget)?.cloned())
            }
            Value::List(items) | Value::Tuple(items) => Ok(key
                .as_int()
                .and_then(|at| index(at, items.values.len()))
                .map(|at| items.values[at].clone())),
            Value::Str(text) => {
                self.budget.steps(text.len() / 64)?;
                let at = key.as_int().and_then(|at| index(at, text.chars().count()));
                let letter = at.and_then(|at| text.chars().nth(at));
                letter.map(|letter| self.budget.text(letter.to_string())).transpose()
            }
            _ => Ok(None),
        }
    }

    fn slice(&mut self, value: &Value, bounds: &'t [Option<Expr>; 3]) -> Outcome<Value> {
        let mut numbers = [None; 3];
        for (number, bound) in numbers.iter_mut().zip(bounds) {
            if let Some(bound) = bound {
                let bound = self.evaluate(bound)?;
                *number = match &bound {
                    Value::None => None,
                    other => Some(other.as_int().ok_or("a slice needs whole numbers")?),
                };
            }
        }
        let [start, stop, step] = numbers;
        match value {
            Value::Undefined(name) => Err(format!("{name} is undefined")),
            Value::Str(text) => {
                self.budget.room(text.len() / 4)?;
                let letters: Vec<char> = text.chars().collect();
                let picked = picked(letters.len(), start, stop, step.unwrap_or(1))?;
                self.budget.text(picked.map(|at| letters[at]).collect::<String>())
            }
            Value::List(items) | Value::Tuple(items) => {
                let picked = picked(items.values.len(), start, stop, step.unwrap_or(1))?;
                self.budget.room(picked.clone().count())?;
                let values: Vec<Value> = picked.map(|at| items.values[at].clone()).collect();
                super::operators::like(value, values, &mut self.budget)
            }
            other => Ok(Value::undefined(format!("a part of {}", other.type_name()))),
        }
    }
}

/// Whether what stands behind a name asks whether it is there, so that it need not be.
fn asks_whether_there(suffix: &Suffix) -> bool {
    match suffix {
        Suffix::Test(name, ..) => ["defined", "undefined"].contains(&&**name),
        Suffix::Filter(name, _) => ["default", "d"].contains(&&**name),
        _ => false,
    }
}

fn signed(negates: bool, value: &Value) -> Outcome<Value> {
    match (value, value.as_int()) {
        (_, Some(number)) if negates => {
            number.checked_neg().map(Value::Int).ok_or_else(|| "a number is too large".into())
        }
        (_, Some(number)) => Ok(Value::Int(number)),
        (Value::Float(number), _) => Ok(Value::Float(if negates { -number } else { *number })),
        (Value::Undefined(name), _) => Err(format!("{name} is undefined")),
        _ => Err(format!("{} has no sign", value.type_name())),
    }
}

/// A place in a sequence, counted from its end where it is negative.
fn index(at: i128, length: usize) -> Option<usize> {
    let at = if at < 0 { at.checked_add(length as i128)? } else { at };
    usize::try_from(at).ok().filter(|at| *at < length)
}

/// The places that a slice takes, as Python counts them.
fn picked(
    length: usize,
    start: Option<i128>,
    stop: Option<i128>,
    step: i128,
) -> Outcome<impl Iterator<Item = usize> + Clone> {
    if step == 0 {
        return Err("a slice has step 0".into());
    }
    let length = length as i128;
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let bound = |bound: Option<i128>, default: i128| match bound {
        Some(at) => (if at < 0 { at.saturating_add(length) } else { at }).clamp(low, high),
        None => default,
    };
    let start = bound(start, if step > 0 { low } else { high });
    let stop = bound(stop, if step > 0 { high } else { low });
    let mut at = start;
    Ok(std::iter::from_fn(move || {
        let inside = if step > 0 { at < stop } else { at > stop };
        let here = at;
        at = at.saturating_add(step);
        inside.then_some(here as usize)
    }))
}
