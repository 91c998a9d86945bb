//! The plain policy gradient, the loss of GPG.

use burn::tensor::backend::Backend;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{TokenBatch, TokenLosses};

/// Log-probability times advantage, with neither ratio nor clip nor reference.
///
/// ```text
/// ℓ = −log π · A
/// ```
///
/// It is right only for samples of the current policy: one optimiser pass a batch.
///
/// Sources: Williams 1992; Chu et al. 2025, arXiv 2504.02546 (GPG).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyGradient {}

impl PolicyGradient {
    /// Losses of the tokens; none is ever clipped.
    pub fn token_losses<B: Backend>(&self, tokens: &TokenBatch<B>) -> TokenLosses<B> {
        TokenLosses::unclipped(-(tokens.logps_bt() * tokens.advantages_bt()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ClippedSurrogate, PolicyLoss};
    use super::*;
    use crate::loss::tests::support::{assert_close, gradient, tensor};

    #[test]
    fn the_gradient_is_minus_the_advantage_on_loss_tokens() {
        let slopes = gradient(tensor([[-1.0, -3.0, -0.1], [-2.0, -1.0, -0.5]]), |logps_bt| {
            let mask_bt = tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]]);
            let tokens = TokenBatch::new(logps_bt, tensor([[0.5], [-1.5]]), mask_bt);
            PolicyGradient {}.token_losses(&tokens).losses_bt.sum()
        });
        assert_close(&slopes, &[-0.5, -0.5, 0.0, 1.5, 0.0, 0.0], 1e-12);
    }

    #[test]
    fn it_is_the_gradient_of_the_surrogate_at_ratio_one() {
        let slopes_of = |loss: PolicyLoss| {
            gradient(tensor([[-1.0, -3.0], [-2.0, -0.5]]), |logps_bt| {
                let mask_bt = tensor([[1.0, 1.0], [1.0, 0.0]]);
                let tokens = TokenBatch::new(logps_bt, tensor([[0.5], [-1.5]]), mask_bt);
                loss.token_losses(&tokens).losses_bt.sum()
            })
        };
        let surrogate = PolicyLoss::ClippedSurrogate(ClippedSurrogate::default());
        let plain = PolicyLoss::PolicyGradient(PolicyGradient {});
        assert_close(&slopes_of(plain), &slopes_of(surrogate), 1e-12);
    }
}
