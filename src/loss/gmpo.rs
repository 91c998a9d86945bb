//! GMPO: the geometric mean of token ratios, each clipped before the mean.

use burn::tensor::{Tensor, backend::Backend};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::require;
use super::{LossError, TokenBatch, TokenLosses};

/// One loss a sequence, from log-ratios that are clipped token by token on the pessimistic side.
///
/// ```text
/// Δ'_t = min(Δ_t, high) where A > 0,   max(Δ_t, −low) where A < 0
/// ℓ_t  = −A·exp(mean_t Δ'_t)
/// ```
///
/// Every token carries its sequence's loss: `seq-mean-token-mean` makes that the mean over
/// sequences, as published. The bounds are on logarithms: 0.4 is a ratio between 0.67 and 1.49.
///
/// Source: Zhao et al. 2025, arXiv 2507.20673.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gmpo {
    /// How far the log-ratio of a bad token may fall below 0.
    pub log_clip_low: f64,
    /// How far the log-ratio of a good token may rise above 0.
    pub log_clip_high: f64,
}

impl Default for Gmpo {
    fn default() -> Self {
        Self { log_clip_low: 0.4, log_clip_high: 0.4 }
    }
}

impl Gmpo {
    /// Losses of the tokens, and how many of them were clipped.
    pub fn token_losses<B: Backend>(&self, tokens: &TokenBatch<B>) -> TokenLosses<B> {
        let log_ratios_bt = tokens.log_ratios_bt();
        let good_bt = tokens.advantages_bt().greater_elem(0.0);
        let bad_bt = tokens.advantages_bt().lower_elem(0.0);
        let below_bt = log_ratios_bt.clone().lower_elem(-self.log_clip_low);
        let above_bt = log_ratios_bt.clone().greater_elem(self.log_clip_high);
        let below_bt = below_bt.bool_and(bad_bt);
        let above_bt = above_bt.bool_and(good_bt);
        let clipped_bt = log_ratios_bt
            .mask_fill(below_bt.clone(), -self.log_clip_low)
            .mask_fill(above_bt.clone(), self.log_clip_high);
        TokenLosses {
            losses_bt: sequence_losses_bt(tokens, clipped_bt),
            clipped_low: tokens.count(below_bt),
            clipped_high: tokens.count(above_bt),
        }
    }

    /// Refuses bounds that cannot be meant.
    pub fn check(&self) -> Result<(), LossError> {
        let bounds = [("log_clip_low", self.log_clip_low), ("log_clip_high", self.log_clip_high)];
        for (key, bound) in bounds {
            require(bound > 0.0 && bound.is_finite(), key, bound, "a finite number above 0")?;
        }
        Ok(())
    }
}

fn sequence_losses_bt<B: Backend>(
    tokens: &TokenBatch<B>,
    log_ratios_bt: Tensor<B, 2>,
) -> Tensor<B, 2> {
    let ratios_b1 = tokens.row_means_b1(log_ratios_bt).exp();
    -(tokens.advantages_bt() * ratios_b1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::tests::support::{TestBackend, assert_close, assert_gradient_is_the_slope};
    use crate::loss::tests::support::{floats, tensor};

    /// Log-ratios −1, 0.1 and 1, first with a good advantage, then with a bad one; one pad.
    fn logps() -> Tensor<TestBackend, 2> {
        tensor([[-2.0, -0.9, 0.0, -5.0]; 2])
    }

    fn tokens(logps_bt: Tensor<TestBackend, 2>) -> TokenBatch<TestBackend> {
        let mask_bt = tensor([[1.0, 1.0, 1.0, 0.0]; 2]);
        TokenBatch::new(logps_bt, tensor([[2.0], [-2.0]]), mask_bt)
            .with_old_logps(tensor([[-1.0; 4]; 2]))
    }

    #[test]
    fn tokens_are_clipped_before_the_mean_and_only_where_that_is_pessimistic() {
        let losses = Gmpo::default().token_losses(&tokens(logps()));
        let good = -2.0 * ((-1.0f64 + 0.1 + 0.4) / 3.0).exp();
        let bad = 2.0 * ((-0.4f64 + 0.1 + 1.0) / 3.0).exp();
        let expected = [good, good, good, 0.0, bad, bad, bad, 0.0];
        assert_close(&floats(losses.losses_bt), &expected, 1e-12);
        assert_eq!(floats(losses.clipped_low), [1.0]);
        assert_eq!(floats(losses.clipped_high), [1.0]);
    }

    #[test]
    fn the_gradient_is_the_slope() {
        assert_gradient_is_the_slope(logps(), |logps_bt| {
            Gmpo::default().token_losses(&tokens(logps_bt)).losses_bt.sum()
        });
    }
}
