//! The choices of a problem: their letters, and their texts where there is a column of them.

use serde_json::Value;

use super::plain::plain;
use crate::reward::folding::Ignoring;
use crate::reward::word::contains_word;

/// As many choices have letters.
const MOST: usize = 26;
const FOLDED: Ignoring = Ignoring { case: true, accents: false };

/// What can be chosen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Options {
    count: usize,
    /// As they are compared; empty where a problem has letters alone.
    texts: Vec<String>,
    /// What the data calls each of them, such as `1`.
    labels: Vec<String>,
}

/// The choices of a column; without one as many as there are letters up to `last`.
pub(super) fn options(column: Option<&Value>, last: char) -> Options {
    let alone = || {
        let count = (u32::from(last).saturating_sub(u32::from('A')) as usize + 1).min(MOST);
        Options { count, texts: Vec::new(), labels: Vec::new() }
    };
    column.and_then(of_column).unwrap_or_else(alone)
}

fn of_column(column: &Value) -> Option<Options> {
    match column {
        // A column of many values is kept as its JSON text.
        Value::String(text) => {
            let inner: Value = serde_json::from_str(text).ok()?;
            (!inner.is_string()).then(|| of_column(&inner)).flatten()
        }
        Value::Array(items) => whole(texts(items)?, Vec::new()),
        Value::Object(parts) => match (parts.get("text"), parts.get("label")) {
            (Some(Value::Array(items)), Some(Value::Array(labels))) => {
                whole(texts(items)?, texts(labels)?)
            }
            _ => by_letter(parts),
        },
        _ => None,
    }
}

/// `{"A": …, "B": …}`, in the order of the letters.
fn by_letter(parts: &serde_json::Map<String, Value>) -> Option<Options> {
    let mut parts: Vec<(&String, &Value)> = parts.iter().collect();
    parts.sort_by_key(|(letter, _)| letter.to_uppercase());
    let expected = ('A'..='Z').map(String::from);
    let in_order =
        parts.iter().zip(expected).all(|((found, _), letter)| found.to_uppercase() == letter);
    let items: Vec<Value> = parts.into_iter().map(|(_, text)| text.clone()).collect();
    in_order.then(|| texts(&items)).flatten().and_then(|texts| whole(texts, Vec::new()))
}

fn whole(texts: Vec<String>, labels: Vec<String>) -> Option<Options> {
    let count = texts.len();
    let fits = (2..=MOST).contains(&count) && (labels.is_empty() || labels.len() == count);
    fits.then_some(Options { count, texts, labels })
}

fn texts(items: &[Value]) -> Option<Vec<String>> {
    items.iter().map(text).collect()
}

fn text(item: &Value) -> Option<String> {
    match item {
        Value::String(text) => Some(folded(text)),
        Value::Number(_) | Value::Bool(_) => Some(folded(&item.to_string())),
        _ => None,
    }
}

/// A text as it is compared: without emphasis, case and a full stop at its end.
fn folded(text: &str) -> String {
    FOLDED.fold_spaces(&plain(text)).trim_end_matches('.').trim().to_owned()
}

impl Options {
    /// The letter of the choice in this place.
    pub(super) fn letter_at(&self, at: usize) -> Option<char> {
        (at < self.count)
            .then(|| char::from_u32(u32::from('A') + u32::try_from(at).ok()?))
            .flatten()
    }

    /// Whether a letter is that of a choice, upper or lower case, and which.
    pub(super) fn letter(&self, letter: char) -> Option<char> {
        let letter = letter.to_ascii_uppercase();
        let at = u32::from(letter).checked_sub(u32::from('A'))? as usize;
        self.letter_at(at).filter(|found| *found == letter)
    }

    /// The choice whose text, or whose name in the data, is all of a text.
    pub(super) fn equal(&self, text: &str) -> Option<char> {
        let text = folded(text);
        let place = |of: &[String]| {
            let mut equal = (0..of.len()).filter(|at| !text.is_empty() && of[*at] == text);
            equal.next().filter(|_| equal.next().is_none())
        };
        self.letter_at(place(&self.texts).or_else(|| place(&self.labels))?)
    }

    /// The only choice whose text stands in a text; where one choice's text holds another's, the longer.
    pub(super) fn inside(&self, text: &str) -> Option<char> {
        if self.texts.is_empty() {
            return None;
        }
        let text = FOLDED.fold_spaces(text);
        let stands = |at: &usize| contains_word(&text, &self.texts[*at]);
        let found: Vec<usize> = (0..self.texts.len()).filter(stands).collect();
        let is_part = |at: &usize| {
            found
                .iter()
                .any(|other| other != at && contains_word(&self.texts[*other], &self.texts[*at]))
        };
        let mut whole = found.iter().filter(|at| !is_part(at));
        let first = whole.next().filter(|_| whole.next().is_none())?;
        self.letter_at(*first)
    }

    /// Whether what follows a letter begins with the text of its choice.
    pub(super) fn begins_with_text_of(&self, letter: char, rest: &str) -> bool {
        let at = (u32::from(letter).wrapping_sub(u32::from('A'))) as usize;
        let Some(text) = self.texts.get(at).filter(|text| !text.is_empty()) else { return false };
        let start: String = rest.trim_start().chars().take(2 * text.chars().count() + 16).collect();
        FOLDED.fold_spaces(&start).starts_with(text.as_str())
    }
}
