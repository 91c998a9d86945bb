//! From characters to signs.

use num_bigint::BigInt;
use num_rational::BigRational;

use super::numeral;
use super::text::NARROW;
use super::token::{Numeral, Relation, Token, is_sign, single};

/// A longer text is no formula.
const MOST_BYTES: usize = 6000;
/// Nor is one of more signs.
const MOST_TOKENS: usize = 2000;
/// The signs of a text; none where it is too long or holds what no formula does. A comma as in `2,75`
/// is the decimal one where that is asked for, else it parts two numbers.
pub(super) fn tokens(text: &str, decimal_comma: bool) -> Option<Vec<Token>> {
    if text.len() > MOST_BYTES {
        return None;
    }
    let chars = text.chars().collect();
    let mut lexer =
        Lexer { text: text.to_owned(), chars, at: 0, tokens: Vec::new(), nested: 0, decimal_comma };
    lexer.run(usize::MAX)?;
    Some(lexer.tokens)
}

/// Where the reading of a text stands.
pub(super) struct Lexer {
    pub(super) text: String,
    pub(super) chars: Vec<char>,
    pub(super) at: usize,
    pub(super) tokens: Vec<Token>,
    pub(super) nested: usize,
    pub(super) decimal_comma: bool,
}

impl Lexer {
    /// Reads up to `end` characters.
    pub(super) fn run(&mut self, end: usize) -> Option<()> {
        while self.at < self.chars.len().min(end) {
            self.next()?;
            if self.tokens.len() > MOST_TOKENS {
                return None;
            }
        }
        Some(())
    }

    pub(super) fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    pub(super) fn push(&mut self, token: Token) {
        self.tokens.push(token);
    }

    fn next(&mut self) -> Option<()> {
        let c = self.peek(0)?;
        if c.is_ascii_digit() || c == '.' && self.peek(1).is_some_and(|c| c.is_ascii_digit()) {
            return self.number();
        }
        if c == '\\' {
            return self.command();
        }
        if c.is_alphabetic() && !is_sign(c) {
            return self.word();
        }
        if c == '.' {
            return self.point();
        }
        if "<>=!:*".contains(c) && self.doubled(c) {
            return Some(());
        }
        self.at += 1;
        if let Some(token) = single(c) {
            self.push(token);
            return Some(());
        }
        self.special(c)
    }

    fn special(&mut self, c: char) -> Option<()> {
        match c {
            ' ' | '\n' | NARROW | '$' | '€' | '£' | '¥' | '₹' | '"' | '`' | '?' => {}
            '½' | '⅓' | '⅔' | '¼' | '¾' | '⅕' | '⅖' | '⅗' | '⅘' | '⅙' | '⅚' | '⅛' | '⅜' | '⅝'
            | '⅞' => {
                self.vulgar(c)?;
            }
            '∛' | '∜' => {
                self.push(Token::Root);
                self.push(Token::Open('['));
                self.small_number(if c == '∛' { 3 } else { 4 });
                self.push(Token::Close(']'));
            }
            '⁰' | '¹' | '²' | '³' | '⁴'..='⁹' | '⁻' | 'ⁿ' => {
                self.script(c, Token::Power)?
            }
            '₀'..='₉' => self.script(c, Token::Below)?,
            _ => return None,
        }
        Some(())
    }

    fn small_number(&mut self, value: i64) {
        let value = BigRational::from_integer(BigInt::from(value));
        let digits = value.to_string();
        self.push(Token::Number(Numeral { value, digits, decimals: 0 }));
    }

    /// `½` as a fraction, so that `4½` is a mixed number.
    fn vulgar(&mut self, c: char) -> Option<()> {
        let (above, below) = numeral::vulgar(c)?;
        self.push(Token::Fraction);
        for part in [above, below] {
            self.push(Token::Open('{'));
            self.small_number(part);
            self.push(Token::Close('}'));
        }
        Some(())
    }

    /// `x²` and `a₁₂`: all of them in a row make one.
    fn script(&mut self, first: char, kind: Token) -> Option<()> {
        let mut written = String::from(numeral::of_script(first)?);
        while let Some(c) = self.peek(0).and_then(numeral::of_script) {
            written.push(c);
            self.at += 1;
        }
        self.push(kind);
        self.push(Token::Open('{'));
        for c in written.chars() {
            match c {
                '-' => self.push(Token::Minus),
                'n' => self.push(Token::Letter("n".into())),
                _ => {}
            }
        }
        let digits: String = written.chars().filter(char::is_ascii_digit).collect();
        if let Ok(value) = digits.parse() {
            self.small_number(value);
        }
        self.push(Token::Close('}'));
        Some(())
    }

    fn doubled(&mut self, c: char) -> bool {
        let token = match (c, self.peek(1)) {
            ('<', Some('=')) | ('=', Some('<')) => Token::Relation(Relation::AtMost),
            ('>', Some('=')) => Token::Relation(Relation::AtLeast),
            ('!', Some('=')) => Token::Relation(Relation::Unequal),
            ('=', Some('=')) | (':', Some('=')) => Token::Relation(Relation::Equal),
            ('*', Some('*')) => Token::Power,
            _ => return false,
        };
        self.at += 2;
        self.push(token);
        true
    }

    /// A full stop ends a sentence at the end, and three of them go on.
    fn point(&mut self) -> Option<()> {
        let dots = self.chars[self.at..].iter().take_while(|c| **c == '.').count();
        self.at += dots;
        let ends = self.chars[self.at..].iter().all(|c| c.is_whitespace() || "$*".contains(*c));
        match dots {
            1 if ends
                || self.tokens.last().is_some_and(|token| matches!(token, Token::Word(_))) =>
            {
                Some(())
            }
            // A point before a bracket or command may begin repeated digits.
            1 => None,
            _ => {
                self.push(Token::Dots);
                Some(())
            }
        }
    }

    fn number(&mut self) -> Option<()> {
        let is_bracketed = self.is_in_list();
        let (numeral, length) =
            numeral::read(&self.chars[self.at..], is_bracketed, self.decimal_comma)?;
        self.at += length;
        self.push(Token::Number(numeral));
        Some(())
    }

    /// Whether a comma between digits here parts a list, as in `(1,234)`, and not thousands.
    fn is_in_list(&self) -> bool {
        let mut depth = 0_usize;
        let mut start = None;
        for at in (0..self.at).rev() {
            match self.chars[at] {
                ')' | ']' | '}' => depth += 1,
                '(' | '[' | '{' if depth == 0 => {
                    start = Some(at);
                    break;
                }
                '(' | '[' | '{' => depth -= 1,
                _ => {}
            }
            if self.at - at > 400 {
                break;
            }
        }
        let Some(start) = start else { return false };
        let is_argument = self.chars[start] == '{'
            && start > 0
            && (self.chars[start - 1].is_alphabetic() || "}^_]".contains(self.chars[start - 1]));
        !is_argument && !self.has_loose_comma(start)
    }

    /// Whether the bracket opened at `start` parts its items by a comma and a space.
    fn has_loose_comma(&self, start: usize) -> bool {
        let mut depth = 0_usize;
        for at in start + 1..self.chars.len().min(start + 400) {
            match self.chars[at] {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' if depth == 0 => return false,
                ')' | ']' | '}' => depth -= 1,
                ';' if depth == 0 => return true,
                ',' if depth == 0 && self.chars.get(at + 1).is_some_and(|c| *c == ' ') => {
                    return true;
                }
                _ => {}
            }
        }
        false
    }
}
