//! What may stand after a number without making it another one: `cm^2`, `apples`, `%`.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::wording;
use crate::pattern::constant;

/// LaTeX's way to set words among formulas.
static WORDS: LazyLock<Regex> =
    LazyLock::new(|| constant(r"\\(?:text|textrm|textbf|mathrm|mbox|rm) *\{([^{}]*)\}"));
/// The power of a unit.
static POWER: LazyLock<Regex> =
    LazyLock::new(|| constant(r"([\p{L}°]) *(?:\^ *(?:\{ *-?[1-4] *\}|-?[1-4])|[\u{b2}\u{b3}])"));
static DEGREE: LazyLock<Regex> =
    LazyLock::new(|| constant(r"\^ *(?:\{ *(?:\\circ|°) *\}|\\circ)|\\degree"));
/// A number with a unit to a power, in a text.
static POWER_IN_TEXT: LazyLock<Regex> = LazyLock::new(|| {
    constant(concat!(
        r"([0-9}] *(?:\\(?:text|textrm|mathrm|mbox|rm) *\{[^{}0-9]{1,40}\}",
        r"|(?:[mcdk]?m|in|ft|yd|mi|inch(?:es)?|feet|foot|met(?:er|re)s?|units?)(?:/s)?))",
        r" *\^ *(?:\{ *-?[1-4] *\}|-?[1-4])"
    ))
});

/// Units that may stand right at the number, as in `25cm`.
const ABBREVIATED: [&str; 30] = [
    "mm", "cm", "dm", "km", "nm", "in", "ft", "yd", "mi", "mg", "kg", "lb", "lbs", "oz", "ml",
    "mL", "cl", "dl", "ms", "sec", "min", "hr", "hrs", "mph", "kph", "Hz", "kW", "kB", "MB", "GB",
];
/// Units of one letter, which stand apart: `5m` is a product, `5 m` a length. K may be thousands.
const LETTERS: [&str; 13] = ["m", "s", "h", "g", "l", "L", "N", "J", "W", "V", "C", "F", "d"];
/// Signs that stand between the letters of a unit, or after them: `m/s`, `man-hours`, `in.`
static JOINED_LETTERS: LazyLock<Regex> =
    LazyLock::new(|| constant(r"^(?:[ %°$€£¥]|/ ?\p{L}|\p{L}(?:\.|[-'’·/]\p{L})?|· ?\p{L})*$"));

/// Whether `rest`, which stands right after a number, leaves that number what it is.
pub(super) fn is_unit(rest: &str) -> bool {
    let bare = in_words(rest);
    let is_named = WORDS.is_match(rest);
    let is_glued = bare.starts_with(|c: char| c.is_alphabetic() || c == '/');
    JOINED_LETTERS.is_match(&bare)
        && bare
            .split(|c: char| !c.is_alphabetic())
            .filter(|word| !word.is_empty())
            .all(|word| is_word_of_unit(word, is_named, is_glued))
}

/// What LaTeX sets in words, as words; degrees as their sign; units without their powers.
pub(super) fn in_words(rest: &str) -> String {
    let words = words_of_latex(rest);
    let degrees = DEGREE.replace_all(&words, "°");
    POWER.replace_all(&degrees, "$1").into_owned()
}

/// What LaTeX sets in words, as words.
pub(super) fn words_of_latex(text: &str) -> Cow<'_, str> {
    WORDS.replace_all(text, " $1 ")
}

/// Whether a word can be a unit: one that LaTeX names so, or that stands right at the number.
pub(super) fn is_word_of_unit(word: &str, is_named: bool, is_glued: bool) -> bool {
    if wording::is_number(word) || wording::is_operation(word) || wording::is_joint(word) {
        return false;
    }
    // Letters of other scripts are words; those of Greek are variables.
    let is_foreign = word.chars().all(|c| c > '\u{3ff}');
    let long_enough = if is_glued { 4 } else { 2 };
    is_named
        || is_foreign
        || ABBREVIATED.contains(&word)
        || word.chars().count() >= long_enough
        || !is_glued && LETTERS.contains(&word)
}

/// The text without the powers of units, which are no numbers of their own: `25 cm^2` is 25.
pub(super) fn without_powers(text: &str) -> String {
    POWER_IN_TEXT.replace_all(text, "$1").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_leave_a_number_what_it_is() {
        for rest in [
            "",
            " cm^2",
            "cm^{2}",
            r" \text{ cm}^2",
            r"\,\mathrm{m/s^2}",
            " cm²",
            " km/h",
            " m",
            "%",
            "°",
            r"^\circ",
            r"^{\circ}C",
            "€",
            " apples",
            " square units",
            "apples",
            " dollars.",
            " м",
            "元",
            r"\text{ N}",
            " m s^{-1}",
        ] {
            let rest = crate::reward::numeral::plain(rest);
            assert!(is_unit(&rest), "{rest}");
        }
    }

    #[test]
    fn what_makes_another_number_is_no_unit() {
        for rest in [
            "x",
            "xy",
            "i",
            " i",
            " x",
            r"\pi",
            "π",
            " pi",
            "^2",
            "/2",
            ":4",
            ", 2",
            r"\sqrt{2}",
            "!",
            " or 6",
            " million",
            "万",
            r"\text{ or }6",
            " + x",
            "_2",
            " - 5i",
            r"\text{ thousand}",
            " to 1",
            "(x)",
            "e6",
            "m",
            "^{10}",
            "...",
            "-",
            " thousands",
            " sixth",
            " sevenths",
            " elevenths",
            " thousandths",
            " lakh",
            " crore",
            " bn",
            " mil",
            " K",
            " base nine",
            " recurring",
        ] {
            assert!(!is_unit(rest), "{rest}");
        }
    }
}
