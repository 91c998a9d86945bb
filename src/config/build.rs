//! From what was written to what runs.

use super::{ConfigError, RunConfig};
use crate::kernel::ComputeDtype;
use crate::rollout::Generator;
use crate::train::{EvalOptions, TrainSettings};

impl RunConfig {
    /// What the trainer works by, for a tokenizer with these EOS tokens.
    ///
    /// # Errors
    /// Settings that contradict each other; none in a configuration that was loaded.
    pub fn settings(&self, eos_ids: &[u32]) -> Result<TrainSettings, ConfigError> {
        Ok(TrainSettings {
            training: self.training.clone(),
            generator: self.generator(eos_ids),
            selection: self.selection(),
            shaping: self.shaping()?,
            filters: self.filters(),
            estimator: self.estimator()?,
            post: self.post_processing(),
            kl_penalty: self.kl_penalty(),
            kl_coefficient: self.kl_coefficient(),
            objective: self.objective()?,
            micro_batch_tokens: self.device.micro_batch_tokens,
            has_dropout: self.lora.as_ref().is_some_and(|lora| lora.dropout > 0.0),
            scales_loss: self.device.compute_dtype == ComputeDtype::F16,
            reference_storage: self.device.reference_dtype,
            reference_is_base: self.reference_is_base(),
        })
    }

    /// How held-out problems are tried.
    pub fn eval_options(&self, eos_ids: &[u32]) -> EvalOptions {
        EvalOptions {
            generator: self.generator(eos_ids),
            samples: self.eval.samples,
            k: self.eval.k,
            seed: self.training.seed,
        }
    }

    /// Before its first step a fresh adapter changes nothing.
    fn reference_is_base(&self) -> bool {
        let is_fresh = self.lora.as_ref().is_some_and(|lora| lora.continued().is_none());
        is_fresh && self.warm_start.is_none()
    }

    fn generator(&self, eos_ids: &[u32]) -> Generator {
        Generator {
            sampling: self.sampling,
            response_length: self.response_length,
            eos_ids: eos_ids.to_vec(),
            cache_tokens: self.device.cache_tokens,
            rows_at_once: Generator::ROWS_AT_ONCE,
            tokens_a_readback: None,
        }
    }
}
