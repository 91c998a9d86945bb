//! What a step tells: metrics under TRL's names and completions to read.

use std::collections::BTreeMap;

use super::optimizer::StepOutcome;
use super::score::ScoredGroup;
use crate::advantage::GroupAdvantages;
use crate::data::{Problem, Prompt};
use crate::loss::LossMetrics;
use crate::rollout::{Completion, Finish, RolloutGroup};
use crate::track::{SampleLine, StepMetrics};

/// Everything a training step produced.
#[derive(Debug)]
pub struct StepReport {
    /// Number of the step, from 1.
    pub step: u64,
    /// Prompts drawn so far over the number of training problems.
    pub epoch: f64,
    /// Completion tokens generated so far.
    pub tokens_seen: u64,
    /// Names of the reward functions, in the order of their scores.
    pub reward_names: Vec<String>,
    /// What was generated.
    pub rollouts: Vec<RolloutGroup>,
    /// What it earned.
    pub scored: Vec<ScoredGroup>,
    /// What was made of that.
    pub advantages: Vec<GroupAdvantages>,
    /// What the optimiser did with it.
    pub update: Update,
    /// Seconds spent on generation.
    pub rollout_secs: f64,
    /// Seconds spent on rewards and advantages.
    pub reward_secs: f64,
    /// Seconds of the whole step.
    pub step_secs: f64,
}

/// The optimiser's part of a step.
#[derive(Debug)]
pub struct Update {
    /// Loss and outcome of each optimiser step.
    pub outcomes: Vec<(LossMetrics, StepOutcome)>,
    /// Completion tokens trained on, each counted once.
    pub tokens: usize,
    /// Seconds spent.
    pub secs: f64,
}

impl StepReport {
    /// The metrics of the step. Reward statistics are over all rollouts, pivots included; losses
    /// are means over the step's optimiser steps.
    pub fn metrics(&self, reports_kl: bool) -> StepMetrics {
        let lengths = Lengths::of(&self.rollouts);
        let of_updates = |value: fn(&LossMetrics, &StepOutcome) -> f64| {
            mean(self.update.outcomes.iter().map(|(loss, outcome)| value(loss, outcome)))
        };
        let tokens = tokens_of(&self.rollouts) as f64;
        StepMetrics {
            step: self.step,
            epoch: self.epoch,
            reward: mean(self.advantages.iter().map(|group| group.statistics.mean)),
            reward_std: mean(self.advantages.iter().map(|group| group.statistics.std)),
            frac_reward_zero_std: share(&self.advantages, |group| !group.has_signal),
            reward_means: self.reward_means(),
            accuracy: mean(self.completions().filter_map(|c| c.correct).map(f64::from)),
            kl: reports_kl.then(|| of_updates(|loss, _| loss.kl)),
            entropy: of_updates(|loss, _| loss.entropy),
            loss: of_updates(|loss, _| loss.loss),
            clip_ratio_low: of_updates(|loss, _| loss.clip_low),
            clip_ratio_high: of_updates(|loss, _| loss.clip_high),
            clip_ratio_region: of_updates(|loss, _| loss.clip_region()),
            mean_length: lengths.mean,
            min_length: lengths.min,
            max_length: lengths.max,
            clipped_ratio: lengths.clipped_ratio,
            mean_terminated_length: lengths.mean_terminated,
            advantages_frac_zero: self.share_of_zero_advantages(),
            grad_norm: of_updates(|_, outcome| outcome.grad_norm),
            learning_rate: of_updates(|_, outcome| outcome.learning_rate),
            step_secs: self.step_secs,
            rollout_secs: self.rollout_secs,
            reward_secs: self.reward_secs,
            update_secs: self.update.secs,
            rollout_tokens_per_s: tokens / self.rollout_secs,
            reward_tokens_per_s: tokens / self.reward_secs,
            update_tokens_per_s: self.update.tokens as f64 / self.update.secs,
            num_tokens: self.tokens_seen,
            skipped: self.update.outcomes.is_empty(),
            extra: BTreeMap::new(),
        }
    }

    /// The first `count` completions for the log, one from each group before a second of any.
    pub fn samples<'a>(
        &'a self,
        count: usize,
        problem: impl Fn(&RolloutGroup) -> &'a Problem,
    ) -> Vec<SampleLine> {
        let longest = self.rollouts.iter().map(|group| group.completions.len()).max().unwrap_or(0);
        let places = (0..longest).flat_map(|row| (0..self.rollouts.len()).map(move |g| (g, row)));
        places
            .filter(|(group, row)| *row < self.rollouts[*group].completions.len())
            .take(count)
            .map(|(group, row)| self.sample(group, row, problem(&self.rollouts[group])))
            .collect()
    }

    fn sample(&self, group: usize, row: usize, problem: &Problem) -> SampleLine {
        let completion = &self.rollouts[group].completions[row];
        let scored = &self.scored[group][row];
        let rewards = self.reward_names.iter().cloned().zip(scored.score.each.iter().copied());
        SampleLine {
            step: self.step,
            problem: problem.id.to_string(),
            prompt: prompt_text(&problem.prompt),
            completion: scored.text.clone(),
            reward: scored.score.total.unwrap_or(f64::NAN),
            rewards: rewards.collect(),
            advantage: self.advantages[group].advantages[row],
            finish: completion.finish.name().into(),
            tokens: completion.ids.len() as u64,
        }
    }

    fn completions(&self) -> impl Iterator<Item = &super::ScoredCompletion> {
        self.scored.iter().flatten()
    }

    fn reward_means(&self) -> BTreeMap<String, f64> {
        let of = |index: usize| mean(self.completions().filter_map(|c| c.score.each[index]));
        let names = self.reward_names.iter().enumerate();
        names.map(|(index, name)| (name.clone(), of(index))).collect()
    }

    fn share_of_zero_advantages(&self) -> f64 {
        let kept = self.advantages.iter().flat_map(|of| of.advantages.iter().zip(&of.kept));
        let kept: Vec<f64> = kept.filter(|(_, kept)| **kept).map(|(a, _)| *a).collect();
        share(&kept, |advantage| *advantage == 0.0)
    }
}

/// Completion tokens of all rollouts.
pub(super) fn tokens_of(rollouts: &[RolloutGroup]) -> u64 {
    rollouts.iter().flat_map(|group| &group.completions).map(|c| c.ids.len() as u64).sum()
}

struct Lengths {
    mean: f64,
    min: f64,
    max: f64,
    clipped_ratio: f64,
    mean_terminated: f64,
}

impl Lengths {
    fn of(rollouts: &[RolloutGroup]) -> Self {
        let all: Vec<&Completion> = rollouts.iter().flat_map(|group| &group.completions).collect();
        let length = |completion: &&Completion| completion.ids.len() as f64;
        let terminated = all.iter().filter(|completion| completion.finish == Finish::Eos);
        Self {
            mean: mean(all.iter().map(length)),
            min: all.iter().map(length).fold(f64::INFINITY, f64::min),
            max: all.iter().map(length).fold(0.0, f64::max),
            clipped_ratio: share(&all, |completion| completion.finish == Finish::Length),
            mean_terminated: mean(terminated.map(length)),
        }
    }
}

/// A prompt as a person reads it.
pub(super) fn prompt_text(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Text(text) => text.clone(),
        Prompt::Messages(messages) => {
            let line =
                |message: &crate::data::Message| format!("{}: {}", message.role, message.content);
            messages.iter().map(line).collect::<Vec<_>>().join("\n")
        }
    }
}

/// The mean, NaN of nothing.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / count
}

fn share<T>(items: &[T], is: impl Fn(&T) -> bool) -> f64 {
    mean(items.iter().map(|item| f64::from(u8::from(is(item)))))
}
