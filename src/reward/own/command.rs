//! A program of any language that scores completions.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Own;
use super::keys::{Keys, OnFailure, patience};
use super::place::Place;
use super::program::{Errors, Program};
use crate::reward::{Reward, RewardError, one};

/// Scores by a program that runs as long as the run.
///
/// It is given one line of JSON for each batch of completions and answers with one line:
///
/// ```text
/// {"prompts": [...], "completions": [...], "completion_ids": [[...], ...], COLUMN: [...], "answer": [...]}
/// {"rewards": [1.0, null, ...]}
/// ```
/// `null` says that the reward does not apply. What it writes to standard error goes to a log of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandReward {
    /// Factor in the sum of rewards.
    #[serde(default = "one")]
    pub weight: f64,
    /// The program and its arguments, as in `[python3, reward.py]`; no shell reads them.
    pub command: Vec<String>,
    /// What it is called in metrics.
    #[serde(default = "name")]
    pub name: String,
    /// The longest that an answer may take.
    #[serde(default = "patience")]
    pub timeout_seconds: f64,
    /// How often a request is tried again, with the program started anew.
    #[serde(default)]
    pub retries: usize,
    /// What happens then.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// The score from which on a problem counts as solved; without it this reward does not judge that.
    #[serde(default)]
    pub solved_at: Option<f64>,
}

fn name() -> String {
    "command".to_owned()
}

impl CommandReward {
    /// The reward, not yet started.
    pub(in crate::reward) fn build(&self) -> Result<Box<dyn Reward>, RewardError> {
        if self.command.first().is_none_or(String::is_empty) {
            let problem = "names no program; write it as a list, such as [python3, reward.py]";
            return Err(RewardError::setting("command", "command", problem));
        }
        let keys = Keys::checked("command", &self.name, self.timeout_seconds, self.solved_at)?;
        let keys = keys.failing(self.retries, self.on_failure);
        Ok(by_program(keys, self.command.clone(), false))
    }
}

/// A reward by a program.
pub(super) fn by_program(keys: Keys, line: Vec<String>, says_ready: bool) -> Box<dyn Reward> {
    let errors = Arc::new(Errors::default());
    let place = Place::new(&keys.name, Arc::clone(&errors));
    Box::new(Own { keys, way: Program::new(line, says_ready, errors), place })
}
