//! Statements, by the grammar of jinja2's `parser.py`, with `break`, `continue` and `generation` as transformers adds
//! them.

use std::sync::Arc;

use super::super::TemplateError;
use super::super::ast::{Body, For, Macro, Node, Parameter, Statement, Suffix, Target};
use super::super::lexer::Kind;
use super::Parser;

impl Parser {
    /// Statements up to a tag of one of these names, which is read too; without names up to the end.
    pub(super) fn body(&mut self, ends: &[&str]) -> Result<(Body, String), TemplateError> {
        let mut body = Vec::new();
        loop {
            let line = self.line();
            match self.next() {
                Kind::Data(text) => body.push(Node { line, kind: Statement::Text(text.into()) }),
                Kind::VariableBegin => {
                    let kind = Statement::Emit(self.tuple()?);
                    self.end_of(&Kind::VariableEnd)?;
                    body.push(Node { line, kind });
                }
                Kind::End if ends.is_empty() => return Ok((body, String::new())),
                Kind::End => {
                    return Err(self
                        .error(format!("the template ends before {{% {} %}}", ends.join(" or "))));
                }
                _ => {
                    let name = self.name()?;
                    if ends.contains(&&*name) {
                        return Ok((body, name.to_string()));
                    }
                    let kind = self.deeper(|parser| parser.statement(&name, line))?;
                    body.push(Node { line, kind });
                }
            }
        }
    }

    fn end_of(&mut self, end: &Kind) -> Result<(), TemplateError> {
        match self.next() {
            found if found == *end => Ok(()),
            found => Err(self.unexpected_but(&found, "the end of the tag")),
        }
    }

    fn block_end(&mut self) -> Result<(), TemplateError> {
        self.end_of(&Kind::BlockEnd)
    }

    /// The rest of a block's opening tag is behind us: its body, up to and with its end.
    fn whole_body(&mut self, end: &str) -> Result<Body, TemplateError> {
        self.block_end()?;
        let (body, _) = self.body(&[end])?;
        self.block_end()?;
        Ok(body)
    }

    fn statement(&mut self, name: &str, line: u32) -> Result<Statement, TemplateError> {
        match name {
            "for" => self.for_loop(),
            "if" => self.condition(),
            "set" => self.set(),
            "with" => self.with(),
            "macro" => self.macro_definition(),
            "call" => self.call_block(),
            "filter" => {
                let filters = self.filter_chain()?;
                Ok(Statement::FilterBlock(filters, self.whole_body("endfilter")?))
            }
            "block" => self.block(),
            "generation" => Ok(Statement::Scope(self.whole_body("endgeneration")?)),
            "autoescape" => {
                self.expression()?;
                Ok(Statement::Scope(self.whole_body("endautoescape")?))
            }
            "print" => self.ended(Self::print),
            "break" => self.ended(|_| Ok(Statement::Break)),
            "continue" => self.ended(|_| Ok(Statement::Continue)),
            "include" | "import" | "extends" | "from" => Err(TemplateError::new(format!(
                "{{% {name} %}} reads another template, and a chat template stands alone"
            ))
            .at(line)),
            _ => Err(TemplateError::new(format!("unknown tag {name:?}")).at(line)),
        }
    }

    fn ended(
        &mut self,
        part: impl FnOnce(&mut Self) -> Result<Statement, TemplateError>,
    ) -> Result<Statement, TemplateError> {
        let statement = part(self)?;
        self.block_end()?;
        Ok(statement)
    }

    fn print(&mut self) -> Result<Statement, TemplateError> {
        let line = self.line();
        let mut body = vec![Node { line, kind: Statement::Emit(self.expression()?) }];
        while self.skip(",") {
            body.push(Node { line, kind: Statement::Emit(self.expression()?) });
        }
        Ok(Statement::Scope(body))
    }

    fn for_loop(&mut self) -> Result<Statement, TemplateError> {
        let target = self.targets()?;
        if !self.skip_name("in") {
            return Err(self.unexpected_but(self.peek(), "`in`"));
        }
        let items = self.tuple_of(Self::or)?;
        let condition = match self.skip_name("if") {
            true => Some(self.expression()?),
            false => None,
        };
        let recursive = self.skip_name("recursive");
        self.block_end()?;
        let (body, end) = self.body(&["endfor", "else"])?;
        let otherwise = match end == "else" {
            true => self.whole_body("endfor")?,
            false => {
                self.block_end()?;
                Vec::new()
            }
        };
        Ok(Statement::For(Box::new(For { target, items, condition, recursive, body, otherwise })))
    }

    fn condition(&mut self) -> Result<Statement, TemplateError> {
        let mut branches = Vec::new();
        loop {
            let condition = self.tuple_of(Self::expression)?;
            self.block_end()?;
            let (body, end) = self.body(&["elif", "else", "endif"])?;
            branches.push((condition, body));
            match end.as_str() {
                "elif" => {}
                "else" => return Ok(Statement::If(branches, self.whole_body("endif")?)),
                _ => return self.ended(|_| Ok(Statement::If(branches, Vec::new()))),
            }
        }
    }

    fn set(&mut self) -> Result<Statement, TemplateError> {
        let target = self.targets()?;
        if self.skip("=") {
            return self.ended(|parser| Ok(Statement::Set(target, parser.tuple()?)));
        }
        let filters = match self.skip("|") {
            true => self.filter_chain()?,
            false => Vec::new(),
        };
        Ok(Statement::SetBlock(target, filters, self.whole_body("endset")?))
    }

    fn filter_chain(&mut self) -> Result<Vec<Suffix>, TemplateError> {
        let mut filters = vec![self.filter()?];
        while self.skip("|") {
            filters.push(self.filter()?);
        }
        Ok(filters)
    }

    fn targets(&mut self) -> Result<Target, TemplateError> {
        let mut targets = vec![self.deeper(Self::target)?];
        let mut commas = false;
        while self.skip(",") {
            commas = true;
            if matches!(self.peek(), Kind::Op("=" | ")") | Kind::BlockEnd)
                || self.peek_is_name("in")
            {
                break;
            }
            targets.push(self.deeper(Self::target)?);
        }
        match targets.pop() {
            Some(only) if targets.is_empty() && !commas => Ok(only),
            last => Ok(Target::Tuple(targets.into_iter().chain(last).collect())),
        }
    }

    fn target(&mut self) -> Result<Target, TemplateError> {
        if self.skip("(") {
            let inner = self.targets()?;
            self.require(")")?;
            return Ok(inner);
        }
        let name = self.name()?;
        if ["true", "false", "none", "True", "False", "None"].contains(&&*name) {
            return Err(self.error(format!("cannot assign to {name}")));
        }
        match self.skip(".") {
            true => Ok(Target::Attribute(name, self.name()?)),
            false => Ok(Target::Name(name)),
        }
    }

    fn with(&mut self) -> Result<Statement, TemplateError> {
        let mut assigned = Vec::new();
        while *self.peek() != Kind::BlockEnd {
            if !assigned.is_empty() {
                self.require(",")?;
            }
            let target = self.deeper(Self::target)?;
            self.require("=")?;
            assigned.push((target, self.expression()?));
        }
        Ok(Statement::With(assigned, self.whole_body("endwith")?))
    }

    fn block(&mut self) -> Result<Statement, TemplateError> {
        self.name()?;
        self.skip_name("scoped");
        self.skip_name("required");
        self.block_end()?;
        let (body, _) = self.body(&["endblock"])?;
        if let Kind::Name(_) = self.peek() {
            self.advance();
        }
        self.ended(|_| Ok(Statement::Scope(body)))
    }

    fn macro_definition(&mut self) -> Result<Statement, TemplateError> {
        let name = self.name()?;
        let parameters = self.parameters()?;
        Ok(Statement::Macro(self.macro_body(name, parameters, "endmacro")?))
    }

    fn call_block(&mut self) -> Result<Statement, TemplateError> {
        let parameters = match self.is("(") {
            true => self.parameters()?,
            false => Vec::new(),
        };
        let call = self.expression()?;
        Ok(Statement::CallBlock(call, self.macro_body("caller".into(), parameters, "endcall")?))
    }

    fn macro_body(
        &mut self,
        name: Arc<str>,
        parameters: Vec<Parameter>,
        end: &str,
    ) -> Result<Arc<Macro>, TemplateError> {
        let outside = std::mem::take(&mut self.special);
        let body = self.whole_body(end)?;
        let reads = std::mem::replace(&mut self.special, outside);
        Ok(Arc::new(Macro { name, parameters, body, reads }))
    }

    fn parameters(&mut self) -> Result<Vec<Parameter>, TemplateError> {
        let mut parameters: Vec<Parameter> = Vec::new();
        self.require("(")?;
        while !self.skip(")") {
            let name = self.name()?;
            let default = match self.skip("=") {
                true => Some(self.expression()?),
                false if parameters.last().is_some_and(|(_, default)| default.is_some()) => {
                    return Err(
                        self.error("a parameter without a default follows one with a default")
                    );
                }
                false => None,
            };
            parameters.push((name, default));
            if !self.is(")") {
                self.require(",")?;
            }
        }
        Ok(parameters)
    }
}
