//! The score in a judge's reply.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::pattern::constant;
use crate::quote::shown;
use crate::reward::own::failure::Failure;

/// A number, and what it is out of where that is said: `7`, `7/10`, `7 out of 10`.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    constant(r"(-?[0-9]+(?:\.[0-9]+)?)(?:\**\s*(?:/|out of)\s*\**([0-9]+(?:\.[0-9]+)?))?")
});
/// An object without objects inside.
static OBJECT: LazyLock<Regex> = LazyLock::new(|| constant(r"\{[^{}]*\}"));

/// The lowest and the highest score.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// None unless the second is the higher one.
    pub(super) fn new([low, high]: [f64; 2]) -> Option<Self> {
        (low < high && (high - low).is_finite()).then_some(Self { low, high })
    }

    /// The score of a reply, from 0 to 1.
    pub(super) fn read(self, reply: &str) -> Result<f64, Failure> {
        let no_score = || Failure::NoScore { shown: end(reply) };
        let score = in_json(reply).or_else(|| self.last_number(reply)).ok_or_else(no_score)?;
        Ok((score.clamp(self.low, self.high) - self.low) / (self.high - self.low))
    }

    /// The last number; none where it is out of another number than the highest score.
    fn last_number(self, reply: &str) -> Option<f64> {
        let found = NUMBER.captures_iter(reply).last()?;
        let number = |at| found.get(at).and_then(|number| number.as_str().parse::<f64>().ok());
        number(1).filter(|_| number(2).is_none_or(|of| of == self.high))
    }
}

/// The number under `score` of the last object that has one.
fn in_json(reply: &str) -> Option<f64> {
    let score = |object: &str| serde_json::from_str::<Value>(object).ok()?.get("score")?.as_f64();
    OBJECT.find_iter(reply).filter_map(|object| score(object.as_str())).last()
}

/// What the judge says in the body of an answer.
pub(super) fn reply(body: &[u8]) -> Result<String, Failure> {
    let text = String::from_utf8_lossy(body);
    let content = |answer: &Value| {
        let content = answer.pointer("/choices/0/message/content")?;
        content.as_str().map(str::to_owned)
    };
    let answer = serde_json::from_str::<Value>(&text).ok();
    answer.as_ref().and_then(content).ok_or_else(|| Failure::Garbage {
        shown: shown(&text).into_owned(),
        problem: "it has no choices[0].message.content, as a chat completion has".to_owned(),
    })
}

/// The end of a reply, where its score should stand.
fn end(reply: &str) -> String {
    let skipped = reply.chars().count().saturating_sub(200);
    shown(&reply.chars().skip(skipped).collect::<String>()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(reply: &str) -> Option<f64> {
        Scale::new([0.0, 10.0]).unwrap().read(reply).ok()
    }

    #[test]
    fn the_last_number_or_the_score_of_an_object_is_read_and_taken_into_the_scale() {
        for (reply, score) in [
            ("7", 0.7),
            ("Of 3 steps 2 are right. Score: 7.5", 0.75),
            ("Score: 8/10", 0.8),
            ("**Score: 8** / 10", 0.8),
            ("I give it 8 out of 10.", 0.8),
            ("{\"score\": 4, \"reason\": \"2 of 3\"}", 0.4),
            ("```json\n{\"reason\": \"no 9\", \"score\": 4.0}\n``` 3", 0.4),
            ("Score: 11", 1.0),
            ("Score: -3", 0.0),
            ("0", 0.0),
        ] {
            assert_eq!(read(reply), Some(score), "{reply}");
        }
    }

    #[test]
    fn a_reply_without_a_number_or_out_of_something_else_has_no_score() {
        for reply in ["", "good", "4/5", "3 out of 5", "{\"score\": \"high\"}"] {
            assert_eq!(read(reply), None, "{reply}");
        }
        let failure = Scale::new([0.0, 1.0]).unwrap().read("fine\nwork").unwrap_err();
        assert!(failure.to_string().contains("fine\\nwork"), "{failure}");
    }

    #[test]
    fn scores_are_divided_by_the_length_of_the_scale() {
        assert_eq!(Scale::new([1.0, 5.0]).unwrap().read("2").ok(), Some(0.25));
        assert!(Scale::new([1.0, 1.0]).is_none() && Scale::new([f64::NAN, 1.0]).is_none());
    }
}
