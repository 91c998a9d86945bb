//! Group mean with the standard deviation of the whole batch (LitePPO).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::advantage::statistics::{deviation, mean};
use crate::advantage::{AdvantageError, AdvantageEstimator, GroupAdvantages, RewardBatch};
use crate::kernel::group_rule::GroupRule;

/// Group mean, scaled by the deviation of all rewards of the batch, with Bessel's correction.
///
/// ```text
/// a = (r - mean_group) / (std_batch + eps)
/// ```
///
/// Source: Liu et al., 2025, "Tricks or traps?" (LitePPO), arXiv 2508.08221.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GroupMeanBatchStd {
    /// Added to the standard deviation.
    pub eps: f64,
    /// A group whose rewards differ by no more gives exactly zero.
    pub equal_tol: f64,
}

impl Default for GroupMeanBatchStd {
    fn default() -> Self {
        Self { eps: 1e-4, equal_tol: 1e-6 }
    }
}

impl AdvantageEstimator for GroupMeanBatchStd {
    fn name(&self) -> &'static str {
        "group_mean_batch_std"
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
        Ok(divide_by_batch_std(groups, batch, self.eps))
    }
}

/// Divides unscaled advantages by the standard deviation of all scored rewards, plus epsilon.
pub(super) fn divide_by_batch_std(
    groups: Vec<GroupAdvantages>,
    batch: &RewardBatch,
    eps: f64,
) -> Vec<GroupAdvantages> {
    let scored = batch.scored();
    let scale = deviation(&scored, mean(&scored)) + eps;
    let divide = |group: GroupAdvantages| {
        let advantages = group.advantages.iter().map(|advantage| advantage / scale).collect();
        GroupAdvantages { scale, ..group.with_advantages(advantages) }
    };
    groups.into_iter().map(divide).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_without_spread_stays_at_zero_while_it_widens_the_batch() {
        let batch =
            RewardBatch::from_rewards([vec![Some(1.0), Some(0.0)], vec![Some(5.0), Some(5.0)]]);
        let got = GroupMeanBatchStd::default().estimate(&batch).unwrap();
        // {1, 0, 5, 5}: mean 2.75, squares 20.75, over 3
        let scale = (20.75f64 / 3.0).sqrt() + 1e-4;
        assert!((got[0].advantages[0] - 0.5 / scale).abs() < 1e-12);
        assert_eq!(got[1].advantages, [0.0, 0.0]);
        assert!(!got[1].has_signal);
    }
}
