//! How good the signal of a step is, judged by many more rollouts of a few prompts.

use std::collections::BTreeMap;

use burn::backend::Autodiff;
use burn::module::AutodiffModule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TrainError;
use super::advantages::ValuedGroup;
use super::score::{ScoredGroup, Scorer};
use super::settings::TrainSettings;
use crate::advantage::{
    AdvantageEstimator, DrGrpo, GroupAdvantages, McGrpo, Oracle, RewardBatch, SignCount,
    count_sign_flips,
};
use crate::kernel::Kernels;
use crate::kernel::group_rule::Scale;
use crate::model::Decoder;
use crate::rollout::{Noise, Prompt, Purpose};

/// The `diagnostics:` block: how often the sign of an advantage is wrong.
///
/// The judge is the mean or median reward of `oracle_rollouts` more completions of the same prompt
/// by the same policy. They are drawn beside the run and change nothing of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Diagnostics {
    /// Completions of a prompt that its oracle baseline is taken over; 0 draws none.
    pub oracle_rollouts: usize,
    /// Training steps between two times.
    pub every_steps: u64,
    /// Prompts of a step that are examined.
    pub prompts: usize,
    /// Which statistic of the oracle rollouts counts as true.
    pub oracle: Oracle,
}

impl Default for Diagnostics {
    fn default() -> Self {
        Self { oracle_rollouts: 0, every_steps: 10, prompts: 4, oracle: Oracle::Mean }
    }
}

impl Diagnostics {
    fn is_due(&self, step: u64) -> bool {
        self.oracle_rollouts > 0 && step.is_multiple_of(self.every_steps.max(1))
    }

    fn oracle_name(&self) -> &'static str {
        match self.oracle {
            Oracle::Mean => "oracle_mean",
            Oracle::Median => "oracle_median",
        }
    }
}

/// Signs of the advantages in use, and of those that the plain baselines give on the same rewards.
#[derive(Default)]
struct Comparison {
    used: SignCount,
    mean: SignCount,
    median: SignCount,
}

/// What a diagnosis looks at.
pub(super) struct Examination<'a, B: Kernels> {
    pub settings: &'a TrainSettings,
    pub policy: &'a Decoder<Autodiff<B>>,
    pub scorer: Scorer<'a>,
    /// Steps done before this one.
    pub steps_done: u64,
}

/// Sign-flip rates of a step's advantages, under the names they are logged by; none in a step that is
/// not examined. Comes before the update, so that the policy is still the one that generated.
pub(super) fn diagnose_signal<B: Kernels>(
    examination: &Examination<B>,
    trained: &[ValuedGroup],
) -> Result<BTreeMap<String, f64>, TrainError> {
    let diagnostics = &examination.settings.training.diagnostics;
    if !diagnostics.is_due(examination.steps_done + 1) {
        return Ok(BTreeMap::new());
    }
    let examined = &trained[..diagnostics.prompts.min(trained.len())];
    let oracles = examination.oracle_baselines(examined)?;
    let mut comparison = Comparison::default();
    for (group, oracle) in examined.iter().zip(oracles) {
        if let Some(oracle) = oracle {
            comparison.add(&group.advantages, &group.scored.totals(), oracle)?;
        }
    }
    Ok(comparison.metrics(diagnostics.oracle_name()))
}

impl<B: Kernels> Examination<'_, B> {
    /// The oracle baseline of groups; none where no rollout could be scored.
    fn oracle_baselines(&self, groups: &[ValuedGroup]) -> Result<Vec<Option<f64>>, TrainError> {
        let settings = self.settings;
        let samples = settings.training.diagnostics.oracle_rollouts;
        let prompt =
            |group: &ValuedGroup| Prompt { samples, ..group.scored.rollout.prompt.clone() };
        let prompts: Vec<Prompt> = groups.iter().map(prompt).collect();
        let noise = Noise::new(settings.training.seed, Purpose::Diagnosis, self.steps_done);
        let rollouts = settings.generator.generate(&self.policy.valid(), &prompts, noise)?;
        let baseline = |scored: &ScoredGroup| {
            let rewards: Vec<f64> = scored.totals().into_iter().flatten().collect();
            let is_judged = !rewards.is_empty() && !scored.has_failed();
            is_judged.then(|| settings.training.diagnostics.oracle.baseline(&rewards))
        };
        Ok(self.scorer.score(rollouts)?.iter().map(baseline).collect())
    }
}

impl Comparison {
    fn add(
        &mut self,
        group: &GroupAdvantages,
        rewards: &[Option<f64>],
        oracle: f64,
    ) -> Result<(), TrainError> {
        let batch = RewardBatch::from_rewards([rewards.to_vec()]);
        let mean = DrGrpo::default().estimate(&batch)?;
        let median = McGrpo { scale: Scale::None, ..McGrpo::default() }.estimate(&batch)?;
        self.used += count_sign_flips(group, rewards, oracle);
        self.mean += count_sign_flips(&mean[0], rewards, oracle);
        self.median += count_sign_flips(&median[0], rewards, oracle);
        Ok(())
    }

    fn metrics(&self, oracle: &str) -> BTreeMap<String, f64> {
        let rows = [("used", &self.used), ("mean", &self.mean), ("median", &self.median)];
        let of_row = |(baseline, count): (&str, &SignCount)| {
            let name = |rate: &str| format!("sign_flip/{oracle}/{baseline}/{rate}");
            [
                (name("flip_rate"), count.flip_rate()),
                (name("flip_share"), count.flip_share()),
                (name("zero_rate"), count.zero_rate()),
            ]
        };
        rows.into_iter().flat_map(of_row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn baselines_are_compared_on_the_same_rewards() {
        let rewards = [0.0, 1.5, 2.0].map(Some).to_vec();
        let batch = RewardBatch::from_rewards([rewards.clone()]);
        let used = DrGrpo::default().estimate(&batch).unwrap();
        let mut comparison = Comparison::default();
        // The mean of the three is 7/6; an oracle of 1.8 puts 1.5 on the other side.
        comparison.add(&used[0], &rewards, 1.8).unwrap();
        let metrics = comparison.metrics("oracle_mean");
        assert_eq!(metrics["sign_flip/oracle_mean/used/flip_rate"], 1.0 / 3.0);
        assert_eq!(metrics["sign_flip/oracle_mean/mean/flip_rate"], 1.0 / 3.0);
        // The median is 1.5 itself, and its rollout leaves.
        assert_eq!(metrics["sign_flip/oracle_mean/median/flip_rate"], 0.0);
        assert_eq!(metrics.len(), 9);
    }

    #[test]
    fn nothing_is_examined_unless_it_is_asked_for() {
        assert!((1..100).all(|step| !Diagnostics::default().is_due(step)));
        let asked = Diagnostics { oracle_rollouts: 32, every_steps: 5, ..Default::default() };
        assert_eq!((1..=10).filter(|step| asked.is_due(*step)).collect::<Vec<_>>(), [5, 10]);
    }
}
