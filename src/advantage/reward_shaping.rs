//! ROLL's reward processing: normalise, then clip, before any estimator sees the rewards.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::running_moments::{Moments, RunningMoments};
use super::{AdvantageError, GroupRewards, RewardBatch};

/// Added to every standard deviation here, as in ROLL.
const NORM_EPS: f64 = 1e-6;

/// Normalisation and clipping of combined rewards; by default nothing happens.
///
/// ```text
/// r' = clamp((r - mean) / (std + 1e-6), -clip, clip)
/// ```
///
/// Mean and std (Bessel) are each taken over what is configured, or left out. Where what they are taken
/// over is all the same (by its largest less its smallest value, not by a computed deviation), the reward
/// becomes exactly 0: nothing divided by the epsilon alone. Unscored rewards stay unscored; `each` is not
/// touched.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RewardShaping {
    /// Whose mean is subtracted.
    pub norm_mean_type: Option<NormOver>,
    /// Whose standard deviation divides.
    pub norm_std_type: Option<NormOver>,
    /// The largest absolute reward after normalisation.
    pub reward_clip: Option<f64>,
}

/// Over which rewards a mean or deviation is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NormOver {
    /// All scored rewards of the step.
    Batch,
    /// The scored rewards of the group.
    Group,
    /// All scored rewards since the run began, this step's included.
    Running,
}

impl RewardShaping {
    /// Shapes the rewards of one step; `running` takes them in first where it is used.
    ///
    /// Errors: rewards that [`RewardBatch::check`] refuses.
    pub fn apply(
        &self,
        batch: &RewardBatch,
        running: &mut RunningMoments,
    ) -> Result<RewardBatch, AdvantageError> {
        batch.check()?;
        let all = batch.scored();
        if self.uses(NormOver::Running) {
            running.extend(&all);
        }
        let whole = Moments::of(&all);
        let shape = |group: &GroupRewards| {
            let own = Moments::of(&group.scored());
            let of = |over: NormOver| match over {
                NormOver::Batch => whole,
                NormOver::Group => own,
                NormOver::Running => running.moments(),
            };
            let shape = |reward: f64| self.shape(reward, of);
            let rewards = group.rewards.iter().map(|reward| reward.map(shape)).collect();
            GroupRewards { rewards, ..group.clone() }
        };
        let groups = batch.groups.iter().map(shape).collect();
        Ok(RewardBatch { groups, ..batch.clone() })
    }

    /// Refuses a group's deviation without the group's mean, and a clip that is not above zero.
    pub fn validate(&self) -> Result<(), AdvantageError> {
        let group = Some(NormOver::Group);
        if self.norm_std_type == group && self.norm_mean_type.is_some_and(|m| m != NormOver::Group)
        {
            let reason = "a group's deviation is taken about the group's mean; set norm_mean_type to \
                          group or leave it out";
            return Err(AdvantageError::setting("norm_std_type", "group", reason));
        }
        match self.reward_clip {
            Some(limit) if limit.is_nan() || limit <= 0.0 => {
                let reason =
                    "it is the largest absolute reward; use a number above 0 or leave it out";
                Err(AdvantageError::setting("reward_clip", limit, reason))
            }
            _ => Ok(()),
        }
    }

    /// Whether what a reward becomes depends on no group but its own.
    pub fn is_within_groups(&self) -> bool {
        !self.uses(NormOver::Batch) && !self.uses(NormOver::Running)
    }

    fn uses(&self, over: NormOver) -> bool {
        self.norm_mean_type == Some(over) || self.norm_std_type == Some(over)
    }

    fn shape(&self, reward: f64, of: impl Fn(NormOver) -> Moments) -> f64 {
        let centred = match self.norm_mean_type.map(&of) {
            // Equal rewards differ from their mean by rounding only, and the epsilon would magnify it.
            Some(moments) if moments.equal => 0.0,
            Some(moments) => reward - moments.mean,
            None => reward,
        };
        let scaled = match self.norm_std_type.map(&of) {
            // Only the epsilon would divide, and make a million of a reward of 1.
            Some(moments) if moments.equal => 0.0,
            Some(moments) => centred / (moments.std + NORM_EPS),
            None => centred,
        };
        self.reward_clip.map_or(scaled, |limit| scaled.clamp(-limit, limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shaped(shaping: RewardShaping, groups: &[&[f64]]) -> Vec<Vec<f64>> {
        let groups = groups.iter().map(|rewards| rewards.iter().copied().map(Some).collect());
        let batch = RewardBatch::from_rewards(groups);
        let shaped = shaping.apply(&batch, &mut RunningMoments::default()).unwrap();
        shaped.groups.iter().map(GroupRewards::scored).collect()
    }

    fn norm(mean: Option<NormOver>, std: Option<NormOver>) -> RewardShaping {
        RewardShaping { norm_mean_type: mean, norm_std_type: std, reward_clip: None }
    }

    #[test]
    fn mean_and_deviation_are_chosen_independently() {
        let groups: [&[f64]; 2] = [&[1.0, 3.0], &[5.0, 7.0]];
        let (batch, group) = (Some(NormOver::Batch), Some(NormOver::Group));
        assert_eq!(shaped(norm(group, None), &groups), [[-1.0, 1.0], [-1.0, 1.0]]);
        assert_eq!(shaped(norm(batch, None), &groups), [[-3.0, -1.0], [1.0, 3.0]]);
        // squares 9 + 1 + 1 + 9, over 3
        let std = (20.0f64 / 3.0).sqrt() + 1e-6;
        assert_eq!(shaped(norm(group, batch), &groups), [[-1.0 / std, 1.0 / std]; 2]);
        assert_eq!(shaped(norm(None, batch), &groups)[0], [1.0 / std, 3.0 / std]);
        assert_eq!(shaped(norm(None, None), &groups), groups);
    }

    #[test]
    fn equal_rewards_are_normalised_to_exactly_zero() {
        let group = Some(NormOver::Group);
        assert_eq!(shaped(norm(group, group), &[&[0.1; 7], &[0.3]]), [vec![0.0; 7], vec![0.0]]);
    }

    #[test]
    fn a_deviation_of_equal_rewards_gives_zero_whatever_it_is_taken_over_and_without_a_mean_too() {
        use NormOver::{Batch, Group, Running};
        // 0.1 + 0.2 and 0.3 differ by rounding; the deviation of three 0.1 is 1.7e-17, not 0.
        let equal: [&[f64]; 3] = [&[0.1; 3], &[1.0, 1.0], &[0.1 + 0.2, 0.3]];
        let zeros = [vec![0.0; 3], vec![0.0; 2], vec![0.0; 2]];
        assert_eq!(shaped(norm(None, Some(Group)), &equal), zeros);
        for over in [Batch, Running] {
            assert_eq!(shaped(norm(None, Some(over)), &[&[0.1; 7], &[0.1; 4]])[0], [0.0; 7]);
        }
        // The squares of {1, 2} about 1.5 are .5, over 1.
        let std = 0.5f64.sqrt() + 1e-6;
        let groups: [&[f64]; 3] = [&[1.0, 2.0], &[1.0, 1.0], &[5.0]];
        let want = [vec![1.0 / std, 2.0 / std], vec![0.0; 2], vec![0.0]];
        assert_eq!(shaped(norm(None, Some(Group)), &groups), want);
    }

    #[test]
    fn clipping_comes_after_the_normalisation() {
        let clip = RewardShaping { reward_clip: Some(2.0), ..norm(Some(NormOver::Group), None) };
        assert_eq!(shaped(clip, &[&[100.0, 101.0, 105.0]]), [[-2.0, -1.0, 2.0]]);
    }

    #[test]
    fn unscored_rewards_stay_unscored() {
        let batch = RewardBatch::from_rewards([vec![Some(1.0), None, Some(3.0)]]);
        let group = Some(NormOver::Group);
        let shaped = norm(group, None).apply(&batch, &mut RunningMoments::default()).unwrap();
        assert_eq!(shaped.groups[0].rewards, [Some(-1.0), None, Some(1.0)]);
    }

    #[test]
    fn contradictory_settings_are_refused() {
        let mixed = norm(Some(NormOver::Batch), Some(NormOver::Group));
        assert!(mixed.validate().unwrap_err().to_string().contains("norm_mean_type"));
        let clip = RewardShaping { reward_clip: Some(-1.0), ..Default::default() };
        assert!(clip.validate().unwrap_err().to_string().starts_with("reward_clip is -1"));
    }
}
