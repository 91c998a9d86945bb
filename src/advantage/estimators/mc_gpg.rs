//! MC-GPG: MC-GRPO's median and pivot, unscaled, for the policy-gradient loss of GPG.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mc_grpo::odd_count;
use crate::advantage::estimator::check_settings;
use crate::advantage::{AdvantageError, AdvantageEstimator};
use crate::kernel::group_rule::{Baseline, EvenMedian, GroupRule, PivotTie};

/// Median baseline over g + 1 rollouts without any scale; the pivot leaves.
///
/// ```text
/// a = r - median
/// ```
///
/// The loss is GPG's `-logp * a`, and its alpha counts the groups as they are after the pivot left.
/// Source: ours, from arXiv 2601.22582 and 2504.02546.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct McGpg {
    /// The median of an even count; unset, even group sizes are refused at the start of a run, and
    /// a group made even by an unscored rollout takes the lower.
    pub even_median: Option<EvenMedian>,
    /// Which of several rollouts at the median leaves.
    pub pivot_tie: PivotTie,
    /// Rewards this close to the median count as equal to it.
    pub tie_tol: f64,
    /// A group whose rewards differ by no more is invalid and gives exactly zero.
    pub equal_tol: f64,
}

impl Default for McGpg {
    fn default() -> Self {
        Self { even_median: None, pivot_tie: PivotTie::First, tie_tol: 0.0, equal_tol: 1e-6 }
    }
}

impl AdvantageEstimator for McGpg {
    fn name(&self) -> &'static str {
        "mc_gpg"
    }

    fn rule(&self) -> GroupRule {
        GroupRule {
            baseline: Baseline::Median,
            even_median: self.even_median.unwrap_or(EvenMedian::Lower),
            equal_tol: self.equal_tol,
            pivot: Some(self.pivot_tie),
            tie_tol: self.tie_tol,
            ..GroupRule::default()
        }
    }

    fn default_loss(&self) -> &'static str {
        "policy_gradient"
    }

    fn allows_reference(&self) -> bool {
        false
    }

    fn makes_up_for_silent_groups(&self) -> bool {
        true
    }

    fn rollouts_per_prompt(&self, g: usize) -> usize {
        g + 1
    }

    fn validate(&self, g: usize) -> Result<(), AdvantageError> {
        check_settings(self)?;
        odd_count(self.name(), g, self.even_median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::RewardBatch;

    #[test]
    fn advantages_are_plain_distances_from_the_median() {
        let batch = RewardBatch::from_rewards([vec![Some(2.0), Some(1.5), Some(0.0)]]);
        let got = McGpg::default().estimate(&batch).unwrap().remove(0);
        assert_eq!((got.advantages, got.pivot), (vec![0.5, 0.0, -1.5], Some(1)));
        assert_eq!(got.kept, [true, false, true]);
    }
}
