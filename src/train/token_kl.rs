//! KL of sampled tokens to the reference, on the host: what a token-level penalty charges.

use super::Trainer;
use super::batch::{TrainingGroup, micro_batches, packing};
use crate::advantage::GroupAdvantages;
use crate::kernel::TrainingKernels;
use crate::loss::KlEstimator;
use crate::rollout::RolloutGroup;

impl<B: TrainingKernels> Trainer<B> {
    /// KL of every token that reaches the loss, by group and rollout; empty for a masked rollout.
    ///
    /// The policy's side is the log-probability that each token was drawn with.
    pub(super) fn token_kls(
        &self,
        estimator: KlEstimator,
        rollouts: &[RolloutGroup],
        groups: &[GroupAdvantages],
    ) -> Vec<Vec<Vec<f64>>> {
        let rows: Vec<TrainingGroup> = rollouts
            .iter()
            .zip(groups)
            .map(|(rollout, group)| TrainingGroup::new(rollout, group, None))
            .collect();
        let mut logps = self.reference_logps(&rows).into_iter();
        let of_group = |(rollout, rows): (&RolloutGroup, &TrainingGroup)| {
            let mut kls = vec![Vec::new(); rollout.completions.len()];
            for row in &rows.rows {
                let sampled = rollout.completions[row.rollout].logps.iter();
                let pairs = sampled.zip(logps.by_ref());
                let log_ratios = pairs.map(|(policy, reference)| f64::from(policy - reference));
                kls[row.rollout] = log_ratios.map(|x| estimator.of_log_ratio(x)).collect();
            }
            kls
        };
        rollouts.iter().zip(&rows).map(of_group).collect()
    }

    /// Log-probabilities under the reference of all tokens of all rows, in order.
    fn reference_logps(&self, groups: &[TrainingGroup]) -> Vec<f32> {
        let Some(reference) = &self.reference else {
            panic!("a KL penalty was asked for without a reference");
        };
        let temperature = self.settings.temperature();
        let pieces = micro_batches(groups, self.settings.micro_batch_tokens);
        let logps = pieces.iter().map(|piece| {
            reference.completion_logps(&packing(piece), temperature).into_data().iter().collect()
        });
        logps.collect::<Vec<Vec<f32>>>().concat()
    }
}
