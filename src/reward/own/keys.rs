//! What all rewards outside of this program have in common.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::reward::RewardError;

/// A longer name makes no column that a person reads.
const LONGEST_NAME: usize = 64;

/// What happens where a reward outside of this program fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The run ends, and the request is saved.
    #[default]
    Fail,
    /// The group leaves the step and is counted. Each group is then a request of its own.
    Drop,
}

/// The keys of one reward, checked.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    pub name: String,
    pub timeout: Duration,
    pub retries: usize,
    pub on_failure: OnFailure,
    pub solved_at: Option<f64>,
}

/// How long a request may take where nothing else is said.
pub(super) fn patience() -> f64 {
    120.0
}

/// How often something is tried again that goes over a network.
pub(super) fn few() -> usize {
    2
}

impl Keys {
    /// Checks what the number table of a configuration does not.
    pub(super) fn checked(
        kind: &str,
        name: &str,
        timeout_seconds: f64,
        solved_at: Option<f64>,
    ) -> Result<Self, RewardError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(is_plain) {
            let problem = format!(
                "is {name:?}; use at most {LONGEST_NAME} letters, digits, points, hyphens and underscores"
            );
            return Err(RewardError::setting(kind, "name", problem));
        }
        let timeout = Duration::try_from_secs_f64(timeout_seconds).ok().filter(|t| !t.is_zero());
        let Some(timeout) = timeout else {
            let problem = format!("is {timeout_seconds}; it must be a number of seconds above 0");
            return Err(RewardError::setting(kind, "timeout_seconds", problem));
        };
        if solved_at.is_some_and(|score| !score.is_finite()) {
            let problem = "must be a finite number";
            return Err(RewardError::setting(kind, "solved_at", problem));
        }
        let (retries, on_failure) = (0, OnFailure::Fail);
        Ok(Self { name: name.to_owned(), timeout, retries, on_failure, solved_at })
    }

    /// The same with what is done where it fails.
    pub(super) fn failing(self, retries: usize, on_failure: OnFailure) -> Self {
        Self { retries, on_failure, ..self }
    }
}
