//! What a step reports of its loss: sums on the device, read once.

use burn::tensor::{Tensor, backend::Backend};

use super::Denominators;
use crate::readback::{self, DeviceFailed};

/// Sums over loss tokens that stay on the device and add across micro-batches.
#[derive(Debug, Clone)]
pub struct LossSums<B: Backend> {
    sums_k: Tensor<B, 1>,
}

/// Means over the loss tokens of an optimiser step.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LossMetrics {
    /// The loss that was minimised; the one figure that is a sum of weighted losses, not a mean.
    pub loss: f64,
    /// Mean policy loss of a token, before aggregation.
    pub policy_loss: f64,
    /// Mean KL to the reference in nats; 0 where no reference was given.
    pub kl: f64,
    /// Mean entropy in nats of the tokens that were differentiated, NaN of none; 0 where no entropies
    /// were given.
    pub entropy: f64,
    /// Share of tokens whose ratio the lower bound held.
    pub clip_low: f64,
    /// Share of tokens whose ratio the upper bound held.
    pub clip_high: f64,
}

impl LossMetrics {
    /// Share of tokens whose ratio either bound held.
    pub fn clip_region(&self) -> f64 {
        self.clip_low + self.clip_high
    }
}

impl<B: Backend> LossSums<B> {
    /// Stacks the sums in the order of the fields of [`LossMetrics`].
    pub(super) fn new(sums: [Tensor<B, 1>; 6]) -> Self {
        let sums_k = Tensor::cat(sums.into(), 0).detach();
        Self { sums_k }
    }

    /// The sums of two micro-batches.
    pub fn plus(self, other: Self) -> Self {
        let sums_k = self.sums_k + other.sums_k;
        Self { sums_k }
    }

    /// Waits for the device and divides by the tokens of the step; the entropy by those of them that were
    /// differentiated, since the others are in no sum. Their losses and clips are 0.
    ///
    /// # Errors
    /// A device that failed.
    pub fn read(
        self,
        step: &Denominators,
        differentiated: f64,
    ) -> Result<LossMetrics, DeviceFailed> {
        let sums: Vec<f64> = readback::read(self.sums_k)?.iter().collect();
        let per_token = |index: usize| sums[index] / step.tokens.max(1.0);
        Ok(LossMetrics {
            loss: sums[0],
            policy_loss: per_token(1),
            kl: per_token(2),
            entropy: sums[3] / differentiated,
            clip_low: per_token(4),
            clip_high: per_token(5),
        })
    }
}
