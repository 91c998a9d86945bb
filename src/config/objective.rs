//! From the keys of the loss to what is minimised.

use super::error::ensure;
use super::{ConfigError, RunConfig};
use crate::advantage::Estimator;
use crate::loss::{KlCoefficient, KlEstimator, KlTerm, Objective, PolicyGradient, PolicyLoss};

impl RunConfig {
    /// What the optimiser minimises.
    pub(super) fn objective(&self) -> Result<Objective, ConfigError> {
        let kl = KlTerm { kl_loss_type: self.kl_loss_type, kl_loss_coef: self.kl_loss_coef };
        Ok(Objective {
            policy_loss: self.policy_loss()?,
            loss_agg_mode: self.loss_agg_mode,
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

    /// Whether the estimator is one of GPG's, whose loss is the plain policy gradient.
    pub(super) fn is_gpg(&self) -> bool {
        matches!(self.adv_estimator.0, Estimator::Gpg(_) | Estimator::McGpg(_))
    }

    /// The loss, changed by those keys of the top level that are given.
    fn policy_loss(&self) -> Result<PolicyLoss, ConfigError> {
        let mut loss = match &self.policy_loss {
            Some(choice) => choice.0.clone(),
            None if self.is_gpg() => PolicyLoss::PolicyGradient(PolicyGradient {}),
            None => PolicyLoss::default(),
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
        let (low, high) = match loss {
            PolicyLoss::ClippedSurrogate(loss) => (&mut loss.pg_clip_low, &mut loss.pg_clip_high),
            PolicyLoss::Gspo(loss) => (&mut loss.pg_clip_low, &mut loss.pg_clip_high),
            PolicyLoss::Cispo(loss) => (&mut loss.pg_clip_low, &mut loss.pg_clip_high),
            _ => {
                return ensure(given == [None; 3], "pg_clip", || without_effect(name));
            }
        };
        *low = self.pg_clip_low.or(self.pg_clip).unwrap_or(*low);
        *high = self.pg_clip_high.or(self.pg_clip).unwrap_or(*high);
        Ok(())
    }

    fn set_importance_sampling(&self, loss: &mut PolicyLoss) -> Result<(), ConfigError> {
        let Some(over) = self.importance_sampling else { return Ok(()) };
        match loss {
            PolicyLoss::ClippedSurrogate(loss) => {
                loss.importance_sampling = over;
                Ok(())
            }
            other => ensure(false, "importance_sampling", || without_effect(other.name())),
        }
    }

    fn set_dual_clip(&self, loss: &mut PolicyLoss) -> Result<(), ConfigError> {
        ensure(self.dual_clip_loss || self.dual_clip_c.is_none(), "dual_clip_c", || {
            "has no effect without dual_clip_loss: true; set that, or remove it".into()
        })?;
        match loss {
            _ if !self.dual_clip_loss => Ok(()),
            PolicyLoss::ClippedSurrogate(loss) => {
                let of_roll = 1.0 + 2.0 * loss.pg_clip_high;
                loss.dual_clip_c = Some(self.dual_clip_c.unwrap_or(of_roll));
                Ok(())
            }
            other => ensure(false, "dual_clip_loss", || without_effect(other.name())),
        }
    }
}

fn without_effect(loss: &str) -> String {
    format!("has no effect on the {loss} loss; remove it, or choose the clipped_surrogate loss")
}
