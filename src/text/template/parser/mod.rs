//! The tokens of a template as a tree: how far they are read, and how deep.

mod expression;
mod statements;

use std::sync::Arc;

use super::TemplateError;
use super::ast::{Body, SpecialNames};
use super::lexer::{Kind, Token, tokenize};

/// Blocks and brackets within one another; published templates have about ten.
const DEEPEST: usize = 100;

/// The tokens of a template, and how far they are read.
pub(super) struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// Special names read so far in the macro that is being parsed.
    special: SpecialNames,
}

/// Reads a whole template.
pub(super) fn parse(source: &str) -> Result<Body, TemplateError> {
    let tokens = tokenize(source)?;
    let mut parser = Parser { tokens, at: 0, depth: 0, special: SpecialNames::default() };
    let (body, _) = parser.body(&[])?;
    Ok(body)
}

impl Parser {
    pub(super) fn peek(&self) -> &Kind {
        &self.tokens[self.at].kind
    }

    fn second(&self) -> &Kind {
        // The last token is the end, and nobody looks behind it.
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].kind
    }

    pub(super) fn advance(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len() - 1);
    }

    pub(super) fn next(&mut self) -> Kind {
        let kind = self.peek().clone();
        self.advance();
        kind
    }

    fn line(&self) -> u32 {
        self.tokens[self.at].line
    }

    pub(super) fn is(&self, operator: &str) -> bool {
        matches!(self.peek(), Kind::Op(found) if *found == operator)
    }

    pub(super) fn second_is(&self, operator: &str) -> bool {
        matches!(self.second(), Kind::Op(found) if *found == operator)
    }

    pub(super) fn peek_is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Kind::Name(found) if found == name)
    }

    pub(super) fn peek_second_is_name(&self, name: &str) -> bool {
        matches!(self.second(), Kind::Name(found) if found == name)
    }

    pub(super) fn skip(&mut self, operator: &str) -> bool {
        let found = self.is(operator);
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn skip_name(&mut self, name: &str) -> bool {
        let found = self.peek_is_name(name);
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn require(&mut self, operator: &str) -> Result<(), TemplateError> {
        match self.skip(operator) {
            true => Ok(()),
            false => Err(self.unexpected_but(self.peek(), &format!("{operator:?}"))),
        }
    }

    pub(super) fn name(&mut self) -> Result<Arc<str>, TemplateError> {
        match self.next() {
            Kind::Name(name) => Ok(name.into()),
            other => Err(self.unexpected_but(&other, "a name")),
        }
    }

    pub(super) fn error(&self, problem: impl Into<String>) -> TemplateError {
        TemplateError::new(problem).at(self.line())
    }

    pub(super) fn unexpected(&self, found: &Kind) -> TemplateError {
        self.unexpected_but(found, "an expression")
    }

    fn unexpected_but(&self, found: &Kind, expected: &str) -> TemplateError {
        self.error(format!("found {} where {expected} was expected", described(found)))
    }

    /// Runs a part of the grammar that may hold itself.
    pub(super) fn deeper<T>(
        &mut self,
        part: impl FnOnce(&mut Self) -> Result<T, TemplateError>,
    ) -> Result<T, TemplateError> {
        if self.depth == DEEPEST {
            return Err(
                self.error(format!("more than {DEEPEST} brackets or blocks in one another"))
            );
        }
        self.depth += 1;
        let result = part(self);
        self.depth -= 1;
        result
    }

    pub(super) fn notice_special(&mut self, name: &str) {
        match name {
            "varargs" => self.special.varargs = true,
            "kwargs" => self.special.kwargs = true,
            "caller" => self.special.caller = true,
            _ => {}
        }
    }
}

fn described(kind: &Kind) -> String {
    match kind {
        Kind::Data(_) => "text".into(),
        Kind::VariableBegin => "{{".into(),
        Kind::VariableEnd => "}}".into(),
        Kind::BlockBegin => "{%".into(),
        Kind::BlockEnd => "%}".into(),
        Kind::Name(name) => name.chars().take(40).collect(),
        Kind::Text(text) => format!("{:?}", text.chars().take(40).collect::<String>()),
        Kind::Int(value) => value.to_string(),
        Kind::Float(value) => value.to_string(),
        Kind::Op(operator) => format!("{operator:?}"),
        Kind::End => "the end of the template".into(),
    }
}
