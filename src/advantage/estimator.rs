//! The choice among the shipped estimators, and what every estimator can be asked.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, MapDeserializer};
use serde::{Deserialize, Serialize};

use super::error::at_least_two;
use super::{
    AdvantageError, DrGrpo, Gdpo, Gpg, GroupAdvantages, GroupMeanBatchStd, Grpo, McGpg, McGrpo,
    Opo, Passk, Reinforce, ReinforcePp, ReinforcePpBaseline, RewardBatch, Rloo, apply_rule,
};
use crate::kernel::group_baseline::LARGEST_GROUP;
use crate::kernel::group_rule::GroupRule;

/// Turns the rewards of groups into one advantage for each rollout.
pub trait AdvantageEstimator {
    /// The name in a config's `adv_estimator`.
    fn name(&self) -> &'static str;

    /// What the rewards of a group become by themselves: the first part of every estimator.
    fn rule(&self) -> GroupRule;

    /// What follows the rule, for groups in the batch's order: a look at the other groups of the step,
    /// say. By default nothing.
    ///
    /// Errors: rewards that lack what the estimator asks for.
    fn finish(
        &self,
        groups: Vec<GroupAdvantages>,
        _batch: &RewardBatch,
    ) -> Result<Vec<GroupAdvantages>, AdvantageError> {
        Ok(groups)
    }

    /// Whether [`finish`](Self::finish) does anything.
    fn finishes(&self) -> bool {
        false
    }

    /// Computes the advantages of every group of an optimiser step, in the batch's order and in f64.
    ///
    /// Errors: rewards that [`RewardBatch::check`] refuses, or a setting out of range.
    fn estimate(&self, batch: &RewardBatch) -> Result<Vec<GroupAdvantages>, AdvantageError> {
        self.finish(apply_rule(&self.rule(), batch)?, batch)
    }

    /// How many rollouts to draw in training so that `g` of a prompt reach the loss.
    fn rollouts_per_prompt(&self, g: usize) -> usize {
        g
    }

    /// The rule that the group kernels can run in place of [`estimate`](Self::estimate), where it is
    /// all that the estimator does.
    fn group_rule(&self) -> Option<GroupRule> {
        (!self.finishes()).then(|| self.rule())
    }

    /// The name of the loss that belongs to the estimator where a configuration chooses none.
    fn default_loss(&self) -> &'static str {
        "clipped_surrogate"
    }

    /// Whether the method is defined beside a reference that the policy is held near.
    fn allows_reference(&self) -> bool {
        true
    }

    /// Whether the method makes up for groups without signal, by alpha and by drawing again.
    fn makes_up_for_silent_groups(&self) -> bool {
        false
    }

    /// Whether it takes the weighted sum of the rewards, and not each reward by itself.
    fn takes_the_sum(&self) -> bool {
        true
    }

    /// What it does with rewards that a configuration asks to normalise.
    fn reward_norm(&self) -> RewardNorm {
        RewardNorm::Itself
    }

    /// Refuses group sizes and settings that the estimator cannot work with, before a run starts.
    fn validate(&self, g: usize) -> Result<(), AdvantageError> {
        at_least_two(self.name(), g)?;
        check_settings(self)
    }
}

/// What an estimator does with rewards that a configuration asks to normalise.
#[derive(Debug, Clone, PartialEq)]
pub enum RewardNorm {
    /// It takes them as they were normalised, and has no baseline of its own.
    Before,
    /// It normalises them itself, so that asking for it is a mistake.
    Itself,
    /// It is the group's mean and deviation itself; asked for the mean alone, it is this estimator.
    Group {
        /// The same without its scale.
        without_scale: Box<Estimator>,
    },
}

/// Refuses settings out of range: estimating nothing checks them and does no more.
pub(super) fn check_settings<E>(estimator: &E) -> Result<(), AdvantageError>
where
    E: AdvantageEstimator + ?Sized,
{
    estimator.estimate(&RewardBatch::default()).map(|_| ())
}

/// The shipped estimators, chosen by `kind` in a config.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Estimator {
    /// Group z-score.
    Grpo(Grpo),
    /// Group mean only.
    DrGrpo(DrGrpo),
    /// Median of one rollout more, which then leaves.
    McGrpo(McGrpo),
    /// Group mean for the policy-gradient loss of GPG.
    Gpg(Gpg),
    /// Median baseline for the policy-gradient loss of GPG.
    McGpg(McGpg),
    /// Mean of the other rollouts.
    Rloo(Rloo),
    /// The reward itself, normalised as the config says.
    Reinforce(Reinforce),
    /// Batch z-score.
    ReinforcePp(ReinforcePp),
    /// Group mean, then whitened over the batch's tokens.
    ReinforcePpBaseline(ReinforcePpBaseline),
    /// Group mean, batch standard deviation.
    GroupMeanBatchStd(GroupMeanBatchStd),
    /// Length-weighted mean.
    Opo(Opo),
    /// Only the best rollout, by its lead over the second.
    Passk(Passk),
    /// Every reward normalised by itself before they are summed.
    Gdpo(Gdpo),
}

impl Estimator {
    fn inner(&self) -> &dyn AdvantageEstimator {
        match self {
            Self::Grpo(estimator) => estimator,
            Self::DrGrpo(estimator) => estimator,
            Self::McGrpo(estimator) => estimator,
            Self::Gpg(estimator) => estimator,
            Self::McGpg(estimator) => estimator,
            Self::Rloo(estimator) => estimator,
            Self::Reinforce(estimator) => estimator,
            Self::ReinforcePp(estimator) => estimator,
            Self::ReinforcePpBaseline(estimator) => estimator,
            Self::GroupMeanBatchStd(estimator) => estimator,
            Self::Opo(estimator) => estimator,
            Self::Passk(estimator) => estimator,
            Self::Gdpo(estimator) => estimator,
        }
    }
}

impl Default for Estimator {
    fn default() -> Self {
        Self::Grpo(Grpo::default())
    }
}

impl AdvantageEstimator for Estimator {
    fn name(&self) -> &'static str {
        self.inner().name()
    }

    fn rule(&self) -> GroupRule {
        self.inner().rule()
    }

    fn finish(
        &self,
        groups: Vec<GroupAdvantages>,
        batch: &RewardBatch,
    ) -> Result<Vec<GroupAdvantages>, AdvantageError> {
        self.inner().finish(groups, batch)
    }

    fn finishes(&self) -> bool {
        self.inner().finishes()
    }

    fn rollouts_per_prompt(&self, g: usize) -> usize {
        self.inner().rollouts_per_prompt(g)
    }

    fn default_loss(&self) -> &'static str {
        self.inner().default_loss()
    }

    fn allows_reference(&self) -> bool {
        self.inner().allows_reference()
    }

    fn makes_up_for_silent_groups(&self) -> bool {
        self.inner().makes_up_for_silent_groups()
    }

    fn takes_the_sum(&self) -> bool {
        self.inner().takes_the_sum()
    }

    fn reward_norm(&self) -> RewardNorm {
        self.inner().reward_norm()
    }

    fn validate(&self, g: usize) -> Result<(), AdvantageError> {
        self.inner().validate(g)?;
        match self.finishes() || self.rollouts_per_prompt(g) <= LARGEST_GROUP {
            true => Ok(()),
            false => Err(AdvantageError::GroupSize {
                estimator: self.name(),
                g,
                reason: "the group kernels compare at most 1024 rollouts of a prompt, a pivot \
                         included; use a smaller group",
            }),
        }
    }
}

/// The named estimator with its default settings; the error lists the names there are.
impl FromStr for Estimator {
    type Err = ValueError;

    fn from_str(name: &str) -> Result<Self, ValueError> {
        let kind = [("kind", name)].into_iter();
        Self::deserialize(MapDeserializer::new(kind).into_deserializer())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 13] = [
        "grpo",
        "dr_grpo",
        "mc_grpo",
        "gpg",
        "mc_gpg",
        "rloo",
        "reinforce",
        "reinforce_pp",
        "reinforce_pp_baseline",
        "group_mean_batch_std",
        "opo",
        "passk",
        "gdpo",
    ];

    #[test]
    fn every_estimator_is_found_by_its_name_and_survives_a_config_file() {
        for name in NAMES {
            let estimator: Estimator = name.parse().unwrap();
            assert_eq!(estimator.name(), name);
            let written = serde_json::to_string(&estimator).unwrap();
            assert_eq!(serde_json::from_str::<Estimator>(&written).unwrap(), estimator);
        }
    }

    #[test]
    fn an_unknown_estimator_or_key_is_refused() {
        let message = "grop".parse::<Estimator>().unwrap_err().to_string();
        assert!(message.contains("grop") && message.contains("mc_grpo"), "{message}");
        let misspelt = r#"{"kind": "grpo", "epsilon": 0.1}"#;
        let message = serde_json::from_str::<Estimator>(misspelt).unwrap_err().to_string();
        assert!(message.contains("epsilon"), "{message}");
    }

    #[test]
    fn groups_of_one_are_refused_by_all_that_compare_within_a_group() {
        for name in NAMES {
            let estimator: Estimator = name.parse().unwrap();
            let compares = !["reinforce", "reinforce_pp"].contains(&name);
            assert_eq!(estimator.validate(1).is_err(), compares, "{name}");
            assert!(estimator.validate(2).is_ok(), "{name}");
        }
    }

    #[test]
    fn only_the_median_estimators_draw_one_rollout_more() {
        for name in NAMES {
            let extra = usize::from(name.starts_with("mc_"));
            assert_eq!(name.parse::<Estimator>().unwrap().rollouts_per_prompt(4), 4 + extra);
        }
    }

    #[test]
    fn gpgs_estimators_alone_take_the_plain_policy_gradient_without_a_reference() {
        for name in NAMES {
            let estimator: Estimator = name.parse().unwrap();
            let is_gpg = ["gpg", "mc_gpg"].contains(&name);
            assert_eq!(estimator.default_loss() == "policy_gradient", is_gpg, "{name}");
            assert_eq!(estimator.allows_reference(), !is_gpg, "{name}");
            assert_eq!(estimator.makes_up_for_silent_groups(), is_gpg, "{name}");
            assert_eq!(estimator.takes_the_sum(), name != "gdpo", "{name}");
        }
    }

    #[test]
    fn settings_out_of_range_are_refused_before_the_first_rollout() {
        for name in ["grpo", "mc_grpo", "reinforce_pp", "group_mean_batch_std", "passk", "gdpo"] {
            let config = format!("{{\"kind\": \"{name}\", \"eps\": -0.5}}");
            let estimator: Estimator = serde_json::from_str(&config).unwrap();
            let message = estimator.validate(4).unwrap_err().to_string();
            assert!(message.starts_with("eps is -0.5"), "{name}: {message}");
        }
    }

    #[test]
    fn no_estimator_accepts_nan() {
        for name in NAMES {
            let batch = RewardBatch::from_rewards([vec![Some(f64::NAN), Some(1.0)]]);
            let refused = name.parse::<Estimator>().unwrap().estimate(&batch);
            assert!(matches!(refused, Err(AdvantageError::Reward { .. })), "{name}: {refused:?}");
        }
    }
}
