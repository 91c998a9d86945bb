//! From advantages to a changed policy: micro-batches, loss, gradients, optimiser.

use std::time::Instant;

use burn::backend::Autodiff;
use burn::module::AutodiffModule;

use super::batch::{MicroBatch, TrainingGroup, denominators, micro_batches};
use super::draw::Drawn;
use super::estimate::StepAdvantages;
use super::gradients::StepGradients;
use super::optimizer::StepOutcome;
use super::report::Update;
use super::{TrainError, Trainer};
use crate::advantage::GroupTokens;
use crate::kernel::TrainingKernels;
use crate::loss::{Denominators, LossSums, Objective};

/// One optimiser step's worth of rows, ready for any number of passes.
struct MiniBatch<B: TrainingKernels> {
    micro_batches: Vec<MicroBatch<B>>,
    /// Of the rows that are differentiated, which is what reported means are over.
    seen: Denominators,
}

impl<B: TrainingKernels> Trainer<B> {
    /// All optimiser steps over a step's groups; none where no row reaches the loss.
    pub(super) fn update(
        &mut self,
        drawn: &Drawn,
        advantages: &StepAdvantages,
    ) -> Result<Update, TrainError> {
        let started = Instant::now();
        let groups = training_groups(drawn, advantages);
        let (trained, fill) = groups.split_at(drawn.trained);
        let alpha = self.alpha(&groups, &advantages.had_signal);
        let objective = self.objective();
        let mini_batches = self.mini_batches(trained, fill, alpha, &objective);
        let mut outcomes = Vec::new();
        for _ in 0..self.settings.ppo_epochs {
            for mini_batch in &mini_batches {
                let (sums, gradients) = self.differentiate(&mini_batch.micro_batches, &objective);
                let metrics = sums.map(|sums| sums.read(&mini_batch.seen)).transpose()?;
                outcomes.push((metrics.unwrap_or_default(), self.optimise(gradients)?));
            }
        }
        if outcomes.is_empty() {
            self.skipped_steps += 1;
        }
        let tokens = trained.iter().flat_map(|g| &g.rows).map(|row| row.completion.len()).sum();
        Ok(Update { outcomes, tokens, alpha, secs: started.elapsed().as_secs_f64() })
    }

    /// What makes up for groups without signal; 1 where none was drawn for the divisor alone.
    fn alpha(&self, groups: &[TrainingGroup], had_signal: &[bool]) -> f64 {
        let selection = &self.settings.selection;
        if !selection.fills() {
            return 1.0;
        }
        let of_group = |(group, valid): (&TrainingGroup, &bool)| GroupTokens {
            valid: *valid,
            rollouts: group.rows.len(),
            tokens: group.rows.iter().map(|row| row.completion.len()).sum(),
        };
        let tokens: Vec<_> = groups.iter().zip(had_signal).map(of_group).collect();
        selection.window.alpha(&tokens)
    }

    /// The objective with the KL coefficient of this step.
    fn objective(&self) -> Objective {
        let mut objective = self.settings.objective.clone();
        let is_steered = self.settings.kl_coefficient.target_kl.is_some();
        if let (Some(term), true, None) = (&mut objective.kl, is_steered, self.settings.kl_penalty)
        {
            term.kl_loss_coef = self.kl_coef;
        }
        objective
    }

    /// The optimiser steps of one pass, each over its share of the groups.
    fn mini_batches(
        &self,
        trained: &[TrainingGroup],
        fill: &[TrainingGroup],
        alpha: f64,
        objective: &Objective,
    ) -> Vec<MiniBatch<B>> {
        let response_length = self.settings.generator.response_length;
        let mini_batch = |groups: &[TrainingGroup]| {
            let counted = [groups, fill].concat();
            let step = denominators(&counted, response_length).scaled(alpha);
            let micro_batches = self.micro_batches(groups, &step, objective);
            MiniBatch { micro_batches, seen: denominators(groups, response_length) }
        };
        let shares = shares(trained.len(), self.settings.mini_batches);
        let mini_batches = shares.map(|share| mini_batch(&trained[share]));
        mini_batches.filter(|mini_batch| mini_batch.seen.tokens > 0.0).collect()
    }

    /// The micro-batches of one optimiser step, with all that stays fixed over its passes.
    fn micro_batches(
        &self,
        groups: &[TrainingGroup],
        step: &Denominators,
        objective: &Objective,
    ) -> Vec<MicroBatch<B>> {
        let (settings, temperature) = (&self.settings, self.settings.temperature());
        let device = self.policy.device();
        // The first pass over fresh rollouts has a ratio of exactly 1 without any recomputing.
        let reused = settings.ppo_epochs * settings.mini_batches > 1;
        let old = reused.then(|| self.policy.valid());
        let reference = self.reference.as_ref().filter(|_| objective.needs_reference());
        let prepare = |piece: Vec<TrainingGroup>| {
            let mut batch = MicroBatch::new(&piece, objective.loss_agg_mode, step, &device);
            if let Some(old) = &old {
                batch = batch.with_old_logps(old, temperature);
            }
            match reference {
                Some(reference) if objective.needs_exact_kls() => {
                    batch.with_reference_distribution(reference)
                }
                Some(reference) => batch.with_reference(reference, temperature),
                None => batch,
            }
        };
        micro_batches(groups, settings.micro_batch_tokens).into_iter().map(prepare).collect()
    }

    fn differentiate(
        &self,
        micro_batches: &[MicroBatch<B>],
        objective: &Objective,
    ) -> (Option<LossSums<Autodiff<B>>>, StepGradients<B>) {
        let mut gradients = StepGradients::default();
        let mut sums: Option<LossSums<Autodiff<B>>> = None;
        for batch in micro_batches {
            let (tokens, weights_bt) = batch.tokens(&self.policy, self.settings.temperature());
            let loss = objective.loss(&tokens, weights_bt);
            gradients.add(&self.policy, loss.loss);
            sums = Some(match sums {
                Some(sums) => sums.plus(loss.sums),
                None => loss.sums,
            });
        }
        (sums, gradients)
    }

    fn optimise(&mut self, gradients: StepGradients<B>) -> Result<StepOutcome, TrainError> {
        let optimizer = &mut self.optimizer;
        let outcome = self.policy.change(|policy| optimizer.step(policy, gradients));
        match outcome.grad_norm.is_finite() {
            true => Ok(outcome),
            false => {
                Err(TrainError::NotFinite { step: self.steps_done + 1, norm: outcome.grad_norm })
            }
        }
    }

    /// Moves the KL coefficient towards its target after a step that measured this KL.
    pub(super) fn steer_kl(&mut self, kl: Option<f64>, drawn: &Drawn) {
        let rollouts = &drawn.groups.rollouts[..drawn.trained];
        let sequences = rollouts.iter().map(|group| group.completions.len()).sum();
        if let Some(kl) = kl {
            self.kl_coef = self.settings.kl_coefficient.next(self.kl_coef, kl, sequences);
        }
    }
}

fn training_groups<'a>(drawn: &'a Drawn, advantages: &'a StepAdvantages) -> Vec<TrainingGroup<'a>> {
    let tokens = |group: usize| advantages.tokens.as_ref().and_then(|tokens| tokens.get(group));
    let pairs = drawn.groups.rollouts.iter().zip(&advantages.groups).enumerate();
    pairs.map(|(at, (rollout, group))| TrainingGroup::new(rollout, group, tokens(at))).collect()
}

/// `0..count` as `parts` consecutive ranges whose lengths differ by one at most.
fn shares(count: usize, parts: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..parts).map(move |part| part * count / parts..(part + 1) * count / parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_do_not_divide_still_make_as_many_mini_batches_as_asked() {
        assert_eq!(shares(5, 4).collect::<Vec<_>>(), [0..1, 1..2, 2..3, 3..5]);
        assert_eq!(shares(64, 2).collect::<Vec<_>>(), [0..32, 32..64]);
    }
}
