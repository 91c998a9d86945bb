//! What a rule has found: what is wrong with its numbers, one example, and the key to change.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::monitor::metrics::SampleLine;

/// How much of the end of a prompt an example keeps, in characters.
const PROMPT_CHARS: usize = 200;
/// How much of the beginning of a completion or an answer.
const TEXT_CHARS: usize = 400;

/// Why nothing is learned, as far as one rule can tell.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Training steps done when it was found.
    pub step: u64,
    /// The rule's name, under which docs/findings.md explains it.
    pub rule: String,
    /// What was found, with its numbers.
    pub problem: String,
    /// The key that changes it, where one does,
    pub key: Option<String>,
    /// and its value; none where the file has to say.
    pub value: Option<Value>,
    /// A completion that shows it.
    pub example: Option<Example>,
}

/// A completion beside its expected answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// The end of the prompt, where the question stands.
    pub prompt: String,
    /// The beginning of the completion.
    pub completion: String,
    /// The expected answer; none where the problem has none.
    pub answer: Option<String>,
    /// The weighted sum of its rewards; none where no reward applied.
    pub reward: Option<f64>,
}

impl Finding {
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), ..Self::default() }
    }

    /// The same with the key to change, for which the file has to say a value.
    pub(super) fn change(self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self }
    }

    /// The same with the key to change and a value.
    pub(super) fn set(self, key: &str, value: impl Into<Value>) -> Self {
        Self { value: Some(value.into()), ..self.change(key) }
    }

    /// The same with a completion that shows it.
    pub(super) fn shown_by(self, sample: Option<&SampleLine>) -> Self {
        Self { example: sample.map(Example::of), ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)?;
        match (&self.key, &self.value) {
            (Some(key), Some(value)) => write!(f, " → --set {key}={value}"),
            (Some(key), None) => write!(f, " → change {key}"),
            (None, _) => Ok(()),
        }
    }
}

impl Example {
    fn of(sample: &SampleLine) -> Self {
        Self {
            prompt: end(&sample.prompt, PROMPT_CHARS),
            completion: beginning(&sample.completion, TEXT_CHARS),
            answer: sample.answer.as_deref().map(|answer| beginning(answer, TEXT_CHARS)),
            reward: Some(sample.reward).filter(|reward| reward.is_finite()),
        }
    }
}

fn beginning(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn end(text: &str, chars: usize) -> String {
    let text = text.trim_end();
    match text.char_indices().rev().nth(chars - 1) {
        Some((at, _)) if at > 0 => format!("…{}", &text[at..]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_ends_with_what_to_change() {
        let finding = Finding::new("too short");
        assert_eq!(finding.to_string(), "too short");
        assert_eq!(finding.clone().change("data").to_string(), "too short → change data");
        let set = finding.set("response_length", 128);
        assert_eq!(set.to_string(), "too short → --set response_length=128");
    }

    #[test]
    fn an_example_is_short_and_has_no_reward_that_is_no_number() {
        let sample = SampleLine {
            prompt: format!("{}why?\n", "ü".repeat(1000)),
            completion: "é".repeat(1000),
            reward: f64::NAN,
            ..SampleLine::default()
        };
        let example = Example::of(&sample);
        assert!(example.prompt.starts_with("…ü") && example.prompt.ends_with("üwhy?"));
        assert_eq!(example.completion.chars().count(), TEXT_CHARS + 1);
        assert_eq!((example.answer, example.reward), (None, None));
    }
}
