//! When the frozen view of the policy that it is held near is renewed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Trainer;
use crate::advantage::AdvantageError;
use crate::kernel::Kernels;

/// When the reference follows the policy.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ReferenceRefresh {
    /// Never: it stays what the policy was before the first step.
    #[default]
    Never,
    /// It becomes the policy.
    Snapshot {
        /// Training steps between two times.
        every_steps: u64,
    },
    /// It moves towards the policy.
    ///
    /// ```text
    /// reference = mixup_alpha * policy + (1 - mixup_alpha) * reference
    /// ```
    ///
    /// Source: Gorbatovski et al., 2024, "Learn your reference model", arXiv 2404.09656.
    MovingAverage {
        /// Training steps between two times.
        #[serde(default = "one")]
        every_steps: u64,
        /// How far it moves each time, from 0 to 1.
        mixup_alpha: f64,
    },
}

fn one() -> u64 {
    1
}

impl ReferenceRefresh {
    /// The share of the policy in the reference after step `done`; none where nothing changes.
    fn share(&self, done: u64) -> Option<f64> {
        let (every_steps, share) = match *self {
            Self::Never => return None,
            Self::Snapshot { every_steps } => (every_steps, 1.0),
            Self::MovingAverage { every_steps, mixup_alpha } => (every_steps, mixup_alpha),
        };
        done.is_multiple_of(every_steps).then_some(share)
    }

    /// Refuses an interval of no steps and a share outside (0, 1].
    ///
    /// # Errors
    /// The setting, with the reason.
    pub fn validate(&self) -> Result<(), AdvantageError> {
        let (every_steps, share) = match *self {
            Self::Never => return Ok(()),
            Self::Snapshot { every_steps } => (every_steps, 1.0),
            Self::MovingAverage { every_steps, mixup_alpha } => (every_steps, mixup_alpha),
        };
        if every_steps == 0 {
            let reason = "it is the number of steps between two refreshes; use 1 or more";
            return Err(AdvantageError::setting("every_steps", 0, reason));
        }
        if !(share > 0.0 && share <= 1.0) {
            let reason = "it is the policy's share in the new reference; use a number above 0 and \
                          at most 1";
            return Err(AdvantageError::setting("mixup_alpha", share, reason));
        }
        Ok(())
    }
}

impl<B: Kernels> Trainer<B> {
    /// Renews the reference after the step that was just done, where it is due.
    pub(super) fn refresh_reference(&mut self) {
        let share = self.settings.training.reference_refresh.share(self.state.counters.steps);
        let (Some(reference), Some(share)) = (&self.state.reference, share) else { return };
        self.state.reference = Some(reference.moved(&self.state.policy, share));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_renewed_only_when_it_is_due() {
        let snapshot = ReferenceRefresh::Snapshot { every_steps: 3 };
        let shares: Vec<_> = (1..=6).map(|done| snapshot.share(done)).collect();
        assert_eq!(shares, [None, None, Some(1.0), None, None, Some(1.0)]);
        assert_eq!(ReferenceRefresh::Never.share(512), None);
    }

    #[test]
    fn settings_that_cannot_be_meant_are_refused() {
        let never = ReferenceRefresh::Snapshot { every_steps: 0 };
        assert!(never.validate().unwrap_err().to_string().starts_with("every_steps is 0"));
        let far = ReferenceRefresh::MovingAverage { every_steps: 1, mixup_alpha: 1.5 };
        assert!(far.validate().unwrap_err().to_string().starts_with("mixup_alpha is 1.5"));
    }
}
