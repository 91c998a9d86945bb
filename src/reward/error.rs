//! What can be wrong with the rewards of a run.

use thiserror::Error;

/// Why rewards could not be made, or a completion not be scored.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum RewardError {
    /// There is nothing to learn from.
    #[error("rewards is empty; name at least one, such as `- kind: exact`")]
    NoReward,
    /// A setting has a value that cannot be used.
    #[error("rewards: {reward}.{key}: {problem}")]
    Setting {
        /// The kind of reward.
        reward: &'static str,
        /// The key within it.
        key: &'static str,
        /// What is wrong, and how to mend it.
        problem: String,
    },
    /// A reward gave something that cannot be learned from.
    #[error("reward {reward} gave {score} for problem {problem_id}; it must give a finite number")]
    NotFinite {
        /// The name of the reward.
        reward: String,
        /// What it gave.
        score: f64,
        /// The problem it was given for.
        problem_id: u64,
    },
}

impl RewardError {
    pub(super) fn setting(
        reward: &'static str,
        key: &'static str,
        problem: impl Into<String>,
    ) -> Self {
        Self::Setting { reward, key, problem: problem.into() }
    }
}
