//! From the rewards of a step to what every rollout, or every token, is worth.

use super::draw::{Drawn, Groups};
use super::score::reward_batch;
use super::{TrainError, Trainer};
use crate::advantage::{
    GroupAdvantages, PostReport, RewardBatch, RunningMoments, TokenAdvantages, TokenPenalty,
    estimate_on,
};
use crate::kernel::TrainingKernels;

/// The advantages of a step's groups, in their order.
#[derive(Debug, Default)]
pub struct StepAdvantages {
    /// One for each rollout. Groups beyond those trained on are as the estimator left them.
    pub groups: Vec<GroupAdvantages>,
    /// One for each token, where tokens are charged for their KL; of the groups trained on.
    pub tokens: Option<Vec<TokenAdvantages>>,
    /// Which groups had a signal before whitening gave one to all.
    pub had_signal: Vec<bool>,
    /// What the post-processing did.
    pub post: PostReport,
    /// Mean KL that was charged, in nats per token.
    pub kl: Option<f64>,
}

impl<B: TrainingKernels> Trainer<B> {
    /// The advantages of a step: estimator, KL charged to tokens, whitening, clipping.
    pub(super) fn advantages(&mut self, drawn: &Drawn) -> Result<StepAdvantages, TrainError> {
        let (mut groups, moments) = self.estimate(&drawn.groups, self.reward_moments)?;
        self.reward_moments = moments;
        let had_signal = groups.iter().map(|group| group.has_signal).collect();
        let fill = groups.split_off(drawn.trained);
        let (tokens, kl) = self.charged(&drawn.groups, &groups);
        let post = self.settings.post;
        let (groups, tokens, report) = match tokens {
            Some(tokens) => {
                let (tokens, report) = post.apply_to_tokens(&groups, tokens);
                (groups, Some(tokens), report)
            }
            None => {
                let mut batch = self.batch(&drawn.groups);
                batch.groups.truncate(drawn.trained);
                let device = self.policy.device();
                let (groups, report) = post.apply_on::<B>(groups, &batch, &device);
                (groups, None, report)
            }
        };
        let groups = groups.into_iter().chain(fill).collect();
        Ok(StepAdvantages { groups, tokens, had_signal, post: report, kl })
    }

    /// What the estimator makes of groups, rewards shaped before and rollouts masked after it.
    pub(super) fn estimate(
        &self,
        groups: &Groups,
        mut moments: RunningMoments,
    ) -> Result<(Vec<GroupAdvantages>, RunningMoments), TrainError> {
        let settings = &self.settings;
        let penalised = settings.filters.penalised(self.batch(groups), &groups.rollouts);
        let shaped = settings.shaping.apply(&penalised, &mut moments)?;
        let device = self.policy.device();
        let estimates = estimate_on::<B>(&settings.estimator, &shaped, &device)?;
        let seen = groups.rollouts.iter().zip(&groups.scored);
        let masked = estimates.into_iter().zip(seen).map(|(estimate, (rollout, scored))| {
            settings.filters.masked(estimate, rollout, scored)
        });
        Ok((masked.collect(), moments))
    }

    fn batch(&self, groups: &Groups) -> RewardBatch {
        let seed = self.settings.seed.wrapping_add(self.steps_done);
        reward_batch(&groups.rollouts, &groups.scored, self.rewards.weights(), seed)
    }

    /// Advantages of single tokens where their KL is charged to the reward, and its mean.
    fn charged(
        &self,
        drawn: &Groups,
        groups: &[GroupAdvantages],
    ) -> (Option<Vec<TokenAdvantages>>, Option<f64>) {
        let Some(estimator) = self.settings.kl_penalty else { return (None, None) };
        let kls = self.token_kls(estimator, &drawn.rollouts, groups);
        let penalty =
            TokenPenalty { coefficient: self.kl_coef, clip: self.settings.shaping.reward_clip };
        let tokens = groups.iter().zip(&kls).map(|(group, kls)| penalty.apply(group, kls));
        let all = || kls.iter().flatten().flatten();
        let mean = all().sum::<f64>() / all().count().max(1) as f64;
        (Some(tokens.collect()), Some(mean))
    }
}
