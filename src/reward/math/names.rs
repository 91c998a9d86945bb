//! What names of LaTeX and of plain text stand for.

use super::token::{Relation, Token};

/// A function of one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Function {
    Sin,
    Cos,
    Tan,
    Cot,
    Sec,
    Csc,
    Arcsin,
    Arccos,
    Arctan,
    Sinh,
    Cosh,
    Tanh,
    Ln,
    Log,
    Exp,
}

/// What a name stands for.
pub(super) enum Known {
    Token(Token),
    /// It only shapes the print.
    Nothing,
}

/// What a command of LaTeX stands for; none where we do not know it.
pub(super) fn known_command(name: &str) -> Option<Known> {
    Some(Known::Token(match name {
        "frac" | "dfrac" | "tfrac" | "cfrac" | "sfrac" | "nicefrac" => Token::Fraction,
        "sqrt" => Token::Root,
        "binom" | "dbinom" | "tbinom" => Token::Binomial,
        "choose" => Token::Choose,
        "over" => Token::Across,
        "times" | "cdot" | "ast" | "bullet" => Token::Times,
        "div" => Token::Over,
        "pm" => Token::PlusMinus,
        "mp" => Token::MinusPlus,
        "infty" => Token::Infinity,
        "cup" | "bigcup" => Token::Union,
        "setminus" | "backslash" => Token::Without,
        "emptyset" | "varnothing" => Token::EmptySet,
        "in" => Token::Relation(Relation::In),
        "le" | "leq" | "leqslant" | "leqq" => Token::Relation(Relation::AtMost),
        "ge" | "geq" | "geqslant" | "geqq" => Token::Relation(Relation::AtLeast),
        "lt" => Token::Relation(Relation::Less),
        "gt" => Token::Relation(Relation::More),
        "ne" | "neq" => Token::Relation(Relation::Unequal),
        "approx" | "simeq" | "doteq" => Token::Relation(Relation::About),
        "ldots" | "dots" | "cdots" | "dotsc" | "dotsb" | "dotsm" => Token::Dots,
        "sum" => Token::Sum(true),
        "prod" => Token::Sum(false),
        "land" | "lor" | "wedge" | "vee" => Token::Joint,
        "quad" | "qquad" => return Some(Known::Nothing),
        "circ" | "degree" => Token::Degree,
        "prime" => Token::Prime,
        "lfloor" => Token::OpenFloor(false),
        "rfloor" => Token::CloseFloor(false),
        "lceil" => Token::OpenFloor(true),
        "rceil" => Token::CloseFloor(true),
        "vert" | "lvert" | "rvert" | "mid" => Token::Bar,
        "langle" => Token::Open('<'),
        "rangle" => Token::Close('<'),
        "lbrace" => Token::Open('S'),
        "rbrace" => Token::Close('S'),
        "lbrack" => Token::Open('['),
        "rbrack" => Token::Close(']'),
        "overline" | "bar" => Token::Overline,
        "pmod" | "bmod" | "mod" => Token::Modulo,
        "colon" => Token::Colon,
        "percent" => Token::Percent,
        "left" | "right" | "bigl" | "bigr" | "Bigl" | "Bigr" | "big" | "Big" | "bigg" | "Bigg"
        | "biggl" | "biggr" | "Biggl" | "Biggr" | "middle" | "displaystyle" | "textstyle"
        | "scriptstyle" | "limits" | "nolimits" | "mathbf" | "boldsymbol" | "bm" | "mathit"
        | "mathcal" | "vec" | "hat" | "overrightarrow" | "boxed" | "fbox" | "pounds" | "euro"
        | "yen" | "underline" | "bf" | "it" | "mathstrut" | "strut" | "hfill" | "mathopen"
        | "mathclose" | "mathrel" | "mathord" | "thinspace" | "enspace" | "ensuremath"
        | "normalsize" | "large" | "Large" | "hline" | "centerdot" | "blacksquare"
        | "checkmark" | "square" | "widehat" | "dot" | "tilde" => {
            return Some(Known::Nothing);
        }
        _ => return function(name).map(Known::Token).or_else(|| letter(name)),
    }))
}

fn letter(name: &str) -> Option<Known> {
    let is_greek =
        GREEK.iter().any(|(_, greek)| *greek == name) || name.starts_with("var") && name.len() > 5;
    let is_letter = is_greek || ["ell", "hbar", "imath"].contains(&name);
    is_letter.then(|| {
        let plain =
            name.strip_prefix("var").filter(|rest| GREEK.iter().any(|(_, greek)| greek == rest));
        Known::Token(Token::Letter(plain.unwrap_or(name).to_owned()))
    })
}

fn function(name: &str) -> Option<Token> {
    use Function::*;
    Some(Token::Function(match name {
        "sin" => Sin,
        "cos" => Cos,
        "tan" | "tg" => Tan,
        "cot" | "ctg" | "cotan" => Cot,
        "sec" => Sec,
        "csc" | "cosec" => Csc,
        "arcsin" | "asin" => Arcsin,
        "arccos" | "acos" => Arccos,
        "arctan" | "atan" | "arctg" => Arctan,
        "sinh" => Sinh,
        "cosh" => Cosh,
        "tanh" => Tanh,
        "ln" => Ln,
        "log" | "lg" => Log,
        "exp" => Exp,
        _ => return None,
    }))
}

/// What a plain word stands for; none for words that are no mathematics.
pub(super) fn known_word(word: &str) -> Option<Known> {
    Some(Known::Token(match word {
        "sqrt" | "Sqrt" => Token::Root,
        "pi" | "Pi" | "π" => Token::Letter("pi".into()),
        "inf" | "infinity" | "Infinity" | "oo" | "infty" | "∞" => Token::Infinity,
        "and" | "or" | "And" | "Or" | "AND" | "OR" => Token::Joint,
        "percent" | "pct" | "percentage" | "Percent" => Token::Percent,
        "degrees" | "degree" | "deg" => Token::Degree,
        "in" | "mod" => return None,
        "frac" => Token::Fraction,
        "cup" | "U" if word == "cup" => Token::Union,
        "times" => Token::Times,
        "orx" => return None,
        _ => match greek_word(word) {
            Some(token) => token,
            None => return function(word).map(Known::Token),
        },
    }))
}

fn greek_word(word: &str) -> Option<Token> {
    let known = ["alpha", "beta", "gamma", "theta", "lambda", "phi", "omega", "sigma"];
    known.contains(&word).then(|| Token::Letter(word.to_owned()))
}

const GREEK: [(char, &str); 36] = [
    ('α', "alpha"),
    ('β', "beta"),
    ('γ', "gamma"),
    ('δ', "delta"),
    ('ε', "epsilon"),
    ('ζ', "zeta"),
    ('η', "eta"),
    ('θ', "theta"),
    ('ι', "iota"),
    ('κ', "kappa"),
    ('λ', "lambda"),
    ('μ', "mu"),
    ('ν', "nu"),
    ('ξ', "xi"),
    ('ο', "omicron"),
    ('π', "pi"),
    ('ρ', "rho"),
    ('ς', "sigma"),
    ('σ', "sigma"),
    ('τ', "tau"),
    ('υ', "upsilon"),
    ('φ', "phi"),
    ('χ', "chi"),
    ('ψ', "psi"),
    ('ω', "omega"),
    ('Γ', "Gamma"),
    ('Δ', "Delta"),
    ('Θ', "Theta"),
    ('Λ', "Lambda"),
    ('Ξ', "Xi"),
    ('Π', "Pi"),
    ('Σ', "Sigma"),
    ('Φ', "Phi"),
    ('Ψ', "Psi"),
    ('Ω', "Omega"),
    ('ϕ', "phi"),
];

/// The name of a Greek letter.
pub(super) fn greek(c: char) -> String {
    GREEK
        .iter()
        .find(|(letter, _)| *letter == c)
        .map_or_else(|| c.to_string(), |(_, name)| (*name).to_owned())
}
