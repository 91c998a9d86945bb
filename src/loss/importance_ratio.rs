//! Importance ratios of the current policy to the one that sampled, per token or per sequence.

use burn::tensor::{Tensor, backend::Backend};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TokenBatch;

/// What one importance ratio is taken over.
///
/// ```text
/// token      ρ_t = exp(Δ_t)
/// seq        ρ   = exp(mean_t Δ_t)                          the gradient flows through the mean
/// seq_token  ρ_t = sg(exp(mean_t Δ_t)) · exp(Δ_t − sg(Δ_t))  same value, gradient token by token
/// ```
///
/// Sources: Schulman et al. 2017, arXiv 1707.06347 (token); Zheng et al. 2025, arXiv 2507.18071
/// (GSPO, both sequence forms).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportanceSampling {
    /// One ratio a token.
    #[default]
    Token,
    /// One ratio a sequence: the geometric mean of its token ratios.
    #[serde(alias = "sequence")]
    Seq,
    /// The ratio of the sequence in value, of the token in gradient.
    SeqToken,
}

impl ImportanceSampling {
    /// Importance ratios, `[b, t]`; 1 outside the mask of a token ratio.
    pub fn ratios_bt<B: Backend>(self, tokens: &TokenBatch<B>) -> Tensor<B, 2> {
        let log_ratios_bt = tokens.log_ratios_bt();
        match self {
            Self::Token => log_ratios_bt.exp(),
            Self::Seq => sequence_ratios_bt(tokens, log_ratios_bt),
            Self::SeqToken => {
                let ones_bt = (log_ratios_bt.clone() - log_ratios_bt.clone().detach()).exp();
                sequence_ratios_bt(tokens, log_ratios_bt).detach() * ones_bt
            }
        }
    }
}

fn sequence_ratios_bt<B: Backend>(
    tokens: &TokenBatch<B>,
    log_ratios_bt: Tensor<B, 2>,
) -> Tensor<B, 2> {
    let shape_bt = log_ratios_bt.dims();
    tokens.row_means_b1(log_ratios_bt).exp().expand(shape_bt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::tests::support::{assert_close, floats, tensor};

    fn tokens() -> TokenBatch<crate::loss::tests::support::TestBackend> {
        TokenBatch::new(tensor([[-1.0, -0.5, -9.0]]), tensor([[1.0]]), tensor([[1.0, 1.0, 0.0]]))
            .with_old_logps(tensor([[-1.2, -0.1, -3.0]]))
    }

    #[test]
    fn a_token_ratio_is_the_quotient_of_probabilities() {
        let ratios_bt = ImportanceSampling::Token.ratios_bt(&tokens());
        assert_close(&floats(ratios_bt), &[0.2f64.exp(), (-0.4f64).exp(), 1.0], 1e-12);
    }

    #[test]
    fn a_sequence_ratio_is_the_geometric_mean_over_loss_tokens() {
        let geometric_mean = (-0.1f64).exp();
        for level in [ImportanceSampling::Seq, ImportanceSampling::SeqToken] {
            assert_close(&floats(level.ratios_bt(&tokens())), &[geometric_mean; 3], 1e-12);
        }
    }
}
