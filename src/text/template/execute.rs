//! Statements, executed.

use std::sync::Arc;

use super::TemplateError;
use super::ast::{Body, Expr, For, Macro, Node, Statement, Suffix, Target};
use super::budget::Outcome;
use super::machine::{LoopState, Machine};
use super::value::Value;

/// Whether a body went to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    On,
    Break,
    Continue,
}

type Executed = Result<Flow, TemplateError>;

impl<'t> Machine<'t> {
    pub(super) fn body(&mut self, body: &'t Body) -> Executed {
        for node in body {
            self.budget.enter()?;
            let flow = self.node(node).map_err(|error| error.at(node.line))?;
            self.budget.leave();
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn node(&mut self, node: &'t Node) -> Executed {
        match &node.kind {
            Statement::Text(text) => self.print(text)?,
            Statement::Emit(expression) => self.emit(expression)?,
            Statement::For(node) => {
                let items = self.evaluate(&node.items)?;
                self.run_loop(node, &items, 0, self.scope)?;
            }
            Statement::If(branches, otherwise) => return self.branch(branches, otherwise),
            Statement::Set(target, expression) => {
                let value = self.evaluate(expression)?;
                self.assign_to(target, value)?;
            }
            Statement::SetBlock(target, filters, body) => {
                let value = self.filtered_body(filters, body)?;
                self.assign_to(target, value)?;
            }
            Statement::FilterBlock(filters, body) => {
                let value = self.filtered_body(filters, body)?;
                let text = self.string(&value)?;
                self.print(&text)?;
            }
            Statement::With(assigned, body) => return self.with(assigned, body),
            Statement::Macro(definition) => {
                let value = self.close_over(definition)?;
                self.assign(&definition.name, value)?;
            }
            Statement::CallBlock(call, definition) => self.call_block(call, definition)?,
            Statement::Scope(body) => {
                return self.in_scope_of(self.scope, |machine| machine.body(body));
            }
            Statement::Break => return Ok(Flow::Break),
            Statement::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn emit(&mut self, expression: &'t Expr) -> Outcome<()> {
        let value = self.evaluate(expression)?;
        match &value {
            Value::Str(text) => self.print(text),
            Value::Undefined(name) if self.is_strict => Err(format!("{name} is undefined")),
            Value::None if self.is_strict => {
                Err("a value is null here; write {{ name or '' }} where that may be".into())
            }
            other => {
                let text = self.string(other)?;
                self.print(&text)
            }
        }
    }

    fn branch(&mut self, branches: &'t [(Expr, Body)], otherwise: &'t Body) -> Executed {
        for (condition, body) in branches {
            if self.evaluate(condition)?.is_true() {
                return self.body(body);
            }
        }
        self.body(otherwise)
    }

    fn with(&mut self, assigned: &'t [(Target, Expr)], body: &'t Body) -> Executed {
        let values: Vec<Value> =
            assigned.iter().map(|(_, value)| self.evaluate(value)).collect::<Outcome<_>>()?;
        self.in_scope_of(self.scope, |machine| {
            for ((target, _), value) in assigned.iter().zip(values) {
                machine.assign_to(target, value)?;
            }
            machine.body(body)
        })
    }

    fn filtered_body(
        &mut self,
        filters: &'t [Suffix],
        body: &'t Body,
    ) -> Result<Value, TemplateError> {
        let text = self.captured(|machine| {
            machine.in_scope_of(machine.scope, |machine| machine.body(body).map(|_| ()))
        })?;
        let text = self.budget.text(text)?;
        Ok(self.suffixes(text, filters)?)
    }

    pub(super) fn assign_to(&mut self, target: &Target, value: Value) -> Outcome<()> {
        match target {
            Target::Name(name) => self.assign(name, value),
            Target::Attribute(name, attribute) => {
                let Some(Value::Namespace(at)) = self.find(name)? else {
                    return Err(format!(
                        "cannot assign to an attribute of {name}, which is no namespace"
                    ));
                };
                self.set_attribute(at, attribute, value)
            }
            Target::Tuple(targets) => self.unpack(targets, &value),
        }
    }

    pub(super) fn set_attribute(
        &mut self,
        namespace: usize,
        name: &str,
        value: Value,
    ) -> Outcome<()> {
        let pairs = &mut self.namespaces[namespace];
        self.budget.steps(pairs.len() / 8)?;
        match pairs.iter_mut().find(|(key, _)| key.as_str() == Some(name)) {
            Some((_, old)) => *old = value,
            None => {
                let key = self.budget.text(name)?;
                pairs.push((key, value));
            }
        }
        Ok(())
    }

    fn unpack(&mut self, targets: &[Target], value: &Value) -> Outcome<()> {
        let items = match value {
            Value::Undefined(name) => return Err(format!("{name} is undefined")),
            other => self.items(other)?,
        };
        if items.len() != targets.len() {
            return Err(format!("{} values for {} names", items.len(), targets.len()));
        }
        targets.iter().zip(items).try_for_each(|(target, item)| self.assign_to(target, item))
    }

    /// Runs a loop; `depth` counts calls of a loop by itself.
    pub(super) fn run_loop(
        &mut self,
        node: &'t For,
        items: &Value,
        depth: usize,
        scope: usize,
    ) -> Result<(), TemplateError> {
        let items = self.items(items)?;
        let items = self.chosen(node, items, scope)?;
        if items.is_empty() {
            return self.in_scope_of(scope, |machine| machine.body(&node.otherwise).map(|_| ()));
        }
        self.budget.bytes(size_of::<LoopState>())?;
        let at = self.loops.len();
        let count = items.len();
        self.loops.push(LoopState { node, items, at: 0, depth, seen: None, scope });
        for index in 0..count {
            self.budget.steps(1)?;
            self.loops[at].at = index;
            if self.iteration(node, at, scope)? == Flow::Break {
                break;
            }
        }
        // Whoever kept the loop sees its end, not its items.
        Ok(())
    }

    fn iteration(&mut self, node: &'t For, at: usize, scope: usize) -> Executed {
        let state = &self.loops[at];
        let item = state.items[state.at].clone();
        self.in_scope_of(scope, |machine| {
            machine.assign(&Arc::from("loop"), Value::Loop(at))?;
            machine.assign_to(&node.target, item)?;
            machine.body(&node.body)
        })
    }

    /// The items that the loop's condition holds for.
    fn chosen(&mut self, node: &'t For, items: Vec<Value>, scope: usize) -> Outcome<Vec<Value>> {
        let Some(condition) = &node.condition else { return Ok(items) };
        let mut chosen = Vec::new();
        for item in items {
            let holds = self.in_scope_of(scope, |machine| {
                machine.assign_to(&node.target, item.clone())?;
                machine.evaluate(condition)
            })?;
            if holds.is_true() {
                chosen.push(item);
            }
        }
        Ok(chosen)
    }

    fn call_block(&mut self, call: &'t Expr, definition: &'t Macro) -> Result<(), TemplateError> {
        let caller = self.close_over(definition)?;
        let Expr::Suffixed(value, suffixes) = call else {
            return Err(TemplateError::new("{% call %} needs a call of a macro"));
        };
        let Some((Suffix::Call(arguments), before)) = suffixes.split_last() else {
            return Err(TemplateError::new("{% call %} needs a call of a macro"));
        };
        let value = self.evaluate(value)?;
        let called = self.suffixes(value, before)?;
        let mut arguments = self.arguments(arguments)?;
        arguments.named.push(("caller".into(), caller));
        let result = self.call(&called, arguments)?;
        let text = self.string(&result)?;
        Ok(self.print(&text)?)
    }
}
