//! Prompts, their rollouts and their rewards, drawn until a step has groups to learn from.

use std::time::Instant;

use burn::module::AutodiffModule;

use super::score::{ScoredGroup, score};
use super::selection::Validity;
use super::summary::DrawSummary;
use super::{TrainError, Trainer};
use crate::advantage::{AdvantageEstimator, WindowDecision};
use crate::kernel::TrainingKernels;
use crate::rollout::{Noise, Prompt, Purpose, RolloutGroup};

/// Groups and what they earned, in step with each other.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups {
    /// What was generated.
    pub rollouts: Vec<RolloutGroup>,
    /// What it earned.
    pub scored: Vec<ScoredGroup>,
}

/// The groups that a step works on.
#[derive(Debug)]
pub(super) struct Drawn {
    /// Those that are trained on, then those that only count in the loss's divisor.
    pub groups: Groups,
    /// How many of them are trained on.
    pub trained: usize,
    /// What everything drawn looks like.
    pub summary: DrawSummary,
}

/// All groups that a step has at hand.
#[derive(Debug, Default)]
struct Pool {
    groups: Groups,
    /// Whether each of them counts.
    counts: Vec<bool>,
    /// Where the newest round begins.
    newest: usize,
    rounds: usize,
}

impl<B: TrainingKernels> Trainer<B> {
    /// Draws prompts, generates and scores, until the selection is content or its rounds run out.
    pub(super) fn draw(&mut self) -> Result<Drawn, TrainError> {
        let carried = std::mem::take(&mut self.carried);
        let mut pool = Pool { counts: self.counts(&carried)?, groups: carried, ..Pool::default() };
        let mut summary = DrawSummary::default();
        loop {
            let round = self.round(pool.rounds, &mut summary)?;
            pool.add(self.counts(&round)?, round);
            let (counting, prompts) = (pool.counting(), self.settings.rollout_batch_size);
            match self.settings.selection.window.decide(counting, prompts, pool.rounds) {
                WindowDecision::DrawMore => {}
                WindowDecision::Train => return Ok(self.choose(pool, true, summary)),
                WindowDecision::Skip => return Ok(self.choose(pool, false, summary)),
                WindowDecision::Stop => {
                    let (step, rounds) = (self.steps_done + 1, pool.rounds);
                    return Err(TrainError::NoSignal { step, rounds, counting, prompts });
                }
            }
        }
    }

    /// One round of prompts.
    fn round(&mut self, round: usize, summary: &mut DrawSummary) -> Result<Groups, TrainError> {
        let started = Instant::now();
        let rollouts = self.roll_out(round)?;
        let rollout_secs = started.elapsed().as_secs_f64();
        let scored = self.score(&rollouts)?;
        summary.add(&rollouts, &scored);
        summary.rollout_secs += rollout_secs;
        summary.reward_secs += started.elapsed().as_secs_f64() - rollout_secs;
        Ok(Groups { rollouts, scored })
    }

    fn roll_out(&mut self, round: usize) -> Result<Vec<RolloutGroup>, TrainError> {
        let settings = &self.settings;
        let (p, g) = (settings.rollout_batch_size, settings.num_return_sequences_in_group);
        let samples = settings.estimator.rollouts_per_prompt(g);
        let drawn = self.order.take(self.prompts_drawn, p);
        let prompts: Vec<Prompt> =
            drawn.into_iter().map(|index| self.problems.prompt(index, samples)).collect();
        let noise = Noise::of_round(settings.seed, Purpose::Training, self.steps_done, round);
        let rollouts = settings.generator.generate(&self.policy.valid(), &prompts, noise)?;
        self.prompts_drawn += p as u64;
        self.tokens_seen += tokens_of(&rollouts);
        Ok(rollouts)
    }

    /// The rewards of rollouts.
    pub(super) fn score(&self, rollouts: &[RolloutGroup]) -> Result<Vec<ScoredGroup>, TrainError> {
        let response_length = self.settings.generator.response_length;
        Ok(score(rollouts, &self.problems, &self.rewards, &self.tokenizer, response_length)?)
    }

    /// Which groups count towards the step.
    fn counts(&self, groups: &Groups) -> Result<Vec<bool>, TrainError> {
        Ok(match &self.settings.selection.validity {
            Validity::Any => vec![true; groups.rollouts.len()],
            Validity::Passes(filter) => groups.scored.iter().map(|of| filter.passes(of)).collect(),
            Validity::Signal => {
                let (estimates, _) = self.estimate(groups, self.reward_moments)?;
                estimates.iter().map(|group| group.has_signal).collect()
            }
        })
    }

    /// Divides the pool into what is trained on, what only counts, what waits and what is dropped.
    fn choose(&mut self, pool: Pool, trains: bool, mut summary: DrawSummary) -> Drawn {
        let selection = &self.settings.selection;
        let prompts = self.settings.rollout_batch_size;
        let mut choice = selection.window.choose(&pool.counts, pool.newest, prompts);
        if !trains {
            choice.train.clear();
        }
        if !selection.fills() {
            choice.fill.clear();
        }
        (summary.rounds, summary.counting) = (pool.rounds, pool.counting());
        (summary.discarded, summary.carried) = (choice.discarded.len(), choice.carried.len());
        self.carried = pool.groups.select(&choice.carried);
        let trained = choice.train.len();
        let groups = pool.groups.select(&[choice.train, choice.fill].concat());
        Drawn { groups, trained, summary }
    }
}

impl Pool {
    fn add(&mut self, counts: Vec<bool>, round: Groups) {
        self.newest = self.counts.len();
        self.rounds += 1;
        self.counts.extend(counts);
        self.groups.rollouts.extend(round.rollouts);
        self.groups.scored.extend(round.scored);
    }

    fn counting(&self) -> usize {
        self.counts.iter().filter(|counts| **counts).count()
    }
}

impl Groups {
    /// The groups at `indices`, in that order.
    fn select(&self, indices: &[usize]) -> Self {
        Self {
            rollouts: indices.iter().map(|index| self.rollouts[*index].clone()).collect(),
            scored: indices.iter().map(|index| self.scored[*index].clone()).collect(),
        }
    }
}

/// Completion tokens of all rollouts.
fn tokens_of(rollouts: &[RolloutGroup]) -> u64 {
    rollouts.iter().flat_map(|group| &group.completions).map(|c| c.ids.len() as u64).sum()
}
