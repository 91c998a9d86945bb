//! From the keys of the loss to what is minimised.

use serde::de::value::Error as ValueError;

use super::error::ensure;
use super::{ConfigError, RunConfig};
use crate::advantage::AdvantageEstimator;
use crate::loss::{ClippedSurrogate, KlCoefficient, KlEstimator, KlTerm, Objective, PolicyLoss};

impl RunConfig {
    /// What the optimiser minimises.
    pub(super) fn objective(&self) -> Result<Objective, ConfigError> {
        let kl = KlTerm { kl_loss_type: self.kl_loss_type, kl_loss_coef: self.kl_loss_coef };
        let policy_loss = self.policy_loss()?;
        let by_definition = policy_loss.default_aggregation();
        Ok(Objective {
            policy_loss,
            loss_agg_mode: self.loss_agg_mode.unwrap_or(by_definition),
            rl_loss_coef: self.rl_loss_coef,
            kl: self.use_kl_loss.then_some(kl),
            entropy_loss_coef: self.entropy_loss_coef,
        })
    }

    /// The factor on the KL and how it moves.
    pub(super) fn kl_coefficient(&self) -> KlCoefficient {
        let from = if self.add_token_level_kl { self.init_kl_coef } else { self.kl_loss_coef };
        KlCoefficient { init_kl_coef: from, target_kl: self.target_kl, kl_horizon: self.kl_horizon }
    }

    /// The KL that is charged to rewards, if any.
    pub(super) fn kl_penalty(&self) -> Option<KlEstimator> {
        self.add_token_level_kl.then_some(self.kl_penalty)
    }

    /// The loss, changed by those keys of the top level that are given.
    fn policy_loss(&self) -> Result<PolicyLoss, ConfigError> {
        let mut loss = match &self.policy_loss {
            Some(choice) => choice.0.clone(),
            None => self.adv_estimator.0.default_loss().parse().map_err(no_loss)?,
        };
        self.set_bounds(&mut loss)?;
        self.set_importance_sampling(&mut loss)?;
        self.set_dual_clip(&mut loss)?;
        Ok(loss)
    }

    fn set_bounds(&self, loss: &mut PolicyLoss) -> Result<(), ConfigError> {
        let given = [self.pg_clip, self.pg_clip_low, self.pg_clip_high];
        ensure(given.iter().any(Option::is_none), "pg_clip", || {
            "has no effect beside pg_clip_low and pg_clip_high; remove it".into()
        })?;
        let name = loss.name();
        let Some([low, high]) = loss.clip_bounds_mut() else {
            return ensure(given == [None; 3], "pg_clip", || without_effect(name));
        };
        *low = self.pg_clip_low.or(self.pg_clip).unwrap_or(*low);
        *high = self.pg_clip_high.or(self.pg_clip).unwrap_or(*high);
        Ok(())
    }

    fn set_importance_sampling(&self, loss: &mut PolicyLoss) -> Result<(), ConfigError> {
        let Some(over) = self.importance_sampling else { return Ok(()) };
        Self::surrogate("importance_sampling", loss)?.importance_sampling = over;
        Ok(())
    }

    fn set_dual_clip(&self, loss: &mut PolicyLoss) -> Result<(), ConfigError> {
        ensure(self.dual_clip_loss || self.dual_clip_c.is_none(), "dual_clip_c", || {
            "has no effect without dual_clip_loss: true; set that, or remove it".into()
        })?;
        if !self.dual_clip_loss {
            return Ok(());
        }
        let loss = Self::surrogate("dual_clip_loss", loss)?;
        let of_roll = 1.0 + 2.0 * loss.pg_clip_high;
        loss.dual_clip_c = Some(self.dual_clip_c.unwrap_or(of_roll));
        Ok(())
    }

    /// The clipped surrogate, which alone `key` has an effect on.
    fn surrogate<'a>(
        key: &'static str,
        loss: &'a mut PolicyLoss,
    ) -> Result<&'a mut ClippedSurrogate, ConfigError> {
        let problem = without_effect(loss.name());
        loss.as_clipped_surrogate_mut().ok_or(ConfigError::Contradiction { key, problem })
    }
}

fn no_loss(error: ValueError) -> ConfigError {
    ConfigError::Contradiction { key: "policy_loss", problem: error.to_string() }
}

fn without_effect(loss: &str) -> String {
    format!("has no effect on the {loss} loss; remove it, or choose the clipped_surrogate loss")
}
