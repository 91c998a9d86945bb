//! From what was written to what runs.

use super::{ConfigError, ModelBlock, RunConfig};
use crate::advantage::AdvantageEstimator;
use crate::kernel::Sampling;
use crate::loss::{ClippedSurrogate, KlTerm, Objective, PolicyLoss};
use crate::reward::Rewards;
use crate::rollout::Generator;
use crate::train::{EvalOptions, TrainSettings};

impl RunConfig {
    /// Refuses settings that contradict each other.
    ///
    /// # Errors
    /// The first contradiction, with the key to change.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.check_sizes()?;
        self.model.check()?;
        self.adv_estimator.0.validate(self.num_return_sequences_in_group)?;
        self.objective().check(self.ppo_epochs * self.mini_batches)?;
        check_sampling(self.sampling)?;
        Rewards::new(&self.rewards)?;
        Ok(())
    }

    /// What the trainer works by, for a tokenizer with these EOS tokens.
    pub fn settings(&self, eos_ids: &[u32]) -> TrainSettings {
        TrainSettings {
            seed: self.seed,
            max_steps: self.max_steps,
            rollout_batch_size: self.rollout_batch_size,
            num_return_sequences_in_group: self.num_return_sequences_in_group,
            generator: self.generator(eos_ids),
            estimator: self.adv_estimator.0.clone(),
            objective: self.objective(),
            ppo_epochs: self.ppo_epochs,
            mini_batches: self.mini_batches,
            micro_batch_tokens: self.device.micro_batch_tokens,
            optimizer: self.optimizer.clone(),
        }
    }

    /// How held-out problems are tried.
    pub fn eval_options(&self, eos_ids: &[u32]) -> EvalOptions {
        EvalOptions {
            generator: self.generator(eos_ids),
            samples: self.eval.samples,
            k: self.eval.k,
            seed: self.seed,
        }
    }

    fn generator(&self, eos_ids: &[u32]) -> Generator {
        Generator {
            sampling: self.sampling,
            response_length: self.response_length,
            eos_ids: eos_ids.to_vec(),
            cache_tokens: self.device.cache_tokens,
        }
    }

    fn objective(&self) -> Objective {
        let kl = KlTerm { kl_loss_type: self.kl_loss_type, kl_loss_coef: self.kl_loss_coef };
        Objective {
            policy_loss: self.policy_loss(),
            loss_agg_mode: self.loss_agg_mode,
            rl_loss_coef: 1.0,
            kl: self.use_kl_loss.then_some(kl),
            entropy_loss_coef: self.entropy_loss_coef,
        }
    }

    /// The loss with what the top level says of it, where it says something.
    fn policy_loss(&self) -> PolicyLoss {
        let PolicyLoss::ClippedSurrogate(loss) = self.policy_loss.0.clone() else {
            return self.policy_loss.0.clone();
        };
        PolicyLoss::ClippedSurrogate(ClippedSurrogate {
            pg_clip_low: self.pg_clip_low.unwrap_or(loss.pg_clip_low),
            pg_clip_high: self.pg_clip_high.unwrap_or(loss.pg_clip_high),
            importance_sampling: self.importance_sampling.unwrap_or(loss.importance_sampling),
            ..loss
        })
    }

    fn check_sizes(&self) -> Result<(), ConfigError> {
        for (key, size) in [
            ("rollout_batch_size", self.rollout_batch_size),
            ("num_return_sequences_in_group", self.num_return_sequences_in_group),
            ("prompt_length", self.prompt_length),
            ("response_length", self.response_length),
            ("ppo_epochs", self.ppo_epochs),
            ("mini_batches", self.mini_batches),
            ("device.micro_batch_tokens", self.device.micro_batch_tokens),
            ("device.cache_tokens", self.device.cache_tokens),
            ("checkpoint.keep", self.checkpoint.keep),
        ] {
            ensure(size > 0, key, || "is 0; it must be at least 1".into())?;
        }
        let (mini, prompts) = (self.mini_batches, self.rollout_batch_size);
        ensure(mini <= prompts, "mini_batches", || {
            format!("is {mini}, but a step has only {prompts} prompts; lower it")
        })
    }
}

/// Refuses a law that nothing can be drawn from.
///
/// # Errors
/// The first setting out of its range.
pub fn check_sampling(sampling: Sampling) -> Result<(), ConfigError> {
    let Sampling { temperature, top_p, .. } = sampling;
    ensure(temperature >= 0.0 && temperature.is_finite(), "sampling.temperature", || {
        format!("is {temperature}; it must be a finite number of at least 0")
    })?;
    ensure(top_p > 0.0 && top_p <= 1.0, "sampling.top_p", || {
        format!("is {top_p}; it must lie in (0, 1]")
    })
}

impl ModelBlock {
    /// Checks that the block describes one model, and only one.
    fn check(&self) -> Result<(), ConfigError> {
        match (&self.path, &self.alphabet, &self.architecture) {
            (Some(_), None, None) | (None, Some(_), Some(_)) => Ok(()),
            (Some(_), ..) => Err(contradiction(
                "model",
                "has a path, so alphabet and architecture come from that folder; remove them",
            )),
            _ => Err(contradiction(
                "model",
                "needs a path to a model folder, or an alphabet and an architecture for a new one",
            )),
        }
    }
}

fn contradiction(key: &'static str, problem: &str) -> ConfigError {
    ConfigError::Contradiction { key, problem: problem.into() }
}

fn ensure(
    holds: bool,
    key: &'static str,
    problem: impl FnOnce() -> String,
) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError::Contradiction { key, problem: problem() }) }
}
