//! Prompts, their rollouts and their rewards, drawn until a step has groups to learn from.

mod filters;
mod selection;
mod window;

use std::time::Instant;

pub use filters::{DynamicSampling, QueryFilter};
pub use selection::{Selection, Validity};
pub use window::{DrawWindow, OnExhausted, Surplus, WindowChoice, WindowDecision};

use super::TrainError;
use super::advantages::Estimation;
use super::score::{ScoredGroup, Scorer};
use super::settings::TrainSettings;
use super::state::Counters;
use super::summary::DrawSummary;
use crate::advantage::{AdvantageEstimator, GroupAdvantages, RunningMoments};
use crate::data::Order;
use crate::kernel::Kernels;
use crate::model::Decoder;
use crate::rollout::{News, Noise, Prompt, Purpose};

/// The groups that a step works on.
#[derive(Debug)]
pub(super) struct Drawn {
    /// Those that are trained on.
    pub train: Vec<DrawnGroup>,
    /// Those that only count in the loss's divisor.
    pub fill: Vec<DrawnGroup>,
    /// Those that wait for the next step.
    pub carried: Vec<ScoredGroup>,
    /// What everything drawn looks like.
    pub summary: DrawSummary,
}

/// A group and whether it counts.
#[derive(Debug)]
pub(super) struct DrawnGroup {
    pub scored: ScoredGroup,
    /// What the estimator's rule makes of it, where the selection asked and the answer is final.
    pub estimate: Option<GroupAdvantages>,
    pub counts: bool,
}

/// What drawing looks at; of it, it changes only what the order remembers.
pub(super) struct Source<'a, B: Kernels> {
    pub settings: &'a TrainSettings,
    /// Made for inference once, for all rounds.
    pub policy: &'a Decoder<B>,
    pub order: &'a mut Order,
    pub scorer: Scorer<'a>,
    pub estimation: &'a Estimation<'a, B>,
    pub moments: RunningMoments,
}

/// All groups that a step has at hand.
#[derive(Default)]
struct Pool {
    groups: Vec<DrawnGroup>,
    /// Where the newest round begins.
    newest: usize,
    rounds: usize,
    summary: DrawSummary,
}

/// Draws prompts, generates and scores, until the selection is content or its rounds run out.
///
/// `carried` are the groups that waited for this step.
pub(super) fn draw_groups<B: Kernels>(
    source: &mut Source<B>,
    carried: Vec<ScoredGroup>,
    counters: &mut Counters,
) -> Result<Drawn, TrainError> {
    let settings = source.settings;
    let (window, prompts) = (settings.selection.window, settings.training.rollout_batch_size);
    let carried = carried.into_iter().map(ScoredGroup::carried).collect();
    let mut pool = Pool { groups: source.judge(carried)?, ..Pool::default() };
    loop {
        source.add_round(&mut pool, counters)?;
        let counting = pool.counting();
        match window.decide(counting, prompts, pool.rounds) {
            WindowDecision::DrawMore => {}
            WindowDecision::Train => return Ok(pool.chosen(&settings.selection, prompts)),
            WindowDecision::Skip => return Ok(pool.skipped(&settings.selection, prompts)),
            WindowDecision::Stop => {
                let (step, rounds) = (counters.steps + 1, pool.rounds);
                return Err(TrainError::NoSignal { step, rounds, counting, prompts });
            }
        }
    }
}

impl<B: Kernels> Source<'_, B> {
    /// One round of prompts.
    fn add_round(&mut self, pool: &mut Pool, counters: &mut Counters) -> Result<(), TrainError> {
        let started = Instant::now();
        let prompts = self.prompts(counters);
        let (settings, mut rollout_secs) = (self.settings, 0.0);
        let noise =
            Noise::of_round(settings.training.seed, Purpose::Training, counters.steps, pool.rounds);
        let scored = self.scorer.score_generated(|outgoing| {
            let mut watch = |news: News<'_>| outgoing.send(&news);
            let drawn =
                settings.generator.generate_watched(self.policy, &prompts, noise, &mut watch);
            rollout_secs = started.elapsed().as_secs_f64();
            drawn
        })?;
        counters.tokens_seen += tokens_of(&scored);
        pool.summary.add(&scored);
        pool.summary.rollout_secs += rollout_secs;
        pool.summary.reward_secs += started.elapsed().as_secs_f64() - rollout_secs;
        pool.newest = pool.groups.len();
        pool.rounds += 1;
        let scored = scored.into_iter().filter(|group| !group.has_failed()).collect();
        pool.groups.extend(self.judge(scored)?);
        Ok(())
    }

    /// The next prompts in the order.
    fn prompts(&mut self, counters: &mut Counters) -> Vec<Prompt> {
        let (settings, training) = (self.settings, &self.settings.training);
        let (p, g) = (training.rollout_batch_size, training.num_return_sequences_in_group);
        let samples = settings.estimator.rollouts_per_prompt(g);
        let drawn = self.order.take(counters.prompts_drawn, p);
        let prompt = |index| self.scorer.problems.prompt(index, samples);
        let prompts = drawn.into_iter().map(prompt).collect();
        counters.prompts_drawn += p as u64;
        prompts
    }

    /// Which groups count towards the step.
    fn judge(&self, groups: Vec<ScoredGroup>) -> Result<Vec<DrawnGroup>, TrainError> {
        let unestimated = |scored, counts| DrawnGroup { scored, estimate: None, counts };
        Ok(match self.settings.selection.validity {
            Validity::Any => groups.into_iter().map(|group| unestimated(group, true)).collect(),
            Validity::Passes(filter) => groups
                .into_iter()
                .map(|group| {
                    let counts = filter.passes(&group.statistics);
                    unestimated(group, counts)
                })
                .collect(),
            Validity::Signal => self.judge_signals(groups)?,
        })
    }

    fn judge_signals(&self, groups: Vec<ScoredGroup>) -> Result<Vec<DrawnGroup>, TrainError> {
        let estimates = self.estimation.of_groups(&groups, self.moments)?;
        let is_final = self.estimation.is_of_group_alone();
        let judged = |(scored, estimate): (ScoredGroup, GroupAdvantages)| {
            let counts = self.settings.filters.masked(estimate.clone(), &scored).has_signal;
            DrawnGroup { scored, estimate: is_final.then_some(estimate), counts }
        };
        Ok(groups.into_iter().zip(estimates).map(judged).collect())
    }
}

impl Pool {
    fn counting(&self) -> usize {
        self.groups.iter().filter(|group| group.counts).count()
    }

    /// Divides the pool into what is trained on, what only counts, what waits and what is dropped.
    fn chosen(mut self, selection: &Selection, prompts: usize) -> Drawn {
        let choice = self.choice(selection, prompts);
        self.drawn(selection, choice)
    }

    /// The same where nothing is trained on.
    fn skipped(mut self, selection: &Selection, prompts: usize) -> Drawn {
        let choice = selection.window.skip(self.choice(selection, prompts));
        self.drawn(selection, choice)
    }

    fn choice(&mut self, selection: &Selection, prompts: usize) -> WindowChoice<DrawnGroup> {
        self.summary.counting = self.counting();
        let groups = std::mem::take(&mut self.groups);
        selection.window.choose(groups, |group| group.counts, self.newest, prompts)
    }

    fn drawn(self, selection: &Selection, choice: WindowChoice<DrawnGroup>) -> Drawn {
        let mut summary = self.summary;
        summary.rounds = self.rounds;
        (summary.discarded, summary.carried) = (choice.discarded.len(), choice.carried.len());
        Drawn {
            train: choice.train,
            fill: if selection.fills() { choice.fill } else { Vec::new() },
            // The next step judges them anew: it has another seed, and other groups beside them.
            carried: choice.carried.into_iter().map(|group| group.scored).collect(),
            summary,
        }
    }
}

/// Completion tokens of all groups.
fn tokens_of(groups: &[ScoredGroup]) -> u64 {
    let completions = groups.iter().flat_map(|group| &group.rollout.completions);
    completions.map(|completion| completion.ids.len() as u64).sum()
}
