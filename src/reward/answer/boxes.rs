//! What stands in `\boxed{}`.

use std::borrow::Cow;
use std::sync::LazyLock;

use ::regex::Regex;

use super::Marked;
use crate::pattern::constant;

/// A longer answer is none.
const MOST_BYTES: usize = 16_384;
/// As many boxes may make one answer.
const MOST_JOINED: usize = 64;

static BOX: LazyLock<Regex> = LazyLock::new(|| constant(r"\\f?box(?:ed)?(?:\s*(\{)|\s+|[0-9])"));
/// What stands between two boxes of one statement: `\boxed{1}, \boxed{2}` and `\boxed{1}$ and $\boxed{2}`.
static JOINT: LazyLock<Regex> = LazyLock::new(|| {
    constant(concat!(
        r"^(?:[\s$,;&~]|\\[()\[\],;:! ]|\\q?quad\b|\band\b|\bor\b",
        r"|\\(?:text|textrm|mathrm|mbox) *\{[\s,]*(?:and|or)?[\s,]*\})*$"
    ))
});

/// The last box of a text, with those before it that belong to its statement.
pub(super) fn last(text: &str) -> Option<Marked<'_>> {
    let found = BOX.captures_iter(text).last()?;
    let whole = found.get(0)?;
    let Some(brace) = found.get(1) else {
        let content = without_braces(&text[whole.start()..]);
        return Some(Marked { at: whole.start(), content: content.map(Cow::Borrowed) });
    };
    let Some(content) = closed(&text[brace.end()..]) else {
        return Some(Marked { at: whole.start(), content: None });
    };
    let at = whole.start();
    let content = if content.trim().is_empty() { None } else { joined(text, at, content) };
    Some(Marked { at, content })
}

/// `\boxed 5`: to the end of its formula.
fn without_braces(text: &str) -> Option<&str> {
    let inside = text.trim_start_matches(|c: char| c == '\\' || c.is_alphabetic()).trim_start();
    let end = inside.find(['$', '\n']).unwrap_or(inside.len());
    Some(inside[..end].trim().trim_end_matches('.')).filter(|inside| !inside.is_empty())
}

/// What stands before the brace that closes the one just opened.
fn closed(text: &str) -> Option<&str> {
    let mut open = 1_usize;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().take(MOST_BYTES) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'{' => open += 1,
            b'}' if open == 1 => return Some(&text[..at]),
            b'}' => open -= 1,
            _ => {}
        }
    }
    None
}

/// The content of the box at `at` behind the contents of those that are joined to it.
fn joined<'a>(text: &'a str, at: usize, content: &'a str) -> Option<Cow<'a, str>> {
    let mut contents = vec![content];
    let mut start = at;
    for found in BOX.captures_iter(&text[..at]).collect::<Vec<_>>().into_iter().rev() {
        let (whole, brace) = (found.get(0)?, found.get(1));
        let Some(before) = brace.and_then(|brace| closed(&text[brace.end()..start])) else { break };
        let between = brace.map_or("", |brace| &text[brace.end() + before.len() + 1..start]);
        if !JOINT.is_match(between) || contents.len() == MOST_JOINED {
            break;
        }
        contents.push(before);
        start = whole.start();
    }
    let mut distinct: Vec<&str> = Vec::new();
    for content in contents.into_iter().rev().map(str::trim) {
        if !distinct.contains(&content) {
            distinct.push(content);
        }
    }
    Some(match distinct.as_slice() {
        [one] => Cow::Borrowed(one),
        several => Cow::Owned(several.join(", ")),
    })
}
