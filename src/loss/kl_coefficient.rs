//! The factor on a KL penalty, fixed or steered towards a target.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LossError;
use super::error::require;

/// How the factor β on a KL penalty moves from step to step.
///
/// ```text
/// β ← β·(1 + clip(kl / target_kl − 1, −0.2, 0.2)·n / kl_horizon)
/// ```
///
/// with n the sequences of the step; without `target_kl` it stays where it begins.
///
/// Source: Ziegler et al. 2019, arXiv 1909.08593; keys and defaults are ROLL's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KlCoefficient {
    /// Where β begins.
    pub init_kl_coef: f64,
    /// KL in nats per token that β is steered towards; fixed when absent.
    pub target_kl: Option<f64>,
    /// Sequences over which β follows.
    pub kl_horizon: f64,
}

impl Default for KlCoefficient {
    fn default() -> Self {
        Self { init_kl_coef: 0.2, target_kl: None, kl_horizon: 10_000.0 }
    }
}

impl KlCoefficient {
    /// β after a step of so many sequences that measured this KL; never negative.
    pub fn next(&self, current: f64, kl: f64, sequences: usize) -> f64 {
        let Some(target_kl) = self.target_kl else {
            return current;
        };
        let error = (kl / target_kl - 1.0).clamp(-0.2, 0.2);
        // A step longer than the horizon could otherwise turn the penalty into a reward.
        current * (1.0 + error * sequences as f64 / self.kl_horizon).max(0.0)
    }

    /// Refuses settings that cannot be meant.
    pub fn check(&self) -> Result<(), LossError> {
        let above_zero = |key, value: f64| {
            let holds = value > 0.0 && value.is_finite();
            require(holds, key, value, "a finite number above 0")
        };
        let init = self.init_kl_coef;
        require(
            init >= 0.0 && init.is_finite(),
            "init_kl_coef",
            init,
            "a finite number of at least 0",
        )?;
        above_zero("kl_horizon", self.kl_horizon)?;
        self.target_kl.map_or(Ok(()), |target| above_zero("target_kl", target))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adaptive() -> KlCoefficient {
        KlCoefficient { target_kl: Some(0.1), ..Default::default() }
    }

    #[test]
    fn without_a_target_the_coefficient_is_fixed() {
        assert_eq!(KlCoefficient::default().next(0.2, 5.0, 64), 0.2);
    }

    #[test]
    fn the_coefficient_follows_the_kl_by_at_most_a_fifth_a_horizon() {
        let coefficient = adaptive();
        assert!((coefficient.next(0.2, 0.11, 1000) - 0.202).abs() < 1e-12);
        assert!((coefficient.next(0.2, 9.0, 1000) - 0.204).abs() < 1e-12);
        assert!((coefficient.next(0.2, 0.0, 1000) - 0.196).abs() < 1e-12);
        assert_eq!(coefficient.next(0.2, 0.0, 1_000_000), 0.0);
    }

    #[test]
    fn a_target_of_zero_is_refused() {
        let coefficient = KlCoefficient { target_kl: Some(0.0), ..Default::default() };
        let message = coefficient.check().unwrap_err().to_string();
        assert!(message.starts_with("target_kl is 0"), "{message}");
        assert_eq!(adaptive().check(), Ok(()));
    }
}
