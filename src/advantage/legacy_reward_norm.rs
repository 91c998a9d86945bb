//! ROLL's older reward keys, brought to the ones of today.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AdvantageError, NormOver};

/// ROLL's older keys for the same thing.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LegacyRewardNorm {
    /// Over what rewards are normalised; without it the other two do nothing.
    pub reward_norm: Option<NormOver>,
    /// Subtract the mean only.
    pub reward_shift: bool,
    /// Divide by the deviation only.
    pub reward_scale: bool,
}

impl LegacyRewardNorm {
    /// The (mean, std) types that mean the same.
    ///
    /// ```text
    /// neither -> (over, over)      shift -> (over, none)      scale -> (none, over)
    /// ```
    ///
    /// Errors: shift and scale together, which contradict each other.
    pub fn norm_types(&self) -> Result<(Option<NormOver>, Option<NormOver>), AdvantageError> {
        match (self.reward_shift, self.reward_scale) {
            (true, true) => Err(AdvantageError::setting(
                "reward_shift",
                "true together with reward_scale",
                "the first asks for the mean only, the second for the deviation only; set neither \
                 to get both",
            )),
            (true, false) => Ok((self.reward_norm, None)),
            (false, true) => Ok((None, self.reward_norm)),
            (false, false) => Ok((self.reward_norm, self.reward_norm)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rolls_older_keys_mean_the_same_as_its_newer_ones() {
        let over = Some(NormOver::Batch);
        let legacy = |reward_shift, reward_scale| {
            LegacyRewardNorm { reward_norm: over, reward_shift, reward_scale }.norm_types()
        };
        assert_eq!(legacy(false, false), Ok((over, over)));
        assert_eq!(legacy(true, false), Ok((over, None)));
        assert_eq!(legacy(false, true), Ok((None, over)));
        assert!(legacy(true, true).unwrap_err().to_string().contains("reward_scale"));
        assert_eq!(LegacyRewardNorm::default().norm_types(), Ok((None, None)));
    }
}
