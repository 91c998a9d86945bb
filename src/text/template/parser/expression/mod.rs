//! Expressions, by the grammar of jinja2's `parser.py`: operators, from those that bind least.

mod operands;
mod suffixes;

use super::super::TemplateError;
use super::super::ast::{Comparison, Expr, Operator};
use super::super::lexer::Kind;
use super::Parser;
use suffixes::suffixed;

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
