//! What can be wrong with the rewards of a run.

use thiserror::Error;

/// Why rewards could not be made, or a completion not be scored.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum RewardError {
    /// There is nothing to learn from.
    #[error("rewards is empty; name at least one, such as `- kind: exact`")]
    NoReward,
    /// There are more than any run has use for.
    #[error("rewards has {count} entries; name at most {most}")]
    TooMany {
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// No reward applies to any problem: a run would learn nothing.
    #[error(
        "no {part} problem can be judged by any reward: {reasons}; give answers that a reward can \
         judge, or name the column that holds them in data.answer_column (there {columns})"
    )]
    NothingJudged {
        /// `training` or `held-out`.
        part: &'static str,
        /// For each reward why it applies to none.
        reasons: String,
        /// The columns that the problems have, as a sentence.
        columns: String,
    },
    /// A setting has a value that cannot be used.
    #[error("rewards: {reward}.{key}: {problem}")]
    Setting {
        /// The kind of reward.
        reward: String,
        /// The key within it.
        key: &'static str,
        /// What is wrong, and how to mend it.
        problem: String,
    },
    /// A reward that scores a batch gave more or fewer scores than there are completions.
    #[error(
        "reward {reward} gave {given} scores for {asked} completions; it must give one for each"
    )]
    Count {
        /// The name of the reward.
        reward: String,
        /// How many scores there are.
        given: usize,
        /// How many there should be.
        asked: usize,
    },
    /// A reward of a person's own gave no scores.
    #[error("reward {reward}: {message}")]
    Failed {
        /// The name of the reward.
        reward: String,
        /// What happened, how to mend it, and where the request and the log lie.
        message: String,
    },
    /// A reward that drops what it cannot judge did so for too many groups on end.
    #[error(
        "reward {reward} failed for {groups} groups one after another, which is more than on_failure: drop \
         bears; the last time: {last}"
    )]
    AlwaysFails {
        /// The name of the reward.
        reward: String,
        /// How many groups it has dropped on end.
        groups: usize,
        /// The last failure.
        last: Box<RewardError>,
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
    pub(super) fn setting(reward: &str, key: &'static str, problem: impl Into<String>) -> Self {
        Self::Setting { reward: reward.to_owned(), key, problem: problem.into() }
    }
}
