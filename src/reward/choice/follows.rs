//! What stands behind a letter, and so whether it is a choice or a word.

use std::sync::LazyLock;

use ::regex::Regex;

use super::options::Options;
use crate::pattern::constant;

/// Words that go on after a choice.
static GOES_ON: LazyLock<Regex> = LazyLock::new(|| {
    constant(
        r"^\s+(?i:because|since|as|for|which|with|due|given|based|where|in|and|but|so|not|rather|instead)\b",
    )
});
/// A second letter that is chosen with the first.
static SECOND: LazyLock<Regex> = LazyLock::new(|| {
    constant(
        r#"^[)\].]?\s*(?:,\s*(?:or|and)|,|/|&|\+|or\b|and\b)\s*(?:option\s+|choice\s+|both\s+)?[("\[]*([A-Z])([)\]"]*)(\s*\S?\S?\S?)"#,
    )
});

/// What a letter is by what stands behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One choice.
    Choice,
    /// One of several that are chosen.
    OneOfSeveral,
    /// A word or a part of one.
    Word,
}

/// What a letter is whose text goes on with `rest`.
pub(super) fn kind(letter: char, rest: &str, options: &Options) -> Kind {
    if names_second(rest, options) {
        return Kind::OneOfSeveral;
    }
    match ends_letter(rest) || goes_on(letter, rest, options) {
        true => Kind::Choice,
        false => Kind::Word,
    }
}

/// Whether a letter ends what is said, or a sign that is no part of a word follows.
fn ends_letter(rest: &str) -> bool {
    let mut rest = rest.chars();
    let (next, beyond) = (rest.next(), rest.next());
    let is_tight = beyond.is_some_and(char::is_alphanumeric);
    match next {
        None | Some('\n' | '\r' | ')' | ']' | '}' | '"' | ';' | '!' | '?' | ':' | '(' | '<') => {
            true
        }
        // B.C., e.g., A's, B-cells, A,B: parts of words.
        Some('.' | ',' | '\'' | '-') => !is_tight,
        Some('–' | '—' | '\\') => true,
        // Scripts that write on without a space.
        Some(c) if c >= '\u{2e80}' => true,
        Some(' ' | '\t') => {
            let after = rest.as_str();
            let text: String = beyond.into_iter().chain(after.chars().take(3)).collect();
            let text = text.trim_start();
            text.is_empty()
                || text.starts_with(['-', '–', '—', '(', '[', '\n', '=', '→', '"', ')', ']'])
                    && !text.starts_with("= ")
        }
        _ => false,
    }
}

/// Whether the sentence goes on as after a choice: with a reason, with the text of the choice, or, for
/// a capital that is no word of English, with a number or a name.
fn goes_on(letter: char, rest: &str, options: &Options) -> bool {
    if GOES_ON.is_match(rest) {
        return letter.is_uppercase();
    }
    if !rest.starts_with(char::is_whitespace) {
        return false;
    }
    if options.begins_with_text_of(letter.to_ascii_uppercase(), rest) {
        return true;
    }
    let is_word = matches!(letter, 'A' | 'I') || letter.is_lowercase();
    let next = rest.trim_start().chars().next();
    !is_word && next.is_some_and(|c| c.is_uppercase() || c.is_ascii_digit() || c == '\\')
}

/// Whether a second letter follows in the same breath.
fn names_second(rest: &str, options: &Options) -> bool {
    let Some(found) = SECOND.captures(rest) else { return false };
    let letter = found[1].chars().next().and_then(|letter| options.letter(letter));
    // `B, C is wrong` begins a new clause, and `and Apples` a word.
    let goes_on = found[3].starts_with(char::is_alphanumeric)
        || found[2].is_empty()
            && found[3].starts_with(' ')
            && &found[3] != " an"
            && &found[3] != " or";
    letter.is_some() && !goes_on
}
