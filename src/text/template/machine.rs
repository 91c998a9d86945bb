//! What a rendering holds while it runs: names, output, and everything that can change.

use std::collections::HashMap;
use std::sync::Arc;

use super::ast::{Comparison, For, Macro};
use super::budget::{Budget, Outcome};
use super::operators::{compare, equal, lookup};
use super::text::string_of;
use super::value::Value;

/// Names of one part of the template; where one is missing, `parent` is asked.
#[derive(Debug)]
struct Scope {
    parent: Option<usize>,
    names: HashMap<Arc<str>, Value>,
}

/// A macro and the names it sees.
#[derive(Debug, Clone)]
pub(super) struct Closure<'t> {
    pub(super) definition: &'t Macro,
    pub(super) scope: usize,
}

/// Where a loop stands.
#[derive(Debug)]
pub(super) struct LoopState<'t> {
    pub(super) node: &'t For,
    pub(super) items: Vec<Value>,
    pub(super) at: usize,
    pub(super) depth: usize,
    /// What `loop.changed` saw last.
    pub(super) seen: Option<Vec<Value>>,
    /// The names around the loop, for a loop that calls itself.
    pub(super) scope: usize,
}

/// Values to be given out in turn.
#[derive(Debug)]
pub(super) struct Cycle {
    pub(super) items: Vec<Value>,
    pub(super) at: usize,
}

/// The state of one rendering.
#[derive(Debug)]
pub(super) struct Machine<'t> {
    pub(super) budget: Budget,
    scopes: Vec<Scope>,
    pub(super) scope: usize,
    /// Scopes up to this one are seen by a macro and stay.
    pinned: usize,
    output: Vec<String>,
    pub(super) namespaces: Vec<Vec<(Value, Value)>>,
    pub(super) closures: Vec<Closure<'t>>,
    pub(super) loops: Vec<LoopState<'t>>,
    pub(super) cycles: Vec<Cycle>,
    pub(super) joiners: Vec<(Value, bool)>,
    /// What is left of each iterator, last first.
    iterators: Vec<Vec<Value>>,
    /// Whether a name that is not there is an error, and so is printing nothing.
    pub(super) is_strict: bool,
}

impl<'t> Machine<'t> {
    pub(super) fn new(budget: Budget, names: HashMap<Arc<str>, Value>) -> Self {
        Self {
            budget,
            scopes: vec![Scope { parent: None, names }],
            scope: 0,
            pinned: 0,
            output: vec![String::new()],
            namespaces: Vec::new(),
            closures: Vec::new(),
            loops: Vec::new(),
            cycles: Vec::new(),
            joiners: Vec::new(),
            iterators: Vec::new(),
            is_strict: false,
        }
    }

    pub(super) fn finish(mut self) -> String {
        self.output.pop().unwrap_or_default()
    }

    // Names.

    pub(super) fn find(&mut self, name: &str) -> Outcome<Option<Value>> {
        let (mut scope, mut asked) = (Some(self.scope), 0);
        while let Some(at) = scope {
            let Scope { parent, names } = &self.scopes[at];
            if let Some(value) = names.get(name) {
                self.budget.steps(asked / 4)?;
                return Ok(Some(value.clone()));
            }
            scope = *parent;
            asked += 1;
        }
        self.budget.steps(asked / 4)?;
        Ok(None)
    }

    pub(super) fn assign(&mut self, name: &Arc<str>, value: Value) -> Outcome<()> {
        let names = &mut self.scopes[self.scope].names;
        if let Some(old) = names.get_mut(name) {
            *old = value;
            return Ok(());
        }
        // A map has up to twice the room that it needs.
        self.budget.bytes(2 * size_of::<(Arc<str>, Value)>())?;
        names.insert(name.clone(), value);
        Ok(())
    }

    /// Runs `part` with names of its own above those of `parent`.
    pub(super) fn in_scope_of<T, E: From<String>>(
        &mut self,
        parent: usize,
        part: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.budget.bytes(size_of::<Scope>())?;
        let outside = self.scope;
        self.scopes.push(Scope { parent: Some(parent), names: HashMap::new() });
        self.scope = self.scopes.len() - 1;
        let result = part(self);
        if self.scope > self.pinned {
            self.scopes.truncate(self.scope);
        }
        self.scope = outside;
        result
    }

    /// Remembers a macro with the names it sees.
    pub(super) fn close_over(&mut self, definition: &'t Macro) -> Outcome<Value> {
        self.budget.bytes(size_of::<Closure>())?;
        self.pinned = self.pinned.max(self.scopes.len() - 1);
        self.closures.push(Closure { definition, scope: self.scope });
        Ok(Value::Macro(self.closures.len() - 1))
    }

    // Output.

    pub(super) fn print(&mut self, text: &str) -> Outcome<()> {
        self.budget.output(text.len())?;
        if let Some(output) = self.output.last_mut() {
            output.push_str(text);
        }
        Ok(())
    }

    /// What `part` prints, instead of printing it.
    pub(super) fn captured<E: From<String>>(
        &mut self,
        part: impl FnOnce(&mut Self) -> Result<(), E>,
    ) -> Result<String, E> {
        self.output.push(String::new());
        let result = part(self);
        let text = self.output.pop().unwrap_or_default();
        result.map(|()| text)
    }

    // Iteration.

    /// A value that gives these and then runs out.
    pub(super) fn iterator(&mut self, mut values: Vec<Value>) -> Outcome<Value> {
        self.budget.room(values.len())?;
        if let Some(deepest) = values.iter().max_by_key(|value| value.depth()) {
            // An iterator is no list, but what it gives must fit into one.
            self.budget.list(vec![deepest.clone()])?;
        }
        values.reverse();
        self.iterators.push(values);
        Ok(Value::Iterator(self.iterators.len() - 1))
    }

    pub(super) fn next_of(&mut self, iterator: usize) -> Option<Value> {
        self.iterators[iterator].pop()
    }

    /// What a loop over the value would see; an iterator is empty afterwards.
    pub(super) fn items(&mut self, value: &Value) -> Outcome<Vec<Value>> {
        let items = match value {
            Value::Undefined(_) => Vec::new(),
            Value::List(items) | Value::Tuple(items) => {
                self.budget.room(items.values.len())?;
                items.values.clone()
            }
            Value::Dict(entries) => {
                self.budget.room(entries.pairs.len())?;
                entries.pairs.iter().map(|(key, _)| key.clone()).collect()
            }
            Value::Str(text) => {
                self.budget.room(2 * text.len())?;
                let mut buffer = [0; 4];
                text.chars().map(|letter| Value::text(letter.encode_utf8(&mut buffer))).collect()
            }
            Value::Iterator(at) => {
                let mut values = std::mem::take(&mut self.iterators[*at]);
                values.reverse();
                values
            }
            other => return Err(format!("{} is not iterable", other.type_name())),
        };
        self.budget.steps(items.len() / 8)?;
        Ok(items)
    }

    // Comparison.

    pub(super) fn compare(
        &mut self,
        comparison: Comparison,
        left: &Value,
        right: &Value,
    ) -> Outcome<bool> {
        match comparison {
            Comparison::In => self.contains(right, left),
            Comparison::NotIn => Ok(!self.contains(right, left)?),
            other => compare(other, left, right, &mut self.budget),
        }
    }

    fn contains(&mut self, container: &Value, item: &Value) -> Outcome<bool> {
        match container {
            Value::Str(text) => {
                let part = item.as_str().ok_or_else(|| {
                    format!("`in` needs a text on the left of a text, not {}", item.type_name())
                })?;
                self.budget.steps((text.len() + part.len()) / 64)?;
                Ok(text.contains(part))
            }
            Value::Dict(_) | Value::Namespace(_) if !item.is_hashable() => {
                Err(format!("{} is no key", item.type_name()))
            }
            Value::Dict(entries) => Ok(lookup(&entries.pairs, item, &mut self.budget)?.is_some()),
            _ => {
                for value in self.items(container)? {
                    if equal(&value, item, &mut self.budget)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }

    pub(super) fn string(&mut self, value: &Value) -> Outcome<String> {
        string_of(value, &mut self.budget)
    }
}
