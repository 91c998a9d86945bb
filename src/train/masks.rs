//! Which rollouts the loss leaves out. Group statistics are taken over all of them all the same.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::score::ScoredGroup;
use crate::advantage::{GroupAdvantages, GroupRewards};
use crate::rollout::{Completion, FinishReason, RolloutGroup};

/// What happens to a completion that was cut off at `response_length`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
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
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected keep, mask, penalise, true or false")]
enum Written {
    Flag(bool),
    Name(Name),
}

#[derive(Deserialize, JsonSchema)]
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
    /// The rewards of a group with its truncated completions penalised, where that is asked for.
    pub fn penalised(&self, mut rewards: GroupRewards, rollout: &RolloutGroup) -> GroupRewards {
        if self.truncated == Truncated::Penalise {
            let pairs = rewards.rewards.iter_mut().zip(&rollout.completions);
            for (reward, _) in pairs.filter(|(_, completion)| is_truncated(completion)) {
                *reward = reward.map(|reward| reward - self.truncation_penalty);
            }
        }
        rewards
    }

    /// One group's advantages with the rollouts masked that the loss shall not see.
    pub fn masked(&self, group: GroupAdvantages, scored: &ScoredGroup) -> GroupAdvantages {
        let of_group = scored.statistics;
        let has_right_difficulty = self.difficulty.is_none_or(|[low, high]| {
            of_group.count > 0 && low < of_group.mean && of_group.mean < high
        });
        let keeps = |completion: &Completion| {
            has_right_difficulty && (self.truncated != Truncated::Mask || !is_truncated(completion))
        };
        let keep: Vec<bool> = scored.rollout.completions.iter().map(keeps).collect();
        group.masked(&keep)
    }
}

fn is_truncated(completion: &Completion) -> bool {
    completion.finish == FinishReason::Length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::{AdvantageEstimator, DrGrpo, RewardBatch};
    use crate::train::testing::{group, scored, scored_as};

    fn estimated(rewards: &[f64]) -> GroupAdvantages {
        let batch = RewardBatch::from_rewards([rewards.iter().copied().map(Some).collect()]);
        DrGrpo::default().estimate(&batch).unwrap().remove(0)
    }

    #[test]
    fn truncated_completions_leave_the_loss_but_not_the_statistics() {
        let filters = SampleFilters { truncated: Truncated::Mask, ..Default::default() };
        let rollout =
            group(0, &[(2, FinishReason::Eos), (5, FinishReason::Length), (3, FinishReason::Eos)]);
        let rewards = [1.0, 0.0, 0.5];
        let masked = filters.masked(estimated(&rewards), &scored_as(rollout, &rewards));
        assert_eq!(masked.kept, [true, false, true]);
        assert_eq!(masked.baseline, 0.5);
    }

    #[test]
    fn a_group_whose_only_signal_is_masked_has_none() {
        let filters = SampleFilters { truncated: Truncated::Mask, ..Default::default() };
        let rollout = group(0, &[(2, FinishReason::Length), (5, FinishReason::Length)]);
        let group = scored_as(rollout, &[1.0, 0.0]);
        assert!(!filters.masked(estimated(&[1.0, 0.0]), &group).has_signal);
    }

    #[test]
    fn penalised_completions_lose_reward() {
        let filters = SampleFilters {
            truncated: Truncated::Penalise,
            truncation_penalty: 0.25,
            ..Default::default()
        };
        let rollout = group(0, &[(2, FinishReason::Eos), (5, FinishReason::Length)]);
        let rewards = GroupRewards::new(vec![Some(1.0), Some(1.0)]);
        let penalised = filters.penalised(rewards, &rollout);
        assert_eq!(penalised.rewards, [Some(1.0), Some(0.75)]);
    }

    #[test]
    fn the_difficulty_window_is_open_at_both_ends() {
        let filters = SampleFilters { difficulty: Some([0.0, 1.0]), ..Default::default() };
        for (rewards, kept) in [([0.0, 0.0], false), ([1.0, 1.0], false), ([1.0, 0.0], true)] {
            let masked = filters.masked(estimated(&rewards), &scored(&rewards));
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
