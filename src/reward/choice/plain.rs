//! A text without what only dresses it.

use std::sync::LazyLock;

use ::regex::Regex;

use crate::pattern::constant;

/// Commands of LaTeX and tags of HTML around a text that say how it looks.
static STYLE: LazyLock<Regex> = LazyLock::new(|| {
    constant(concat!(
        r"\\(?:text|textbf|textrm|textit|textsf|mathrm|mathbf|mathit|mathsf|boldsymbol|operatorname)",
        r"\s*\{([^{}\n]*)\}|(?i:</?(?:b|strong|i|em|u|p|span)>|<br ?/?>)"
    ))
});

/// The text without emphasis, styles and signs of mathematics around it; full-width letters and
/// brackets are the ordinary ones.
pub(super) fn plain(text: &str) -> String {
    let ordinary: String = text.chars().map(ordinary).collect();
    let unstyled = STYLE.replace_all(&ordinary, "$1");
    let bare = unstyled
        .replace("\\(", "")
        .replace("\\)", "")
        .replace("\\[", "")
        .replace("\\]", "")
        .replace("\\,", " ")
        .replace("\\ ", " ");
    without_emphasis(&bare)
}

fn ordinary(c: char) -> char {
    match c {
        '！'..='～' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3000}' | '\u{a0}' => ' ',
        '“' | '”' | '„' | '«' | '»' | '「' | '」' => '"',
        '‘' | '’' => '\'',
        '【' => '[',
        '】' => ']',
        '。' => '.',
        '、' => ',',
        other => other,
    }
}

/// Without stars, backticks and dollars, and without underscores that are not inside a word.
fn without_emphasis(text: &str) -> String {
    let mut before = ' ';
    let mut characters = text.chars().peekable();
    let mut kept = String::with_capacity(text.len());
    while let Some(c) = characters.next() {
        let inside_word =
            before.is_alphanumeric() && characters.peek().is_some_and(|c| c.is_alphanumeric());
        if !matches!(c, '*' | '`' | '$') && (c != '_' || inside_word) {
            kept.push(c);
        }
        before = c;
    }
    kept
}
