//! The loss of Kimi k1.5: the policy gradient with a quadratic leash to the policy that sampled.

use burn::tensor::backend::Backend;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::require;
use super::{LossError, TokenBatch, TokenLosses};

/// The policy gradient with a penalty on the squared log-ratio in place of a clip.
///
/// ```text
/// ℓ = −A·log π + (τ/2)·Δ²
/// ```
///
/// Source: Kimi Team 2025, arXiv 2501.12599; ROLL's `pg_variant: kimi15`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Kimi15 {
    /// Strength of the leash, τ.
    pub kimi15_tau: f64,
}

impl Default for Kimi15 {
    fn default() -> Self {
        Self { kimi15_tau: 0.1 }
    }
}

impl Kimi15 {
    /// Losses of the tokens; none is ever clipped.
    pub fn token_losses<B: Backend>(&self, tokens: &TokenBatch<B>) -> TokenLosses<B> {
        let leash_bt = tokens.log_ratios_bt().square() * (self.kimi15_tau / 2.0);
        TokenLosses::unclipped(leash_bt - tokens.logps_bt() * tokens.advantages_bt())
    }

    /// Refuses a strength that cannot be meant.
    pub fn check(&self) -> Result<(), LossError> {
        let tau = self.kimi15_tau;
        require(tau >= 0.0 && tau.is_finite(), "kimi15_tau", tau, "a finite number of at least 0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::tests::support::{assert_close, assert_gradient_is_the_slope, floats, tensor};

    #[test]
    fn the_leash_pulls_back_to_the_policy_that_sampled() {
        let logps_bt = tensor([[-1.0, -2.0]]);
        let loss_of = |logps_bt| {
            let tokens = TokenBatch::new(logps_bt, tensor([[0.5]]), tensor([[1.0; 2]]))
                .with_old_logps(tensor([[-1.0, -1.0]]));
            Kimi15::default().token_losses(&tokens).losses_bt
        };
        assert_close(&floats(loss_of(logps_bt.clone())), &[0.5, 1.05], 1e-12);
        assert_gradient_is_the_slope(logps_bt, |logps_bt| loss_of(logps_bt).sum());
    }
}
