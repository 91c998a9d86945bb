//! Group sequence policy optimisation: the clipped surrogate on sequence ratios.

use burn::tensor::backend::Backend;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ClippedSurrogate, ImportanceSampling, LossError, TokenBatch, TokenLosses};

/// The clipped surrogate with one importance ratio a sequence, and the tight bounds that go with it.
///
/// ```text
/// ρ = exp(mean_t Δ_t),   ℓ_t = −min(ρ·A, clip(ρ, 1 − low, 1 + high)·A)
/// ```
///
/// A mean of log-ratios moves far less than each of them, hence bounds of 3e-4 and 4e-4. Every token
/// carries its sequence's loss: `seq-mean-token-mean` makes that the mean over sequences (GSPO), and
/// `seq-mean-token-sum` the same times the lengths (LUSPO).
///
/// Source: Zheng et al. 2025, arXiv 2507.18071.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gspo {
    /// How far below 1 the ratio of a sequence may fall before its gradient stops.
    pub pg_clip_low: f64,
    /// How far above 1 the ratio of a sequence may rise before its gradient stops.
    pub pg_clip_high: f64,
    /// Lets the gradient flow token by token (GSPO-token), for advantages that differ by token.
    pub token_gradient: bool,
}

impl Default for Gspo {
    fn default() -> Self {
        Self { pg_clip_low: 3e-4, pg_clip_high: 4e-4, token_gradient: false }
    }
}

impl Gspo {
    /// Losses of the tokens, and how many of them are in clipped sequences.
    pub fn token_losses<B: Backend>(&self, tokens: &TokenBatch<B>) -> TokenLosses<B> {
        self.surrogate().token_losses(tokens)
    }

    /// Refuses bounds that cannot be meant.
    pub fn check(&self) -> Result<(), LossError> {
        self.surrogate().check()
    }

    fn surrogate(&self) -> ClippedSurrogate {
        ClippedSurrogate {
            pg_clip_low: self.pg_clip_low,
            pg_clip_high: self.pg_clip_high,
            dual_clip_c: None,
            importance_sampling: match self.token_gradient {
                true => ImportanceSampling::SeqToken,
                false => ImportanceSampling::Seq,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::tests::support::{TestBackend, assert_close, assert_gradient_is_the_slope};
    use crate::loss::tests::support::{floats, gradient, tensor};
    use burn::tensor::Tensor;

    const WIDE: Gspo = Gspo { pg_clip_low: 0.2, pg_clip_high: 0.2, token_gradient: false };

    /// Sequence ratios exp(0.1), exp(0.3), exp(−0.4) and exp(−0.1); the second and third clip.
    fn logps() -> Tensor<TestBackend, 2> {
        tensor([[-1.0, -0.8], [-0.4, -1.0], [-1.4, -1.4], [-1.1, 7.0]])
    }

    fn tokens(logps_bt: Tensor<TestBackend, 2>) -> TokenBatch<TestBackend> {
        let mask_bt = tensor([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [1.0, 0.0]]);
        TokenBatch::new(logps_bt, tensor([[1.0], [2.0], [-1.0], [-3.0]]), mask_bt)
            .with_old_logps(tensor([[-1.0; 2]; 4]))
    }

    #[test]
    fn whole_sequences_are_clipped() {
        let losses = WIDE.token_losses(&tokens(logps()));
        let first = -(0.1f64.exp());
        let last = 3.0 * (-0.1f64).exp();
        let expected = [first, first, -2.4, -2.4, 0.8, 0.8, last, 0.0];
        assert_close(&floats(losses.losses_bt), &expected, 1e-12);
        assert_eq!(floats(losses.clipped_low), [2.0]);
        assert_eq!(floats(losses.clipped_high), [2.0]);
    }

    #[test]
    fn the_gradient_is_the_slope_through_the_mean() {
        assert_gradient_is_the_slope(logps(), |logps_bt| {
            WIDE.token_losses(&tokens(logps_bt)).losses_bt.sum()
        });
    }

    #[test]
    fn with_one_advantage_a_sequence_both_forms_have_the_same_gradient() {
        let slopes = |loss: Gspo| {
            gradient(logps(), |logps_bt| loss.token_losses(&tokens(logps_bt)).losses_bt.sum())
        };
        let by_token = Gspo { token_gradient: true, ..WIDE };
        assert_close(&slopes(by_token), &slopes(WIDE), 1e-12);
    }

    #[test]
    fn sequences_of_one_token_give_the_token_surrogate() {
        let logps_bt = tensor([[-0.9], [-0.3], [-2.0]]);
        let tokens = TokenBatch::new(logps_bt, tensor([[1.0], [1.0], [-1.0]]), tensor([[1.0]; 3]))
            .with_old_logps(tensor([[-1.0]; 3]));
        let by_sequence = WIDE.token_losses(&tokens).losses_bt;
        let by_token = ClippedSurrogate::default().token_losses(&tokens).losses_bt;
        assert_eq!(floats(by_sequence), floats(by_token));
    }
}
