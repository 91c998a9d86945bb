//! KL of sampled tokens to the reference, on the host: what a token-level penalty charges.

use super::advantages::ValuedGroup;
use super::batch::{TrainingGroup, micro_batches, packing};
use super::settings::TrainSettings;
use crate::advantage::{TokenAdvantages, TokenPenalty};
use crate::kernel::Kernels;
use crate::loss::KlEstimator;
use crate::model::Reference;
use crate::readback::{self, DeviceFailed};

/// The KL to the reference as a charge on every token's reward.
pub(super) struct KlCharge<'a, B: Kernels> {
    pub reference: &'a Reference<B>,
    pub estimator: KlEstimator,
    pub coefficient: f64,
}

impl<'a, B: Kernels> KlCharge<'a, B> {
    /// What the settings ask to charge; none where the KL is not in the reward.
    pub(super) fn asked(
        settings: &TrainSettings,
        reference: Option<&'a Reference<B>>,
        coefficient: f64,
    ) -> Option<Self> {
        let estimator = settings.kl_penalty?;
        let Some(reference) = reference else {
            panic!("a KL penalty was asked for without a reference");
        };
        Some(Self { reference, estimator, coefficient })
    }

    /// Advantages of single tokens with their KL charged, and its mean in nats per token.
    ///
    /// # Errors
    /// A device that failed.
    pub(super) fn apply(
        &self,
        settings: &TrainSettings,
        groups: &[ValuedGroup],
    ) -> Result<(Vec<TokenAdvantages>, f64), DeviceFailed> {
        let kls = self.token_kls(settings, groups)?;
        let clip = settings.shaping.reward_clip;
        let penalty = TokenPenalty { coefficient: self.coefficient, clip };
        let pairs = groups.iter().zip(&kls);
        let tokens = pairs.map(|(group, kls)| penalty.apply(&group.advantages, kls)).collect();
        let all = || kls.iter().flatten().flatten();
        Ok((tokens, all().sum::<f64>() / all().count().max(1) as f64))
    }

    /// KL of every token that reaches the loss, by group and rollout; empty for a masked rollout.
    ///
    /// The policy's side is the log-probability that each token was drawn with.
    fn token_kls(
        &self,
        settings: &TrainSettings,
        groups: &[ValuedGroup],
    ) -> Result<Vec<Vec<Vec<f64>>>, DeviceFailed> {
        let rows: Vec<TrainingGroup> = groups.iter().map(ValuedGroup::training).collect();
        let mut logps = self.reference_logps(settings, &rows)?.into_iter();
        let of_group = |(group, rows): (&ValuedGroup, &TrainingGroup)| {
            let completions = &group.scored.rollout.completions;
            let mut kls = vec![Vec::new(); completions.len()];
            for row in &rows.rows {
                let sampled = completions[row.rollout].logps.iter();
                let pairs = sampled.zip(logps.by_ref());
                let log_ratios = pairs.map(|(policy, reference)| f64::from(policy - reference));
                kls[row.rollout] = log_ratios.map(|x| self.estimator.of_log_ratio(x)).collect();
            }
            kls
        };
        Ok(groups.iter().zip(&rows).map(of_group).collect())
    }

    /// Log-probabilities under the reference of all tokens of all rows, in order.
    fn reference_logps(
        &self,
        settings: &TrainSettings,
        groups: &[TrainingGroup],
    ) -> Result<Vec<f32>, DeviceFailed> {
        let temperature = settings.temperature();
        let pieces = micro_batches(groups, settings.micro_batch_tokens);
        let logps = pieces.iter().map(|piece| {
            readback::floats(self.reference.completion_logps(&packing(piece), temperature))
        });
        Ok(logps.collect::<Result<Vec<_>, _>>()?.concat())
    }
}
