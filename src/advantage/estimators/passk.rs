//! Pass@k: only the best rollout of a group learns, by its lead over the second.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::advantage::{AdvantageError, AdvantageEstimator, GroupAdvantages, RewardBatch};
use crate::kernel::group_rule::{GroupRule, Scale};

/// The best rollout's lead over the second best; all others, and a shared best, get zero.
///
/// ```text
/// a_best = (r_best - r_second) / (std + eps)
/// ```
///
/// The reported baseline is the second best reward.
/// Source: Tang et al., 2025, "Optimizing language models for inference time objectives", arXiv
/// 2503.19595, in verl's form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Passk {
    /// Added to the standard deviation.
    pub eps: f64,
    /// A best reward that leads by no more is shared.
    pub equal_tol: f64,
}

impl Default for Passk {
    fn default() -> Self {
        Self { eps: 1e-4, equal_tol: 1e-6 }
    }
}

impl AdvantageEstimator for Passk {
    fn name(&self) -> &'static str {
        "passk"
    }

    fn rule(&self) -> GroupRule {
        let Self { eps, equal_tol } = *self;
        GroupRule { scale: Scale::Std, eps, equal_tol, ..GroupRule::default() }
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
        let pairs = groups.into_iter().zip(rewards);
        Ok(pairs.map(|(group, rewards)| lead_only(group, rewards, self.equal_tol)).collect())
    }
}

fn lead_only(group: GroupAdvantages, rewards: &[Option<f64>], equal_tol: f64) -> GroupAdvantages {
    let mut order: Vec<(usize, f64)> =
        rewards.iter().enumerate().filter_map(|(i, reward)| reward.map(|r| (i, r))).collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut advantages = vec![0.0; rewards.len()];
    let [(best, highest), (_, second), ..] = order[..] else {
        return group.with_advantages(advantages);
    };
    if highest - second > equal_tol {
        advantages[best] = (highest - second) / group.scale;
    }
    GroupAdvantages { baseline: second, ..group.with_advantages(advantages) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_single_best_rollout_has_an_advantage() {
        let batch = RewardBatch::from_rewards([
            vec![Some(0.0), Some(3.0), None, Some(1.0)],
            vec![Some(1.0), Some(1.0), Some(0.0)],
            vec![Some(1.0), None],
            vec![Some(1.0), Some(1.0 + 1e-7), Some(0.0)],
        ]);
        let got = Passk::default().estimate(&batch).unwrap();
        // {0, 3, 1}: mean 4/3, squares 42/9, over 2
        let scale = (21.0f64 / 9.0).sqrt() + 1e-4;
        assert!((got[0].advantages[1] - 2.0 / scale).abs() < 1e-12);
        assert_eq!(got[0].advantages.iter().filter(|&&a| a != 0.0).count(), 1);
        for group in &got[1..] {
            assert!(
                group.advantages.iter().all(|&advantage| advantage == 0.0) && !group.has_signal
            );
        }
    }
}
