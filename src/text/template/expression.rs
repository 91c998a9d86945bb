//! Expressions, by the grammar of jinja2's `parser.py`.

use std::sync::Arc;

use super::TemplateError;
use super::ast::{Arguments, Comparison, Expr, Operator, Suffix};
use super::lexer::Kind;
use super::parser::Parser;
use super::value::Value;

type Parsed = Result<Expr, TemplateError>;

impl Parser {
    /// An expression, with `if` and `else`.
    pub(super) fn expression(&mut self) -> Parsed {
        self.deeper(Self::conditional)
    }

    fn conditional(&mut self) -> Parsed {
        let mut result = self.or()?;
        let mut count = 0;
        while self.skip_name("if") {
            count += 1;
            if count > 10 {
                return Err(self.error("too many `if` in one expression"));
            }
            let condition = self.or()?;
            let otherwise = match self.skip_name("else") {
                true => Some(Box::new(self.expression()?)),
                false => None,
            };
            result = Expr::If(Box::new([condition, result]), otherwise);
        }
        Ok(result)
    }

    /// Without a trailing `if`, as the part of a loop before its condition.
    pub(super) fn or(&mut self) -> Parsed {
        let first = self.and()?;
        let mut parts = vec![first];
        while self.skip_name("or") {
            parts.push(self.and()?);
        }
        Ok(single_or(parts, Expr::Or))
    }

    fn and(&mut self) -> Parsed {
        let mut parts = vec![self.not()?];
        while self.skip_name("and") {
            parts.push(self.not()?);
        }
        Ok(single_or(parts, Expr::And))
    }

    fn not(&mut self) -> Parsed {
        match self.skip_name("not") {
            true => Ok(Expr::Not(Box::new(self.deeper(Self::not)?))),
            false => self.compare(),
        }
    }

    fn compare(&mut self) -> Parsed {
        let first = self.sum()?;
        let mut rest = Vec::new();
        while let Some(comparison) = self.comparison() {
            rest.push((comparison, self.sum()?));
        }
        match rest.is_empty() {
            true => Ok(first),
            false => Ok(Expr::Compare(Box::new(first), rest)),
        }
    }

    fn comparison(&mut self) -> Option<Comparison> {
        let (comparison, tokens) = match self.peek() {
            Kind::Op("==") => (Comparison::Equal, 1),
            Kind::Op("!=") => (Comparison::NotEqual, 1),
            Kind::Op("<") => (Comparison::Less, 1),
            Kind::Op("<=") => (Comparison::LessOrEqual, 1),
            Kind::Op(">") => (Comparison::Greater, 1),
            Kind::Op(">=") => (Comparison::GreaterOrEqual, 1),
            Kind::Name(name) if name == "in" => (Comparison::In, 1),
            Kind::Name(name) if name == "not" && self.peek_second_is_name("in") => {
                (Comparison::NotIn, 2)
            }
            _ => return None,
        };
        (0..tokens).for_each(|_| self.advance());
        Some(comparison)
    }

    fn sum(&mut self) -> Parsed {
        self.math(Self::concat, &[("+", Operator::Add), ("-", Operator::Subtract)])
    }

    fn concat(&mut self) -> Parsed {
        let mut parts = vec![self.product()?];
        while self.skip("~") {
            parts.push(self.product()?);
        }
        Ok(single_or(parts, Expr::Concat))
    }

    fn product(&mut self) -> Parsed {
        const OPERATORS: [(&str, Operator); 4] = [
            ("*", Operator::Multiply),
            ("/", Operator::Divide),
            ("//", Operator::FloorDivide),
            ("%", Operator::Remainder),
        ];
        self.math(Self::power, &OPERATORS)
    }

    fn power(&mut self) -> Parsed {
        self.math(|parser| parser.unary(true), &[("**", Operator::Power)])
    }

    fn math(
        &mut self,
        operand: impl Fn(&mut Self) -> Parsed,
        operators: &[(&str, Operator)],
    ) -> Parsed {
        let first = operand(self)?;
        let mut rest = Vec::new();
        while let Some((_, operator)) = operators.iter().find(|(text, _)| self.is(text)) {
            self.advance();
            rest.push((*operator, operand(self)?));
        }
        match rest.is_empty() {
            true => Ok(first),
            false => Ok(Expr::Math(Box::new(first), rest)),
        }
    }

    fn unary(&mut self, with_filters: bool) -> Parsed {
        let value = if self.skip("-") {
            Expr::Signed(true, Box::new(self.deeper(|parser| parser.unary(false))?))
        } else if self.skip("+") {
            Expr::Signed(false, Box::new(self.deeper(|parser| parser.unary(false))?))
        } else {
            self.primary()?
        };
        let mut suffixes = self.postfix()?;
        if with_filters {
            suffixes.extend(self.filters_and_tests()?);
        }
        Ok(suffixed(value, suffixes))
    }

    pub(super) fn primary(&mut self) -> Parsed {
        match self.next() {
            Kind::Name(name) => Ok(match name.as_str() {
                "true" | "True" => Expr::Constant(Value::Bool(true)),
                "false" | "False" => Expr::Constant(Value::Bool(false)),
                "none" | "None" => Expr::Constant(Value::None),
                _ => {
                    self.notice_special(&name);
                    Expr::Name(name.into())
                }
            }),
            Kind::Text(mut text) => {
                while let Kind::Text(more) = self.peek() {
                    text += more;
                    self.advance();
                }
                Ok(Expr::Constant(Value::Str(text.into())))
            }
            Kind::Int(value) => Ok(Expr::Constant(Value::Int(value))),
            Kind::Float(value) => Ok(Expr::Constant(Value::Float(value))),
            Kind::Op("(") => self.deeper(Self::parenthesised),
            Kind::Op("[") => self.deeper(Self::list),
            Kind::Op("{") => self.deeper(Self::dict),
            other => Err(self.unexpected(&other)),
        }
    }

    fn parenthesised(&mut self) -> Parsed {
        if self.skip(")") {
            return Ok(Expr::Tuple(Vec::new()));
        }
        let inner = self.tuple()?;
        self.require(")")?;
        Ok(inner)
    }

    /// One expression, or several with commas between them, which are a tuple.
    pub(super) fn tuple(&mut self) -> Parsed {
        self.tuple_of(Self::expression)
    }

    pub(super) fn tuple_of(&mut self, part: impl Fn(&mut Self) -> Parsed) -> Parsed {
        let mut parts = vec![part(self)?];
        let mut commas = false;
        while self.skip(",") {
            commas = true;
            if self.ends_tuple() {
                break;
            }
            parts.push(part(self)?);
        }
        Ok(if commas { Expr::Tuple(parts) } else { single_or(parts, Expr::Tuple) })
    }

    fn ends_tuple(&self) -> bool {
        matches!(self.peek(), Kind::Op(")") | Kind::BlockEnd | Kind::VariableEnd)
            || self.peek_is_name("in")
            || self.peek_is_name("recursive")
    }

    fn list(&mut self) -> Parsed {
        let mut parts = Vec::new();
        while !self.skip("]") {
            parts.push(self.expression()?);
            if !self.is("]") {
                self.require(",")?;
            }
        }
        Ok(Expr::List(parts))
    }

    fn dict(&mut self) -> Parsed {
        let mut parts = Vec::new();
        while !self.skip("}") {
            let key = self.expression()?;
            self.require(":")?;
            parts.push((key, self.expression()?));
            if !self.is("}") {
                self.require(",")?;
            }
        }
        Ok(Expr::Dict(parts))
    }

    fn postfix(&mut self) -> Result<Vec<Suffix>, TemplateError> {
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

    fn filters_and_tests(&mut self) -> Result<Vec<Suffix>, TemplateError> {
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
    pub(super) fn filter(&mut self) -> Result<Suffix, TemplateError> {
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

    pub(super) fn arguments(&mut self) -> Result<Arguments, TemplateError> {
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

fn suffixed(value: Expr, suffixes: Vec<Suffix>) -> Expr {
    if suffixes.is_empty() { value } else { Expr::Suffixed(Box::new(value), suffixes) }
}

fn single_or(mut parts: Vec<Expr>, join: impl Fn(Vec<Expr>) -> Expr) -> Expr {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            join(parts)
        }
        None => join(parts),
    }
}
