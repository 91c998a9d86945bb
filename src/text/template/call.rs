//! Calls: of macros, functions, methods, loops, and what they are given.

use std::sync::Arc;

use super::budget::Outcome;
use super::machine::Machine;
use super::value::Value;
use super::{TemplateError, functions, methods};

/// The values of a call's arguments.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) positional: Vec<Value>,
    pub(super) named: Vec<(String, Value)>,
}

impl Arguments {
    /// The value of each parameter, by place or by name.
    pub(super) fn bind<const N: usize>(self, names: [&str; N]) -> Outcome<[Option<Value>; N]> {
        let given = self.positional.len();
        if given > N {
            return Err(format!("{given} arguments where at most {N} are taken"));
        }
        let mut values = self.positional.into_iter();
        let mut bound = [(); N].map(|()| values.next());
        for (name, value) in self.named {
            let at = names.iter().position(|known| *known == name);
            let slot = at.map(|at| &mut bound[at]).filter(|slot| slot.is_none());
            *slot.ok_or_else(|| format!("unexpected argument {name}"))? = Some(value);
        }
        Ok(bound)
    }

    /// The only argument, which must be given.
    pub(super) fn one(self, name: &str) -> Outcome<Value> {
        let [value] = self.bind([name])?;
        value.ok_or_else(|| format!("the argument {name} is missing"))
    }

    /// Makes sure that nothing is given.
    pub(super) fn none(self) -> Outcome<()> {
        self.bind([]).map(|_| ())
    }
}

impl Machine<'_> {
    pub(super) fn call(&mut self, value: &Value, arguments: Arguments) -> Outcome<Value> {
        self.budget.enter()?;
        let result = match value {
            Value::Macro(at) => {
                self.call_macro(*at, arguments).map_err(|error| error.to_string())?
            }
            Value::Function(function) => functions::call(self, *function, arguments)?,
            Value::Method(method) => methods::call(self, &method.value, &method.name, arguments)?,
            Value::Loop(at) => {
                let items = arguments.one("iterable")?;
                self.call_loop(*at, &items).map_err(|error| error.to_string())?
            }
            Value::Joiner(at) => {
                arguments.none()?;
                let (separator, used) = &mut self.joiners[*at];
                match std::mem::replace(used, true) {
                    true => separator.clone(),
                    false => Value::text(""),
                }
            }
            Value::Undefined(name) => {
                return Err(format!("{name} is undefined and cannot be called"));
            }
            other => return Err(format!("{} cannot be called", other.type_name())),
        };
        self.budget.leave();
        Ok(result)
    }

    fn call_loop(&mut self, at: usize, items: &Value) -> Result<Value, TemplateError> {
        let state = &self.loops[at];
        let (node, depth, scope) = (state.node, state.depth + 1, state.scope);
        if !node.recursive {
            return Err(TemplateError::new("a loop that is not `recursive` is called"));
        }
        let text = self.captured(|machine| machine.run_loop(node, items, depth, scope))?;
        Ok(self.budget.text(text)?)
    }

    fn call_macro(&mut self, at: usize, arguments: Arguments) -> Result<Value, TemplateError> {
        let closure = &self.closures[at];
        let (definition, scope) = (closure.definition, closure.scope);
        let text = self.captured(|machine| {
            machine.in_scope_of(scope, |machine| {
                machine.bind_parameters(definition, arguments)?;
                machine.body(&definition.body).map(|_| ())
            })
        })?;
        Ok(self.budget.text(text)?)
    }
}

impl<'t> Machine<'t> {
    fn bind_parameters(
        &mut self,
        definition: &'t super::ast::Macro,
        arguments: Arguments,
    ) -> Outcome<()> {
        let reads = definition.reads;
        let mut positional = arguments.positional.into_iter();
        let mut named = arguments.named;
        for (name, default) in &definition.parameters {
            self.budget.steps(named.len() / 8)?;
            let by_name = named.iter().position(|(given, _)| **given == **name);
            let value = match (positional.next(), by_name, default) {
                (Some(_), Some(_), _) => return Err(format!("{name} is given twice")),
                (Some(value), ..) => value,
                (None, Some(at), _) => named.remove(at).1,
                (None, None, Some(default)) => self.evaluate(default)?,
                (None, None, None) => Value::undefined(format!("the parameter {name}")),
            };
            self.assign(name, value)?;
        }
        let caller = named.iter().position(|(name, _)| name == "caller");
        if reads.caller {
            let caller = caller.map(|at| named.remove(at).1);
            self.assign(
                &Arc::from("caller"),
                caller.unwrap_or_else(|| Value::undefined("caller")),
            )?;
        }
        let rest: Vec<Value> = positional.collect();
        let unexpected = || format!("{} takes no more than its parameters", definition.name);
        if reads.varargs {
            let rest = self.budget.tuple(rest)?;
            self.assign(&Arc::from("varargs"), rest)?;
        } else if !rest.is_empty() {
            return Err(unexpected());
        }
        if reads.kwargs {
            let pairs =
                named.into_iter().map(|(name, value)| (Value::text(&name), value)).collect();
            let rest = self.budget.dict(pairs)?;
            self.assign(&Arc::from("kwargs"), rest)?;
        } else if !named.is_empty() {
            return Err(unexpected());
        }
        Ok(())
    }
}
