//! Words that make a number another one, or join a second one to it.

use std::sync::LazyLock;

use regex::Regex;

use crate::pattern::constant;

/// Numbers in words, their plurals, and the parts of a whole: `nine`, `lakh`, `bn`, `sevenths`.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    constant(concat!(
        r"(?i)^(?:zero|ones?|twos?|threes?|fours?|fives?|six(?:es)?|sevens?|eights?|nines?|tens?",
        r"|elevens?|twel(?:ve|fth)s?|(?:thir|four|fif|six|seven|eigh|nine)teen(?:s|ths?)?",
        r"|(?:twen|thir|for|fif|six|seven|eigh|nine)t(?:y|ies|ieths?)",
        r"|(?:four|fif|six|seven|eigh|nin|ten|eleven)ths?|thirds?|quarters?|hal(?:f|ves)",
        r"|(?:hundred|thousand|(?:m|b|tr|quadr|quint|sext)illion|milliard)(?:s|ths?)?",
        r"|lakhs?|lacs?|crores?|k|bn|mn|tn|mil|mln|bln|thou|grand|myriads?",
        r"|dozens?|scores?|gross|double|twice|thrice|triple|inf(?:inity)?|pi)$"
    ))
});
/// Operations, functions and their parts.
static OPERATION: LazyLock<Regex> = LazyLock::new(|| {
    constant(concat!(
        r"(?i)^(?:plus|minus|times|over|divided|multiplied|squared|cubed|factorial|power|raised",
        r"|(?:arc|a)?(?:sin|cos|tan|cot|sec|csc)h?|log|ln|lg|exp|sqrt|cbrt|root|choose|mod|modulo",
        r"|abs|gcd|lcm|max|min|base|remainder|recurring|repeating|negative)$"
    ))
});
/// What joins a second number, or compares with one.
static JOINT: LazyLock<Regex> =
    LazyLock::new(|| constant(r"(?i)^(?:or|nor|and|to|by|out|than|less|through|versus|vs|am|pm)$"));

/// Whether a word is a number of its own, or multiplies or divides the one beside it.
pub(super) fn is_number(word: &str) -> bool {
    NUMBER.is_match(word) || word.contains(is_power_of_ten)
}

/// Whether a word makes a term of the number beside it.
pub(super) fn is_operation(word: &str) -> bool {
    OPERATION.is_match(word)
}

/// Whether a word joins a second number to the one beside it, or compares it.
pub(super) fn is_joint(word: &str) -> bool {
    JOINT.is_match(word)
}

/// Whether a character multiplies the number before it, as `million` does.
fn is_power_of_ten(c: char) -> bool {
    "十百千万亿萬億兆만억".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_words_are_known_in_every_form() {
        let numbers = "nine nines ten tens twelve twelfths fourteen fourteenths twenty twentieth \
                       third thirds half halves quarter sixth sevenths elevenths hundred hundreds \
                       thousandths millions trillion lakh crore Crores bn mil dozen score gross 万";
        for word in numbers.split_whitespace() {
            assert!(is_number(word), "{word}");
        }
        for word in "apples seconds tenants length mile mm months forth oneness".split(' ') {
            assert!(!is_number(word) && !is_operation(word) && !is_joint(word), "{word}");
        }
    }

    #[test]
    fn operations_in_words_are_known() {
        for word in "plus times log ln sqrt arcsin factorial mod base choose".split(' ') {
            assert!(is_operation(word), "{word}");
        }
        for word in ["or", "than", "to", "and"] {
            assert!(is_joint(word), "{word}");
        }
    }
}
