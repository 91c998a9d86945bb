//! What goes into an estimator and what comes out: explicit groups, ragged where they must be.

use serde::Serialize;

use super::AdvantageError;
use super::statistics::RewardStatistics;

/// The largest reward: f32, which the group kernels compute in, holds whatever two of them differ by.
const LARGEST_REWARD: f64 = 1e36;

/// The rewards of one prompt's rollouts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GroupRewards {
    /// The combined reward of each rollout; `None` where it could not be scored.
    pub rewards: Vec<Option<f64>>,
    /// Loss tokens of each rollout.
    pub lengths: Vec<usize>,
    /// `each[i][k]` is reward function k's value for rollout i; may be empty where no estimator
    /// asks for it.
    pub each: Vec<Vec<Option<f64>>>,
}

impl GroupRewards {
    /// A group of rollouts of equal length, known by their combined rewards only.
    pub fn new(rewards: Vec<Option<f64>>) -> Self {
        let lengths = vec![1; rewards.len()];
        Self { rewards, lengths, each: Vec::new() }
    }

    /// The rewards of the rollouts that could be scored, in order.
    pub fn scored(&self) -> Vec<f64> {
        self.rewards.iter().flatten().copied().collect()
    }
}

/// The groups of one optimiser step.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RewardBatch {
    /// One entry for each prompt.
    pub groups: Vec<GroupRewards>,
    /// One weight for each reward function; may be empty where no estimator asks for it.
    pub reward_weights: Vec<f64>,
    /// Decides random pivot ties together with the group's index; mix the step into it.
    pub seed: u64,
}

impl RewardBatch {
    /// A batch known by the combined rewards of its groups only.
    pub fn from_rewards(groups: impl IntoIterator<Item = Vec<Option<f64>>>) -> Self {
        Self { groups: groups.into_iter().map(GroupRewards::new).collect(), ..Self::default() }
    }

    /// Refuses empty groups, columns of different lengths, and rewards that are NaN, infinite or
    /// above 1e36.
    pub fn check(&self) -> Result<(), AdvantageError> {
        self.groups.iter().enumerate().try_for_each(|(index, group)| check_group(index, group))
    }

    /// The rewards of all rollouts that could be scored.
    pub fn scored(&self) -> Vec<f64> {
        self.groups.iter().flat_map(GroupRewards::scored).collect()
    }
}

/// The advantages of one prompt's rollouts, and what they came from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupAdvantages {
    /// What was subtracted from every reward; 0 where nothing could be scored.
    pub baseline: f64,
    /// What the difference was divided by, epsilon included.
    pub scale: f64,
    /// The rollout that leaves the group before the loss (MC-GRPO).
    pub pivot: Option<usize>,
    /// One for each rollout; exactly 0 for unscored rollouts and groups without signal.
    pub advantages: Vec<f64>,
    /// Whether the rollout reaches the loss: all but the pivot.
    pub kept: Vec<bool>,
    /// Whether the rollout had a reward.
    pub scored: Vec<bool>,
    /// Whether some kept advantage of the estimator differs from zero; whitening and clipping, which
    /// move all advantages, leave it as it is.
    pub has_signal: bool,
    /// Statistics of all scored rewards, the pivot's included.
    pub statistics: RewardStatistics,
}

impl GroupAdvantages {
    /// The same group with fewer rollouts that reach the loss, `has_signal` following from them.
    ///
    /// What the statistics and the baseline were taken over does not change.
    pub fn masked(mut self, keep: &[bool]) -> Self {
        assert!(keep.len() == self.kept.len(), "one flag for each rollout");
        self.kept.iter_mut().zip(keep).for_each(|(kept, keep)| *kept &= keep);
        let advantages = std::mem::take(&mut self.advantages);
        self.with_advantages(advantages)
    }

    /// The same group with other advantages, `has_signal` following from them.
    pub(super) fn with_advantages(self, advantages: Vec<f64>) -> Self {
        let has_signal = advantages.iter().zip(&self.kept).any(|(&a, &kept)| kept && a != 0.0);
        Self { advantages, has_signal, ..self }
    }
}

fn check_group(index: usize, group: &GroupRewards) -> Result<(), AdvantageError> {
    let rewards = group.rewards.len();
    if rewards == 0 {
        return Err(AdvantageError::EmptyGroup { group: index });
    }
    same_length(index, rewards, group.lengths.len(), "lengths")?;
    if !group.each.is_empty() {
        same_length(index, rewards, group.each.len(), "rows of single rewards")?;
    }
    for rollout in 0..rewards {
        let single = group.each.get(rollout).into_iter().flatten();
        for &value in single.chain([&group.rewards[rollout]]).flatten() {
            if value.is_nan() || value.abs() > LARGEST_REWARD {
                return Err(AdvantageError::Reward { group: index, rollout, value });
            }
        }
    }
    Ok(())
}

fn same_length(
    group: usize,
    rewards: usize,
    found: usize,
    what: &'static str,
) -> Result<(), AdvantageError> {
    if found == rewards {
        Ok(())
    } else {
        Err(AdvantageError::Columns { group, rewards, found, what })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_and_infinite_rewards_are_refused_with_their_place() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e101] {
            let batch = RewardBatch::from_rewards([vec![Some(1.0)], vec![None, Some(value)]]);
            let message = batch.check().unwrap_err().to_string();
            assert!(message.starts_with("group 1, rollout 1: reward "), "{message}");
        }
    }

    #[test]
    fn empty_groups_and_missing_lengths_are_refused() {
        let empty = RewardBatch::from_rewards([vec![]]);
        assert_eq!(empty.check(), Err(AdvantageError::EmptyGroup { group: 0 }));
        let mut short = RewardBatch::from_rewards([vec![Some(1.0), Some(2.0)]]);
        short.groups[0].lengths.pop();
        let message = short.check().unwrap_err().to_string();
        assert!(message.contains("2 rewards and 1 lengths"), "{message}");
    }
}
