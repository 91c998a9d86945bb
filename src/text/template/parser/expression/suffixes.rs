//! What follows a value: attributes, subscripts, calls, filters and tests.

use std::sync::Arc;

use super::super::super::TemplateError;
use super::super::super::ast::{Arguments, Expr, Suffix};
use super::super::super::lexer::Kind;
use super::super::super::value::Value;
use super::super::Parser;

impl Parser {
    pub(super) fn postfix(&mut self) -> Result<Vec<Suffix>, TemplateError> {
        let mut suffixes = Vec::new();
        loop {
            if self.skip(".") {
                suffixes.push(self.attribute()?);
            } else if self.skip("[") {
                suffixes.push(self.deeper(Self::subscript)?);
            } else if self.is("(") {
                suffixes.push(Suffix::Call(self.arguments()?));
            } else {
                return Ok(suffixes);
            }
        }
    }

    fn attribute(&mut self) -> Result<Suffix, TemplateError> {
        match self.next() {
            Kind::Name(name) => Ok(Suffix::Attribute(name.into())),
            Kind::Int(index) => Ok(Suffix::Item(Box::new(Expr::Constant(Value::Int(index))))),
            other => Err(self.unexpected(&other)),
        }
    }

    fn subscript(&mut self) -> Result<Suffix, TemplateError> {
        let mut bounds: [Option<Expr>; 3] = [None, None, None];
        let mut at = 0;
        while !self.skip("]") {
            if self.is(":") && at < 2 {
                self.advance();
                at += 1;
            } else if bounds[at].is_none() {
                bounds[at] = Some(self.tuple()?);
            } else {
                let found = self.next();
                return Err(self.unexpected(&found));
            }
        }
        match (at, bounds) {
            (0, [Some(item), None, None]) => Ok(Suffix::Item(Box::new(item))),
            (0, _) => Err(self.error("a subscript is empty")),
            (_, bounds) => Ok(Suffix::Slice(Box::new(bounds))),
        }
    }

    pub(super) fn filters_and_tests(&mut self) -> Result<Vec<Suffix>, TemplateError> {
        let mut suffixes = Vec::new();
        loop {
            if self.skip("|") {
                suffixes.push(self.filter()?);
            } else if self.skip_name("is") {
                suffixes.push(self.test()?);
            } else if self.is("(") {
                suffixes.push(Suffix::Call(self.arguments()?));
            } else {
                return Ok(suffixes);
            }
        }
    }

    /// A filter's name and arguments, the `|` behind us.
    pub(in crate::text::template::parser) fn filter(&mut self) -> Result<Suffix, TemplateError> {
        let name = self.dotted_name()?;
        let arguments = match self.is("(") {
            true => self.arguments()?,
            false => Arguments::default(),
        };
        Ok(Suffix::Filter(name, arguments))
    }

    fn dotted_name(&mut self) -> Result<Arc<str>, TemplateError> {
        let mut name = self.name()?.to_string();
        while self.skip(".") {
            name = format!("{name}.{}", self.name()?);
        }
        Ok(name.into())
    }

    fn test(&mut self) -> Result<Suffix, TemplateError> {
        let negated = self.skip_name("not");
        let name = self.dotted_name()?;
        if self.peek_is_name("is") {
            return Err(self.error("one test follows another; use `and`"));
        }
        let arguments = if self.is("(") {
            self.arguments()?
        } else if self.begins_test_argument() {
            let argument = self.primary()?;
            let suffixes = self.postfix()?;
            Arguments { positional: vec![suffixed(argument, suffixes)], ..Arguments::default() }
        } else {
            Arguments::default()
        };
        Ok(Suffix::Test(name, arguments, negated))
    }

    fn begins_test_argument(&self) -> bool {
        match self.peek() {
            Kind::Name(name) => !["else", "or", "and", "if", "not", "in"].contains(&name.as_str()),
            Kind::Text(_) | Kind::Int(_) | Kind::Float(_) | Kind::Op("[" | "{") => true,
            _ => false,
        }
    }

    pub(in crate::text::template::parser) fn arguments(
        &mut self,
    ) -> Result<Arguments, TemplateError> {
        self.deeper(Self::argument_list)
    }

    fn argument_list(&mut self) -> Result<Arguments, TemplateError> {
        let mut arguments = Arguments::default();
        self.require("(")?;
        while !self.skip(")") {
            if self.skip("**") {
                arguments.double_star = Some(Box::new(self.expression()?));
            } else if self.skip("*") {
                arguments.star = Some(Box::new(self.expression()?));
            } else if let Some(name) = self.argument_name() {
                arguments.named.push((name, self.expression()?));
            } else if arguments.named.is_empty() && arguments.star.is_none() {
                arguments.positional.push(self.expression()?);
            } else {
                return Err(self.error("an argument without a name follows one with a name"));
            }
            if !self.is(")") {
                self.require(",")?;
            }
        }
        Ok(arguments)
    }

    fn argument_name(&mut self) -> Option<Arc<str>> {
        let Kind::Name(name) = self.peek() else { return None };
        let name = name.as_str().into();
        self.second_is("=").then(|| {
            self.advance();
            self.advance();
            name
        })
    }
}

pub(super) fn suffixed(value: Expr, suffixes: Vec<Suffix>) -> Expr {
    if suffixes.is_empty() { value } else { Expr::Suffixed(Box::new(value), suffixes) }
}
