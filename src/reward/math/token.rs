//! The signs of a formula, in LaTeX or as typed.

use num_rational::BigRational;

use super::names::Function;

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

/// Whether a letter of Unicode is a sign of mathematics.
pub(super) fn is_sign(c: char) -> bool {
    "πₙⁿ∞ℝ".contains(c)
        || ('α'..='ω').contains(&c)
        || "ΓΔΘΛΞΠΣΦΨΩ".contains(c)
        || "⁰¹²³⁴⁵⁶⁷⁸⁹ª".contains(c)
}

/// The sign that one character is.
pub(super) fn single(c: char) -> Option<Token> {
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
