//! RLOO: a reward's distance from the mean of the other rollouts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::advantage::AdvantageEstimator;
use crate::kernel::group_rule::{Baseline, GroupRule};

/// Leave-one-out baseline; unbiased, because no reward enters its own baseline.
///
/// ```text
/// a_i = r_i - mean of r_j, j != i  =  n / (n - 1) * (r_i - mean)
/// ```
///
/// The reported baseline is the mean of all and the scale `(n - 1) / n`.
/// Source: Kool et al., 2019; Ahmadian et al., 2024, arXiv 2402.14740.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rloo {
    /// A group whose rewards differ by no more gives exactly zero.
    pub equal_tol: f64,
}

impl Default for Rloo {
    fn default() -> Self {
        Self { equal_tol: 1e-6 }
    }
}

impl AdvantageEstimator for Rloo {
    fn name(&self) -> &'static str {
        "rloo"
    }

    fn rule(&self) -> GroupRule {
        let equal_tol = self.equal_tol;
        GroupRule { baseline: Baseline::LeaveOneOut, equal_tol, ..GroupRule::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::RewardBatch;

    fn check(rewards: &[f64], want: &[f64]) {
        let batch = RewardBatch::from_rewards([rewards.iter().copied().map(Some).collect()]);
        let got = Rloo::default().estimate(&batch).unwrap().remove(0);
        for (got, want) in got.advantages.iter().zip(want) {
            assert!((got - want).abs() < 1e-6, "{rewards:?} gives {got}, not {want}");
        }
    }

    #[test]
    fn the_golden_vectors_of_the_algorithm_page_hold() {
        check(&[1.0, 0.0], &[1.0, -1.0]);
        check(&[1.0, 1.0, 0.0, 0.0], &[0.666667, 0.666667, -0.666667, -0.666667]);
        check(&[1.0, 0.0, 0.0, 0.0], &[1.0, -0.333333, -0.333333, -0.333333]);
        check(&[2.0, 1.5, 0.0], &[1.25, 0.5, -1.75]);
        check(&[1.0; 4], &[0.0; 4]);
    }
}
