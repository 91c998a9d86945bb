//! SAPO: a soft gate in place of the hard clip.

use burn::tensor::{Tensor, backend::Backend};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::require;
use super::{ImportanceSampling, LossError, TokenBatch, TokenLosses};

/// A sigmoid of the importance ratio, whose slope fades smoothly on both sides of 1.
///
/// ```text
/// ℓ = −(4/τ)·σ(τ·(ρ − 1))·A,   τ = tau_pos where A > 0, tau_neg elsewhere
/// ```
///
/// At ρ = 1 the slope is that of ρ·A; a larger τ fades sooner.
///
/// Source: Gao et al. 2025, arXiv 2511.20347.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sapo {
    /// Sharpness of the gate for good tokens.
    pub tau_pos: f64,
    /// Sharpness of the gate for bad tokens.
    pub tau_neg: f64,
}

impl Default for Sapo {
    fn default() -> Self {
        Self { tau_pos: 1.0, tau_neg: 1.05 }
    }
}

impl Sapo {
    /// Losses of the tokens; none is ever clipped.
    pub fn token_losses<B: Backend>(&self, tokens: &TokenBatch<B>) -> TokenLosses<B> {
        let ratios_bt = ImportanceSampling::Token.ratios_bt(tokens);
        let taus_bt = self.taus_bt(tokens.advantages_bt());
        // Burn's own sigmoid works in f32 whatever it is given. The exponent is at most τ here,
        // since no ratio is negative.
        let sigmoids_bt = (((-ratios_bt + 1.0) * taus_bt.clone()).exp() + 1.0).recip();
        let gates_bt = sigmoids_bt * 4.0 / taus_bt;
        TokenLosses::unclipped(-(gates_bt * tokens.advantages_bt()))
    }

    /// Refuses a sharpness that cannot be meant.
    pub fn check(&self) -> Result<(), LossError> {
        for (key, tau) in [("tau_pos", self.tau_pos), ("tau_neg", self.tau_neg)] {
            require(tau > 0.0 && tau.is_finite(), key, tau, "a finite number above 0")?;
        }
        Ok(())
    }

    fn taus_bt<B: Backend>(&self, advantages_bt: Tensor<B, 2>) -> Tensor<B, 2> {
        let good_bt = advantages_bt.clone().greater_elem(0.0);
        (advantages_bt.zeros_like() + self.tau_neg).mask_fill(good_bt, self.tau_pos)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ClippedSurrogate, PolicyLoss};
    use super::*;
    use crate::loss::tests::support::{TestBackend, assert_close, assert_gradient_is_the_slope};
    use crate::loss::tests::support::{floats, gradient, tensor};

    fn tokens(logps_bt: Tensor<TestBackend, 2>) -> TokenBatch<TestBackend> {
        TokenBatch::new(logps_bt, tensor([[1.5], [-0.5]]), tensor([[1.0; 3]; 2]))
            .with_old_logps(tensor([[-1.0; 3]; 2]))
    }

    #[test]
    fn values_are_those_of_the_formula() {
        let losses = Sapo::default().token_losses(&tokens(tensor([[-1.0, -0.5, -2.0]; 2])));
        let gate =
            |log_ratio: f64, tau: f64| 4.0 / tau / (1.0 + (-tau * (log_ratio.exp() - 1.0)).exp());
        let good = [0.0, 0.5, -1.0].map(|x| -1.5 * gate(x, 1.0));
        let bad = [0.0, 0.5, -1.0].map(|x| 0.5 * gate(x, 1.05));
        assert_close(&floats(losses.losses_bt), &[good, bad].concat(), 1e-12);
    }

    #[test]
    fn the_gradient_is_the_slope() {
        assert_gradient_is_the_slope(tensor([[-1.0, -0.5, -2.0]; 2]), |logps_bt| {
            Sapo::default().token_losses(&tokens(logps_bt)).losses_bt.sum()
        });
    }

    #[test]
    fn at_ratio_one_it_has_the_gradient_of_the_surrogate() {
        let slopes = |loss: PolicyLoss| {
            gradient(tensor([[-1.0; 3]; 2]), |logps_bt| {
                loss.token_losses(&tokens(logps_bt)).losses_bt.sum()
            })
        };
        let surrogate = slopes(PolicyLoss::ClippedSurrogate(ClippedSurrogate::default()));
        assert_close(&slopes(PolicyLoss::Sapo(Sapo::default())), &surrogate, 1e-12);
    }
}
