//! Plain REINFORCE: the reward itself is the advantage.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::advantage::{
    AdvantageError, AdvantageEstimator, GroupAdvantages, RewardBatch, RewardNorm,
};
use crate::kernel::group_rule::GroupRule;

/// No baseline and no scale of its own.
///
/// ```text
/// a = r
/// ```
///
/// ROLL's `reinforce`: whatever is to be subtracted or divided by is said by `norm_mean_type` and
/// `norm_std_type`, which shape the rewards before they come here. A group of equal rewards has a
/// signal unless those rewards are zero, as a deviation over equal rewards makes them.
/// Source: Williams, 1992.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reinforce {}

impl AdvantageEstimator for Reinforce {
    fn name(&self) -> &'static str {
        "reinforce"
    }

    fn reward_norm(&self) -> RewardNorm {
        RewardNorm::Before
    }

    fn rule(&self) -> GroupRule {
        GroupRule::default()
    }

    fn finishes(&self) -> bool {
        true
    }

    fn finish(
        &self,
        groups: Vec<GroupAdvantages>,
        batch: &RewardBatch,
    ) -> Result<Vec<GroupAdvantages>, AdvantageError> {
        let rewards = batch.groups.iter().map(|group| &group.rewards);
        let unchanged = |(group, rewards): (GroupAdvantages, &Vec<Option<f64>>)| {
            let advantages = rewards.iter().map(|reward| reward.unwrap_or(0.0)).collect();
            GroupAdvantages { baseline: 0.0, scale: 1.0, ..group.with_advantages(advantages) }
        };
        Ok(groups.into_iter().zip(rewards).map(unchanged).collect())
    }

    fn validate(&self, g: usize) -> Result<(), AdvantageError> {
        match g {
            0 => Err(AdvantageError::GroupSize {
                estimator: self.name(),
                g,
                reason: "draw at least one rollout per prompt",
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::{NormOver, RewardShaping, RunningMoments};

    #[test]
    fn the_advantage_is_the_reward() {
        let batch = RewardBatch::from_rewards([vec![Some(1.0), None, Some(-2.0)], vec![Some(3.0)]]);
        let groups = Reinforce {}.estimate(&batch).unwrap();
        assert_eq!(groups[0].advantages, [1.0, 0.0, -2.0]);
        assert_eq!(groups[1].advantages, [3.0]);
        assert!(groups.iter().all(|group| group.has_signal));
    }

    #[test]
    fn equal_rewards_under_their_groups_deviation_carry_no_signal() {
        let over = Some(NormOver::Group);
        let shaping = RewardShaping { norm_std_type: over, ..RewardShaping::default() };
        let batch = RewardBatch::from_rewards([vec![Some(1.0); 4], vec![Some(1.0), Some(0.0)]]);
        let shaped = shaping.apply(&batch, &mut RunningMoments::default()).unwrap();
        let groups = Reinforce {}.estimate(&shaped).unwrap();
        assert_eq!(groups[0].advantages, [0.0; 4]);
        assert_eq!([groups[0].has_signal, groups[1].has_signal], [false, true]);
        assert!((groups[1].advantages[0] - 1.0 / (0.5f64.sqrt() + 1e-6)).abs() < 1e-12);
    }

    #[test]
    fn a_reward_of_zero_carries_no_signal() {
        let batch = RewardBatch::from_rewards([vec![Some(0.0), None]]);
        assert!(!Reinforce {}.estimate(&batch).unwrap()[0].has_signal);
    }
}
