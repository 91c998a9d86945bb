//! What stands in front of a number.

use std::sync::LazyLock;

use regex::Regex;

use super::{REACH, WORD};
use crate::pattern::constant;
use crate::reward::unit::words_of_latex;
use crate::reward::wording::{is_number, is_operation};

static SENTENCE_END: LazyLock<Regex> = LazyLock::new(|| {
    constant(r#"[.!?][)"'*]*\s+|[。！？]|[^\s,;+*/×=<>(&|^_-]\s*\n\s*|\n\s*\n\s*"#)
});
/// What may stand around a number and says nothing of its value.
static OPENERS: LazyLock<Regex> = LazyLock::new(|| {
    constant(concat!(
        r#"(?:[\s"'“‘`#€£¥₹$(\[]|\\[(\[]|\*{1,3}|(?:\\\p{L}+ *)?\{"#,
        r"|\\f?box(?:ed)?|\\displaystyle|\b(?:US|USD|EUR|GBP|INR|Rs))*$"
    ))
});
/// Commands whose braces set apart a term.
static STYLE_OPENERS: LazyLock<Regex> = LazyLock::new(|| {
    constant(r"\\(?:text|textrm|textbf|mathrm|mathbf|boldsymbol|bm|f?box(?:ed)?|displaystyle)\b")
});
/// What the result stands behind.
static STATES: LazyLock<Regex> = LazyLock::new(|| {
    constant(concat!(
        r"(?i)(?:(?:^|[^<>!=:])={1,3}|:=|[=-]>|[→⇒⟹∴≈]|[\p{L})*]:",
        r"|\\(?:approx|implies|iff|Rightarrow|Longrightarrow|rightarrow|therefore)",
        r"|\b(?:is|are|was|were|be|equals?|gives?|makes?|gets?|get|leaves?|yields?|becomes?|so|thus",
        r"|hence|therefore|answer|result|sum|total|totals|exactly|altogether))$"
    ))
});
/// Words right before a number that make a term of it or compare with it.
static TAKES_THE_NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    constant(concat!(
        r"(?i)\b(?:than|at least|at most|not|under|above|below|up to|without|except|nor|or|add|subtract",
        r"|(?:divided?|multipl(?:y|ied)|divisible) by|(?:raised|power|base) ?(?:to|of)?|to the",
        r"|(?:root|half|third|quarter|logarithm|log|factorial|square|cube|power|multiple|twice|out",
        r"|percent|multiples|factorials|product|function|factors?|divisors?|reciprocal",
        r"|inverse|opposite|negative|absolute value) of)$"
    ))
});
static COORDINATOR: LazyLock<Regex> =
    LazyLock::new(|| constant(r"(?i)(?:[,;、，；&]|\b(?:and|to|through|until|vs|versus))$"));
static LAST_WORD: LazyLock<Regex> = LazyLock::new(|| {
    constant(r"(?:^|[^\\\p{L}\p{N}_])(\p{L}[\p{L}'’-]*\p{L})[.:]?$|[\p{L}&&[^\x00-\u{3ff}]]$")
});
static LABEL_OF_CHOICE: LazyLock<Regex> = LazyLock::new(|| constant(r"(?:^|\s)\(?[A-E]\)$"));
static OR: LazyLock<Regex> = LazyLock::new(|| constant(r"(?i)[0-9].*\bor\b"));
/// `x = 3 and y`, to which `= 8` belongs.
static SECOND_EQUATION: LazyLock<Regex> = LazyLock::new(|| {
    constant(concat!(
        r"(?:^|[\s$(,;{])\p{L}+(?:_\{?\w+\}?)? *(?:=|:|\bis\b) *[-$]*[0-9][0-9.,]*[^0-9,;=]{0,20}",
        r"(?:[,;&]|\band\b)[\s$(\\{*]*(\p{L}+)(?:_\{?\w+\}?|[0-9])?[\s$)}*]*$"
    ))
});
static CONCLUSION: LazyLock<Regex> = LazyLock::new(|| {
    constant(
        r"(?i)^(?:total|answer|sum|result|so|thus|hence|therefore|then|altogether|that|it|which)$",
    )
});
/// A product of letters between digits, as in `2 x 4`.
static TIMES: LazyLock<Regex> = LazyLock::new(|| constant(r"([0-9)]) ?x ?([0-9($])"));
/// An unknown within a term: `2x`, `y + 3`, `n^2`.
static UNKNOWN_IN_TERM: LazyLock<Regex> = LazyLock::new(|| {
    constant(concat!(
        r"[0-9)}] ?[a-ckpqrtuvwxyzn]\b|\b[a-ckpqrtuvwxyzn] ?[-+*/^×·÷²³!|]",
        r"|[-+*/×·÷√|] ?[a-ckpqrtuvwxyzn]\b|\b[xyz]{2}\b|(?:sqrt|log|ln|sin|cos|tan) ?[({]? ?[a-z]\b"
    ))
});

/// Whether the clause in front of a number, up to it, leaves it alone.
pub(in crate::reward) fn leads_to_number(before: &str, after: &str) -> bool {
    let clause = words_of_latex(clause_before(before));
    let opened = OPENERS.find(&clause).map_or("", |found| found.as_str());
    let left = &clause[..clause.len() - opened.len()];
    let is_first_of_list = opened.trim_end().ends_with(['(', '[', '{'])
        && after.trim_start().starts_with([',', ';', '|']);
    if has_command(opened) || is_first_of_list {
        return false;
    }
    let is_apart = opened.starts_with(char::is_whitespace);
    if left.is_empty() || (opened.is_empty() || is_apart) && ["-", "+", "•"].contains(&left) {
        return true;
    }
    let is_closed = !opened.contains('*') || after.contains('*') || left.contains("**");
    let is_glued = !is_apart && ends_in_letter(left);
    is_closed && !is_glued && !is_argument(left) && is_introduction(left)
}

/// Whether anything but a style is opened, such as a root or a set.
fn has_command(opened: &str) -> bool {
    let rest = STYLE_OPENERS.replace_all(opened, "").replace("\\(", "").replace("\\[", "");
    rest.contains('\\')
}

fn ends_in_letter(left: &str) -> bool {
    left.ends_with(|c: char| c.is_alphanumeric() && c <= '\u{3ff}')
}

/// Whether what stands in front of a number introduces it.
fn is_introduction(left: &str) -> bool {
    if TAKES_THE_NUMBER.is_match(left) {
        return false;
    }
    if let Some(found) = STATES.find(left) {
        // A letter before the sign belongs to the left side.
        let skipped = found.as_str().find(['=', ':']).unwrap_or(0);
        return is_result_of(&left[..found.start() + skipped], found.as_str());
    }
    if let Some(found) = COORDINATOR.find(left) {
        let first = left[..found.start()].trim_end();
        return LAST_WORD.is_match(first) && !has_digit(first) && innermost_open(first).is_none();
    }
    LABEL_OF_CHOICE.is_match(left) || is_behind_word(left)
}

/// Whether the left side of an equation, or of a sentence like one, has its result on the right.
fn is_result_of(left: &str, sign: &str) -> bool {
    let second = SECOND_EQUATION.captures(left).and_then(|found| found.get(1));
    let is_second = second.is_some_and(|label| !CONCLUSION.is_match(label.as_str()));
    let is_equation = sign.ends_with(['=', '≈']) || sign.ends_with("approx");
    let says_more = OR.is_match(left) || is_second || is_equation && is_unsolved(left);
    !says_more
}

fn is_unsolved(left: &str) -> bool {
    let left = TIMES.replace_all(left, "$1*$2");
    left.split('=').all(|member| UNKNOWN_IN_TERM.is_match(member))
}

/// Whether a number stands behind a word, and no other number is told apart by that word alone.
fn is_behind_word(left: &str) -> bool {
    let Some(found) = LAST_WORD.captures(left) else { return false };
    let word = found.get(1).map_or("", |word| word.as_str());
    if is_number(word)
        || is_operation(word)
        || left.ends_with(['加', '減', '减', '乘', '除', '負', '负'])
    {
        return false;
    }
    let Some(digit) = left.rfind(|c: char| c.is_ascii_digit()) else { return true };
    !OR.is_match(left) && WORD.find_iter(&left[digit..]).nth(1).is_some()
}

fn has_digit(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit())
}

/// Whether the innermost open bracket makes an argument of the number, as in `P(X = 8)`.
fn is_argument(left: &str) -> bool {
    let Some((outside, bracket)) = innermost_open(left) else { return false };
    let is_style = STYLE_OPENERS
        .find_iter(outside)
        .last()
        .is_some_and(|f| f.end() == outside.trim_end().len());
    let is_set = bracket == '{' && outside.ends_with('\\');
    is_set || !is_style && (ends_in_letter(outside) || outside.ends_with(['^', '_', '}', ']', ')']))
}

fn innermost_open(text: &str) -> Option<(&str, char)> {
    let mut closed = 0;
    for (at, c) in text.char_indices().rev() {
        match c {
            ')' | ']' | '}' => closed += 1,
            '(' | '[' | '{' if closed == 0 => return Some((&text[..at], c)),
            '(' | '[' | '{' => closed -= 1,
            _ => {}
        }
    }
    None
}

fn clause_before(before: &str) -> &str {
    let mut start = before.len().saturating_sub(REACH);
    while !before.is_char_boundary(start) {
        start += 1;
    }
    let near = &before[start..];
    SENTENCE_END.find_iter(near).last().map_or(near, |end| &near[end.end()..])
}
