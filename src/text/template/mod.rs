//! Chat templates: jinja2's language, as far as transformers lets a chat template use it.
//!
//! A template comes with a model from anywhere, so it is run by a machine that counts: every value it makes, every
//! step it takes and how deep it goes are charged to a [`Budget`], and what goes beyond ends in an error instead
//! of in a full memory. No library for Rust bounds what one operation may make (`s ~ s` forty times), and none
//! answers as jinja2 does where it matters (`none is iterable`, `%`), so the machine is ours.
//!
//! Where jinja2 and this differ: numbers have 128 bits, a template reads no other template, text that is
//! marked safe is plain text, and `pprint`, `random`, `urlize`, `wordwrap` and `xmlattr` are not there.
//!
//! Source: Jinja 3.1, `lexer.py`, `parser.py`, `runtime.py`, `filters.py`, `tests.py`, `sandbox.py`; transformers,
//! `utils/chat_template_utils.py`. `tests/fixtures/templates/make.py` holds both against each other.

mod ast;
mod budget;
mod call;
mod dates;
mod evaluate;
mod execute;
mod filters;
mod format;
mod functions;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod hostile;
mod json;
mod lexer;
mod machine;
mod methods;
mod operators;
mod parser;
mod predicates;
mod text;
mod value;

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use budget::{Budget, Outcome};
use machine::Machine;
use value::Value;

/// Letters of the longest message of an error.
const LONGEST_MESSAGE: usize = 500;

/// What stands before a line's number.
const PLACE: &str = "(chat_template:";

/// A parsed template.
#[derive(Debug)]
pub(super) struct Template {
    body: ast::Body,
}

/// What is wrong with a template, and on which line.
#[derive(Debug)]
pub(super) struct TemplateError {
    message: String,
    line: Option<u32>,
}

impl TemplateError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), line: None }
    }

    /// The line, if none is known yet: the innermost is the one to name.
    fn at(self, line: u32) -> Self {
        Self { line: self.line.or(Some(line)), ..self }
    }
}

impl From<String> for TemplateError {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A template may name things, and raise messages, as long as it likes.
        let end = self
            .message
            .char_indices()
            .nth(LONGEST_MESSAGE)
            .map_or(self.message.len(), |(at, _)| at);
        f.write_str(&self.message[..end])?;
        // A macro's error, which its call passes on, has its line already.
        match self.line.filter(|_| !self.message.contains(PLACE)) {
            Some(line) => write!(f, " {PLACE}{line})"),
            None => Ok(()),
        }
    }
}

impl Template {
    /// Reads a template.
    pub(super) fn parse(source: &str) -> Result<Self, TemplateError> {
        Ok(Self { body: parser::parse(source)? })
    }

    /// The text of a template with these names; one that is not among them is nothing.
    pub(super) fn render(&self, names: &Map<String, Json>) -> Result<String, TemplateError> {
        self.run(names, false)
    }

    /// The same, where a name that is not among them is an error.
    pub(super) fn render_strictly(
        &self,
        names: &Map<String, Json>,
    ) -> Result<String, TemplateError> {
        self.run(names, true)
    }

    fn run(&self, names: &Map<String, Json>, is_strict: bool) -> Result<String, TemplateError> {
        let mut budget = Budget::new();
        let named = |(name, value): (&String, &Json)| {
            Ok((Arc::from(name.as_str()), from_json(value, &mut budget)?))
        };
        let names = names.iter().map(named).collect::<Outcome<_>>()?;
        let mut machine = Machine::new(budget, names);
        machine.is_strict = is_strict;
        machine.body(&self.body)?;
        Ok(machine.finish())
    }
}

fn from_json(value: &Json, budget: &mut Budget) -> Outcome<Value> {
    budget.enter()?;
    let value = match value {
        Json::Null => Value::None,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Value::Int(whole.into()),
            (_, Some(whole)) => Value::Int(whole.into()),
            _ => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => budget.text(text.as_str())?,
        Json::Array(values) => {
            let values =
                values.iter().map(|value| from_json(value, budget)).collect::<Outcome<_>>()?;
            budget.list(values)?
        }
        Json::Object(pairs) => {
            let pair = |(key, value): (&String, &Json)| {
                Ok((budget.text(key.as_str())?, from_json(value, budget)?))
            };
            let pairs = pairs.iter().map(pair).collect::<Outcome<_>>()?;
            budget.dict(pairs)?
        }
    };
    budget.leave();
    Ok(value)
}
