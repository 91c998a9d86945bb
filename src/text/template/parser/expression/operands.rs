//! What operators and filters stand beside: names, literals, tuples, lists and dicts.

use super::super::super::ast::Expr;
use super::super::super::lexer::Kind;
use super::super::super::value::Value;
use super::super::Parser;
use super::{Parsed, single_or};

impl Parser {
    pub(in crate::text::template::parser) fn primary(&mut self) -> Parsed {
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
    pub(in crate::text::template::parser) fn tuple(&mut self) -> Parsed {
        self.tuple_of(Self::expression)
    }

    pub(in crate::text::template::parser) fn tuple_of(
        &mut self,
        part: impl Fn(&mut Self) -> Parsed,
    ) -> Parsed {
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
}
