//! CISPO: the policy gradient, weighted by a clipped and constant importance ratio.

use burn::tensor::{Tensor, backend::Backend};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::surrogate::{check_clip_bounds, pushed_above, pushed_below};
use super::{ImportanceSampling, LossError, TokenBatch, TokenLosses};

/// Clips the weight of a token instead of its gradient, so that no token falls silent.
///
/// ```text
/// ℓ = −sg(clip(ρ, 1 − low, 1 + high))·A·log π
/// ```
///
/// The defaults bound only above, at 5: a `pg_clip_low` of 1 reaches down to a ratio of 0. Both are
/// measured from 1, where TRL's `epsilon_high` of 5 is the bound itself.
///
/// Source: MiniMax 2025, arXiv 2506.13585.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cispo {
    /// How far below 1 the weight of a token may fall.
    pub pg_clip_low: f64,
    /// How far above 1 the weight of a token may rise.
    pub pg_clip_high: f64,
    /// Silences the tokens the clipped surrogate would silence: good ones above the range and bad
    /// ones below it.
    pub unified_mask: bool,
}

impl Default for Cispo {
    fn default() -> Self {
        Self { pg_clip_low: 1.0, pg_clip_high: 4.0, unified_mask: false }
    }
}

impl Cispo {
    /// Losses of the tokens, and how many of them have a clipped weight.
    pub fn token_losses<B: Backend>(&self, tokens: &TokenBatch<B>) -> TokenLosses<B> {
        let ratios_bt = ImportanceSampling::Token.ratios_bt(tokens).detach();
        let (lower, upper) = (1.0 - self.pg_clip_low, 1.0 + self.pg_clip_high);
        let weights_bt = ratios_bt.clone().clamp(lower, upper);
        let losses_bt = -(weights_bt * tokens.advantages_bt() * tokens.logps_bt());
        TokenLosses {
            losses_bt: self.silenced(tokens, &ratios_bt, losses_bt),
            clipped_low: tokens.count(ratios_bt.clone().lower_elem(lower)),
            clipped_high: tokens.count(ratios_bt.greater_elem(upper)),
        }
    }

    /// Refuses bounds that cannot be meant.
    pub fn check(&self) -> Result<(), LossError> {
        check_clip_bounds(self.pg_clip_low, self.pg_clip_high)
    }

    fn silenced<B: Backend>(
        &self,
        tokens: &TokenBatch<B>,
        ratios_bt: &Tensor<B, 2>,
        losses_bt: Tensor<B, 2>,
    ) -> Tensor<B, 2> {
        if !self.unified_mask {
            return losses_bt;
        }
        let below_bt = pushed_below(tokens, ratios_bt, 1.0 - self.pg_clip_low);
        let above_bt = pushed_above(tokens, ratios_bt, 1.0 + self.pg_clip_high);
        losses_bt.mask_fill(below_bt.bool_or(above_bt), 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ClippedSurrogate, PolicyLoss};
    use super::*;
    use crate::loss::tests::support::{TestBackend, assert_close, floats, gradient, tensor};

    const RATIOS: [f64; 4] = [0.5, 0.95, 1.05, 2.0];
    const NARROW: Cispo = Cispo { pg_clip_low: 0.1, pg_clip_high: 0.1, unified_mask: false };

    fn logps() -> Tensor<TestBackend, 2> {
        tensor([RATIOS.map(|ratio| ratio.ln() - 1.0); 2])
    }

    fn tokens(logps_bt: Tensor<TestBackend, 2>) -> TokenBatch<TestBackend> {
        TokenBatch::new(logps_bt, tensor([[1.0], [-1.0]]), tensor([[1.0; 4]; 2]))
            .with_old_logps(tensor([[-1.0; 4]; 2]))
    }

    fn slopes(loss: PolicyLoss) -> Vec<f64> {
        gradient(logps(), |logps_bt| loss.token_losses(&tokens(logps_bt)).losses_bt.sum())
    }

    #[test]
    fn every_token_keeps_a_gradient_of_its_clipped_ratio() {
        let expected = [-0.9, -0.95, -1.05, -1.1, 0.9, 0.95, 1.05, 1.1];
        assert_close(&slopes(PolicyLoss::Cispo(NARROW)), &expected, 1e-12);
        let losses = NARROW.token_losses(&tokens(logps()));
        assert_eq!(floats(losses.clipped_low), [2.0]);
        assert_eq!(floats(losses.clipped_high), [2.0]);
    }

    #[test]
    fn the_unified_mask_silences_what_the_surrogate_silences() {
        let masked = Cispo { unified_mask: true, ..NARROW };
        let expected = [-0.9, -0.95, -1.05, 0.0, 0.0, 0.95, 1.05, 1.1];
        assert_close(&slopes(PolicyLoss::Cispo(masked)), &expected, 1e-12);
    }

    #[test]
    fn where_nothing_is_clipped_it_has_the_gradient_of_the_surrogate() {
        let surrogate =
            ClippedSurrogate { pg_clip_low: 0.9, pg_clip_high: 4.0, ..Default::default() };
        let surrogate = slopes(PolicyLoss::ClippedSurrogate(surrogate));
        let cispo = slopes(PolicyLoss::Cispo(Cispo::default()));
        assert_close(&cispo, &surrogate, 1e-12);
    }
}
