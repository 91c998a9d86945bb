//! What a reward answers: `{"rewards": [1.0, null, ...]}`, or `{"error": "..."}`.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::failure::Failure;
use crate::quote::shown;

/// A longer answer is none: so many numbers have no more digits.
pub(super) const MOST_BYTES: usize = super::request::MOST_ITEMS * 64;
/// How much of what somebody reports stands in a message.
const MOST_REPORTED: usize = 1500;

#[derive(serde::Deserialize)]
struct Reply {
    rewards: Option<Vec<Entry>>,
    error: Option<String>,
    #[serde(default)]
    ready: bool,
}

/// The scores of an answer to a request for `count` of them.
pub(super) fn scores(answer: &[u8], count: usize) -> Result<Vec<Option<f64>>, Failure> {
    let text = String::from_utf8_lossy(answer);
    let reply: Reply = serde_json::from_str(&text).map_err(|error| misread(&text, &error))?;
    match reply {
        Reply { error: Some(error), .. } => Err(Failure::Reported(end(&error))),
        Reply { rewards: Some(rewards), .. } if rewards.len() == count => {
            Ok(rewards.into_iter().map(|entry| entry.0).collect())
        }
        Reply { rewards: Some(rewards), .. } => {
            Err(Failure::Count { given: rewards.len(), asked: count })
        }
        _ => Err(garbage(&text, "it has no key \"rewards\"")),
    }
}

/// Whether a program says that it is ready to be asked.
pub(super) fn ready(answer: &[u8]) -> Result<(), Failure> {
    let text = String::from_utf8_lossy(answer);
    match serde_json::from_str(&text) {
        Ok(Reply { error: Some(error), .. }) => Err(Failure::Setting(end(&error))),
        Ok(Reply { ready: true, .. }) => Ok(()),
        _ => Err(Failure::Unasked { shown: shown(&text).into_owned() }),
    }
}

fn misread(text: &str, error: &serde_json::Error) -> Failure {
    // Python writes what JSON does not have.
    let is_number = |word: &str| matches!(word, "NaN" | "Infinity" | "nan" | "inf");
    let mut words = text.split(|c: char| !c.is_ascii_alphabetic());
    match text.contains("\"rewards\"") && words.any(is_number) {
        true => Failure::NotFinite,
        false => garbage(text, &error.to_string()),
    }
}

fn garbage(text: &str, problem: &str) -> Failure {
    Failure::Garbage { shown: shown(text).into_owned(), problem: problem.to_owned() }
}

/// The end of a report, where a traceback says what is wrong.
fn end(report: &str) -> String {
    let mut from = report.len().saturating_sub(MOST_REPORTED);
    while !report.is_char_boundary(from) {
        from += 1;
    }
    crate::quote::passage(report[from..].trim()).into_owned()
}

/// A number, `true` or `false` as 1 or 0, or `null`.
struct Entry(Option<f64>);

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Entries)
    }
}

struct Entries;

impl Visitor<'_> for Entries {
    type Value = Entry;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number or null")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Entry, E> {
        Ok(Entry(None))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Entry, E> {
        Ok(Entry(Some(f64::from(u8::from(value)))))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Entry, E> {
        Ok(Entry(Some(value)))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Entry, E> {
        Ok(Entry(Some(value as f64)))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Entry, E> {
        Ok(Entry(Some(value as f64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_truth_values_and_null_are_scores() {
        let read = scores(br#"{"rewards": [1, -0.5, null, true, false], "time": 3}"#, 5);
        assert_eq!(read, Ok(vec![Some(1.0), Some(-0.5), None, Some(1.0), Some(0.0)]));
    }

    #[test]
    fn what_is_no_answer_says_what_is_wrong_with_it() {
        for (answer, parts) in [
            ("hello", ["hello", "standard error"]),
            ("", ["is not an answer", "standard error"]),
            ("[1]", ["is not an answer", "rewards"]),
            ("{}", ["no key", "rewards"]),
            (r#"{"rewards": ["1"]}"#, ["string", "a number or null"]),
            (r#"{"rewards": [1]}"#, ["1 rewards for 2", "null"]),
            (r#"{"rewards": [1, NaN]}"#, ["NaN", "null"]),
            (r#"{"rewards": [1, -Infinity]}"#, ["Infinity", "null"]),
            (r#"{"rewards": [1, 1e999]}"#, ["out of range", "standard error"]),
            (r#"{"error": "no\nsuch\u001b[2J key"}"#, ["reports: no", "key"]),
        ] {
            let failure = scores(answer.as_bytes(), 2).unwrap_err().to_string();
            assert!(parts.iter().all(|part| failure.contains(part)), "{answer}: {failure}");
            assert!(!failure.contains(char::is_control), "{failure:?}");
        }
        assert!(scores(&[0xff, 0xfe, b'\n'], 1).is_err());
    }
}
