//! Methods that look at each letter and take nothing: other cases, and questions.

use super::super::super::predicates::cased;

/// Methods that give another text and take nothing.
pub(super) const TURNS: [&str; 6] =
    ["lower", "casefold", "upper", "capitalize", "title", "swapcase"];

/// Bytes that a text has at most in another case: `ΐ` has two, and six as capitals.
pub(in crate::text::template) fn most_in_another_case(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.len().saturating_mul(3) }
}

/// What such a method gives.
pub(super) fn turned(text: &str, name: &str) -> Option<String> {
    Some(match name {
        "lower" => text.to_lowercase(),
        "casefold" => text.to_lowercase().replace('ß', "ss"),
        "upper" => text.to_uppercase(),
        "capitalize" => capitalized(text),
        "title" => title(text),
        "swapcase" => {
            let mut result = String::new();
            text.chars().for_each(|letter| match letter.is_uppercase() {
                true => result.extend(letter.to_lowercase()),
                false => result.extend(letter.to_uppercase()),
            });
            result
        }
        _ => return None,
    })
}

pub(in crate::text::template) fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first: String =
        letters.next().map(|letter| letter.to_uppercase().collect()).unwrap_or_default();
    first + &letters.as_str().to_lowercase()
}

pub(super) fn title(text: &str) -> String {
    let mut result = String::new();
    let mut inside = false;
    for letter in text.chars() {
        match inside {
            true => result.extend(letter.to_lowercase()),
            false => result.extend(letter.to_uppercase()),
        }
        inside = letter.is_alphabetic();
    }
    result
}

/// Methods that say yes or no and take nothing.
pub(super) fn asked(text: &str, name: &str) -> Option<bool> {
    let all = |test: fn(char) -> bool| !text.is_empty() && text.chars().all(test);
    Some(match name {
        "isalnum" => all(char::is_alphanumeric),
        "isalpha" => all(char::is_alphabetic),
        "isascii" => text.is_ascii(),
        "isdigit" | "isdecimal" => all(|letter| letter.is_numeric() && letter.is_ascii_digit()),
        "isnumeric" => all(char::is_numeric),
        "isspace" => all(char::is_whitespace),
        "islower" => cased(text, false),
        "isupper" => cased(text, true),
        "istitle" => title(text) == *text && text.chars().any(char::is_alphabetic),
        "isidentifier" => {
            let mut letters = text.chars();
            let begins = |letter: char| letter.is_alphabetic() || letter == '_';
            letters.next().is_some_and(begins) && letters.all(|c| c.is_alphanumeric() || c == '_')
        }
        _ => return None,
    })
}
