//! Which groups a step trains on, and how long it draws prompts for them.

use serde::{Deserialize, Serialize};

use super::filters::mean_reward;
use super::score::ScoredGroup;
use crate::advantage::{AdvantageError, GpgWindow, OnExhausted};

/// ROLL's query filters: which prompts never reach the loss, nor any count of it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// The groups of a step: which ones count, and how many rounds of prompts it takes to find them.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// When a group counts.
    pub validity: Validity,
    /// How long to draw, and which groups to take.
    pub window: GpgWindow,
}

/// When a group counts towards a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Validity {
    /// Always.
    Any,
    /// When some advantage that reaches the loss is not zero; groups without one stay in the loss's
    /// divisor, as far as alpha does not make up for them.
    Signal,
    /// When the filter lets it pass.
    Passes(QueryFilter),
}

impl Default for Selection {
    fn default() -> Self {
        Self { validity: Validity::Any, window: GpgWindow::default() }
    }
}

impl Selection {
    /// GPG's window.
    pub fn gpg(window: GpgWindow) -> Self {
        Self { validity: Validity::Signal, window }
    }

    /// A filter, with or without drawing again.
    pub fn filtered(filter: QueryFilter, dynamic: Option<DynamicSampling>) -> Self {
        let window = match dynamic {
            Some(DynamicSampling { max_rounds, on_exhausted }) => {
                GpgWindow { beta_th: 1.0, max_rounds, on_exhausted, ..GpgWindow::default() }
            }
            None => GpgWindow::default(),
        };
        Self { validity: Validity::Passes(filter), window }
    }

    /// Whether groups that do not count still enlarge the loss's divisor.
    pub fn fills(&self) -> bool {
        self.validity == Validity::Signal
    }
}

impl QueryFilter {
    /// Whether a group's prompt is kept. One that could not be scored at all passes no filter.
    pub fn passes(&self, scored: &ScoredGroup) -> bool {
        let Some(mean) = mean_reward(scored) else { return *self == Self::NoFilter };
        match *self {
            Self::NoFilter => true,
            Self::MeanFilter { threshold_down, threshold_up } => {
                threshold_down < mean && mean < threshold_up
            }
            Self::StdFilter { std_threshold } => deviation(scored, mean) > std_threshold,
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

/// The standard deviation with Bessel's correction; exactly 0 where rewards differ by rounding only.
fn deviation(scored: &ScoredGroup, mean: f64) -> f64 {
    let rewards: Vec<f64> = scored.iter().filter_map(|completion| completion.score.total).collect();
    let squares: f64 = rewards.iter().map(|reward| (reward - mean).powi(2)).sum();
    let deviation = (squares / (rewards.len() - 1).max(1) as f64).sqrt();
    if deviation <= 1e-9 * mean.abs().max(1.0) { 0.0 } else { deviation }
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
            assert_eq!(mean.passes(&scored(&rewards)), by_mean, "{rewards:?}");
            assert_eq!(std.passes(&scored(&rewards)), by_std, "{rewards:?}");
            assert!(QueryFilter::NoFilter.passes(&scored(&rewards)));
        }
    }

    #[test]
    fn thresholds_that_let_nothing_pass_are_refused() {
        let mean = QueryFilter::MeanFilter { threshold_down: 0.5, threshold_up: 0.5 };
        assert!(mean.validate().unwrap_err().to_string().starts_with("threshold_up is 0.5"));
        let std = QueryFilter::StdFilter { std_threshold: f64::NAN };
        assert!(std.validate().unwrap_err().to_string().starts_with("std_threshold is NaN"));
    }

    #[test]
    fn dynamic_sampling_asks_for_a_whole_step_of_groups() {
        let filter = QueryFilter::StdFilter { std_threshold: 0.0 };
        let once = Selection::filtered(filter, None);
        let again = Selection::filtered(filter, Some(DynamicSampling::default()));
        use crate::advantage::WindowDecision::{DrawMore, Train};
        assert_eq!(once.window.decide(1, 4, 1), Train);
        assert_eq!(again.window.decide(3, 4, 1), DrawMore);
        assert_eq!(again.window.decide(4, 4, 1), Train);
    }
}
