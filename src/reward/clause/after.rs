//! What stands behind a number.

use std::sync::LazyLock;

use regex::Regex;

use super::{REACH, WORD};
use crate::pattern::constant;
use crate::reward::unit::{in_words, is_word_of_unit};
use crate::reward::wording::is_number;

static CLOSERS: LazyLock<Regex> =
    LazyLock::new(|| constant(r#"^(?:\*{1,3}|["'”’`%°€£¥₹]| *(?:[$)\]}%°]|\\[)\]])|>>|\\%)*"#));
/// What ends the clause after the number.
static CLAUSE_END: LazyLock<Regex> = LazyLock::new(|| {
    constant(concat!(
        r#"^(?:\s*$|[ \t]*\n| ?\.(?:$|[\s)"'*$}\]]|\p{L}{2})| ?[,;:](?:\s*$|\s*\n|\s*["'(*“]*\p{L}[\p{L}'’]"#,
        r"|\s*[IaA] \p{L})| ?—| *[。！？，；、]",
        r"| *\\\\\s*(?:$|\\end\{(?:align|aligned|equation|gather)\*?\})|\s*\\(?:quad|qquad|checkmark)\b)"
    ))
});
static OR_NEXT: LazyLock<Regex> = LazyLock::new(|| constant(r"(?i)^[ ,;:]*(?:or|nor)\b"));
/// Signs of mathematics in the rest of a clause.
static SIGNS: LazyLock<Regex> =
    LazyLock::new(|| constant(r"(?i)[+×÷^√<>±≤≥≠∞]|\\[a-z]|\b(?:plus|minus)\b"));
static CLAUSE: LazyLock<Regex> = LazyLock::new(|| constant(r"^(?:[^.,;:!?\n]|[.,:]\p{L})*"));

/// Whether what follows a number ends its clause, or goes on in words that leave it what it is.
pub(in crate::reward) fn leaves_number(after: &str) -> bool {
    let mut end = after.len().min(REACH);
    while !after.is_char_boundary(end) {
        end -= 1;
    }
    let after = in_words(&after[..end]);
    let closers = CLOSERS.find(&after).map_or("", |found| found.as_str());
    let rest = &after[closers.len()..];
    if OR_NEXT.is_match(rest)
        || next_word(rest.trim_start_matches([',', ';'])).is_some_and(is_number)
    {
        return false;
    }
    CLAUSE_END.is_match(rest) || goes_on_in_words(rest, closers)
}

fn next_word(rest: &str) -> Option<&str> {
    let rest = rest.trim_start_matches(' ');
    WORD.find(rest).filter(|found| found.start() == 0).map(|found| found.as_str())
}

fn goes_on_in_words(rest: &str, closers: &str) -> bool {
    let spaced = rest.trim_start_matches([' ', '(', '"', '“', '/']);
    let is_glued = spaced.len() == rest.len() && !closers.ends_with('°');
    let Some(word) = next_word(spaced) else { return false };
    if is_glued && closers.contains(|c| !" %°€£¥₹".contains(c)) || rest.starts_with("(") {
        return false;
    }
    let clause = CLAUSE.find(rest).map_or("", |found| found.as_str());
    let words: Vec<&str> = WORD.find_iter(clause).map(|found| found.as_str()).take(4).collect();
    !SIGNS.is_match(clause) && is_plain_word(word, is_glued) && !joins_number(&words)
}

/// Whether a word right behind a number leaves it what it is; a letter alone may be an article.
fn is_plain_word(word: &str, is_glued: bool) -> bool {
    let is_article = !is_glued && ["a", "A", "I"].contains(&word);
    let may_join = ["and", "to", "by", "times", "out"].contains(&word);
    is_article || !is_glued && may_join || is_word_of_unit(word, false, is_glued)
}

/// Whether words join a number or an unknown, as `and a half` and `times x` do.
fn joins_number(words: &[&str]) -> bool {
    let Some((first, rest)) = words.split_first() else { return false };
    let joins = ["and", "to", "by", "times", "out", "in", "per", "of", "for"].contains(first);
    let next = rest.iter().find(|word| !["a", "an", "the", "of"].contains(word));
    let has_unknown = words.iter().any(|word| ["x", "y", "z", "n", "k"].contains(word));
    has_unknown
        || joins && next.is_some_and(|word| is_number(word) || word.len() == 1 && *word != "I")
}
