//! REINFORCE++ for outcome rewards: the z-score of a reward within the whole batch.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::advantage::estimator::check_settings;
use crate::advantage::statistics::{deviation, mean, spread};
use crate::advantage::{AdvantageError, AdvantageEstimator, GroupAdvantages, RewardBatch};
use crate::kernel::group_rule::GroupRule;

/// Mean and deviation of all rewards of the batch, with Bessel's correction.
///
/// ```text
/// a = (r - mean_batch) / (std_batch + eps)
/// ```
///
/// The only estimator here that works with one rollout per prompt, and the only one that gives a
/// group of equal rewards a signal: it is compared with the other prompts.
/// Source: Hu, 2025, "REINFORCE++", arXiv 2501.03262; here over sequences, as ROLL's batch/batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReinforcePp {
    /// Added to the standard deviation.
    pub eps: f64,
    /// A batch whose rewards differ by no more gives exactly zero.
    pub equal_tol: f64,
}

impl Default for ReinforcePp {
    fn default() -> Self {
        Self { eps: 1e-4, equal_tol: 1e-6 }
    }
}

impl AdvantageEstimator for ReinforcePp {
    fn name(&self) -> &'static str {
        "reinforce_pp"
    }

    fn rule(&self) -> GroupRule {
        let Self { eps, equal_tol } = *self;
        GroupRule { eps, equal_tol, ..GroupRule::default() }
    }

    fn finishes(&self) -> bool {
        true
    }

    fn finish(
        &self,
        groups: Vec<GroupAdvantages>,
        batch: &RewardBatch,
    ) -> Result<Vec<GroupAdvantages>, AdvantageError> {
        let Self { eps, equal_tol } = *self;
        let scored = batch.scored();
        let baseline = mean(&scored);
        let scale = deviation(&scored, baseline) + eps;
        let has_spread = scored.len() >= 2 && spread(&scored) > equal_tol;
        let advantage = |reward: &Option<f64>| match reward {
            Some(reward) if has_spread => (reward - baseline) / scale,
            _ => 0.0,
        };
        let normalise = |(group, rewards): (GroupAdvantages, &Vec<Option<f64>>)| {
            let advantages = rewards.iter().map(advantage).collect();
            GroupAdvantages { baseline, scale, ..group.with_advantages(advantages) }
        };
        let rewards = batch.groups.iter().map(|group| &group.rewards);
        Ok(groups.into_iter().zip(rewards).map(normalise).collect())
    }

    fn validate(&self, g: usize) -> Result<(), AdvantageError> {
        match g {
            0 => Err(AdvantageError::GroupSize {
                estimator: self.name(),
                g,
                reason: "draw at least one rollout per prompt",
            }),
            _ => check_settings(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_rollouts_are_compared_with_other_prompts() {
        let batch = RewardBatch::from_rewards([vec![Some(1.0)], vec![Some(0.0)], vec![None]]);
        let got = ReinforcePp::default().estimate(&batch).unwrap();
        assert!((got[0].advantages[0] - 0.707_006_79).abs() < 1e-7);
        assert_eq!(got[0].advantages[0], -got[1].advantages[0]);
        assert_eq!(got[2].advantages, [0.0]);
    }

    #[test]
    fn a_batch_of_equal_rewards_gives_exactly_zero() {
        let batch = RewardBatch::from_rewards([vec![Some(0.1); 3], vec![Some(0.1); 4]]);
        for group in ReinforcePp::default().estimate(&batch).unwrap() {
            assert!(!group.has_signal && group.advantages.iter().all(|&a| a == 0.0));
        }
    }
}
