//! Numbers as people and LaTeX write them.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::decimal::Decimal;
use crate::pattern::constant;

/// A sign, perhaps apart; dollars; thousands between commas or plain digits, and decimals; a power
/// of ten, as `e3` or as `× 10^3`.
static NUMERAL: LazyLock<Regex> = LazyLock::new(|| {
    constant(concat!(
        r"(?:([-+])( {0,2}))?(?:\$ ?)?(-?)",
        r"(?:([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.([0-9]+))?|\.([0-9]+))",
        r"(?:[eE]([-+]?[0-9]{1,5})\b",
        r"| ?(?:×|\\times|\\cdot|·|\*|x) ?10 ?\^ ?(?:\{ ?([-+]?[0-9]{1,5}) ?\}|([-+]?[0-9]{1,5})))?",
    ))
});
/// Groups of thousands that a narrow space sets apart.
static SPACED_GROUP: LazyLock<Regex> =
    LazyLock::new(|| constant(r"([0-9])(?:\\,|[\u{a0}\u{2007}\u{2009}\u{202f}])([0-9]{3})"));
/// Where ten digits of other scripts begin.
const ZEROS: [char; 10] = [
    '\u{660}',
    '\u{6f0}',
    '\u{966}',
    '\u{9e6}',
    '\u{e50}',
    '\u{1d7ce}',
    '\u{1d7d8}',
    '\u{1d7e2}',
    '\u{1d7ec}',
    '\u{1d7f6}',
];
/// Words after which a dash is a sign and does not join.
const VERBS: [&str; 6] = ["is", "are", "be", "equals", "gives", "to"];

/// A numeral of a text.
pub(super) struct Found<'a> {
    /// None beyond the most digits that a number may have.
    pub(super) number: Option<Decimal>,
    /// What stands before it, with a dash or plus that joins it to that and without its own sign.
    pub(super) before: &'a str,
    /// What stands after it.
    pub(super) after: &'a str,
}

/// The numeral that a text begins with.
pub(super) fn first(text: &str) -> Option<Found<'_>> {
    let parts = NUMERAL.captures(text)?;
    let found = parts.get(0).filter(|found| found.start() == 0)?;
    let number = decimal(&parts, part(&parts, 1) == "-");
    Some(Found { number, before: "", after: &text[found.end()..] })
}

/// The last numeral of a text: of `12-34` it is 34, of `= -34` it is -34.
pub(super) fn last(text: &str) -> Option<Found<'_>> {
    let found = NUMERAL.find_iter(text).last()?;
    let parts = NUMERAL.captures(found.as_str())?;
    let before = &text[..found.start()];
    let joins = if part(&parts, 2).is_empty() { joins(before) } else { joins_apart(before) };
    let number = decimal(&parts, part(&parts, 1) == "-" && !joins);
    let before = if joins { &text[..found.start() + part(&parts, 1).len()] } else { before };
    Some(Found { number, before, after: &text[found.end()..] })
}

/// The last numeral as the text writes it, with its sign where that does not join it to the text before.
pub(super) fn last_text(text: &str) -> Option<&str> {
    let found = NUMERAL.find_iter(text).last()?;
    let written = found.as_str();
    let is_joined = joins(&text[..found.start()]);
    Some(if is_joined { written.trim_start_matches(['+', '-', ' ']) } else { written })
}

fn part<'a>(parts: &Captures<'a>, group: usize) -> &'a str {
    parts.get(group).map_or("", |part| part.as_str())
}

fn decimal(parts: &Captures<'_>, negative: bool) -> Option<Decimal> {
    let exponent = [7, 8, 9].map(|group| part(parts, group)).concat();
    // At most five digits were matched.
    let exponent = if exponent.is_empty() { 0 } else { exponent.parse().ok()? };
    let fraction = [part(parts, 5), part(parts, 6)].concat();
    let whole = part(parts, 4).replace(',', "");
    Decimal::new(negative || part(parts, 3) == "-", &whole, &fraction, exponent)
}

/// Whether a dash right before a number joins it to the text before.
fn joins(before: &str) -> bool {
    before.ends_with(|c: char| c.is_alphanumeric() || ")]}".contains(c))
}

/// The same for a dash with a space after it, which also begins an item of a list.
fn joins_apart(before: &str) -> bool {
    let before = before.trim_end_matches(' ');
    let is_item = before.ends_with('\n') && !before.trim().is_empty();
    let word = before.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    is_item || joins(before) && !VERBS.contains(&word.to_lowercase().as_str())
}

/// The text with one writing for each sign and digit: full-width forms and digits of other scripts
/// as ASCII, LaTeX's spaces and escapes as what they print, `10{,}000` as `10,000`.
pub(super) fn plain(text: &str) -> String {
    let text: String = text.chars().map(ascii).collect();
    let text = text.replace("{,}", ",").replace("\\!", "");
    let text = SPACED_GROUP.replace_all(&text, "$1,$2");
    let text = text.replace(['\u{a0}', '\u{2007}', '\u{2009}', '\u{202f}'], " ");
    if !text.contains('\\') {
        return text;
    }
    let text = text.replace("\\$", "$").replace("\\%", "%");
    let text = text.replace("\\left", "").replace("\\right", "");
    ["\\,", "\\;", "\\:", "\\ "].iter().fold(text, |text, space| text.replace(space, " "))
}

fn ascii(c: char) -> char {
    let zero = ZEROS.iter().rfind(|zero| **zero <= c).map(|zero| c as u32 - *zero as u32);
    match c {
        '\u{3000}' => ' ',
        '\u{2212}' | '\u{fe63}' | '\u{2013}' => '-',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        _ => zero.and_then(|value| char::from_digit(value, 10)).unwrap_or(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<f64> {
        last(&plain(text)).and_then(|found| found.number).map(|number| number.value())
    }

    #[test]
    fn the_last_number_is_found_however_it_is_written() {
        for (text, expected) in [
            ("first 3, then 46", 46.0),
            ("the answer is 72.", 72.0),
            ("costs $1,234.50 in all.", 1234.5),
            ("-$5", -5.0),
            ("$-5", -5.0),
            ("\u{2212}7", -7.0),
            ("12-34=-22", -22.0),
            ("12-34", 34.0),
            ("(1+2)-3", 3.0),
            ("#### 1,000,000", 1_000_000.0),
            ("1,23", 23.0),
            ("007.50", 7.5),
            (".5", 0.5),
            ("+8", 8.0),
            ("50%", 50.0),
            ("-0", 0.0),
            ("naïve 9", 9.0),
        ] {
            assert_eq!(value(text), Some(expected), "{text}");
        }
        assert_eq!(value("no number - at all."), None);
    }

    #[test]
    fn a_sign_may_stand_apart() {
        for (text, expected) in [
            ("- 12", -12.0),
            ("x = - 12", -12.0),
            ("The answer is - 12", -12.0),
            ("\u{2212} 12", -12.0),
            ("- $12", -12.0),
            ("5 - 12", 12.0),
            ("(5) - 12", 12.0),
            ("Total - 12", 12.0),
            ("In all:\n- 12", 12.0),
        ] {
            assert_eq!(value(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn powers_of_ten_belong_to_the_number() {
        for (text, expected) in [
            ("2e3", 2000.0),
            ("2.5E-1", 0.25),
            (r"2.5 \times 10^6", 2_500_000.0),
            (r"2.5 \cdot 10^{-1}", 0.25),
            ("3×10^2", 300.0),
            ("3 * 10 ^ 2", 300.0),
            ("2e3x", 3.0),
        ] {
            assert_eq!(value(text), Some(expected), "{text}");
        }
        assert_eq!(value("1e99999"), None);
    }

    #[test]
    fn digits_and_signs_of_any_width_are_the_same() {
        for text in ["１２", "\u{661}\u{662}", "\u{967}\u{968}", "\u{1d7d9}\u{1d7da}", "＋１２．０"]
        {
            assert_eq!(value(text), Some(12.0), "{text}");
        }
        assert_eq!(value("－１，０００"), Some(-1000.0));
    }

    #[test]
    fn thousands_of_latex_are_thousands() {
        for text in
            ["10{,}000", r"10,\!000", r"10\,000", "10\u{202f}000", r"\$10,000", "$10{,}000$"]
        {
            assert_eq!(value(text), Some(10_000.0), "{text}");
        }
    }
}
