//! Words and commands among the signs of a formula.

use std::sync::LazyLock;

use ::regex::Regex;

use super::lexer::Lexer;
use super::names::{Known, known_command, known_word};
use super::token::{Token, is_sign, single};
use super::units::is_named_unit;
use crate::pattern::constant;

/// Words within words, such as `\text{\text{a}}`, as deep as anyone writes them.
const MOST_NESTED: usize = 8;

/// A unit with its powers: `m/s^2`.
static UNIT: LazyLock<Regex> = LazyLock::new(|| {
    constant(concat!(
        r"^\s*[A-Za-z]+(?:\^?\{?-?[1-4]\}?)?(?:(?:\s|/|\\cdot|·)+[A-Za-z]+(?:\^?\{?-?[1-4]\}?)?)+\s*$",
        r"|^\s*(?:[cmkd]?m|in|ft|yd|mi)\^?\{?[23]\}?\s*$"
    ))
});

/// Words of a sentence, and no names of functions.
static PROSE: LazyLock<Regex> =
    LazyLock::new(|| constant(r"(?:^|[^\\A-Za-z{])([A-Z]?[a-z]{3,})(?:[^A-Za-z]|$)"));

impl Lexer {
    pub(super) fn word(&mut self) -> Option<()> {
        let letters: String = self.chars[self.at..]
            .iter()
            .take_while(|c| c.is_alphabetic() && !is_sign(**c))
            .collect();
        let count = letters.chars().count();
        let is_unit = count == 1 && self.is_unit_apart(&letters);
        self.at += count;
        match known_word(&letters) {
            Some(known) if !is_unit => self.known(known),
            _ if count == 1 && !is_unit && letters.is_ascii() => self.push(Token::Letter(letters)),
            None if count > 1 && self.is_product(&letters) => {
                self.tokens.extend(letters.chars().map(|letter| Token::Letter(letter.to_string())));
            }
            _ => self.push(Token::Word(letters)),
        }
        Some(())
    }

    /// Whether letters in a row are a product of unknowns, as in `2xy`, and no word.
    fn is_product(&self, letters: &str) -> bool {
        let is_short = letters.len() <= 3 && letters.is_ascii();
        let is_word =
            ["is", "the", "no", "yes", "for", "not", "all", "in", "to", "of", "per", "odd", "if"]
                .contains(&letters.to_lowercase().as_str());
        let in_formula =
            self.chars.iter().any(|c| c.is_ascii_digit() || "\\^=+-/*(<>".contains(*c));
        let is_prose =
            || PROSE.captures_iter(&self.text).any(|word| known_word(&word[1]).is_none());
        is_short && !is_word && in_formula && !is_named_unit(letters) && !is_prose()
    }

    /// Whether a letter is a unit: it stands apart behind a number and ends a text without formulas.
    fn is_unit_apart(&self, letter: &str) -> bool {
        let before = &self.chars[..self.at];
        let is_apart = before.last() == Some(&' ')
            && before.iter().rev().find(|c| **c != ' ').is_some_and(char::is_ascii_digit);
        let rest = &self.chars[self.at + 1..];
        if letter == "m" && before.last().is_some_and(char::is_ascii_digit) {
            return rest == ['²'] || rest == ['³'];
        }
        let ends = rest.iter().all(|c| " ./²³^0123456789hs".contains(*c));
        let is_plain = !before.iter().any(|c| c.is_alphabetic() || "\\=".contains(*c));
        is_apart && ends && is_plain && "mshglLNJWVCFdK".contains(letter)
    }

    fn known(&mut self, known: Known) {
        match known {
            Known::Token(token) => self.push(token),
            Known::Nothing => {}
        }
    }

    pub(super) fn command(&mut self) -> Option<()> {
        self.at += 1;
        let name: String =
            self.chars[self.at..].iter().take_while(|c| c.is_ascii_alphabetic()).collect();
        if name.is_empty() {
            return self.escaped();
        }
        self.at += name.len();
        if self.peek(0) == Some('*') {
            self.at += 1;
        }
        match name.as_str() {
            "text" | "textrm" | "textbf" | "textit" | "textsf" | "texttt" | "textnormal"
            | "mathrm" | "mbox" | "hbox" | "operatorname" | "mathsf" | "mathtt" | "rm"
            | "textup" => self.words(&name),
            "begin" => self.environment(),
            "end" => {
                self.group()?;
                self.push(Token::End);
                Some(())
            }
            "mathbb" | "Bbb" => self.blackboard(),
            // A delimiter that prints nothing.
            "left" | "right" if self.peek(0) == Some('.') => {
                self.at += 1;
                Some(())
            }
            _ => {
                let known = known_command(&name)?;
                self.known(known);
                Some(())
            }
        }
    }

    fn escaped(&mut self) -> Option<()> {
        let c = self.peek(0)?;
        self.at += 1;
        match c {
            '\\' => {
                // A length may follow the end of a row.
                self.push(Token::Row);
            }
            '{' => self.push(Token::Open('S')),
            '}' => self.push(Token::Close('S')),
            '%' => self.push(Token::Percent),
            '|' => self.push(Token::Bar),
            ' ' | ',' | ';' | ':' | '!' | '$' | '(' | ')' | '[' | ']' | '\n' | '&' | '#' | '_'
            | '/' | '"' => {}
            _ => return None,
        }
        Some(())
    }

    /// The text of the group that comes next.
    fn group(&mut self) -> Option<String> {
        while self.peek(0) == Some(' ') {
            self.at += 1;
        }
        if self.peek(0) != Some('{') {
            return None;
        }
        let mut depth = 0_usize;
        let start = self.at + 1;
        while let Some(c) = self.peek(0) {
            self.at += 1;
            match c {
                '{' => depth += 1,
                '}' if depth == 1 => return Some(self.chars[start..self.at - 1].iter().collect()),
                '}' => depth -= 1,
                _ => {}
            }
        }
        None
    }

    /// Words that LaTeX sets; digits and formulas among them are read as such.
    fn words(&mut self, command: &str) -> Option<()> {
        let Some(content) = self.group() else {
            // `\rm cm`, `\text cm`.
            return (command == "rm").then_some(());
        };
        self.nested += 1;
        if self.nested > MOST_NESTED {
            return None;
        }
        let is_formula = content.chars().any(|c| c.is_ascii_digit() || "\\$=<>".contains(c))
            && !UNIT.is_match(&content);
        let is_math = command.starts_with("math") || command == "operatorname";
        if is_formula {
            self.inner(&content)?;
        } else {
            self.plain_words(&content, is_math);
        }
        self.nested -= 1;
        Some(())
    }

    fn inner(&mut self, content: &str) -> Option<()> {
        let chars = content.chars().collect();
        let (nested, decimal_comma) = (self.nested, self.decimal_comma);
        let mut lexer = Lexer {
            text: content.to_owned(),
            chars,
            at: 0,
            tokens: Vec::new(),
            nested,
            decimal_comma,
        };
        lexer.run(usize::MAX)?;
        self.tokens.extend(lexer.tokens);
        Some(())
    }

    fn plain_words(&mut self, content: &str, is_math: bool) {
        for piece in content.split(|c: char| c.is_whitespace() || "/-.~".contains(c)) {
            let word =
                piece.trim_matches(|c: char| !c.is_alphanumeric() && !"()[]%°,;:€£$".contains(c));
            let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
            let count = bare.chars().count();
            for c in word.chars().take_while(|c| !c.is_alphanumeric()) {
                self.tokens.extend(single(c));
            }
            match known_word(bare) {
                Some(known @ Known::Token(Token::Joint | Token::Percent | Token::Degree)) => {
                    self.known(known)
                }
                Some(known) if is_math && count > 0 => self.known(known),
                _ if is_math && count == 1 && !self.is_behind_number(bare) => {
                    self.push(Token::Letter(bare.to_owned()));
                }
                _ if count > 0 => self.push(Token::Word(bare.to_owned())),
                _ => {}
            }
            if count > 0 {
                for c in word.chars().rev().take_while(|c| !c.is_alphanumeric()) {
                    self.tokens.extend(single(c));
                }
            }
        }
    }

    /// Whether an upright letter is the unit of a number: `5\,\mathrm{m}`.
    fn is_behind_number(&self, letter: &str) -> bool {
        let is_number = matches!(self.tokens.last(), Some(Token::Number(_) | Token::Word(_)));
        is_number && !["e", "i", "d", "x", "y"].contains(&letter)
    }

    fn environment(&mut self) -> Option<()> {
        let name = self.group()?;
        let name = name.trim_end_matches('*').to_owned();
        match name.as_str() {
            "array" => {
                self.group()?;
                self.push(Token::Begin("matrix".into()));
            }
            "pmatrix" | "bmatrix" | "matrix" | "smallmatrix" | "Bmatrix" => {
                self.push(Token::Begin("matrix".into()))
            }
            _ => return None,
        }
        Some(())
    }

    fn blackboard(&mut self) -> Option<()> {
        let letter = match self.group() {
            Some(letter) => letter,
            None => {
                let letter = self.peek(0)?.to_string();
                self.at += 1;
                letter
            }
        };
        self.push(match letter.trim() {
            "R" => Token::Reals,
            other => Token::Word(format!("set of {other}")),
        });
        Some(())
    }
}
