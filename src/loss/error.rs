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
    /// Several updates with one batch by a loss that has no importance ratio.
    #[error(
        "{}, but the {loss} loss has no importance ratio and is only right on fresh samples; set {} \
         to 1 or choose the clipped_surrogate loss",
        updates(*ppo_epochs, *mini_batches, " is "),
        updates(*ppo_epochs, *mini_batches, "")
    )]
    ReuseWithoutRatio {
        /// Passes over the batch.
        ppo_epochs: usize,
        /// Parts of the batch, with an update each.
        mini_batches: usize,
        /// The loss as it is named in the config.
        loss: &'static str,
    },
}

/// The keys that are more than 1, each with its value behind `is` unless that is empty.
fn updates(ppo_epochs: usize, mini_batches: usize, is: &str) -> String {
    let keys = [("ppo_epochs", ppo_epochs), ("mini_batches", mini_batches)];
    let named = |(key, value): (&str, usize)| match is {
        "" => key.to_owned(),
        is => format!("{key}{is}{value}"),
    };
    let more = keys.into_iter().filter(|(_, value)| *value > 1);
    more.map(named).collect::<Vec<_>>().join(" and ")
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
