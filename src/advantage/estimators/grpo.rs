//! GRPO: the z-score of a reward within its group.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::advantage::{AdvantageEstimator, DrGrpo, Estimator, RewardNorm};
use crate::kernel::group_rule::{GroupRule, Scale};

/// Group mean and group standard deviation, with Bessel's correction.
///
/// ```text
/// a = (r - mean) / (std + eps)
/// ```
///
/// Source: Shao et al., 2024, arXiv 2402.03300.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Grpo {
    /// Added to the standard deviation.
    pub eps: f64,
    /// A group whose rewards differ by no more gives exactly zero.
    pub equal_tol: f64,
}

impl Default for Grpo {
    fn default() -> Self {
        Self { eps: 1e-4, equal_tol: 1e-6 }
    }
}

impl AdvantageEstimator for Grpo {
    fn name(&self) -> &'static str {
        "grpo"
    }

    fn reward_norm(&self) -> RewardNorm {
        let mean_only = DrGrpo { equal_tol: self.equal_tol };
        RewardNorm::Group { without_scale: Box::new(Estimator::DrGrpo(mean_only)) }
    }

    fn rule(&self) -> GroupRule {
        let Self { eps, equal_tol } = *self;
        GroupRule { scale: Scale::Std, eps, equal_tol, ..GroupRule::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::RewardBatch;

    fn check(rewards: &[f64], want: &[f64]) {
        let batch = RewardBatch::from_rewards([rewards.iter().copied().map(Some).collect()]);
        let got = Grpo::default().estimate(&batch).unwrap().remove(0);
        for (got, want) in got.advantages.iter().zip(want) {
            assert!((got - want).abs() < 5e-6, "{rewards:?} gives {got}, not {want}");
        }
    }

    #[test]
    fn the_golden_vectors_of_the_algorithm_page_hold() {
        check(&[1.0, 0.0], &[0.707007, -0.707007]);
        check(&[1.0, 1.0, 0.0, 0.0], &[0.865875, 0.865875, -0.865875, -0.865875]);
        // The page gives these two to four decimals.
        check(&[1.0, 0.0, 0.0, 0.0], &[1.4997, -0.4999, -0.4999, -0.4999]);
        check(&[2.0, 1.5, 0.0], &[0.800564, 0.320226, -1.12079]);
    }

    #[test]
    fn a_group_of_equal_rewards_has_exactly_no_signal() {
        let batch = RewardBatch::from_rewards([vec![Some(0.1); 7], vec![Some(1e30); 3]]);
        for group in Grpo::default().estimate(&batch).unwrap() {
            assert!(group.advantages.iter().all(|&advantage| advantage == 0.0));
            assert!(!group.has_signal);
        }
    }

    #[test]
    fn a_group_of_one_after_filtering_gives_zero() {
        let batch = RewardBatch::from_rewards([vec![None, Some(3.0), None], vec![None, None]]);
        for group in Grpo::default().estimate(&batch).unwrap() {
            assert!(group.advantages.iter().all(|&advantage| advantage == 0.0));
        }
    }
}
