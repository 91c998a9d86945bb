//! What a user can get wrong in the settings of a loss.

use thiserror::Error;

/// A setting of a loss that cannot be meant.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum LossError {
    /// A bound, factor or coefficient outside its range.
    #[error("{key} is {value}, which is not {range}; set it to {range}")]
    OutOfRange {
        /// The key as it stands in the config.
        key: &'static str,
        /// The value found there.
        value: f64,
        /// The values allowed, in words.
        range: &'static str,
    },
    /// A dual clip that would cut into the trust region.
    #[error(
        "dual_clip_c is {cap}, inside the clip range that ends at {upper}; \
         set it above 1 + pg_clip_high, for example to 3"
    )]
    CapInsideClipRange {
        /// The cap found.
        cap: f64,
        /// Upper end of the clip range, `1 + pg_clip_high`.
        upper: f64,
    },
    /// k1 as a loss term, whose expected gradient is zero.
    #[error(
        "kl_loss_type is k1, whose expected gradient is zero when it stands in the loss; \
         use k2 or k3_k2grad there, or put k1 into the reward (add_token_level_kl)"
    )]
    KlWithoutGradient,
    /// Several passes over one batch with a loss that has no importance ratio.
    #[error(
        "ppo_epochs is {passes}, but the {loss} loss has no importance ratio and is only right on \
         fresh samples; set ppo_epochs to 1 or choose the clipped_surrogate loss"
    )]
    ReuseWithoutRatio {
        /// Optimiser passes asked for.
        passes: usize,
        /// The loss as it is named in the config.
        loss: &'static str,
    },
}

/// Refuses a value outside a range given in words.
pub(super) fn require(
    holds: bool,
    key: &'static str,
    value: f64,
    range: &'static str,
) -> Result<(), LossError> {
    if holds { Ok(()) } else { Err(LossError::OutOfRange { key, value, range }) }
}
