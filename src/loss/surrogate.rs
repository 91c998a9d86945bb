//! The clipped surrogate of PPO and GRPO, with clip-higher and dual clip.

use burn::tensor::{Bool, Tensor, backend::Backend};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::require;
use super::{ImportanceSampling, LossError, TokenBatch, TokenLosses};

/// Pessimistic minimum of the clipped and the unclipped importance-weighted advantage.
///
/// ```text
/// ℓ = −min(ρ·A, clip(ρ, 1 − low, 1 + high)·A)
/// ℓ = min(ℓ, −c·A)   where A < 0, if dual_clip_c = c is set
/// ```
///
/// Clip-higher (DAPO) is `pg_clip_high` above `pg_clip_low`. The two-sided cap of INTELLECT-2,
/// which puts `min(ρ, δ)` for ρ in the first branch, is the same function as the dual clip with
/// c = δ: both bite only where A < 0 and ρ > c. So it is the same key, and `delta` its alias.
///
/// Sources: Schulman et al. 2017, arXiv 1707.06347; Shao et al. 2024, arXiv 2402.03300; Ye et al.
/// 2019, arXiv 1912.09729 (dual clip); Yu et al. 2025, arXiv 2503.14476 (clip-higher); Prime
/// Intellect 2025, arXiv 2505.07291 (cap).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClippedSurrogate {
    /// How far below 1 a ratio may fall before its gradient stops.
    pub pg_clip_low: f64,
    /// How far above 1 a ratio may rise before its gradient stops.
    pub pg_clip_high: f64,
    /// Largest ratio that still pushes a bad token down; off when absent, 3 is usual.
    #[serde(alias = "delta")]
    pub dual_clip_c: Option<f64>,
    /// What a ratio is taken over.
    pub importance_sampling: ImportanceSampling,
}

impl Default for ClippedSurrogate {
    fn default() -> Self {
        Self {
            pg_clip_low: 0.2,
            pg_clip_high: 0.2,
            dual_clip_c: None,
            importance_sampling: ImportanceSampling::Token,
        }
    }
}

impl ClippedSurrogate {
    /// Losses of the tokens, and how many of them were clipped.
    pub fn token_losses<B: Backend>(&self, tokens: &TokenBatch<B>) -> TokenLosses<B> {
        let ratios_bt = self.importance_sampling.ratios_bt(tokens);
        let advantages_bt = tokens.advantages_bt();
        let (lower, upper) = self.range();
        let clipped_bt = ratios_bt.clone().clamp(lower, upper);
        let gains_bt = (ratios_bt.clone() * advantages_bt.clone())
            .min_pair(clipped_bt * advantages_bt.clone());
        TokenLosses {
            losses_bt: self.dual_clipped(-gains_bt, advantages_bt),
            clipped_low: tokens.count(pushed_below(tokens, &ratios_bt, lower)),
            clipped_high: tokens.count(pushed_above(tokens, &ratios_bt, upper)),
        }
    }

    /// Whether its ratio is one of a whole sequence.
    pub fn has_sequence_ratio(&self) -> bool {
        self.importance_sampling != ImportanceSampling::Token
    }

    /// Refuses bounds that cannot be meant.
    pub fn check(&self) -> Result<(), LossError> {
        check_clip_bounds(self.pg_clip_low, self.pg_clip_high)?;
        let (_, upper) = self.range();
        match self.dual_clip_c {
            // Written so that NaN is refused too.
            Some(cap) if !(cap > upper && cap.is_finite()) => {
                Err(LossError::CapInsideClipRange { cap, upper })
            }
            _ => Ok(()),
        }
    }

    fn range(&self) -> (f64, f64) {
        (1.0 - self.pg_clip_low, 1.0 + self.pg_clip_high)
    }

    fn dual_clipped<B: Backend>(
        &self,
        losses_bt: Tensor<B, 2>,
        advantages_bt: Tensor<B, 2>,
    ) -> Tensor<B, 2> {
        let Some(cap) = self.dual_clip_c else {
            return losses_bt;
        };
        let capped_bt = losses_bt.clone().min_pair(advantages_bt.clone().mul_scalar(-cap));
        losses_bt.mask_where(advantages_bt.lower_elem(0.0), capped_bt)
    }
}

/// Where the lower bound stops a gradient: a bad token (A < 0) already made rarer than it allows.
pub(super) fn pushed_below<B: Backend>(
    tokens: &TokenBatch<B>,
    ratios_bt: &Tensor<B, 2>,
    lower: f64,
) -> Tensor<B, 2, Bool> {
    let bad_bt = tokens.advantages_bt().lower_elem(0.0);
    ratios_bt.clone().lower_elem(lower).bool_and(bad_bt)
}

/// Where the upper bound stops a gradient: a good token (A > 0) already made likelier than it
/// allows.
pub(super) fn pushed_above<B: Backend>(
    tokens: &TokenBatch<B>,
    ratios_bt: &Tensor<B, 2>,
    upper: f64,
) -> Tensor<B, 2, Bool> {
    let good_bt = tokens.advantages_bt().greater_elem(0.0);
    ratios_bt.clone().greater_elem(upper).bool_and(good_bt)
}

/// Refuses clip bounds for which `[1 − low, 1 + high]` is no range of ratios around 1.
pub(super) fn check_clip_bounds(low: f64, high: f64) -> Result<(), LossError> {
    require(low > 0.0 && low <= 1.0, "pg_clip_low", low, "above 0 and at most 1")?;
    require(high > 0.0 && high.is_finite(), "pg_clip_high", high, "a finite number above 0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::tests::support::{TestBackend, assert_close, assert_gradient_is_the_slope};
    use crate::loss::tests::support::{floats, gradient, tensor};

    /// Ratios 0.5, 0.9, 1.1, 1.5 and 5, first with a good advantage, then with a bad one.
    fn logps() -> Tensor<TestBackend, 2> {
        let logps = [0.5f64, 0.9, 1.1, 1.5, 5.0].map(|ratio| ratio.ln() - 2.0);
        tensor([logps, logps])
    }

    fn tokens(logps_bt: Tensor<TestBackend, 2>) -> TokenBatch<TestBackend> {
        TokenBatch::new(logps_bt, tensor([[2.0], [-2.0]]), tensor([[1.0; 5], [1.0; 5]]))
            .with_old_logps(tensor([[-2.0; 5], [-2.0; 5]]))
    }

    fn with_dual_clip() -> ClippedSurrogate {
        ClippedSurrogate { dual_clip_c: Some(3.0), ..Default::default() }
    }

    #[test]
    fn a_good_token_gains_nothing_above_the_range_and_a_bad_one_nothing_below() {
        let losses = ClippedSurrogate::default().token_losses(&tokens(logps()));
        let expected = [-1.0, -1.8, -2.2, -2.4, -2.4, 1.6, 1.8, 2.2, 3.0, 10.0];
        assert_close(&floats(losses.losses_bt), &expected, 1e-12);
        assert_eq!(floats(losses.clipped_low), [1.0]);
        assert_eq!(floats(losses.clipped_high), [2.0]);
    }

    #[test]
    fn clip_higher_widens_the_upper_side_only() {
        let loss = ClippedSurrogate { pg_clip_high: 0.6, ..Default::default() };
        let losses = loss.token_losses(&tokens(logps()));
        let expected = [-1.0, -1.8, -2.2, -3.0, -3.2, 1.6, 1.8, 2.2, 3.0, 10.0];
        assert_close(&floats(losses.losses_bt), &expected, 1e-12);
        assert_eq!(floats(losses.clipped_high), [1.0]);
    }

    #[test]
    fn the_dual_clip_bounds_the_loss_of_bad_tokens_only() {
        let losses = with_dual_clip().token_losses(&tokens(logps()));
        let expected = [-1.0, -1.8, -2.2, -2.4, -2.4, 1.6, 1.8, 2.2, 3.0, 6.0];
        assert_close(&floats(losses.losses_bt), &expected, 1e-12);
    }

    #[test]
    fn the_dual_clip_is_the_two_sided_cap() {
        let ratios_bt = (logps() + 2.0).exp();
        let advantages_bt = tensor([[2.0; 5], [-2.0; 5]]);
        let capped_bt = ratios_bt.clone().clamp_max(3.0) * advantages_bt.clone();
        let clipped_bt = ratios_bt.clamp(0.8, 1.2) * advantages_bt;
        let dual = with_dual_clip().token_losses(&tokens(logps())).losses_bt;
        let cap = -capped_bt.min_pair(clipped_bt);
        assert_close(&floats(dual), &floats(cap), 1e-12);
    }

    #[test]
    fn gradients_are_slopes_inside_and_outside_the_clip() {
        for loss in [ClippedSurrogate::default(), with_dual_clip()] {
            assert_gradient_is_the_slope(logps(), |logps_bt| {
                loss.token_losses(&tokens(logps_bt)).losses_bt.sum()
            });
        }
    }

    #[test]
    fn clipped_tokens_have_no_gradient() {
        let slopes = gradient(logps(), |logps_bt| {
            let loss = with_dual_clip().token_losses(&tokens(logps_bt));
            loss.losses_bt.sum()
        });
        let has_gradient = slopes.iter().map(|slope| *slope != 0.0);
        let expected = [true, true, true, false, false, false, true, true, true, false];
        assert!(has_gradient.eq(expected), "{slopes:?}");
    }

    #[test]
    fn bounds_that_cannot_be_meant_are_refused_by_name() {
        let refusal = |loss: ClippedSurrogate| loss.check().unwrap_err().to_string();
        let low = refusal(ClippedSurrogate { pg_clip_low: 1.5, ..Default::default() });
        assert!(low.starts_with("pg_clip_low is 1.5"), "{low}");
        let high = refusal(ClippedSurrogate { pg_clip_high: f64::NAN, ..Default::default() });
        assert!(high.starts_with("pg_clip_high is NaN"), "{high}");
        let cap = refusal(ClippedSurrogate { dual_clip_c: Some(1.1), ..Default::default() });
        assert!(cap.contains("clip range that ends at 1.2"), "{cap}");
        assert_eq!(with_dual_clip().check(), Ok(()));
    }
}
