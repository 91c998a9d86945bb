//! REINFORCE++ with a baseline: group mean, then whitened over the batch's loss tokens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::advantage::post::whiten;
use crate::advantage::{AdvantageError, AdvantageEstimator, GroupAdvantages, RewardBatch};
use crate::kernel::group_rule::GroupRule;

/// Group mean, then mean and deviation of the differences over all loss tokens of the batch.
///
/// ```text
/// d = r - mean_group        a = (d - mean_tokens(d)) / sqrt(var_tokens(d) + 1e-8)
/// ```
///
/// Differs from the peers in that a group of equal rewards stays at exactly zero, where the
/// whitening would push it off by the token mean.
/// Source: Hu, 2025, "REINFORCE++", arXiv 2501.03262.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReinforcePpBaseline {
    /// A group whose rewards differ by no more gives exactly zero.
    pub equal_tol: f64,
}

impl Default for ReinforcePpBaseline {
    fn default() -> Self {
        Self { equal_tol: 1e-6 }
    }
}

impl AdvantageEstimator for ReinforcePpBaseline {
    fn name(&self) -> &'static str {
        "reinforce_pp_baseline"
    }

    fn rule(&self) -> GroupRule {
        GroupRule { equal_tol: self.equal_tol, ..GroupRule::default() }
    }

    fn finishes(&self) -> bool {
        true
    }

    fn finish(
        &self,
        groups: Vec<GroupAdvantages>,
        batch: &RewardBatch,
    ) -> Result<Vec<GroupAdvantages>, AdvantageError> {
        let lengths: Vec<&[usize]> = batch.groups.iter().map(|g| g.lengths.as_slice()).collect();
        let had_signal: Vec<bool> = groups.iter().map(|group| group.has_signal).collect();
        let restore = |(group, had_signal): (GroupAdvantages, bool)| match had_signal {
            true => group,
            false => {
                let zeros = vec![0.0; group.advantages.len()];
                group.with_advantages(zeros)
            }
        };
        Ok(whiten(groups, &lengths).into_iter().zip(had_signal).map(restore).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_whitened_over_tokens_and_equal_groups_stay_at_zero() {
        let mut batch =
            RewardBatch::from_rewards([vec![Some(1.0), Some(0.0)], vec![Some(2.0), Some(2.0)]]);
        batch.groups[0].lengths = vec![3, 1];
        let got = ReinforcePpBaseline::default().estimate(&batch).unwrap();
        // d = .5 x3, -.5 x1, 0 x2: mean 1/6, squares 1 - 6/36, over 5
        let deviation = ((1.0 - 1.0 / 6.0) / 5.0 + 1e-8f64).sqrt();
        assert!((got[0].advantages[0] - (0.5 - 1.0 / 6.0) / deviation).abs() < 1e-9);
        assert!((got[0].advantages[1] - (-0.5 - 1.0 / 6.0) / deviation).abs() < 1e-9);
        assert_eq!(got[1].advantages, [0.0, 0.0]);
    }
}
