//! The signs of a formula, in LaTeX or as typed.

use std::sync::LazyLock;

use ::regex::Regex;
use num_bigint::BigInt;
use num_rational::BigRational;

use super::names::{Function, Known, known_command, known_word};
use super::numeral;
use super::text::NARROW;
use super::units::is_named_unit;
use crate::pattern::constant;

/// A longer text is no formula.
const MOST_BYTES: usize = 6000;
/// Nor is one of more signs.
const MOST_TOKENS: usize = 2000;
/// Words within words, such as `\text{\text{a}}`, as deep as anyone writes them.
const MOST_NESTED: usize = 8;

/// A numeral: its value, and its digits where it was written with a decimal point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Numeral {
    pub(super) value: BigRational,
    /// The digits alone, without a point.
    pub(super) digits: String,
    /// How many of them stand behind the point.
    pub(super) decimals: usize,
}

/// What compares two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    About,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
    In,
}

/// A sign of a formula.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Number(Numeral),
    /// A letter, Latin or by name.
    Letter(String),
    /// A word among formulas: a unit, a name, an answer in words.
    Word(String),
    Function(Function),
    /// `( [ { \{ <`, told apart by that character; `{` groups, and `S` opens a set.
    Open(char),
    Close(char),
    Relation(Relation),
    Plus,
    Minus,
    Times,
    Over,
    Power,
    Below,
    PlusMinus,
    MinusPlus,
    Comma,
    Semicolon,
    /// `and`, `or` between answers.
    Joint,
    Colon,
    Bar,
    Factorial,
    Percent,
    Degree,
    Prime,
    Union,
    Without,
    Infinity,
    Reals,
    EmptySet,
    Fraction,
    Root,
    Binomial,
    Choose,
    /// TeX's `{a \over b}`.
    Across,
    Sum(bool),
    Begin(String),
    End,
    Cell,
    Row,
    Dots,
    OpenFloor(bool),
    CloseFloor(bool),
    Overline,
    Modulo,
}

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

struct Lexer {
    text: String,
    chars: Vec<char>,
    at: usize,
    tokens: Vec<Token>,
    nested: usize,
    decimal_comma: bool,
}

impl Lexer {
    /// Reads up to `end` characters.
    fn run(&mut self, end: usize) -> Option<()> {
        while self.at < self.chars.len().min(end) {
            self.next()?;
            if self.tokens.len() > MOST_TOKENS {
                return None;
            }
        }
        Some(())
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn push(&mut self, token: Token) {
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

    fn word(&mut self) -> Option<()> {
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

    fn command(&mut self) -> Option<()> {
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

/// Whether a letter of Unicode is a sign of mathematics.
fn is_sign(c: char) -> bool {
    "πₙⁿ∞ℝ".contains(c)
        || ('α'..='ω').contains(&c)
        || "ΓΔΘΛΞΠΣΦΨΩ".contains(c)
        || "⁰¹²³⁴⁵⁶⁷⁸⁹ª".contains(c)
}

/// The sign that one character is.
fn single(c: char) -> Option<Token> {
    Some(match c {
        '+' => Token::Plus,
        '-' => Token::Minus,
        '*' | '×' | '·' | '⋅' | '∙' | '∗' | '•' => Token::Times,
        '/' | '÷' | '∕' | '⁄' => Token::Over,
        '^' => Token::Power,
        '_' => Token::Below,
        '±' => Token::PlusMinus,
        '∓' => Token::MinusPlus,
        ',' => Token::Comma,
        ';' => Token::Semicolon,
        ':' => Token::Colon,
        '|' => Token::Bar,
        '!' => Token::Factorial,
        '%' => Token::Percent,
        '°' => Token::Degree,
        '\'' => Token::Prime,
        '(' | '[' | '{' => Token::Open(c),
        ')' | ']' | '}' => Token::Close(c),
        '⟨' => Token::Open('<'),
        '⟩' => Token::Close('<'),
        '=' => Token::Relation(Relation::Equal),
        '<' => Token::Relation(Relation::Less),
        '>' => Token::Relation(Relation::More),
        '≤' | '⩽' | '≦' => Token::Relation(Relation::AtMost),
        '≥' | '⩾' | '≧' => Token::Relation(Relation::AtLeast),
        '≠' => Token::Relation(Relation::Unequal),
        '≈' | '≃' => Token::Relation(Relation::About),
        '∈' => Token::Relation(Relation::In),
        '∪' => Token::Union,
        '∖' => Token::Without,
        '∞' => Token::Infinity,
        '∅' => Token::EmptySet,
        'ℝ' => Token::Reals,
        '√' => Token::Root,
        '…' | '⋯' => Token::Dots,
        '&' => Token::Cell,
        '⌊' => Token::OpenFloor(false),
        '⌋' => Token::CloseFloor(false),
        '⌈' => Token::OpenFloor(true),
        '⌉' => Token::CloseFloor(true),
        'α'..='ω' | 'Γ' | 'Δ' | 'Θ' | 'Λ' | 'Ξ' | 'Π' | 'Σ' | 'Φ' | 'Ψ' | 'Ω' => {
            Token::Letter(super::names::greek(c))
        }
        _ => return None,
    })
}
