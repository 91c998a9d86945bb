//! From the rewards of a step to what every rollout, or every token, is worth.

use burn::tensor::backend::Backend;

use super::TrainError;
use super::draw::DrawnGroup;
use super::score::ScoredGroup;
use super::settings::TrainSettings;
use super::token_kl::KlCharge;
use crate::advantage::{
    AdvantageEstimator, GroupAdvantages, PostReport, RewardBatch, RunningMoments, TokenAdvantages,
    rule_on,
};
use crate::kernel::Kernels;
use crate::kernel::group_rule::PivotTie;
use crate::rollout::RolloutGroup;

/// A group and what its rollouts are worth.
#[derive(Debug)]
pub struct ValuedGroup {
    /// What was generated and what it earned.
    pub scored: ScoredGroup,
    /// One for each rollout.
    pub advantages: GroupAdvantages,
    /// One for each token, where tokens are charged for their KL.
    pub tokens: Option<TokenAdvantages>,
}

/// The advantages of a step's groups.
#[derive(Debug, Default)]
pub struct StepAdvantages {
    /// The groups trained on.
    pub train: Vec<ValuedGroup>,
    /// Groups that only count in the loss's divisor, as the estimator left them.
    pub fill: Vec<ValuedGroup>,
    /// What the post-processing did.
    pub post: PostReport,
    /// Mean KL that was charged, in nats per token.
    pub kl: Option<f64>,
}

/// The rewards of groups, as the estimators take them.
///
/// `reward_weights` has one weight for each reward function; `seed` decides random pivot ties.
pub fn reward_batch<'a>(
    groups: impl IntoIterator<Item = &'a ScoredGroup>,
    reward_weights: Vec<f64>,
    seed: u64,
) -> RewardBatch {
    let groups = groups.into_iter().map(ScoredGroup::rewards).collect();
    RewardBatch { groups, reward_weights, seed }
}

/// How a step estimates: its settings, and what else an estimator asks for.
pub(super) struct Estimation<'a, B: Backend> {
    pub settings: &'a TrainSettings,
    /// One weight for each reward function.
    pub reward_weights: Vec<f64>,
    /// Decides random pivot ties.
    pub seed: u64,
    /// Where the group kernels run.
    pub device: B::Device,
}

/// The advantages of a step: estimator, KL charged to tokens, whitening, clipping.
///
/// `moments` takes in the rewards of the step.
pub(super) fn value_groups<B: Kernels>(
    estimation: &Estimation<B>,
    charge: Option<KlCharge<B>>,
    [train, fill]: [Vec<DrawnGroup>; 2],
    moments: &mut RunningMoments,
) -> Result<StepAdvantages, TrainError> {
    let trained = train.len();
    let mut groups = estimation.of_step(train.into_iter().chain(fill).collect(), moments)?;
    let fill = groups.split_off(trained);
    let (train, post, kl) = match charge {
        Some(charge) => estimation.finished_by_token(groups, &charge)?,
        None => estimation.finished(groups)?,
    };
    Ok(StepAdvantages { train, fill, post, kl })
}

/// The groups trained on, what the post-processing did, and the mean KL charged.
type Finished = (Vec<ValuedGroup>, PostReport, Option<f64>);

impl<B: Kernels> Estimation<'_, B> {
    /// Whether a group's estimate is the same whatever else the step holds: no reward is normalised
    /// over other groups, and no pivot is drawn by the group's place in the step.
    pub(super) fn is_of_group_alone(&self) -> bool {
        let pivot = self.settings.estimator.rule().pivot;
        self.settings.shaping.is_within_groups() && pivot != Some(PivotTie::Random)
    }

    /// What the estimator's rule makes of groups, before anything is masked.
    pub(super) fn of_groups<'a>(
        &self,
        groups: impl IntoIterator<Item = &'a ScoredGroup>,
        mut moments: RunningMoments,
    ) -> Result<Vec<GroupAdvantages>, TrainError> {
        let shaped = self.shaped(groups, &mut moments)?;
        Ok(rule_on::<B>(&self.settings.estimator, &shaped, &self.device)?)
    }

    /// Rewards as the estimator sees them.
    fn shaped<'a>(
        &self,
        groups: impl IntoIterator<Item = &'a ScoredGroup>,
        moments: &mut RunningMoments,
    ) -> Result<RewardBatch, TrainError> {
        let Self { settings, reward_weights, seed, .. } = self;
        let penalised =
            |group: &ScoredGroup| settings.filters.penalised(group.rewards(), &group.rollout);
        let batch = RewardBatch {
            groups: groups.into_iter().map(penalised).collect(),
            reward_weights: reward_weights.clone(),
            seed: *seed,
        };
        Ok(settings.shaping.apply(&batch, moments)?)
    }

    /// The estimator on all groups of the step; its rule is not asked again where the selection did.
    fn of_step(
        &self,
        groups: Vec<DrawnGroup>,
        moments: &mut RunningMoments,
    ) -> Result<Vec<ValuedGroup>, TrainError> {
        let Self { settings, device, .. } = self;
        let shaped = self.shaped(groups.iter().map(|group| &group.scored), moments)?;
        let (groups, known): (Vec<_>, Vec<_>) =
            groups.into_iter().map(|group| (group.scored, group.estimate)).unzip();
        let by_rule = match known.into_iter().collect::<Option<Vec<_>>>() {
            Some(known) => known,
            None => rule_on::<B>(&settings.estimator, &shaped, device)?,
        };
        let estimates = settings.estimator.finish(by_rule, &shaped)?;
        let valued = |(scored, estimate): (ScoredGroup, GroupAdvantages)| ValuedGroup {
            advantages: settings.filters.masked(estimate, &scored),
            scored,
            tokens: None,
        };
        Ok(groups.into_iter().zip(estimates).map(valued).collect())
    }

    /// Whitening and clipping by rollout.
    fn finished(&self, groups: Vec<ValuedGroup>) -> Result<Finished, TrainError> {
        let Self { settings, reward_weights, seed, device } = self;
        let scored = groups.iter().map(|group| &group.scored);
        let batch = reward_batch(scored, reward_weights.clone(), *seed);
        let (scored, advantages): (Vec<_>, Vec<_>) =
            groups.into_iter().map(|group| (group.scored, group.advantages)).unzip();
        let (advantages, report) = settings.post.apply_on::<B>(advantages, &batch, device)?;
        let valued = |(scored, advantages)| ValuedGroup { scored, advantages, tokens: None };
        Ok((scored.into_iter().zip(advantages).map(valued).collect(), report, None))
    }

    /// Tokens charged for their KL, then whitening and clipping by token.
    fn finished_by_token(
        &self,
        groups: Vec<ValuedGroup>,
        charge: &KlCharge<B>,
    ) -> Result<Finished, TrainError> {
        let (tokens, kl) = charge.apply(self.settings, &groups)?;
        let (scored, advantages): (Vec<_>, Vec<_>) =
            groups.into_iter().map(|group| (group.scored, group.advantages)).unzip();
        let (tokens, report) = self.settings.post.apply_to_tokens(&advantages, tokens);
        let valued = |((scored, advantages), tokens)| ValuedGroup {
            scored,
            advantages,
            tokens: Some(tokens),
        };
        let groups = scored.into_iter().zip(advantages).zip(tokens).map(valued).collect();
        Ok((groups, report, Some(kl)))
    }
}

impl StepAdvantages {
    /// All groups of the step: those trained on, then those that only count.
    pub fn groups(&self) -> impl Iterator<Item = &ValuedGroup> + Clone {
        self.train.iter().chain(&self.fill)
    }

    /// What was generated for them.
    pub fn rollouts(&self) -> impl Iterator<Item = &RolloutGroup> + Clone {
        self.groups().map(|group| &group.scored.rollout)
    }
}

#[cfg(test)]
mod tests {
    use burn::backend::NdArray;

    use super::*;
    use crate::train::testing::{scored, settings};

    fn estimation(settings: &TrainSettings) -> Estimation<'_, NdArray> {
        Estimation { settings, reward_weights: vec![1.0], seed: 0, device: Default::default() }
    }

    fn value(settings: &TrainSettings, groups: Vec<DrawnGroup>) -> StepAdvantages {
        let mut moments = RunningMoments::default();
        value_groups(&estimation(settings), None, [groups, Vec::new()], &mut moments).unwrap()
    }

    #[test]
    fn an_estimate_that_travels_with_its_group_is_not_made_again() {
        let settings = settings("adv_estimator: gpg\n");
        let group = scored(&[1.0, 0.0]);
        let moments = RunningMoments::default();
        let mut estimate = estimation(&settings).of_groups([&group], moments).unwrap().remove(0);
        // No rule gives this, so that it can only have come along.
        estimate.advantages = vec![7.0, -3.0];
        let drawn = DrawnGroup { scored: group, estimate: Some(estimate), counts: true };
        let valued = value(&settings, vec![drawn]);
        assert_eq!(valued.train[0].advantages.advantages, [7.0, -3.0]);
        assert!(valued.train[0].advantages.has_signal);
    }

    #[test]
    fn a_group_without_an_estimate_gets_one_and_whitening_leaves_its_signal() {
        let settings = settings("adv_estimator: gpg\nwhiten_advantages: true\n");
        let drawn =
            |rewards: &[f64]| DrawnGroup { scored: scored(rewards), estimate: None, counts: true };
        let valued = value(&settings, vec![drawn(&[3.0, 0.0]), drawn(&[1.0, 1.0, 1.0])]);
        let signals: Vec<bool> = valued.train.iter().map(|g| g.advantages.has_signal).collect();
        assert_eq!(signals, [true, false]);
        assert!(valued.train[0].advantages.advantages[0] > 1.0);
    }

    #[test]
    fn only_an_estimate_that_depends_on_no_other_group_travels() {
        for (keys, alone) in [
            ("adv_estimator: gpg\n", true),
            ("adv_estimator: {kind: gpg, f_norm: batch_std}\n", true),
            ("adv_estimator: {kind: mc_gpg, pivot_tie: longest}\n", true),
            ("adv_estimator: {kind: mc_gpg, pivot_tie: random}\n", false),
            ("adv_estimator: reinforce\nnorm_mean_type: group\n", true),
            ("adv_estimator: reinforce\nnorm_mean_type: running\n", false),
            ("adv_estimator: reinforce\nnorm_std_type: batch\n", false),
        ] {
            assert_eq!(estimation(&settings(keys)).is_of_group_alone(), alone, "{keys}");
        }
    }
}
