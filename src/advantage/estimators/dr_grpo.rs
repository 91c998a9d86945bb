//! Dr. GRPO: a reward's distance from the mean of its group.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::advantage::AdvantageEstimator;
use crate::kernel::group_rule::GroupRule;

/// Group mean without any scale, so that hard and easy prompts weigh what their rewards say.
///
/// ```text
/// a = r - mean
/// ```
///
/// Source: Liu et al., 2025, "Understanding R1-Zero-like training", arXiv 2503.20783.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DrGrpo {
    /// A group whose rewards differ by no more gives exactly zero.
    pub equal_tol: f64,
}

impl Default for DrGrpo {
    fn default() -> Self {
        Self { equal_tol: 1e-6 }
    }
}

impl AdvantageEstimator for DrGrpo {
    fn name(&self) -> &'static str {
        "dr_grpo"
    }

    fn rule(&self) -> GroupRule {
        GroupRule { equal_tol: self.equal_tol, ..GroupRule::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::RewardBatch;

    #[test]
    fn the_golden_vectors_of_the_algorithm_page_hold() {
        let batch = RewardBatch::from_rewards([
            vec![Some(1.0), Some(0.0), Some(0.0), Some(0.0)],
            vec![Some(2.0), Some(1.5), Some(0.0)],
        ]);
        let got = DrGrpo::default().estimate(&batch).unwrap();
        assert_eq!(got[0].advantages, [0.75, -0.25, -0.25, -0.25]);
        for (got, want) in got[1].advantages.iter().zip([0.833333, 0.333333, -1.166667]) {
            assert!((got - want).abs() < 1e-6);
        }
    }
}
