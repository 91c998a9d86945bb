//! The answer that a reference holds, and the one that a completion states.

use std::borrow::Cow;
use std::sync::LazyLock;

use ::regex::Regex;

use super::answer::{Answer, Unit, answer, other_reading};
use super::compare::Comparison;
use super::formula::Formula;
use super::token::Numeral;
use crate::pattern::constant;
use crate::reward::answer::{Extraction, marked};
use crate::reward::stated::stated as stated_number;

/// A text of more bytes is looked at only near its end.
const REACH: usize = 2000;

/// `The answer is 5`, `**Answer:** 5`.
static ANSWER_IS: LazyLock<Regex> = LazyLock::new(|| {
    constant(concat!(
        r"(?i)\b(?:(?:final |correct |the )?answer(?: is| to [^.\n:]{0,60} is|:)|(?:solution|result) is|答案(?:是|为|：|:))",
        r"[\s:：*]*"
    ))
});
/// Formulas between dollars or LaTeX's brackets.
static FORMULA: LazyLock<Regex> = LazyLock::new(|| {
    constant(r"(?s)\$\$(.{1,600}?)\$\$|\\\[(.{1,600}?)\\\]|\\\((.{1,600}?)\\\)|\$([^$\n]{1,400})\$")
});
/// What a sentence states its answer by.
static IS: LazyLock<Regex> = LazyLock::new(|| {
    constant(
        r"(?:\b(?:is|are|be|equals|gives|get|becomes)|\bit's)\b(?: (?:about|exactly|equal to|simply|just|then|therefore))*\s+",
    )
});
/// A choice with its letter.
static LABEL: LazyLock<Regex> = LazyLock::new(|| {
    constant(
        r"^\s*\$?(?:\\(?:text|textbf|mathrm) *\{ *)?\(?([A-H])(?:[.:]|\)[.:]?)(?: *\})?(?:[ ~$]|\\[ ,;:]|\\q?quad)+(\S.*)$",
    )
});
/// Where a sentence ends.
static SENTENCE_END: LazyLock<Regex> =
    LazyLock::new(|| constant(r"(?:\.(?:\s|$)|\n|<\||</|\\\]|\$\$|[。！])"));

/// The answer of a reference, in each way to read it; of a worked solution the marked part counts.
pub(super) fn reference(text: &str) -> Option<Vec<Answer>> {
    let marked = match marked(text) {
        Some(None) => return None,
        Some(Some(content)) => content,
        None => Cow::Borrowed(text),
    };
    let first = answer(&marked).filter(can_judge)?;
    Some(std::iter::once(first).chain(other_reading(&marked)).collect())
}

/// Whether an answer can be told from another.
fn can_judge(answer: &Answer) -> bool {
    let comparison = Comparison::new();
    let judge = |formula: &Formula| comparison.equality.can_judge(formula);
    match answer {
        Answer::Value(formula, _) => judge(formula),
        Answer::Words(..) | Answer::Dots => true,
        Answer::Named(_, value) => can_judge(value),
        other => comparison.same(other, other),
    }
}

/// The answer that a completion states, in each way to read it.
pub(super) fn given(extraction: &Extraction, text: &str, reference: &[Answer]) -> Vec<Answer> {
    let content = if extraction.is_auto() { marked(text) } else { Some(extraction.extract(text)) };
    let first = match &content {
        Some(Some(content)) if extraction.is_auto() => {
            answer(content).or_else(|| number(text, reference))
        }
        Some(Some(content)) => answer(content),
        Some(None) => None,
        None => unmarked(text, reference),
    };
    let whole = match &content {
        Some(Some(content)) => content.as_ref(),
        None if text.len() <= 100 => text,
        _ => return first.into_iter().collect(),
    };
    first.into_iter().chain(other_reading(whole)).chain(labelled(whole)).collect()
}

/// `(B) 12` says B, and 12.
fn labelled(text: &str) -> Vec<Answer> {
    let Some(found) = LABEL.captures(text) else { return Vec::new() };
    let letter = Answer::Words(found[1].to_owned(), true);
    std::iter::once(letter).chain(answer(&found[2])).collect()
}

/// A number that the reward `number` would find, where the reference is one.
fn number(text: &str, reference: &[Answer]) -> Option<Answer> {
    let is_number =
        matches!(reference.first(), Some(Answer::Value(formula, _)) if formula.numeral().is_some());
    let decimal = stated_number(text).filter(|_| is_number)?;
    let (negative, value) = decimal.rational()?;
    let formula = Formula::Number(Numeral { value, digits: String::new(), decimals: 0 });
    Some(Answer::Value(if negative { Formula::negative(formula) } else { formula }, Unit::None))
}

/// What a text without marks states: all of it if it is one answer, what follows `the answer is`, the
/// last formula, or the last number.
fn unmarked(text: &str, reference: &[Answer]) -> Option<Answer> {
    let mut start = text.len().saturating_sub(REACH);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let near = &text[start..];
    if text.len() <= 400 && !text.trim().contains('\n') {
        // A sentence of words is an answer where the reference is one.
        let is_sentence =
            |answer: &Answer| matches!(answer, Answer::Words(words, _) if words.contains(' '));
        let expected = reference.first().is_some_and(is_sentence);
        let whole = answer(text).filter(|whole| expected || !is_sentence(whole));
        if whole.is_some() {
            return whole;
        }
    }
    after_words(near, reference).or_else(|| last_formula(near, text, reference))
}

fn after_words(near: &str, reference: &[Answer]) -> Option<Answer> {
    let found = ANSWER_IS.find_iter(near).last()?;
    let after = &near[found.end()..];
    // A formula may hold full stops.
    let formula = FORMULA
        .captures(after)
        .filter(|formula| formula.get(0).is_some_and(|whole| whole.start() == 0));
    if let Some(formula) = formula {
        let whole = formula.get(0)?;
        let rest = &after[whole.end()..];
        let goes_on = SENTENCE_END.find(rest).map_or(rest, |end| &rest[..end.start()]);
        let sentence = &after[..whole.end() + goes_on.len()];
        return answer(sentence)
            .or_else(|| inner(&formula).and_then(answer).filter(|_| !continues(goes_on)));
    }
    let sentence = SENTENCE_END.find(after).map_or(after, |end| &after[..end.start()]);
    answer(sentence).or_else(|| number(near, reference))
}

/// Whether words behind a formula may change what it says.
fn continues(rest: &str) -> bool {
    rest.contains(|c: char| c.is_ascii_digit() || "$\\+*/=^<>%".contains(c))
        || ["or", "and", ","].iter().any(|joint| rest.trim_start().starts_with(joint))
}

fn inner<'a>(found: &regex::Captures<'a>) -> Option<&'a str> {
    found.iter().skip(1).flatten().next().map(|inner| inner.as_str())
}

/// The last formula, if no number stands behind it.
fn last_formula(near: &str, text: &str, reference: &[Answer]) -> Option<Answer> {
    let Some(found) = FORMULA.captures_iter(near).last() else {
        return plain(near, text, reference);
    };
    let whole = found.get(0)?;
    let after = &near[whole.end()..];
    if after.contains(|c: char| c.is_ascii_digit() || "\\$".contains(c)) {
        return plain(near, text, reference);
    }
    // `1, 2 and 3` in three formulas is one answer of three.
    let stop = near[..whole.start()].rfind(['.', '\n', ':']).map_or(0, |at| at + 1);
    let sentence = near[stop..whole.start()].trim_end();
    if sentence.ends_with([',', ';', '$', '+', '-', '/'])
        || sentence.ends_with(" and")
        || sentence.ends_with(" or")
    {
        return None;
    }
    let percent =
        after.trim_start().starts_with(['%']) || after.trim_start().starts_with("percent");
    let content = inner(&found)?;
    if percent { answer(&format!("{content}%")) } else { answer(content) }
}

/// The last sentence's right side, `the probability is 2/3`, or the last number.
fn plain(near: &str, text: &str, reference: &[Answer]) -> Option<Answer> {
    let stated = || {
        let text = near.trim_end().trim_end_matches('.');
        let sentence = text.rsplit(['\n', '!', '?']).next()?;
        let sentence = sentence.rsplit(". ").next()?;
        let side = IS.find_iter(sentence).last()?;
        // An equation's left side may say more than a name.
        let is_value = |answer: &Answer| !matches!(answer, Answer::Words(..));
        answer(&sentence[side.end()..]).filter(is_value)
    };
    number(text, reference).or_else(stated)
}
