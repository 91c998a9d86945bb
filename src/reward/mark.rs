//! The part of a text that its writer marks as the answer.

use std::sync::LazyLock;

use regex::Regex;

use super::clause::{leads_to_number, leaves_number};
use super::decimal::Decimal;
use super::numeral;
use super::single::{MOST_BYTES, last_number, one_number};
use crate::pattern::constant;

/// What stands before the final number of a solution in GSM8K's format.
const HASHES: &str = "####";
/// As many marks are looked at, from the last one.
const MOST_MARKS: usize = 100;

static BOX: LazyLock<Regex> = LazyLock::new(|| constant(r"\\f?box(?:ed)? *\{"));
/// The heading of a numbered section, as `#### 2. Add them`; texts have fewer than 20.
static HEADING: LazyLock<Regex> = LazyLock::new(|| constant(r"^1?[0-9][.):] +\p{L}"));
/// After a marked number, words that explain it.
static EXPLAINED: LazyLock<Regex> =
    LazyLock::new(|| constant(r#"^(?:[.,;]? *$|[.,;]? +[\p{L}("'<\[*]|[(<\[*])"#));
/// After a marked number, another one.
static CONTINUED: LazyLock<Regex> =
    LazyLock::new(|| constant(r"^[,;]? *(?:or|and|to|&)? *[-$]*[0-9]"));
/// A number that the sentence behind a marked one adds to it.
static JOINED: LazyLock<Regex> = LazyLock::new(|| {
    constant(r"^[^.\n(0-9]*(?:[,;]|\b(?:or|and|to|plus|minus|times)\b) *[-$]*[0-9]")
});
/// Two boxes of one statement.
static SAME_STATEMENT: LazyLock<Regex> = LazyLock::new(|| {
    constant(r"^\}[\s$]*(?:[,;&]|and|or|\\text *\{ *(?:,? *and|,? *or) *\})[\s$]*$")
});

/// The number in the last mark of a text: none where nothing is marked, and a mark without a number
/// where what is marked is not one number.
pub(super) fn marked(text: &str) -> Option<Option<Decimal>> {
    let marks = [boxed(text), hashed(text)];
    marks.into_iter().flatten().max_by_key(|(at, _)| *at).map(|(_, number)| number)
}

fn boxed(text: &str) -> Option<(usize, Option<Decimal>)> {
    let boxes: Vec<_> = BOX.find_iter(text).collect();
    let mut whole = boxes.iter().rev().take(MOST_MARKS).filter_map(|found| {
        let content = until_closed(&text[found.end()..])?;
        let number = one_number(content).or_else(|| right_side(content));
        Some((found.start(), number.filter(|_| !is_joined(text, &boxes, found.start()))))
    });
    whole.next()
}

/// Whether the box before the one that begins at `start` belongs to the same statement.
fn is_joined(text: &str, boxes: &[regex::Match<'_>], start: usize) -> bool {
    let previous = boxes.iter().take_while(|found| found.start() < start).last();
    previous.is_some_and(|previous| {
        let inside = &text[previous.end()..start];
        until_closed(inside)
            .is_some_and(|content| SAME_STATEMENT.is_match(&inside[content.len()..]))
    })
}

fn until_closed(text: &str) -> Option<&str> {
    let mut open = 1_usize;
    for (at, byte) in text.bytes().enumerate().take(MOST_BYTES) {
        match byte {
            b'{' => open += 1,
            b'}' if open == 1 => return Some(&text[..at]),
            b'}' => open -= 1,
            _ => {}
        }
    }
    None
}

fn hashed(text: &str) -> Option<(usize, Option<Decimal>)> {
    let mut end = text.len();
    let marks = text.rmatch_indices(HASHES).take(MOST_MARKS);
    marks.into_iter().find_map(|(at, _)| {
        let after = &text[at..std::mem::replace(&mut end, at)];
        let line =
            after.trim_start_matches(|c: char| c == '#' || c.is_whitespace()).lines().next()?;
        of_hashed_line(line.trim().trim_matches(['*', '`', '_'])).map(|number| (at, number))
    })
}

/// The number of a line behind `####`; none where the line is the heading of a section.
fn of_hashed_line(line: &str) -> Option<Option<Decimal>> {
    if HEADING.is_match(line) {
        return None;
    }
    if let Some(number) = one_number(line).or_else(|| explained(line)).or_else(|| right_side(line))
    {
        return Some(Some(number));
    }
    match line.chars().next() {
        None => None,
        Some(c) if !c.is_alphabetic() => Some(None),
        Some(_) if line.to_lowercase().contains("answer") => Some(last_number(line)),
        Some(_) => None,
    }
}

/// The number at the start of a line that goes on in words.
fn explained(line: &str) -> Option<Decimal> {
    let found = numeral::first(line)?;
    let joins = CONTINUED.is_match(found.after) || JOINED.is_match(found.after);
    // A calculation in brackets explains the number; `(mod 5)` does not.
    let is_sum = |inside: &str| inside.starts_with(|c: char| c.is_ascii_digit());
    let bracket = found.after.split_once(" (").filter(|(_, inside)| is_sum(inside));
    let after = bracket.map_or(found.after, |(outside, _)| outside);
    let goes_on = EXPLAINED.is_match(after) && leaves_number(after);
    found.number.filter(|_| goes_on && !joins)
}

/// The number after the equals sign of `x = 5` and `48/2 = 24`.
fn right_side(text: &str) -> Option<Decimal> {
    let at = text.rfind('=')? + 1;
    one_number(&text[at..]).filter(|_| leads_to_number(&text[..at], ""))
}
