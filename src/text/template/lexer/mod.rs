//! A template's source as tokens, by the rules of jinja2's `lexer.py`.
//!
//! Blocks on lines of their own leave neither indentation nor line break (`lstrip_blocks`, `trim_blocks`), newlines are
//! normalised and one at the end is dropped, as transformers sets jinja2 up.

mod literals;

use super::TemplateError;

/// Bytes of the longest name: each look-up reads it whole.
const LONGEST_NAME: usize = 1000;

/// What a piece of the source is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// Text outside tags.
    Data(String),
    VariableBegin,
    VariableEnd,
    BlockBegin,
    BlockEnd,
    Name(String),
    Text(String),
    Int(i128),
    Float(f64),
    Op(&'static str),
    End,
}

/// A piece of the source and the line it begins on.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) line: u32,
}

/// Longest first, so that `**` is not read as two `*`.
const OPERATORS: [&str; 27] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}",
    ">", "<", "=", ".", ":", "|", ",", ";", "!",
];

pub(super) fn tokenize(source: &str) -> Result<Vec<Token>, TemplateError> {
    let source = normalised(source);
    let mut lexer = Lexer { rest: &source, line: 1, tokens: Vec::new(), at_line_start: true };
    while !lexer.rest.is_empty() {
        lexer.data()?;
    }
    lexer.push(Kind::End);
    Ok(lexer.tokens)
}

/// `\r\n` and `\r` are `\n`; one line break at the end is not text.
fn normalised(source: &str) -> String {
    let mut source = source.replace("\r\n", "\n").replace('\r', "\n");
    if source.ends_with('\n') {
        source.pop();
    }
    source
}

struct Lexer<'s> {
    rest: &'s str,
    line: u32,
    tokens: Vec<Token>,
    /// Whether what was read last ended a line.
    at_line_start: bool,
}

impl Lexer<'_> {
    fn push(&mut self, kind: Kind) {
        self.tokens.push(Token { kind, line: self.line });
    }

    fn error(&self, problem: impl Into<String>) -> TemplateError {
        TemplateError::new(problem).at(self.line)
    }

    fn advance(&mut self, bytes: usize) {
        let (read, rest) = self.rest.split_at(bytes);
        self.line += read.matches('\n').count() as u32;
        self.at_line_start = read.ends_with('\n');
        self.rest = rest;
    }

    /// Text up to the next tag, and that tag.
    fn data(&mut self) -> Result<(), TemplateError> {
        let begin =
            |at: &usize| ["{%", "{{", "{#"].iter().any(|tag| self.rest[*at..].starts_with(tag));
        let found = self.rest.match_indices('{').map(|(at, _)| at).find(begin);
        let at = found.unwrap_or(self.rest.len());
        let tag = self.rest.get(at..at + 2).unwrap_or_default().to_owned();
        let text = self.before_tag(at, &tag).to_owned();
        if !text.is_empty() {
            self.push(Kind::Data(text));
        }
        self.advance(at);
        match tag.as_str() {
            "{{" => self.variable(),
            "{%" => self.block(),
            "{#" => self.comment(),
            _ => Ok(()),
        }
    }

    /// The text before a tag, without the white space that the tag eats.
    fn before_tag(&self, at: usize, tag: &str) -> &str {
        let text = &self.rest[..at];
        match self.rest.as_bytes().get(at + 2) {
            Some(b'-') => return text.trim_end(),
            Some(b'+') => return text,
            _ if tag == "{{" || tag.is_empty() => return text,
            _ => {}
        }
        let line = text.rfind('\n').map_or(0, |newline| newline + 1);
        let own_line = line > 0 || self.at_line_start;
        match own_line && text[line..].chars().all(char::is_whitespace) {
            true => &text[..line],
            false => text,
        }
    }

    fn sign(&self) -> usize {
        usize::from(self.rest[2..].starts_with(['-', '+']))
    }

    fn comment(&mut self) -> Result<(), TemplateError> {
        let Some(end) = self.rest.find("#}") else {
            return Err(self.error("a comment {# has no end #}"));
        };
        let (sign, length) = match self.rest.as_bytes()[end - 1] {
            // `{#}` is no comment; its `#` cannot be both.
            sign @ (b'-' | b'+') if end > 2 => (Some(sign), end + 2),
            _ if end < 2 => return self.comment_after_hash(),
            _ => (None, end + 2),
        };
        self.advance(length);
        self.after_block(sign);
        Ok(())
    }

    fn comment_after_hash(&mut self) -> Result<(), TemplateError> {
        let Some(end) = self.rest[2..].find("#}") else {
            return Err(self.error("a comment {# has no end #}"));
        };
        let sign = Some(self.rest.as_bytes()[end + 1]).filter(|sign| b"-+".contains(sign));
        self.advance(end + 4);
        self.after_block(sign);
        Ok(())
    }

    /// What a block end eats behind it: all white space with `-`, nothing with `+`, else one line break.
    fn after_block(&mut self, sign: Option<u8>) {
        let eaten = match sign {
            Some(b'-') => self.rest.len() - self.rest.trim_start().len(),
            Some(_) => 0,
            None => usize::from(self.rest.starts_with('\n')),
        };
        if eaten > 0 {
            self.advance(eaten);
        }
    }

    fn block(&mut self) -> Result<(), TemplateError> {
        if let Some(length) = self.raw_tag(self.rest, "raw") {
            return self.raw(length);
        }
        self.push(Kind::BlockBegin);
        self.advance(2 + self.sign());
        self.code(Kind::BlockEnd, "%}")
    }

    fn variable(&mut self) -> Result<(), TemplateError> {
        self.push(Kind::VariableBegin);
        self.advance(2 + self.sign());
        self.code(Kind::VariableEnd, "}}")
    }

    /// The length of `{% word %}` at the beginning of `text`, without what its end eats.
    fn raw_tag(&self, text: &str, word: &str) -> Option<usize> {
        let inner = text.strip_prefix("{%")?;
        let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner).trim_start();
        let inner = inner.strip_prefix(word)?.trim_start();
        let sign = usize::from(inner.starts_with(['-', '+']));
        inner[sign..].starts_with("%}").then(|| text.len() - inner.len() + sign + 2)
    }

    fn raw(&mut self, length: usize) -> Result<(), TemplateError> {
        // Only `-` eats behind `{% raw %}`.
        let eats = self.rest[..length].ends_with("-%}");
        self.advance(length);
        if eats {
            self.after_block(Some(b'-'));
        }
        let ends = self.rest.match_indices("{%").map(|(at, _)| at);
        let end =
            ends.filter_map(|at| Some((at, self.raw_tag(&self.rest[at..], "endraw")?))).next();
        let Some((at, length)) = end else {
            // As in jinja2: with nothing behind it, nothing is missing.
            if self.rest.is_empty() {
                return Ok(());
            }
            return Err(self.error("{% raw %} has no {% endraw %}"));
        };
        let text = self.before_tag(at, "{%").to_owned();
        self.push(Kind::Data(text));
        let sign = Some(self.rest.as_bytes()[at + length - 3]).filter(|sign| b"-+".contains(sign));
        self.advance(at + length);
        self.after_block(sign);
        Ok(())
    }

    /// The tokens of a tag, up to its end; inside brackets the end is not looked for.
    fn code(&mut self, end: Kind, mark: &str) -> Result<(), TemplateError> {
        let mut open: Vec<&str> = Vec::new();
        loop {
            let space = self.rest.len() - self.rest.trim_start().len();
            self.advance(space);
            if open.is_empty() && self.tag_end(&end, mark) {
                return Ok(());
            }
            let kind = self.code_token()?;
            match kind {
                Kind::Op(bracket @ ("(" | "[" | "{")) => open.push(bracket),
                Kind::Op(bracket @ (")" | "]" | "}")) => self.close(&mut open, bracket)?,
                _ => {}
            }
        }
    }

    fn close(&self, open: &mut Vec<&str>, bracket: &str) -> Result<(), TemplateError> {
        match (open.pop(), bracket) {
            (Some("("), ")") | (Some("["), "]") | (Some("{"), "}") => Ok(()),
            _ => Err(self.error(format!("unexpected {bracket:?}"))),
        }
    }

    fn tag_end(&mut self, end: &Kind, mark: &str) -> bool {
        let block = *end == Kind::BlockEnd;
        let sign = self.rest.bytes().next().filter(|sign| *sign == b'-' || block && *sign == b'+');
        let sign = sign.filter(|_| self.rest[1..].starts_with(mark));
        if sign.is_none() && !self.rest.starts_with(mark) {
            return false;
        }
        self.push(end.clone());
        self.advance(mark.len() + usize::from(sign.is_some()));
        if block || sign.is_some() {
            self.after_block(sign);
        }
        true
    }

    fn code_token(&mut self) -> Result<Kind, TemplateError> {
        let Some(first) = self.rest.chars().next() else {
            return Err(self.error("the template ends inside a tag"));
        };
        let (kind, length) = match first {
            '\'' | '"' => self.string(first)?,
            '0'..='9' => self.number()?,
            _ if first.is_alphabetic() || first == '_' => self.name()?,
            _ => self.operator(first)?,
        };
        self.push(kind.clone());
        self.advance(length);
        Ok(kind)
    }

    fn name(&self) -> Result<(Kind, usize), TemplateError> {
        let part = |c: char| c.is_alphanumeric() || c == '_';
        let length = self.rest.find(|c| !part(c)).unwrap_or(self.rest.len());
        if length > LONGEST_NAME {
            return Err(self.error(format!("a name has more than {LONGEST_NAME} bytes")));
        }
        Ok((Kind::Name(self.rest[..length].to_owned()), length))
    }

    fn operator(&self, first: char) -> Result<(Kind, usize), TemplateError> {
        let found = OPERATORS.into_iter().find(|operator| self.rest.starts_with(operator));
        let operator = found.filter(|operator| *operator != "!");
        let operator =
            operator.ok_or_else(|| self.error(format!("unexpected character {first:?}")))?;
        Ok((Kind::Op(operator), operator.len()))
    }
}
