//! TIS and TOPR: the policy gradient under a truncated and constant importance ratio.

use burn::tensor::{Tensor, backend::Backend};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::require;
use super::{ImportanceSampling, LossError, TokenBatch, TokenLosses};

/// The policy gradient, weighted by a ratio held within absolute bounds.
///
/// ```text
/// ℓ = −sg(clip(ρ, lower, upper))·A·log π
/// ```
///
/// Source: ROLL's `pg_variant: tis`; truncated importance sampling is Espeholt et al. 2018, arXiv
/// 1802.01561.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tis {
    /// Smallest weight of a token.
    pub tis_lower_bound: f64,
    /// Largest weight of a token.
    pub tis_upper_bound: f64,
}

/// The policy gradient, with good tokens as they are and bad ones weighted by a ratio of at most 1.
///
/// ```text
/// ℓ = −w_pos·A·log π                        where A > 0
/// ℓ = −w_neg·sg(clip(ρ, 0, 1))·A·log π      elsewhere
/// ```
///
/// The sign of the advantage decides, where ROLL looks at that of the raw score.
///
/// Source: Le Roux et al. 2025, arXiv 2503.14286; ROLL's `pg_variant: topr`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Topr {
    /// Factor on good tokens.
    pub topr_positive_weight: f64,
    /// Factor on bad tokens.
    pub topr_negative_weight: f64,
}

impl Default for Tis {
    fn default() -> Self {
        Self { tis_lower_bound: 0.0, tis_upper_bound: 1.0 }
    }
}

impl Default for Topr {
    fn default() -> Self {
        Self { topr_positive_weight: 1.0, topr_negative_weight: 1.0 }
    }
}

impl Tis {
    /// Losses of the tokens, and how many of them have a truncated weight.
    pub fn token_losses<B: Backend>(&self, tokens: &TokenBatch<B>) -> TokenLosses<B> {
        let (lower, upper) = (self.tis_lower_bound, self.tis_upper_bound);
        let ratios_bt = ImportanceSampling::Token.ratios_bt(tokens).detach();
        TokenLosses {
            losses_bt: weighted_losses_bt(tokens, ratios_bt.clone().clamp(lower, upper)),
            clipped_low: tokens.count(ratios_bt.clone().lower_elem(lower)),
            clipped_high: tokens.count(ratios_bt.greater_elem(upper)),
        }
    }

    /// Refuses bounds that cannot be meant.
    pub fn check(&self) -> Result<(), LossError> {
        let (lower, upper) = (self.tis_lower_bound, self.tis_upper_bound);
        require(
            lower >= 0.0 && lower.is_finite(),
            "tis_lower_bound",
            lower,
            "a finite number of at least 0",
        )?;
        require(
            upper > lower && upper.is_finite(),
            "tis_upper_bound",
            upper,
            "a finite number above tis_lower_bound",
        )
    }
}

impl Topr {
    /// Losses of the tokens, and how many of the bad ones have a truncated weight.
    pub fn token_losses<B: Backend>(&self, tokens: &TokenBatch<B>) -> TokenLosses<B> {
        let ratios_bt = ImportanceSampling::Token.ratios_bt(tokens).detach();
        let good_bt = tokens.advantages_bt().greater_elem(0.0);
        let bad_bt = tokens.advantages_bt().lower_elem(0.0);
        let truncated_bt = ratios_bt.clone().greater_elem(1.0).bool_and(bad_bt);
        let weights_bt = (ratios_bt.clamp_max(1.0) * self.topr_negative_weight)
            .mask_fill(good_bt, self.topr_positive_weight);
        TokenLosses {
            clipped_high: tokens.count(truncated_bt),
            ..TokenLosses::unclipped(weighted_losses_bt(tokens, weights_bt))
        }
    }

    /// Refuses factors that cannot be meant.
    pub fn check(&self) -> Result<(), LossError> {
        let factors = [
            ("topr_positive_weight", self.topr_positive_weight),
            ("topr_negative_weight", self.topr_negative_weight),
        ];
        for (key, factor) in factors {
            require(
                factor >= 0.0 && factor.is_finite(),
                key,
                factor,
                "a finite number of at least 0",
            )?;
        }
        Ok(())
    }
}

fn weighted_losses_bt<B: Backend>(
    tokens: &TokenBatch<B>,
    weights_bt: Tensor<B, 2>,
) -> Tensor<B, 2> {
    -(weights_bt * tokens.advantages_bt() * tokens.logps_bt())
}

#[cfg(test)]
mod tests {
    use super::super::PolicyLoss;
    use super::*;
    use crate::loss::tests::support::{TestBackend, assert_close, floats, gradient, tensor};

    /// Ratios 0.5 and 2, first with a good advantage, then with a bad one.
    fn logps() -> Tensor<TestBackend, 2> {
        tensor([[0.5f64, 2.0].map(|ratio| ratio.ln() - 1.0); 2])
    }

    fn tokens(logps_bt: Tensor<TestBackend, 2>) -> TokenBatch<TestBackend> {
        TokenBatch::new(logps_bt, tensor([[1.0], [-3.0]]), tensor([[1.0; 2]; 2]))
            .with_old_logps(tensor([[-1.0; 2]; 2]))
    }

    fn slopes(loss: PolicyLoss) -> Vec<f64> {
        gradient(logps(), |logps_bt| loss.token_losses(&tokens(logps_bt)).losses_bt.sum())
    }

    #[test]
    fn tis_weighs_every_token_by_its_truncated_ratio() {
        let slopes = slopes(PolicyLoss::Tis(Tis::default()));
        assert_close(&slopes, &[-0.5, -1.0, 1.5, 3.0], 1e-12);
        let losses = Tis::default().token_losses(&tokens(logps()));
        assert_eq!(floats(losses.clipped_high), [2.0]);
    }

    #[test]
    fn topr_weighs_bad_tokens_only() {
        let loss = Topr { topr_positive_weight: 2.0, ..Default::default() };
        assert_eq!(floats(loss.token_losses(&tokens(logps())).clipped_high), [1.0]);
        let slopes = slopes(PolicyLoss::Topr(loss));
        assert_close(&slopes, &[-2.0, -2.0, 1.5, 3.0], 1e-12);
    }

    #[test]
    fn bounds_in_the_wrong_order_are_refused() {
        let loss = Tis { tis_lower_bound: 2.0, ..Default::default() };
        let message = loss.check().unwrap_err().to_string();
        assert!(message.starts_with("tis_upper_bound is 1"), "{message}");
    }
}
