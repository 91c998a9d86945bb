//! GDPO: every reward function normalised within its group before the weighted sum.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::advantage::statistics::{deviation, mean, spread};
use crate::advantage::{AdvantageError, AdvantageEstimator, GroupAdvantages, RewardBatch};
use crate::kernel::group_rule::GroupRule;

/// The weighted sum of per-reward z-scores, divided once more by its deviation over the batch.
///
/// ```text
/// z_k = (r_k - mean_k) / (std_k + eps)        s = sum_k w_k z_k
/// a   = (s - mean_batch(s)) / (std_batch(s) + eps)
/// ```
///
/// A sum of rewards lets the one with the widest spread drown the others; this keeps each. A value
/// that is not applicable leaves its rollout out of that reward's statistics and adds nothing. A
/// group in which no reward differs stays at exactly zero. The reported baseline and scale are the
/// batch's.
/// Source: Liu et al., 2026, "GDPO", arXiv 2601.05242, in TRL's form (over sequences).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Gdpo {
    /// Added to every standard deviation.
    pub eps: f64,
    /// A reward that differs by no more within a group gives exactly zero there.
    pub equal_tol: f64,
}

impl Default for Gdpo {
    fn default() -> Self {
        Self { eps: 1e-4, equal_tol: 1e-6 }
    }
}

impl AdvantageEstimator for Gdpo {
    fn name(&self) -> &'static str {
        "gdpo"
    }

    fn takes_the_sum(&self) -> bool {
        false
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
        check_reward_functions(batch)?;
        let sums: Vec<Vec<f64>> = (0..groups.len()).map(|p| self.sums(batch, p)).collect();
        let scored = |p: usize| sums[p].iter().zip(&groups[p].scored).filter(|(_, s)| **s);
        let all: Vec<f64> = (0..groups.len()).flat_map(scored).map(|(sum, _)| *sum).collect();
        let baseline = mean(&all);
        let scale = deviation(&all, baseline) + self.eps;
        let normalise = |(group, sums): (GroupAdvantages, &Vec<f64>)| {
            let has_spread = sums.iter().any(|&sum| sum != 0.0);
            let advantage = |(sum, scored): (&f64, &bool)| match has_spread && *scored {
                true => (sum - baseline) / scale,
                false => 0.0,
            };
            let advantages = sums.iter().zip(&group.scored).map(advantage).collect();
            GroupAdvantages { baseline, scale, ..group.with_advantages(advantages) }
        };
        Ok(groups.into_iter().zip(&sums).map(normalise).collect())
    }
}

impl Gdpo {
    /// The weighted sums of z-scores of one group.
    fn sums(&self, batch: &RewardBatch, p: usize) -> Vec<f64> {
        let each = &batch.groups[p].each;
        let mut sums = vec![0.0; each.len()];
        for (k, weight) in batch.reward_weights.iter().enumerate() {
            let values: Vec<f64> = each.iter().filter_map(|row| row[k]).collect();
            if values.len() < 2 || spread(&values) <= self.equal_tol {
                continue;
            }
            let centre = mean(&values);
            let scale = deviation(&values, centre) + self.eps;
            for (sum, row) in sums.iter_mut().zip(each) {
                *sum += row[k].map_or(0.0, |value| weight * (value - centre) / scale);
            }
        }
        sums
    }
}

fn check_reward_functions(batch: &RewardBatch) -> Result<(), AdvantageError> {
    let weights = batch.reward_weights.len();
    for (group, rewards) in batch.groups.iter().enumerate() {
        for rollout in 0..rewards.rewards.len() {
            let found = rewards.each.get(rollout).map_or(0, Vec::len);
            if found != weights || weights == 0 {
                return Err(AdvantageError::RewardFunctions { group, rollout, found, weights });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::GroupRewards;

    fn group(each: Vec<Vec<Option<f64>>>) -> GroupRewards {
        let total = |row: &Vec<Option<f64>>| match row.iter().all(Option::is_none) {
            true => None,
            false => Some(row.iter().flatten().sum()),
        };
        let rewards = each.iter().map(total).collect();
        GroupRewards { lengths: vec![1; each.len()], rewards, each }
    }

    fn estimate(groups: Vec<GroupRewards>) -> Result<Vec<GroupAdvantages>, AdvantageError> {
        let batch = RewardBatch { groups, reward_weights: vec![1.0, 1.0], seed: 0 };
        Gdpo::default().estimate(&batch)
    }

    #[test]
    fn a_narrow_reward_counts_as_much_as_a_wide_one() {
        let rows = vec![
            vec![Some(100.0), Some(0.0)],
            vec![Some(0.0), Some(0.5)],
            vec![Some(0.0), Some(0.0)],
            vec![Some(100.0), Some(0.5)],
        ];
        let got = estimate(vec![group(rows)]).unwrap().remove(0).advantages;
        assert!((got[0] - got[1]).abs() < 1e-3 && (got[2] + got[3]).abs() < 1e-9);
        assert!(got[3] > 1.0 && got[2] < -1.0);
    }

    #[test]
    fn rewards_that_cancel_in_the_sum_still_have_a_signal_each() {
        let rows = vec![vec![Some(1.0), None], vec![Some(0.0), Some(1.0)], vec![None, None]];
        let got = estimate(vec![group(rows)]).unwrap().remove(0);
        assert!(got.has_signal && got.advantages[0] > 0.0);
        assert_eq!(got.advantages[2], 0.0);
    }

    #[test]
    fn equal_rewards_give_exactly_zero_beside_an_uneven_batch() {
        let equal = group(vec![vec![Some(0.1), Some(0.3)]; 3]);
        let other = group(vec![
            vec![Some(0.1), Some(0.7)],
            vec![Some(0.3), Some(0.2)],
            vec![Some(0.9), Some(0.4)],
        ]);
        let got = estimate(vec![equal, other]).unwrap();
        assert_eq!(got[0].advantages, [0.0; 3]);
        assert!(!got[0].has_signal && got[1].has_signal);
    }

    #[test]
    fn a_rollout_without_a_value_for_each_weight_is_refused() {
        let message = estimate(vec![group(vec![vec![Some(1.0)]])]).unwrap_err().to_string();
        assert!(message.starts_with("group 0, rollout 0: 1 reward values for 2"), "{message}");
    }
}
