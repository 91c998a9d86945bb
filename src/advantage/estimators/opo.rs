//! OPO: a reward's distance from the length-weighted mean of its group.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::advantage::AdvantageEstimator;
use crate::kernel::group_rule::{Baseline, GroupRule};

/// The baseline of least gradient variance where a gradient's size goes with its rollout's length.
///
/// ```text
/// a = r - sum(l * r) / sum(l)
/// ```
///
/// Lengths are loss tokens; where all are zero the plain mean stands in.
/// Source: Hao et al., 2025, "On-policy RL with optimal reward baseline", arXiv 2505.23585.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Opo {
    /// A group whose rewards differ by no more gives exactly zero.
    pub equal_tol: f64,
}

impl Default for Opo {
    fn default() -> Self {
        Self { equal_tol: 1e-6 }
    }
}

impl AdvantageEstimator for Opo {
    fn name(&self) -> &'static str {
        "opo"
    }

    fn rule(&self) -> GroupRule {
        let equal_tol = self.equal_tol;
        GroupRule { baseline: Baseline::LengthWeighted, equal_tol, ..GroupRule::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::RewardBatch;

    fn baseline(lengths: [usize; 3]) -> f64 {
        let mut batch = RewardBatch::from_rewards([vec![Some(1.0), Some(0.0), None]]);
        batch.groups[0].lengths = lengths.to_vec();
        Opo::default().estimate(&batch).unwrap()[0].baseline
    }

    #[test]
    fn long_rollouts_pull_the_baseline() {
        assert_eq!(baseline([3, 1, 100]), 0.75);
        assert_eq!(baseline([1, 3, 100]), 0.25);
    }

    #[test]
    fn rollouts_without_loss_tokens_fall_back_to_the_mean() {
        assert_eq!(baseline([0, 0, 0]), 0.5);
    }
}
