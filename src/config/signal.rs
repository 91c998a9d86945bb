//! From the keys of rewards and advantages to what the trainer does with them.

use super::error::ensure;
use super::{ConfigError, RunConfig};
use crate::advantage::{
    AdvantageEstimator, Estimator, LegacyRewardNorm, NormOver, PostProcessing, RewardNorm,
    RewardShaping,
};
use crate::train::{QueryFilter, SampleFilters, Selection};

/// Over what a mean and over what a deviation is taken.
type NormTypes = (Option<NormOver>, Option<NormOver>);

impl RunConfig {
    /// The estimator that the keys mean.
    ///
    /// # Errors
    /// Normalisation keys that say something else than the estimator does.
    pub fn estimator(&self) -> Result<Estimator, ConfigError> {
        let estimator = &self.adv_estimator.0;
        let norm = self.norm_types()?;
        match estimator.reward_norm() {
            // ROLL's older releases: `reward_shift` under GRPO is the group mean alone.
            RewardNorm::Group { without_scale } if self.reward_shift => {
                let over_group = matches!(norm, (None | Some(NormOver::Group), None));
                ensure(over_group, "reward_norm", || {
                    "is not group, but grpo compares within a group; remove it".into()
                })?;
                Ok(*without_scale)
            }
            RewardNorm::Group { .. } if norm == (Some(NormOver::Group), Some(NormOver::Group)) => {
                Ok(estimator.clone())
            }
            RewardNorm::Before => Ok(estimator.clone()),
            RewardNorm::Group { .. } | RewardNorm::Itself => {
                ensure(norm == (None, None) && !self.reward_scale, "norm_mean_type", || {
                    normalised_twice(estimator.name())
                })?;
                Ok(estimator.clone())
            }
        }
    }

    /// What happens to rewards before the estimator.
    ///
    /// # Errors
    /// As [`Self::estimator`].
    pub fn shaping(&self) -> Result<RewardShaping, ConfigError> {
        let (norm_mean_type, norm_std_type) = match self.adv_estimator.0.reward_norm() {
            RewardNorm::Before => self.norm_types()?,
            // All others normalise themselves, and `estimator` refuses what they do not.
            _ => (None, None),
        };
        Ok(RewardShaping { norm_mean_type, norm_std_type, reward_clip: self.reward_clip })
    }

    /// What happens to advantages after the estimator.
    pub fn post_processing(&self) -> PostProcessing {
        PostProcessing {
            whiten_advantages: self.whiten_advantages,
            advantage_clip: self.advantage_clip,
        }
    }

    /// Which rollouts the loss leaves out.
    pub(super) fn filters(&self) -> SampleFilters {
        let thresholds = [self.difficulty_low_threshold, self.difficulty_high_threshold];
        SampleFilters {
            truncated: self.max_len_mask,
            truncation_penalty: self.truncation_penalty.unwrap_or(1.0),
            difficulty: self.difficulty_mask.then_some(thresholds),
        }
    }

    /// Which groups a step trains on.
    pub(super) fn selection(&self) -> Selection {
        match (self.query_filter, self.dynamic_sampling) {
            (QueryFilter::NoFilter, Some(dynamic)) => {
                let no_spread = QueryFilter::StdFilter { std_threshold: 0.0 };
                Selection::filtered(no_spread, Some(dynamic))
            }
            (QueryFilter::NoFilter, None) if self.adv_estimator.0.makes_up_for_silent_groups() => {
                let gpg = self.gpg.clone().unwrap_or_default();
                Selection::gpg(gpg.window(), gpg.alpha())
            }
            (QueryFilter::NoFilter, None) => Selection::default(),
            (filter, dynamic) => Selection::filtered(filter, dynamic),
        }
    }

    /// The normalisation of rewards, from the keys of today or from ROLL's older ones.
    fn norm_types(&self) -> Result<NormTypes, ConfigError> {
        let (reward_shift, reward_scale) = (self.reward_shift, self.reward_scale);
        let today = (self.norm_mean_type, self.norm_std_type);
        let legacy = LegacyRewardNorm { reward_norm: self.reward_norm, reward_shift, reward_scale };
        if legacy == LegacyRewardNorm::default() {
            return Ok(today);
        }
        ensure(today == (None, None), "reward_norm", || {
            "is ROLL's older way to say norm_mean_type and norm_std_type, which are given too; keep \
             one of the two"
                .into()
        })?;
        let norm = self.adv_estimator.0.reward_norm();
        let is_grpo = matches!(norm, RewardNorm::Group { .. });
        ensure(self.reward_norm.is_some() || is_grpo && !reward_scale, "reward_norm", || {
            "is null, so reward_shift and reward_scale have no effect; set it to group, batch or \
             running, or remove them"
                .into()
        })?;
        Ok(legacy.norm_types()?)
    }
}

fn normalised_twice(estimator: &str) -> String {
    format!(
        "rewards would be normalised, but {estimator} does that itself; remove the keys that speak \
         of it (norm_mean_type, norm_std_type, reward_norm, reward_shift, reward_scale), or set \
         adv_estimator to reinforce, which has no baseline of its own"
    )
}
