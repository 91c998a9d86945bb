//! How good a completion is: functions of text and counts, several at once with weights; never
//! tensors.
//!
//! A reward answers with a number, or with nothing where it does not apply to a problem. Nothing is
//! not zero: it leaves the reward out of the sum.

mod clause;
mod countdown;
mod coverage;
mod decimal;
mod error;
mod exact;
mod expression;
mod length;
mod mark;
mod number;
mod numeral;
mod overlong;
mod own;
mod regex;
mod single;
mod stated;
mod unit;
mod weighted;
mod wording;

use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::data::Problem;

pub use countdown::CountdownReward;
pub use coverage::Coverage;
pub use error::RewardError;
pub use exact::ExactReward;
pub use length::LengthReward;
pub use number::{NumberReward, Partial};
pub use overlong::OverlongReward;
pub use own::{CommandReward, EXAMPLE, HttpReward, JudgeReward, OnFailure, PythonReward};
pub use regex::{Pattern, RegexReward};
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
}

/// One reward of a run, told apart by `kind`; each has a `weight`, 1 by default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RewardConfig {
    /// The text is the answer.
    Exact(ExactReward),
    /// The number that the text states is the answer, or near it.
    Number(NumberReward),
    /// An expression of given numbers has a given value.
    Countdown(CountdownReward),
    /// The text has a form.
    Regex(RegexReward),
    /// The length is near a target or below a limit.
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
            Self::Number(reward) => reward.weight,
            Self::Countdown(reward) => reward.weight,
            Self::Regex(reward) => reward.weight,
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
            Self::Number(reward) => Box::new(reward.checked()?),
            Self::Countdown(reward) => Box::new(reward.checked()?),
            Self::Regex(reward) => Box::new(reward.clone()),
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
            r#"{"kind":"number","partial":"digits"}"#,
            r#"{"kind":"countdown"}"#,
            r#"{"kind":"regex","pattern":"^a+$","weight":0.5}"#,
            r#"{"kind":"length","max":20}"#,
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
