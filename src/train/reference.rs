//! What the policy is held near: a frozen copy of it, renewed as the config says.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use super::Trainer;
use crate::advantage::AdvantageError;
use crate::kernel::{Kernels, TrainingKernels};
use crate::model::{Decoder, Reference};

/// When the reference follows the policy.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
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

impl<B: TrainingKernels> Trainer<B> {
    /// Renews the reference after the step that was just done, where it is due.
    pub(super) fn refresh_reference(&mut self) {
        let share = self.settings.reference_refresh.share(self.steps_done);
        let (Some(reference), Some(share)) = (&self.reference, share) else { return };
        let policy = Reference::snapshot(&self.policy);
        let renewed = match share {
            1.0 => policy,
            _ => Reference::new(mixed(policy.decoder(), reference.decoder(), share)),
        };
        self.reference = Some(renewed.stored_as(self.settings.reference_storage));
    }
}

/// `share · policy + (1 − share) · reference`, parameter by parameter.
fn mixed<B: Kernels>(policy: &Decoder<B>, reference: &Decoder<B>, share: f64) -> Decoder<B> {
    let mut weights = Weights { flat: Vec::new() };
    policy.visit(&mut weights);
    reference.clone().map(&mut Mix { policy: weights.flat.into_iter(), share })
}

/// Every parameter of a module, flat, in order.
struct Weights<B: Backend> {
    flat: Vec<Tensor<B, 1>>,
}

impl<B: Backend> ModuleVisitor<B> for Weights<B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let weight = param.val();
        let count = weight.shape().num_elements();
        self.flat.push(weight.reshape([count]));
    }
}

struct Mix<B: Backend> {
    policy: std::vec::IntoIter<Tensor<B, 1>>,
    share: f64,
}

impl<B: Backend> ModuleMapper<B> for Mix<B> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let Some(policy) = self.policy.next() else {
            panic!("the policy has fewer parameters than its reference");
        };
        let (id, reference, mapper) = param.consume();
        let policy = policy.reshape(reference.shape());
        let reference = reference.cast(policy.dtype());
        let mixed = policy * self.share + reference * (1.0 - self.share);
        Param::from_mapped_value(id, mixed, mapper)
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

    #[test]
    fn a_mixture_lies_between_reference_and_policy() {
        use burn::backend::NdArray;
        let config: crate::model::ModelConfig = serde_json::from_str(
            r#"{"vocab_size": 7, "hidden_size": 4, "intermediate_size": 4, "num_hidden_layers": 1,
                "num_attention_heads": 1}"#,
        )
        .unwrap();
        let decoder =
            |seed| Decoder::<NdArray>::initialise(&config, seed, &Default::default()).unwrap();
        let flat = |decoder: &Decoder<NdArray>| -> Vec<f32> {
            let mut weights = Weights { flat: Vec::new() };
            decoder.visit(&mut weights);
            Tensor::cat(weights.flat, 0).into_data().to_vec().unwrap()
        };
        let (policy, reference) = (decoder(1), decoder(2));
        let mixture = flat(&mixed(&policy, &reference, 0.25));
        for ((mixed, policy), reference) in mixture.iter().zip(flat(&policy)).zip(flat(&reference))
        {
            assert!((mixed - (0.25 * policy + 0.75 * reference)).abs() < 1e-6);
        }
    }
}
