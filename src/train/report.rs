//! What a step tells: metrics under TRL's names and completions to read.

use std::collections::BTreeMap;

use super::advantages::{StepAdvantages, ValuedGroup};
use super::loss_scale::LossScale;
use super::optimizer::StepOutcome;
use super::score::{ScoredCompletion, Scorer};
use super::summary::{DrawSummary, mean, share};
use crate::loss::{LossMetrics, Objective};
use crate::monitor::{SampleLine, StepMetrics};
use crate::rollout::{Completion, Prompt, RolloutGroup};
use crate::text::Tokenizer;

/// Everything a training step produced.
#[derive(Debug)]
pub struct StepReport {
    /// Number of the step, from 1.
    pub step: u64,
    /// Prompts drawn so far over the number of training problems.
    pub epoch: f64,
    /// Completion tokens generated so far.
    pub tokens_seen: u64,
    /// Training steps so far that had nothing to learn from, so that the optimiser did not step.
    pub skipped_steps: u64,
    /// What the loss is multiplied by, where it is, and how many optimiser steps overflowed so far.
    pub loss_scale: Option<LossScale>,
    /// Names of the reward functions, in the order of their scores.
    pub reward_names: Vec<String>,
    /// What everything drawn looks like, dropped groups included.
    pub summary: DrawSummary,
    /// The groups that the step worked on, and what was made of their rewards.
    pub advantages: StepAdvantages,
    /// What the optimiser did with it.
    pub update: Update,
    /// KL to the reference in nats per token and its coefficient, where there is a reference.
    pub kl: Option<(f64, f64)>,
    /// What the diagnostics found, in a step that they examined.
    pub diagnosis: BTreeMap<String, f64>,
    /// Seconds of the whole step.
    pub step_secs: f64,
}

/// The optimiser's part of a step.
#[derive(Debug)]
pub struct Update {
    /// Loss and outcome of each optimiser step; empty where there was nothing to learn from.
    pub outcomes: Vec<(LossMetrics, StepOutcome)>,
    /// Optimiser steps that were left out because their gradient overflowed.
    pub overflown: usize,
    /// Those that were left out because it was not finite for another reason.
    pub not_finite: usize,
    /// Completion tokens that were differentiated, each counted once: those of rows without advantage are
    /// not where nothing but the advantage pulls.
    pub tokens: usize,
    /// What the loss was multiplied by to make up for groups without signal.
    pub alpha: f64,
    /// Seconds spent.
    pub secs: f64,
}

impl Update {
    /// Optimiser steps that were left out.
    pub(super) fn left_out(&self) -> usize {
        self.overflown + self.not_finite
    }

    /// The KL that the loss measured, in nats per token; none without a reference or a step.
    pub fn kl(&self, objective: &Objective) -> Option<f64> {
        let measured = objective.needs_reference() && !self.outcomes.is_empty();
        measured.then(|| mean(self.outcomes.iter().map(|(loss, _)| loss.kl)))
    }
}

impl StepReport {
    /// The metrics of the step. Rewards and lengths are over everything drawn, pivots included;
    /// losses are means over the step's optimiser steps.
    pub fn metrics(&self) -> StepMetrics {
        let (summary, lengths) = (&self.summary, self.summary.lengths());
        let of_updates = |value: fn(&LossMetrics, &StepOutcome) -> f64| {
            mean(self.update.outcomes.iter().map(|(loss, outcome)| value(loss, outcome)))
        };
        let tokens = summary.tokens() as f64;
        StepMetrics {
            step: self.step,
            epoch: self.epoch,
            reward: summary.reward(),
            reward_std: summary.reward_std(),
            frac_reward_zero_std: summary.frac_reward_zero_std(),
            reward_means: self.reward_means(),
            accuracy: summary.accuracy(),
            kl: self.kl.map(|(kl, _)| kl),
            entropy: self.entropy(),
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
            rollout_secs: summary.rollout_secs,
            reward_secs: summary.reward_secs,
            update_secs: self.update.secs,
            rollout_tokens_per_s: tokens / summary.rollout_secs,
            reward_tokens_per_s: tokens / summary.reward_secs,
            update_tokens_per_s: self.update.tokens as f64 / self.update.secs,
            num_tokens: self.tokens_seen,
            skipped: self.update.outcomes.is_empty(),
            extra: self.extra(),
        }
    }

    /// Over the optimiser steps that looked at any token, NaN of none.
    fn entropy(&self) -> f64 {
        let of_steps = self.update.outcomes.iter().map(|(loss, _)| loss.entropy);
        mean(of_steps.filter(|entropy| !entropy.is_nan()))
    }

    /// Metrics that only some methods have, each only where it says something.
    fn extra(&self) -> BTreeMap<String, f64> {
        let (summary, clipped) = (&self.summary, self.advantages.post.clipped_fraction);
        let relative =
            mean(self.update.outcomes.iter().map(|(_, outcome)| outcome.relative_update));
        let of_method = [
            ("selection/rounds", summary.rounds as f64, summary.rounds > 1),
            ("selection/counting", summary.counting as f64, summary.rounds > 1),
            ("selection/discarded", summary.discarded as f64, summary.discarded > 0),
            ("selection/carried", summary.carried as f64, summary.carried > 0),
            ("selection/failed", summary.failed as f64, summary.failed > 0),
            ("selection/skipped_steps", self.skipped_steps as f64, self.skipped_steps > 0),
            ("update/relative", relative, relative.is_finite()),
            ("update/not_finite", self.update.not_finite as f64, self.update.not_finite > 0),
            ("gpg/alpha", self.update.alpha, self.update.alpha != 1.0),
            ("advantages/clipped", clipped, clipped > 0.0),
        ];
        let told = of_method.into_iter().filter(|(_, _, told)| *told);
        let told = told.map(|(name, value, _)| (name.to_owned(), value));
        let loss_scale = self.loss_scale.map(|loss| {
            [
                ("loss_scale/scale", f64::from(loss.scale)),
                ("loss_scale/overflown_steps", loss.overflown as f64),
            ]
        });
        let loss_scale =
            loss_scale.into_iter().flatten().map(|(name, value)| (name.to_owned(), value));
        let kl_coef = self.kl.map(|(_, coef)| ("kl_coef".to_owned(), coef));
        told.chain(kl_coef).chain(loss_scale).chain(self.diagnosis.clone()).collect()
    }

    /// The first `count` completions for the log, one from each group before a second of any.
    pub(super) fn samples(&self, count: usize, scorer: &Scorer<'_>) -> Vec<SampleLine> {
        let longest = self.rollouts().map(|group| group.completions.len()).max().unwrap_or(0);
        let row =
            |row| self.groups().filter_map(move |group| Some((group, Sample::of(group, row)?)));
        let places = (0..longest).flat_map(row).take(count);
        places.map(|(group, of)| self.sample(&of, &group.scored.rollout.prompt, scorer)).collect()
    }

    /// The groups that the step worked on: those trained on, then those that only count.
    pub fn groups(&self) -> impl Iterator<Item = &ValuedGroup> + Clone {
        self.advantages.groups()
    }

    /// What was generated for them.
    pub fn rollouts(&self) -> impl Iterator<Item = &RolloutGroup> + Clone {
        self.advantages.rollouts()
    }

    fn sample(&self, of: &Sample, prompt: &Prompt, scorer: &Scorer<'_>) -> SampleLine {
        let (score, text) = (&of.scored.score, &of.scored.text);
        let problem = scorer.problems.problem(prompt.problem as usize);
        let rewards = self.reward_names.iter().cloned().zip(score.each.iter().copied());
        SampleLine {
            step: self.step,
            problem: problem.id.to_string(),
            prompt: scorer.tokenizer.decode_all(&prompt.ids),
            completion: text.clone(),
            answer: problem.answer.clone(),
            extracted: scorer.rewards.extracted(problem, text),
            reward: score.total.unwrap_or(f64::NAN),
            rewards: rewards.collect(),
            advantage: of.advantage,
            finish: of.completion.finish.name().into(),
            tokens: of.completion.ids.len() as u64,
            token_logps: token_logps(of.completion, scorer.tokenizer),
        }
    }

    fn reward_means(&self) -> BTreeMap<String, f64> {
        let names = self.reward_names.iter().enumerate();
        names.map(|(index, name)| (name.clone(), self.summary.reward_mean(index))).collect()
    }

    fn share_of_zero_advantages(&self) -> f64 {
        let groups = self.groups().map(|group| &group.advantages);
        let kept = groups.flat_map(|of| of.advantages.iter().zip(&of.kept));
        let kept: Vec<f64> = kept.filter(|(_, kept)| **kept).map(|(a, _)| *a).collect();
        share(&kept, |advantage| *advantage == 0.0)
    }
}

/// One completion with what it earned and what it is worth.
struct Sample<'a> {
    completion: &'a Completion,
    scored: &'a ScoredCompletion,
    advantage: f64,
}

impl<'a> Sample<'a> {
    /// The completion at `row` of a group, if it has so many.
    fn of(group: &'a ValuedGroup, row: usize) -> Option<Self> {
        let (completion, scored) = group.scored.completions().nth(row)?;
        Some(Self { completion, scored, advantage: *group.advantages.advantages.get(row)? })
    }
}

/// The tokens of a completion as text, and how probable each was; three digits are enough to colour it by.
fn token_logps(completion: &Completion, tokenizer: &Tokenizer) -> Vec<(String, f64)> {
    // A token alone may lose the space before it.
    let piece = |at: usize| {
        let both = tokenizer.decode_all(&completion.ids[at.saturating_sub(1)..=at]);
        let before = tokenizer.decode_all(&completion.ids[at.saturating_sub(1)..at]);
        both.strip_prefix(&before).map_or(both.clone(), str::to_owned)
    };
    let rounded = |logp: f32| (f64::from(logp) * 1000.0).round() / 1000.0;
    let logps = completion.logps.iter().enumerate();
    logps.map(|(at, logp)| (piece(at), rounded(*logp))).collect()
}
