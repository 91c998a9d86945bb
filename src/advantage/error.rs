//! What can be wrong with rewards or with an estimator's settings.

/// A batch of rewards or a setting that no advantage can be computed from.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AdvantageError {
    /// A reward is NaN, infinite, or so large that differences overflow f32.
    #[error(
        "group {group}, rollout {rollout}: reward {value} is not a usable number; return finite rewards \
         of at most 1e36, and \"not applicable\" for a completion that cannot be scored"
    )]
    Reward {
        /// Index of the group in the batch.
        group: usize,
        /// Index of the rollout in the group.
        rollout: usize,
        /// The reward.
        value: f64,
    },
    /// A group has no rollouts.
    #[error("group {group} has no rollouts; leave the prompt out of the batch instead")]
    EmptyGroup {
        /// Index of the group in the batch.
        group: usize,
    },
    /// A group has more rollouts than the group kernels take.
    #[error(
        "group {group} has {size} rollouts; at most {most} can be compared, so use smaller groups"
    )]
    LargeGroup {
        /// Index of the group in the batch.
        group: usize,
        /// Its rollouts.
        size: usize,
        /// The most there may be.
        most: usize,
    },
    /// A group's columns disagree about how many rollouts there are.
    #[error("group {group} has {rewards} rewards and {found} {what}; give one for each rollout")]
    Columns {
        /// Index of the group in the batch.
        group: usize,
        /// Rewards in the group.
        rewards: usize,
        /// Entries of the other column.
        found: usize,
        /// Name of the other column.
        what: &'static str,
    },
    /// A rollout does not have one value for each reward function.
    #[error(
        "group {group}, rollout {rollout}: {found} reward values for {weights} reward weights; gdpo \
         needs every reward function's value"
    )]
    RewardFunctions {
        /// Index of the group in the batch.
        group: usize,
        /// Index of the rollout in the group.
        rollout: usize,
        /// Values of that rollout.
        found: usize,
        /// Weights of the batch.
        weights: usize,
    },
    /// The group size does not suit the estimator.
    #[error("{estimator} with num_return_sequences_in_group {g}: {reason}")]
    GroupSize {
        /// The estimator's name in a config.
        estimator: &'static str,
        /// Rollouts per prompt that reach the loss.
        g: usize,
        /// Why not, and what to do.
        reason: &'static str,
    },
    /// A setting lies outside its range.
    #[error("{key} is {value}; {reason}")]
    Setting {
        /// The key in a config.
        key: &'static str,
        /// Its value.
        value: String,
        /// What is allowed, and why.
        reason: &'static str,
    },
}

impl AdvantageError {
    /// A setting out of range.
    pub(crate) fn setting(
        key: &'static str,
        value: impl std::fmt::Display,
        reason: &'static str,
    ) -> Self {
        Self::Setting { key, value: value.to_string(), reason }
    }
}

/// Refuses groups of one, whose only reward is its own baseline.
pub(super) fn at_least_two(estimator: &'static str, g: usize) -> Result<(), AdvantageError> {
    match g {
        0 | 1 => Err(AdvantageError::GroupSize {
            estimator,
            g,
            reason: "a group of one has nothing to compare its reward with; use 2 or more, or \
                     reinforce_pp, which compares over the whole batch",
        }),
        _ => Ok(()),
    }
}
