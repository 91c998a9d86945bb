//! Which rollouts the loss leaves out. Group statistics are taken over all of them all the same.

use serde::{Deserialize, Serialize};

use super::score::ScoredGroup;
use crate::advantage::{GroupAdvantages, RewardBatch};
use crate::rollout::{Completion, FinishReason, RolloutGroup};

/// What happens to a completion that was cut off at `response_length`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", from = "Written")]
pub enum Truncated {
    /// It is trained on like any other.
    #[default]
    Keep,
    /// It leaves the loss and every count of it; its reward stays in its group's statistics.
    Mask,
    /// Its reward is lowered by `truncation_penalty`.
    Penalise,
}

/// A policy by name, or ROLL's `true` (mask) and `false` (keep).
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected keep, mask, penalise, true or false")]
enum Written {
    Flag(bool),
    Name(Name),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Name {
    Keep,
    Mask,
    Penalise,
}

impl From<Written> for Truncated {
    fn from(written: Written) -> Self {
        match written {
            Written::Flag(false) | Written::Name(Name::Keep) => Self::Keep,
            Written::Flag(true) | Written::Name(Name::Mask) => Self::Mask,
            Written::Name(Name::Penalise) => Self::Penalise,
        }
    }
}

/// ROLL's sample masks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleFilters {
    /// What happens to truncated completions.
    pub truncated: Truncated,
    /// What [`Truncated::Penalise`] takes off their reward.
    pub truncation_penalty: f64,
    /// Keeps a group only if its mean reward lies strictly between these two.
    pub difficulty: Option<[f64; 2]>,
}

impl Default for SampleFilters {
    fn default() -> Self {
        Self { truncated: Truncated::Keep, truncation_penalty: 1.0, difficulty: None }
    }
}

impl SampleFilters {
    /// The rewards with truncated completions penalised, where that is asked for.
    pub fn penalised(&self, mut batch: RewardBatch, rollouts: &[RolloutGroup]) -> RewardBatch {
        if self.truncated == Truncated::Penalise {
            for (group, rollout) in batch.groups.iter_mut().zip(rollouts) {
                let rewards = group.rewards.iter_mut().zip(&rollout.completions);
                for (reward, _) in rewards.filter(|(_, completion)| is_truncated(completion)) {
                    *reward = reward.map(|reward| reward - self.truncation_penalty);
                }
            }
        }
        batch
    }

    /// One group's advantages with the rollouts masked that the loss shall not see.
    pub fn masked(
        &self,
        group: GroupAdvantages,
        rollout: &RolloutGroup,
        scored: &ScoredGroup,
    ) -> GroupAdvantages {
        let has_right_difficulty = self.difficulty.is_none_or(|[low, high]| {
            mean_reward(scored).is_some_and(|mean| low < mean && mean < high)
        });
        let keeps = |completion: &Completion| {
            has_right_difficulty && (self.truncated != Truncated::Mask || !is_truncated(completion))
        };
        let keep: Vec<bool> = rollout.completions.iter().map(keeps).collect();
        group.masked(&keep)
    }
}

fn is_truncated(completion: &Completion) -> bool {
    completion.finish == FinishReason::Length
}

/// The mean of the rewards as they were scored; none where nothing was.
pub(super) fn mean_reward(scored: &ScoredGroup) -> Option<f64> {
    let rewards = scored.iter().filter_map(|completion| completion.score.total);
    let (sum, count) = rewards.fold((0.0, 0.0), |(sum, n), reward| (sum + reward, n + 1.0));
    (count > 0.0).then(|| sum / count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::{AdvantageEstimator, DrGrpo};
    use crate::train::testing::{group, scored};

    fn estimated(rewards: &[f64]) -> GroupAdvantages {
        let batch = RewardBatch::from_rewards([rewards.iter().copied().map(Some).collect()]);
        DrGrpo::default().estimate(&batch).unwrap().remove(0)
    }

    #[test]
    fn truncated_completions_leave_the_loss_but_not_the_statistics() {
        let filters = SampleFilters { truncated: Truncated::Mask, ..Default::default() };
        let rollout =
            group(0, &[(2, FinishReason::Eos), (5, FinishReason::Length), (3, FinishReason::Eos)]);
        let masked =
            filters.masked(estimated(&[1.0, 0.0, 0.5]), &rollout, &scored(&[1.0, 0.0, 0.5]));
        assert_eq!(masked.kept, [true, false, true]);
        assert_eq!(masked.baseline, 0.5);
    }

    #[test]
    fn a_group_whose_only_signal_is_masked_has_none() {
        let filters = SampleFilters { truncated: Truncated::Mask, ..Default::default() };
        let rollout = group(0, &[(2, FinishReason::Length), (5, FinishReason::Length)]);
        assert!(!filters.masked(estimated(&[1.0, 0.0]), &rollout, &scored(&[1.0, 0.0])).has_signal);
    }

    #[test]
    fn penalised_completions_lose_reward() {
        let filters = SampleFilters {
            truncated: Truncated::Penalise,
            truncation_penalty: 0.25,
            ..Default::default()
        };
        let rollouts = [group(0, &[(2, FinishReason::Eos), (5, FinishReason::Length)])];
        let batch = RewardBatch::from_rewards([vec![Some(1.0), Some(1.0)]]);
        let penalised = filters.penalised(batch, &rollouts);
        assert_eq!(penalised.groups[0].rewards, [Some(1.0), Some(0.75)]);
    }

    #[test]
    fn the_difficulty_window_is_open_at_both_ends() {
        let filters = SampleFilters { difficulty: Some([0.0, 1.0]), ..Default::default() };
        let rollout = group(0, &[(1, FinishReason::Eos), (1, FinishReason::Eos)]);
        for (rewards, kept) in [([0.0, 0.0], false), ([1.0, 1.0], false), ([1.0, 0.0], true)] {
            let masked = filters.masked(estimated(&rewards), &rollout, &scored(&rewards));
            assert_eq!(masked.kept, [kept; 2], "{rewards:?}");
        }
    }

    #[test]
    fn rolls_flag_and_our_names_are_both_read() {
        for (text, want) in [
            ("true", Truncated::Mask),
            ("false", Truncated::Keep),
            ("\"penalise\"", Truncated::Penalise),
        ] {
            assert_eq!(serde_json::from_str::<Truncated>(text).unwrap(), want);
        }
        let error = serde_json::from_str::<Truncated>("\"drop\"").unwrap_err().to_string();
        assert!(error.contains("keep, mask, penalise"), "{error}");
    }
}
