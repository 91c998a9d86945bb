//! A Python function that scores completions, as TRL calls it.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::by_program;
use super::keys::{Keys, OnFailure, patience};
use crate::reward::{Reward, RewardError, one};

/// Loads a file, and calls a function of it for each line.
const DRIVER: &str = include_str!("driver.py");
/// Python, as the system calls it.
const PYTHON: &str = if cfg!(windows) { "python" } else { "python3" };

/// Scores by a function of a Python file, which is called as TRL calls it:
/// `function(prompts=..., completions=..., completion_ids=..., COLUMN=..., answer=...)`.
///
/// It gives a list of numbers, with `None` where it does not apply; it may be `async`. Completions are
/// text, or `[{"role": "assistant", "content": ...}]` where the prompt is a conversation. The `python3` of
/// the `PATH` runs it in one process for the whole run; what it prints goes to a log of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PythonReward {
    /// Factor in the sum of rewards.
    #[serde(default = "one")]
    pub weight: f64,
    /// The Python file.
    pub path: PathBuf,
    /// The function in it.
    pub function: String,
    /// What it is called in metrics; the function's name where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The longest that an answer may take.
    #[serde(default = "patience")]
    pub timeout_seconds: f64,
    /// How often a request is tried again.
    #[serde(default)]
    pub retries: usize,
    /// What happens then.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// The score from which on a problem counts as solved; without it this reward does not judge that.
    #[serde(default)]
    pub solved_at: Option<f64>,
}

impl PythonReward {
    /// The reward, not yet started.
    pub(in crate::reward) fn build(&self) -> Result<Box<dyn Reward>, RewardError> {
        let is_name = |c: char| c == '_' || c.is_ascii_alphanumeric();
        if self.function.is_empty() || !self.function.chars().all(is_name) {
            let problem = format!("is {:?}; name a function of the file", self.function);
            return Err(RewardError::setting("python", "function", problem));
        }
        let name = self.name.as_ref().unwrap_or(&self.function);
        let keys = Keys::checked("python", name, self.timeout_seconds, self.solved_at)?;
        let keys = keys.failing(self.retries, self.on_failure);
        let path = self.path.display().to_string();
        let line = [PYTHON, "-c", DRIVER, &path, &self.function].map(str::to_owned);
        Ok(by_program(keys, line.to_vec(), true))
    }
}
