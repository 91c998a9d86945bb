//! Losses as pure functions of log-probabilities and advantages.
//!
//! ```text
//! TokenBatch ─▶ PolicyLoss, KlEstimator ─▶ losses per token ─▶ Aggregation ─▶ one number
//! ```
//!
//! [`TokenBatch`] cleans the pads away, a [`PolicyLoss`] turns tokens into losses and nothing else,
//! [`Aggregation`] weighs rows by what the *whole optimiser step* holds, and [`Objective`] puts the
//! three together. Shapes: b rows of the micro-batch, t tokens. No text, file, clock or random
//! number is seen here, and what is a constant to the gradient is detached in the formula itself.

mod aggregation;
mod cispo;
mod error;
mod gmpo;
mod gspo;
mod importance_ratio;
mod kimi15;
mod kl;
mod kl_coefficient;
mod objective;
mod policy_gradient;
mod sapo;
mod sums;
mod surrogate;
#[cfg(test)]
mod tests;
mod token_batch;
mod truncated_importance;

pub use aggregation::{Aggregation, Denominators};
pub use cispo::Cispo;
pub use error::LossError;
pub use gmpo::Gmpo;
pub use gspo::Gspo;
pub use importance_ratio::ImportanceSampling;
pub use kimi15::Kimi15;
pub use kl::KlEstimator;
pub use kl_coefficient::KlCoefficient;
pub use objective::{KlTerm, MicroBatchLoss, Objective};
pub use policy_gradient::PolicyGradient;
pub use sapo::Sapo;
pub use sums::{LossMetrics, LossSums};
pub use surrogate::ClippedSurrogate;
pub use token_batch::{LOG_RATIO_LIMIT, TokenBatch};
pub use truncated_importance::{Tis, Topr};

use std::str::FromStr;

use burn::tensor::{Tensor, backend::Backend};
use schemars::JsonSchema;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, MapDeserializer};
use serde::{Deserialize, Serialize};

/// The loss of a token as a function of its log-probabilities and its advantage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PolicyLoss {
    /// The clipped surrogate of PPO and GRPO.
    #[serde(alias = "ppo")]
    ClippedSurrogate(ClippedSurrogate),
    /// The plain policy gradient of GPG.
    #[serde(alias = "gpg")]
    PolicyGradient(PolicyGradient),
    /// The clipped surrogate on sequence ratios.
    Gspo(Gspo),
    /// The policy gradient under a clipped, constant ratio.
    Cispo(Cispo),
    /// A soft gate in place of the clip.
    Sapo(Sapo),
    /// The geometric mean of clipped token ratios.
    Gmpo(Gmpo),
    /// The policy gradient under a truncated, constant ratio.
    Tis(Tis),
    /// The same on bad tokens only.
    Topr(Topr),
    /// The policy gradient with a quadratic leash.
    Kimi15(Kimi15),
}

impl Default for PolicyLoss {
    fn default() -> Self {
        Self::ClippedSurrogate(ClippedSurrogate::default())
    }
}

impl PolicyLoss {
    /// Losses of the tokens of a micro-batch, and how many of them were clipped.
    pub fn token_losses<B: Backend>(&self, tokens: &TokenBatch<B>) -> TokenLosses<B> {
        match self {
            Self::ClippedSurrogate(loss) => loss.token_losses(tokens),
            Self::PolicyGradient(loss) => loss.token_losses(tokens),
            Self::Gspo(loss) => loss.token_losses(tokens),
            Self::Cispo(loss) => loss.token_losses(tokens),
            Self::Sapo(loss) => loss.token_losses(tokens),
            Self::Gmpo(loss) => loss.token_losses(tokens),
            Self::Tis(loss) => loss.token_losses(tokens),
            Self::Topr(loss) => loss.token_losses(tokens),
            Self::Kimi15(loss) => loss.token_losses(tokens),
        }
    }

    /// Whether the loss compares the policy with the one that sampled.
    ///
    /// The old log-probabilities need computing only when the policy has moved since, that is when
    /// one batch serves more than one optimiser step.
    pub fn needs_old_logps(&self) -> bool {
        !matches!(self, Self::PolicyGradient(_))
    }

    /// Whether a token without advantage has no loss and no gradient, whatever its ratio.
    pub fn scales_with_advantage(&self) -> bool {
        // The leash holds every token.
        !matches!(self, Self::Kimi15(_))
    }

    /// Whether one batch may serve several optimiser steps.
    pub fn allows_reuse(&self) -> bool {
        self.needs_old_logps()
    }

    /// The aggregation that the loss is defined with: of those that see a sequence as one, and of SAPO,
    /// the mean over sequences of their token means, so that no sequence weighs more for its length.
    pub fn default_aggregation(&self) -> Aggregation {
        match self {
            Self::Gspo(_) | Self::Gmpo(_) | Self::Sapo(_) => Aggregation::SeqMeanTokenMean,
            Self::ClippedSurrogate(loss) if loss.has_sequence_ratio() => {
                Aggregation::SeqMeanTokenMean
            }
            _ => Aggregation::default(),
        }
    }

    /// The name of the loss in a config.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ClippedSurrogate(_) => "clipped_surrogate",
            Self::PolicyGradient(_) => "policy_gradient",
            Self::Gspo(_) => "gspo",
            Self::Cispo(_) => "cispo",
            Self::Sapo(_) => "sapo",
            Self::Gmpo(_) => "gmpo",
            Self::Tis(_) => "tis",
            Self::Topr(_) => "topr",
            Self::Kimi15(_) => "kimi15",
        }
    }

    /// How far a ratio may fall below and rise above 1, of losses that clip it so.
    pub fn clip_bounds_mut(&mut self) -> Option<[&mut f64; 2]> {
        match self {
            Self::ClippedSurrogate(loss) => Some([&mut loss.pg_clip_low, &mut loss.pg_clip_high]),
            Self::Gspo(loss) => Some([&mut loss.pg_clip_low, &mut loss.pg_clip_high]),
            Self::Cispo(loss) => Some([&mut loss.pg_clip_low, &mut loss.pg_clip_high]),
            _ => None,
        }
    }

    /// The loss as the clipped surrogate, whose ratio's scope can be chosen and whose bad tokens
    /// can be capped.
    pub fn as_clipped_surrogate_mut(&mut self) -> Option<&mut ClippedSurrogate> {
        match self {
            Self::ClippedSurrogate(loss) => Some(loss),
            _ => None,
        }
    }

    /// Refuses settings that cannot be meant, and reuse of a batch by a loss without a ratio.
    pub fn check(&self, ppo_epochs: usize, mini_batches: usize) -> Result<(), LossError> {
        if (ppo_epochs > 1 || mini_batches > 1) && !self.allows_reuse() {
            let loss = self.name();
            return Err(LossError::ReuseWithoutRatio { ppo_epochs, mini_batches, loss });
        }
        match self {
            Self::ClippedSurrogate(loss) => loss.check(),
            Self::PolicyGradient(_) => Ok(()),
            Self::Gspo(loss) => loss.check(),
            Self::Cispo(loss) => loss.check(),
            Self::Sapo(loss) => loss.check(),
            Self::Gmpo(loss) => loss.check(),
            Self::Tis(loss) => loss.check(),
            Self::Topr(loss) => loss.check(),
            Self::Kimi15(loss) => loss.check(),
        }
    }
}

/// The named loss with its default settings; the error lists the names there are.
impl FromStr for PolicyLoss {
    type Err = ValueError;

    fn from_str(name: &str) -> Result<Self, ValueError> {
        let kind = [("kind", name)].into_iter();
        Self::deserialize(MapDeserializer::new(kind).into_deserializer())
    }
}

/// Losses of the tokens of a micro-batch, with counts that add across micro-batches.
#[derive(Debug, Clone)]
pub struct TokenLosses<B: Backend> {
    /// Losses, `[b, t]`, 0 outside the mask.
    pub losses_bt: Tensor<B, 2>,
    /// Tokens whose ratio the lower bound held, `[1]`.
    pub clipped_low: Tensor<B, 1>,
    /// Tokens whose ratio the upper bound held, `[1]`.
    pub clipped_high: Tensor<B, 1>,
}

impl<B: Backend> TokenLosses<B> {
    /// Losses of a function that clips nothing.
    pub(crate) fn unclipped(losses_bt: Tensor<B, 2>) -> Self {
        let none = losses_bt.clone().detach().sum().mul_scalar(0.0);
        Self { losses_bt, clipped_low: none.clone(), clipped_high: none }
    }
}
