//! Settings that contradict each other, refused with the reason before anything runs.

use super::error::ensure;
use super::{ConfigError, ModelBlock, RunConfig};
use crate::advantage::{AdvantageEstimator, AlphaMode};
use crate::kernel::Sampling;
use crate::loss::KlEstimator;
use crate::model::WeightStorage;
use crate::reward::Rewards;
use crate::train::{QueryFilter, ReferenceRefresh, Truncated};

/// The least temperature to train at: a token 0.1 less likely in its logit is drawn e^-10 as often.
const LEAST_TEMPERATURE: f32 = 0.01;

impl RunConfig {
    /// Refuses settings that contradict each other.
    ///
    /// # Errors
    /// The first contradiction, with the key to change.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.check_sizes()?;
        self.model.check()?;
        self.check_lora()?;
        self.check_rewards()?;
        let g = self.training.num_return_sequences_in_group;
        self.estimator()?.validate(g).map_err(ConfigError::Advantage)?;
        self.shaping()?.validate()?;
        self.post_processing().validate()?;
        self.check_filters()?;
        self.check_selection()?;
        self.objective()?.check(self.training.ppo_epochs, self.training.mini_batches)?;
        self.check_kl()?;
        self.check_diagnostics()?;
        check_sampling(self.sampling)?;
        self.check_temperature()
    }

    /// Refuses a temperature at which every draw takes the likeliest token.
    fn check_temperature(&self) -> Result<(), ConfigError> {
        let temperature = self.sampling.temperature;
        ensure(temperature >= LEAST_TEMPERATURE, "sampling.temperature", || {
            let near = if temperature > 0.0 { ", as good as greedy" } else { "" };
            format!(
                "is {temperature}{near}, so all completions of a prompt are the same and no group tells a \
                 good one from a bad one; use 1, or another number of at least {LEAST_TEMPERATURE} \
                 (evaluation is greedy whatever it is)"
            )
        })
    }

    fn check_sizes(&self) -> Result<(), ConfigError> {
        let (mini, prompts) = (self.training.mini_batches, self.training.rollout_batch_size);
        ensure(mini <= prompts, "mini_batches", || {
            format!("is {mini}, but a step has only {prompts} prompts; lower it")
        })
    }

    fn check_rewards(&self) -> Result<(), ConfigError> {
        Rewards::new(&self.rewards)?;
        let estimator = &self.adv_estimator.0;
        let (sums, name) = (estimator.takes_the_sum(), estimator.name());
        let unused = |key| {
            move || {
                format!(
                    "{key} changes the sum of the rewards, and {name} takes them one by one; \
                             remove it"
                )
            }
        };
        ensure(sums || self.reward_clip.is_none(), "reward_clip", unused("it"))?;
        ensure(sums || self.max_len_mask != Truncated::Penalise, "max_len_mask", unused("penalise"))
    }

    fn check_filters(&self) -> Result<(), ConfigError> {
        let [low, high] = [self.difficulty_low_threshold, self.difficulty_high_threshold];
        ensure(low < high, "difficulty_high_threshold", || {
            format!(
                "is {high}, not above difficulty_low_threshold ({low}), so no group would be left; \
                     raise it"
            )
        })?;
        let g = self.training.num_return_sequences_in_group;
        ensure(!self.difficulty_mask || g > 1, "difficulty_mask", || {
            "takes the mean reward of a group for its difficulty, and a group of 1 has none; raise \
             num_return_sequences_in_group"
                .into()
        })?;
        let penalises = self.max_len_mask == Truncated::Penalise;
        ensure(penalises || self.truncation_penalty.is_none(), "truncation_penalty", || {
            "has no effect without max_len_mask: penalise; set that, or remove it".into()
        })?;
        let penalty = self.truncation_penalty.unwrap_or(1.0);
        ensure(penalty >= 0.0 && penalty.is_finite(), "truncation_penalty", || {
            format!("is {penalty}; it must be a finite number of at least 0")
        })
    }

    fn check_selection(&self) -> Result<(), ConfigError> {
        self.query_filter.validate()?;
        let rounds = self.dynamic_sampling.map_or(1, |dynamic| dynamic.max_rounds);
        ensure(rounds > 0, "dynamic_sampling.max_rounds", || {
            "is 0; a step draws its prompts at least once".into()
        })?;
        ensure(
            self.gpg.is_none() || self.adv_estimator.0.makes_up_for_silent_groups(),
            "gpg",
            || {
                "only speaks of adv_estimator gpg and mc_gpg; for other estimators dynamic_sampling \
             draws again"
                .into()
            },
        )?;
        let Some(gpg) = &self.gpg else { return Ok(()) };
        gpg.window().validate()?;
        let filtered =
            self.dynamic_sampling.is_some() || self.query_filter != QueryFilter::NoFilter;
        let alpha = gpg.alpha_mode != AlphaMode::Off || gpg.beta_th > 0.0;
        ensure(!filtered || !alpha, "gpg", || {
            "makes up for groups without signal, and query_filter or dynamic_sampling drops them \
             already, so they would count twice; set gpg: {alpha_mode: off}, or remove the filter"
                .into()
        })
    }

    fn check_kl(&self) -> Result<(), ConfigError> {
        self.kl_coefficient().check()?;
        let has_reference = self.keeps_reference();
        ensure(!has_reference || self.adv_estimator.0.allows_reference(), "use_kl_loss", || {
            "(or add_token_level_kl) needs a reference, and GPG is defined without one; remove it, or \
             choose another adv_estimator"
                .into()
        })?;
        ensure(has_reference || self.target_kl.is_none(), "target_kl", || {
            "has nothing to steer: neither use_kl_loss nor add_token_level_kl is true".into()
        })?;
        let refreshed = self.training.reference_refresh != ReferenceRefresh::Never;
        ensure(has_reference || !refreshed, "reference_refresh", || {
            "refreshes nothing: neither use_kl_loss nor add_token_level_kl keeps a reference".into()
        })?;
        self.training.reference_refresh.validate()?;
        self.check_reference_dtype(has_reference)?;
        ensure(self.kl_penalty != KlEstimator::Full, "kl_penalty", || {
            "is full, which exists in the loss only (kl_loss_type); use k1 here".into()
        })
    }

    fn check_reference_dtype(&self, has_reference: bool) -> Result<(), ConfigError> {
        let (key, dtype) = ("device.reference_dtype", self.device.reference_dtype);
        let is_whole = dtype == WeightStorage::F32;
        ensure(has_reference || is_whole, key, || {
            "stores nothing: neither use_kl_loss nor add_token_level_kl keeps a reference".into()
        })?;
        let moves =
            matches!(self.training.reference_refresh, ReferenceRefresh::MovingAverage { .. });
        ensure(!moves || is_whole, key, || {
            format!(
                "is {}, in which the small moves of a moving average are lost; use f32, or \
                 reference_refresh: {{kind: snapshot}}",
                dtype.name()
            )
        })
    }

    /// Whether anything compares the policy with a reference.
    pub fn keeps_reference(&self) -> bool {
        self.use_kl_loss || self.add_token_level_kl
    }

    fn check_lora(&self) -> Result<(), ConfigError> {
        let Some(lora) = &self.lora else { return Ok(()) };
        ensure(self.model.path.is_some(), "lora", || {
            "trains an adapter of a model that stays as it is, and model.path names none".into()
        })?;
        ensure(lora.adapter.is_some() || !lora.merge_adapter, "lora.merge_adapter", || {
            "is true, and lora.adapter names no adapter to merge".into()
        })?;
        if let Some((_, problem)) = lora.shape().fault().filter(|(key, _)| *key == "targets") {
            return Err(ConfigError::Contradiction { key: "lora.targets", problem });
        }
        let moves =
            matches!(self.training.reference_refresh, ReferenceRefresh::MovingAverage { .. });
        ensure(!moves, "reference_refresh", || {
            "is a moving average, and the mean of two adapters is not the adapter of a mean; use {kind: snapshot} \
             with lora"
                .into()
        })?;
        ensure(self.device.reference_dtype == WeightStorage::F32, "device.reference_dtype", || {
            "is how a second model is stored, and with lora there is none; remove it, and see lora.base".into()
        })
    }

    fn check_diagnostics(&self) -> Result<(), ConfigError> {
        let training = &self.training;
        let (oracle, g) =
            (training.diagnostics.oracle_rollouts, training.num_return_sequences_in_group);
        ensure(oracle == 0 || oracle > g, "diagnostics.oracle_rollouts", || {
            format!("is {oracle}; an oracle needs many more rollouts than a group of {g}")
        })
    }
}

/// Refuses a distribution that nothing can be drawn from.
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
        let problem = match (&self.path, &self.alphabet, &self.architecture) {
            (Some(_), None, None) | (None, Some(_), Some(_)) => return Ok(()),
            (Some(_), ..) => {
                "has a path, so alphabet and architecture come from that folder; remove them"
            }
            _ => "needs a path to a model folder, or an alphabet and an architecture for a new one",
        };
        Err(ConfigError::Contradiction { key: "model", problem: problem.into() })
    }
}
