//! A factor on the loss that keeps small gradients within the range of f16 (Micikevicius et al. 2018,
//! arXiv 1710.03740).
//!
//! It is doubled after a while without an overflow, and halved by a step whose gradient is not finite, which then
//! changes nothing else. The numbers are those of PyTorch's `GradScaler`.

use serde::{Deserialize, Serialize};

/// The factor, and how it came to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossScale {
    /// What the loss is multiplied by, a power of two.
    pub scale: f32,
    /// Optimiser steps since it changed.
    pub good_steps: u32,
    /// Optimiser steps so far that were left out because they overflowed.
    pub overflown: u64,
}

impl Default for LossScale {
    fn default() -> Self {
        Self { scale: 65_536.0, good_steps: 0, overflown: 0 }
    }
}

impl LossScale {
    /// Steps without an overflow after which it is doubled.
    const PATIENCE: u32 = 2000;

    /// The largest it becomes.
    const LARGEST: f32 = 16_777_216.0;

    /// Takes note of a gradient; whether the step is to be left out and the next one tried with less. A gradient that
    /// is not finite at a scale of 1 has another reason.
    pub(super) fn is_overflown(&mut self, grad_norm: f64) -> bool {
        match grad_norm.is_finite() {
            true => {
                self.good_steps = self.good_steps.saturating_add(1);
                if self.good_steps >= Self::PATIENCE && self.scale < Self::LARGEST {
                    (self.scale, self.good_steps) = (2.0 * self.scale, 0);
                }
                false
            }
            false if self.scale > 1.0 => {
                (self.scale, self.good_steps) = (0.5 * self.scale, 0);
                self.overflown = self.overflown.saturating_add(1);
                true
            }
            false => false,
        }
    }

    /// Whether it can be one that a run came to.
    pub(super) fn is_sound(&self) -> bool {
        (1.0..=Self::LARGEST).contains(&self.scale) && self.scale.log2().fract() == 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overflow_halves_it_and_two_thousand_good_steps_double_it() {
        let mut scale = LossScale::default();
        assert!(scale.is_overflown(f64::INFINITY) && scale.is_overflown(f64::NAN));
        assert_eq!((scale.scale, scale.overflown), (16_384.0, 2));
        for _ in 0..1999 {
            assert!(!scale.is_overflown(3.0));
        }
        assert_eq!(scale.scale, 16_384.0);
        assert!(!scale.is_overflown(3.0));
        assert_eq!((scale.scale, scale.good_steps), (32_768.0, 0));
    }

    #[test]
    fn what_overflows_at_a_scale_of_1_is_no_matter_of_scale() {
        let mut scale = LossScale { scale: 2.0, ..LossScale::default() };
        assert!(scale.is_overflown(f64::NAN));
        assert!(!scale.is_overflown(f64::NAN));
        assert_eq!((scale.scale, scale.overflown), (1.0, 1));
    }
}
