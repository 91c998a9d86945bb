//! Which prompts never reach the loss, and whether others are drawn for them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::window::OnExhausted;
use crate::advantage::{AdvantageError, RewardStatistics};

/// ROLL's query filters: which prompts never reach the loss, nor any count of it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum QueryFilter {
    /// None.
    #[default]
    NoFilter,
    /// Those whose mean reward is at most one threshold or at least the other.
    MeanFilter {
        /// Drops a group with a mean reward of at most this.
        threshold_down: f64,
        /// Drops a group with a mean reward of at least this.
        threshold_up: f64,
    },
    /// Those whose rewards hardly differ.
    StdFilter {
        /// Drops a group whose rewards have at most this standard deviation.
        #[serde(default)]
        std_threshold: f64,
    },
}

/// DAPO's dynamic sampling: prompts that the filter dropped are replaced by others.
///
/// Source: Yu et al., 2025, arXiv 2503.14476, section 3.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DynamicSampling {
    /// The most times that a step's prompts are drawn.
    pub max_rounds: usize,
    /// What happens when groups are still missing after that many rounds.
    pub on_exhausted: OnExhausted,
}

impl Default for DynamicSampling {
    fn default() -> Self {
        Self { max_rounds: 4, on_exhausted: OnExhausted::Proceed }
    }
}

impl QueryFilter {
    /// Whether a group's prompt is kept. One that could not be scored at all passes no filter.
    pub fn passes(&self, rewards: &RewardStatistics) -> bool {
        if rewards.count == 0 {
            return *self == Self::NoFilter;
        }
        match *self {
            Self::NoFilter => true,
            Self::MeanFilter { threshold_down, threshold_up } => {
                threshold_down < rewards.mean && rewards.mean < threshold_up
            }
            Self::StdFilter { std_threshold } => told_deviation(rewards) > std_threshold,
        }
    }

    /// Refuses thresholds that let nothing pass.
    ///
    /// # Errors
    /// The threshold, with the reason.
    pub fn validate(&self) -> Result<(), AdvantageError> {
        match *self {
            Self::MeanFilter { threshold_down, threshold_up }
                if !matches!(
                    threshold_down.partial_cmp(&threshold_up),
                    Some(std::cmp::Ordering::Less)
                ) =>
            {
                let reason = "no mean lies above threshold_down and below threshold_up; raise \
                              threshold_up";
                Err(AdvantageError::setting("threshold_up", threshold_up, reason))
            }
            Self::StdFilter { std_threshold }
                if !(std_threshold >= 0.0 && std_threshold.is_finite()) =>
            {
                let reason = "it is a standard deviation; use a finite number, 0 or above";
                Err(AdvantageError::setting("std_threshold", std_threshold, reason))
            }
            _ => Ok(()),
        }
    }
}

/// The standard deviation; exactly 0 where rewards differ by rounding only.
fn told_deviation(rewards: &RewardStatistics) -> f64 {
    let rounding = 1e-9 * rewards.mean.abs().max(1.0);
    if rewards.std <= rounding { 0.0 } else { rewards.std }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::testing::scored;

    #[test]
    fn filters_drop_groups_at_their_thresholds() {
        let mean = QueryFilter::MeanFilter { threshold_down: 0.0, threshold_up: 1.0 };
        let std = QueryFilter::StdFilter { std_threshold: 0.0 };
        for (rewards, by_mean, by_std) in [
            (vec![0.0, 0.0], false, false),
            (vec![1.0, 1.0], false, false),
            (vec![0.1, 0.1, 0.1], true, false),
            (vec![1.0, 0.0], true, true),
        ] {
            assert_eq!(mean.passes(&scored(&rewards).statistics), by_mean, "{rewards:?}");
            assert_eq!(std.passes(&scored(&rewards).statistics), by_std, "{rewards:?}");
            assert!(QueryFilter::NoFilter.passes(&scored(&rewards).statistics));
        }
    }

    #[test]
    fn thresholds_that_let_nothing_pass_are_refused() {
        let mean = QueryFilter::MeanFilter { threshold_down: 0.5, threshold_up: 0.5 };
        assert!(mean.validate().unwrap_err().to_string().starts_with("threshold_up is 0.5"));
        let std = QueryFilter::StdFilter { std_threshold: f64::NAN };
        assert!(std.validate().unwrap_err().to_string().starts_with("std_threshold is NaN"));
    }
}
