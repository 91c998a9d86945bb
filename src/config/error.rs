//! What can be wrong with a configuration.

use std::path::PathBuf;

use crate::advantage::AdvantageError;
use crate::loss::LossError;
use crate::reward::RewardError;

/// A configuration that no run can be made of.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that cannot be read.
    #[error("{}: cannot be read: {source}; check the path", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// YAML that is not understood, or a key or value that is not.
    #[error("{}{}: {problem}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where in it, from 1, where that is known.
        line: Option<u64>,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A `--set` that does not fit.
    #[error("--set {assignment}: {problem}")]
    Override {
        /// What was given.
        assignment: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Values that do not fit each other.
    #[error("{key} {problem}")]
    Contradiction {
        /// The key to change.
        key: &'static str,
        /// What is wrong, and how to mend it.
        problem: String,
    },
    /// An estimator's own objection.
    #[error("adv_estimator: {0}")]
    Advantage(AdvantageError),
    /// An objection to a key of the top level, which it names.
    #[error(transparent)]
    Setting(#[from] AdvantageError),
    /// A loss's own objection.
    #[error("policy_loss: {0}")]
    Loss(#[from] LossError),
    /// A reward's own objection.
    #[error(transparent)]
    Reward(#[from] RewardError),
}

/// Refuses a value of `key` unless something holds.
pub(super) fn ensure(
    holds: bool,
    key: &'static str,
    problem: impl FnOnce() -> String,
) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError::Contradiction { key, problem: problem() }) }
}
