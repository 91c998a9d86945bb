//! How good a completion is: functions of text and counts, several at once with weights; never
//! tensors.
//!
//! A reward answers with a number, or with nothing where it does not apply to a problem. Nothing is
//! not zero: it leaves the reward out of the sum.

mod answer;
mod choice;
mod clause;
mod code;
mod contains;
mod cosine;
mod countdown;
mod coverage;
mod decimal;
mod error;
mod exact;
mod expression;
mod folding;
mod format;
mod json;
mod language;
mod length;
mod mark;
mod math;
mod number;
mod numeral;
mod overlong;
mod own;
mod regex;
mod repetition;
mod schema;
mod single;
mod stated;
mod uniform;
mod unit;
mod weighted;
mod word;
mod wording;

use std::borrow::Cow;
use std::path::Path;

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::Problem;

pub use answer::Extraction;
pub use choice::ChoiceReward;
pub use code::CodeReward;
pub use contains::ContainsReward;
pub use cosine::{Cosine, LengthUnit};
pub use countdown::CountdownReward;
pub use coverage::Coverage;
pub use error::RewardError;
pub use exact::ExactReward;
pub use format::FormatReward;
pub use json::{Fence, JsonReward};
pub use language::{LanguageReward, Scripts};
pub use length::LengthReward;
pub use math::MathReward;
pub use number::{NumberReward, Partial};
pub use overlong::OverlongReward;
pub use own::{CommandReward, EXAMPLE, HttpReward, JudgeReward, OnFailure, PythonReward};
pub use regex::{Pattern, RegexReward};
pub use repetition::{RepetitionReward, RunUnit};
pub use uniform::UniformReward;
pub use weighted::{Rewards, Score};

/// What a model wrote for a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completion<'a> {
    /// The text, without special tokens.
    pub text: &'a str,
    /// Its length in tokens, an end token included.
    pub tokens: usize,
    /// Whether it ended by itself, and was not cut off at `max_tokens`.
    pub finished: bool,
    /// The most tokens it was allowed.
    pub max_tokens: usize,
    /// Its tokens, an end token included; empty where it is known as text alone.
    pub ids: &'a [u32],
}

/// A completion and the problem it was written for.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// The problem.
    pub problem: &'a Problem,
    /// What the model wrote for it.
    pub completion: Completion<'a>,
}

/// How a reward is given completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// It answers at once, and the same whatever stands beside a completion.
    Anyhow,
    /// It waits for somebody else, who may be asked about each group by itself.
    ByGroup,
    /// It is asked once about all of a step.
    Once,
}

/// A judge of completions: by [`Reward::score`], one at a time, or by [`Reward::score_batch`].
pub trait Reward: Send + Sync {
    /// A short name for metrics and messages.
    fn name(&self) -> &str;

    /// The score before weighting, or none where this reward does not apply to the problem. A reward that
    /// needs all completions together, or may fail, leaves this out and has a `score_batch` of its own.
    fn score(&self, _problem: &Problem, _completion: &Completion) -> Option<f64> {
        None
    }

    /// The scores of many completions, in their order: one by one on all threads, unless a reward has a
    /// better way.
    ///
    /// # Errors
    /// Where it could not judge them; a completion that it has nothing to say of is none instead.
    fn score_batch(&self, items: &[Item]) -> Result<Vec<Option<f64>>, RewardError> {
        Ok(items.par_iter().map(|item| self.score(item.problem, &item.completion)).collect())
    }

    /// Begins what has to be there before the first completion, such as a process.
    ///
    /// # Errors
    /// Where it cannot be had.
    fn start(&self) -> Result<(), RewardError> {
        Ok(())
    }

    /// Keeps what it tells beside scores in `folder` from now on, in files that begin with `name`.
    fn keep_in(&self, _folder: &Path, _name: &str) {}

    /// How it is given what a step generates.
    fn asks(&self) -> Asks {
        Asks::Anyhow
    }

    /// Whether groups that it fails to judge leave, in place of ending the run.
    fn drops_groups(&self) -> bool {
        false
    }

    /// Why this reward applies to no completion of a problem, said of problems: `have no answer`; none
    /// where it applies. It must agree with [`Reward::score`].
    fn obstacle(&self, _problem: &Problem) -> Option<&'static str> {
        None
    }

    /// The score from which a problem counts as solved; none for rewards that do not judge answers.
    fn full_score(&self) -> Option<f64> {
        None
    }

    /// What a text states as its answer, to be shown; none for rewards that compare no part of it.
    fn extracted(&self, _problem: &Problem, _text: &str) -> Option<String> {
        None
    }

    /// Whether the score depends on what another reward of the run says: then
    /// [`Reward::score_by_verdict`] is asked in place of [`Reward::score_batch`].
    fn needs_verdict(&self) -> bool {
        false
    }

    /// The score of a completion that another reward takes for right or wrong; none where no other
    /// reward judges it.
    fn score_by_verdict(
        &self,
        problem: &Problem,
        completion: &Completion,
        _solved: Option<bool>,
    ) -> Option<f64> {
        self.score(problem, completion)
    }

    /// Whether the score depends on how many tokens a completion has.
    fn counts_tokens(&self) -> bool {
        false
    }
}

/// One reward of a run, told apart by `kind`; each has a `weight`, 1 by default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RewardConfig {
    /// The text is the answer.
    Exact(ExactReward),
    /// The answer stands in the text as a whole word.
    Contains(ContainsReward),
    /// The text chooses the right one of several answers.
    Choice(ChoiceReward),
    /// The number that the text states is the answer, or near it.
    Number(NumberReward),
    /// The answer that the text states is the answer, as mathematics has it.
    Math(MathReward),
    /// An expression of given numbers has a given value.
    Countdown(CountdownReward),
    /// The text has a form, or states the answer in one.
    Regex(RegexReward),
    /// The text is made of given tags, in order.
    Format(FormatReward),
    /// The text is JSON, and fits a schema.
    Json(JsonReward),
    /// The text is a program that passes tests.
    Code(CodeReward),
    /// The text is written in given scripts.
    Language(LanguageReward),
    /// The text does not repeat itself.
    Repetition(RepetitionReward),
    /// The length is near a target, below a limit, or right for an answer that is right or wrong.
    Length(LengthReward),
    /// The length stays clear of the limit of generation.
    Overlong(OverlongReward),
    /// A program of a person's own gives the score.
    Command(CommandReward),
    /// A Python function gives the score.
    Python(PythonReward),
    /// A web server gives the score.
    Http(HttpReward),
    /// A judging model gives the score.
    Judge(JudgeReward),
}

impl RewardConfig {
    /// The factor of this reward in the sum.
    pub fn weight(&self) -> f64 {
        match self {
            Self::Exact(reward) => reward.weight,
            Self::Contains(reward) => reward.weight,
            Self::Choice(reward) => reward.weight,
            Self::Number(reward) => reward.weight,
            Self::Math(reward) => reward.weight,
            Self::Countdown(reward) => reward.weight,
            Self::Regex(reward) => reward.weight,
            Self::Format(reward) => reward.weight,
            Self::Json(reward) => reward.weight,
            Self::Code(reward) => reward.weight,
            Self::Language(reward) => reward.weight,
            Self::Repetition(reward) => reward.weight,
            Self::Length(reward) => reward.weight,
            Self::Overlong(reward) => reward.weight,
            Self::Command(reward) => reward.weight,
            Self::Python(reward) => reward.weight,
            Self::Http(reward) => reward.weight,
            Self::Judge(reward) => reward.weight,
        }
    }

    /// The reward itself, its settings checked.
    ///
    /// # Errors
    /// A setting that cannot be used, with its key.
    pub fn build(&self) -> Result<Box<dyn Reward>, RewardError> {
        Ok(match self {
            Self::Exact(reward) => Box::new(reward.clone()),
            Self::Contains(reward) => Box::new(reward.clone()),
            Self::Choice(reward) => Box::new(reward.checked()?),
            Self::Number(reward) => Box::new(reward.checked()?),
            Self::Math(reward) => Box::new(reward.clone()),
            Self::Countdown(reward) => Box::new(reward.checked()?),
            Self::Regex(reward) => Box::new(reward.checked()?),
            Self::Format(reward) => Box::new(reward.checked()?),
            Self::Json(reward) => Box::new(reward.checked()?),
            Self::Code(reward) => Box::new(reward.checked()?),
            Self::Language(reward) => Box::new(reward.checked()?),
            Self::Repetition(reward) => Box::new(reward.checked()?),
            Self::Length(reward) => Box::new(reward.checked()?),
            Self::Overlong(reward) => Box::new(reward.checked()?),
            Self::Command(reward) => reward.build()?,
            Self::Python(reward) => reward.build()?,
            Self::Http(reward) => reward.build()?,
            Self::Judge(reward) => reward.build()?,
        })
    }

    /// The file that it runs, where it names one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Python(reward) => Some(&reward.path),
            _ => None,
        }
    }
}

fn one() -> f64 {
    1.0
}

/// The part of a text that is compared: all of it, or the answer that an extraction finds in it.
fn compared<'a>(answer: Option<&Extraction>, text: &'a str) -> Option<Cow<'a, str>> {
    match answer {
        Some(extraction) => extraction.extract(text),
        None => Some(Cow::Borrowed(text.trim())),
    }
}

/// The answer of a problem without white space around it; an empty one is none, or silence would be
/// right.
fn some_answer(problem: &Problem) -> Option<&str> {
    problem.answer.as_deref().map(str::trim).filter(|answer| !answer.is_empty())
}

#[cfg(test)]
pub(crate) mod test_support {
    use super::*;
    use crate::data::Prompt;
    use serde_json::Map;

    pub(crate) fn problem(answer: Option<&str>) -> Problem {
        let prompt = Prompt::Text("1+1=".into());
        Problem { id: 7, prompt, answer: answer.map(str::to_owned), columns: Map::new() }
    }

    pub(crate) fn completion(text: &str) -> Completion<'_> {
        Completion { text, tokens: 10, finished: true, max_tokens: 100, ids: &[] }
    }

    pub(crate) fn of_length(tokens: usize) -> Completion<'static> {
        Completion { text: "", tokens, finished: true, max_tokens: 100, ids: &[] }
    }

    /// Cases that `tests/fixtures/rewards/make.py` computed.
    pub(crate) fn golden(name: &str) -> Vec<serde_json::Value> {
        let text = include_str!("../../tests/fixtures/rewards/golden.json");
        let all: serde_json::Value = serde_json::from_str(text).unwrap();
        all[name].as_array().unwrap().clone()
    }

    pub(crate) fn reward<R: serde::de::DeserializeOwned>(settings: &str) -> R {
        serde_json::from_str(settings).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_written_and_built() {
        for settings in [
            r#"{"kind":"exact"}"#,
            r#"{"kind":"contains","accent_insensitive":true}"#,
            r#"{"kind":"choice","last":"J","index_from":0}"#,
            r#"{"kind":"number","partial":"digits"}"#,
            r#"{"kind":"math","answer":{"from":"boxed"}}"#,
            r#"{"kind":"countdown"}"#,
            r#"{"kind":"regex","pattern":"^a+$","weight":0.5}"#,
            r#"{"kind":"regex","pattern":"^(a+)$","group":1}"#,
            r#"{"kind":"format","tags":["think","answer"]}"#,
            r#"{"kind":"json","schema":{"type":"object"},"fence":"last"}"#,
            r#"{"kind":"language","script":"latin"}"#,
            r#"{"kind":"language","script":["han","hiragana"]}"#,
            r#"{"kind":"repetition","unit":"characters"}"#,
            r#"{"kind":"length","max":20}"#,
            r#"{"kind":"length","cosine":{"unit":"characters"}}"#,
            r#"{"kind":"overlong","buffer":8}"#,
            r#"{"kind":"command","command":["python3","reward.py"],"on_failure":"drop"}"#,
            r#"{"kind":"python","path":"rewards.py","function":"accuracy"}"#,
            r#"{"kind":"http","url":"http://127.0.0.1:8000/score","solved_at":1.0}"#,
            r#"{"kind":"judge","url":"http://127.0.0.1:8000/v1/chat/completions","model":"m","prompt":"{{ completion }}"}"#,
        ] {
            let config: RewardConfig = serde_json::from_str(settings).unwrap();
            let again = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<RewardConfig>(&again).unwrap(), config);
            assert!(settings.contains(config.build().unwrap().name()));
        }
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let error = serde_json::from_str::<RewardConfig>(r#"{"kind":"exact","wieght":2}"#);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("wieght") && error.contains("weight"), "{error}");
    }
}
