//! What everything drawn in a step looks like, groups included that no loss ever saw.

use super::score::ScoredGroup;
use crate::advantage::RewardStatistics;
use crate::rollout::FinishReason;

/// Rewards that differ by no more are equal.
const EQUAL_TOL: f64 = 1e-6;

/// Facts about the rollouts of a step. A selection prefers groups of mixed rewards, so only facts
/// about everything drawn tell how good the policy is.
#[derive(Debug, Clone, Default)]
pub struct DrawSummary {
    /// Rounds of prompts.
    pub rounds: usize,
    /// Groups that count towards the step, carried ones included.
    pub counting: usize,
    /// Of these, groups that were dropped because the step had enough.
    pub discarded: usize,
    /// Of these, groups that wait for the next step.
    pub carried: usize,
    /// Groups that left because a reward failed on them.
    pub failed: usize,
    /// Seconds spent on generation.
    pub rollout_secs: f64,
    /// Seconds spent on rewards.
    pub reward_secs: f64,
    /// Of the groups in which something was scored.
    groups: Vec<RewardStatistics>,
    lengths: Vec<(usize, FinishReason)>,
    solved: Vec<bool>,
    each: Vec<Vec<Option<f64>>>,
}

/// Lengths of completions, in tokens.
#[derive(Debug, Clone, Copy)]
pub struct Lengths {
    /// Mean of all.
    pub mean: f64,
    /// Shortest.
    pub min: f64,
    /// Longest.
    pub max: f64,
    /// Share of completions that were cut off.
    pub clipped_ratio: f64,
    /// Mean of those that ended by themselves.
    pub mean_terminated: f64,
}

impl DrawSummary {
    /// Takes in one round.
    pub fn add(&mut self, round: &[ScoredGroup]) {
        let (failed, judged): (Vec<_>, Vec<_>) =
            round.iter().partition(|group: &&ScoredGroup| group.has_failed());
        self.failed += failed.len();
        let scored_groups = judged.iter().map(|group| group.statistics);
        self.groups.extend(scored_groups.filter(|statistics| statistics.count > 0));
        for (completion, _) in round.iter().flat_map(ScoredGroup::completions) {
            self.lengths.push((completion.ids.len(), completion.finish));
        }
        for scored in judged.iter().flat_map(|group| &group.scores) {
            self.solved.extend(scored.score.solved);
            self.each.push(scored.score.each.clone());
        }
    }

    /// Mean over the groups of their mean reward; NaN where nothing was scored.
    pub fn reward(&self) -> f64 {
        mean(self.groups.iter().map(|group| group.mean))
    }

    /// Mean over the groups of the standard deviation of their rewards.
    pub fn reward_std(&self) -> f64 {
        mean(self.groups.iter().map(|group| group.std))
    }

    /// Share of groups whose rewards are all equal.
    pub fn frac_reward_zero_std(&self) -> f64 {
        share(&self.groups, |group| group.spread <= EQUAL_TOL)
    }

    /// Mean of reward function `index` before weighting.
    pub fn reward_mean(&self, index: usize) -> f64 {
        mean(self.each.iter().filter_map(|each| each[index]))
    }

    /// Share of right completions.
    pub fn accuracy(&self) -> f64 {
        share(&self.solved, |solved| *solved)
    }

    /// Tokens of all completions.
    pub fn tokens(&self) -> usize {
        self.lengths.iter().map(|(length, _)| length).sum()
    }

    /// Lengths of the completions.
    pub fn lengths(&self) -> Lengths {
        let all = || self.lengths.iter().map(|(length, _)| *length as f64);
        let ended = self.lengths.iter().filter(|(_, finish)| *finish == FinishReason::Eos);
        Lengths {
            mean: mean(all()),
            min: all().fold(f64::INFINITY, f64::min),
            max: all().fold(0.0, f64::max),
            clipped_ratio: share(&self.lengths, |(_, finish)| *finish == FinishReason::Length),
            mean_terminated: mean(ended.map(|(length, _)| *length as f64)),
        }
    }
}

/// The mean, NaN of nothing.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / count
}

/// The share of items for which something holds, NaN of none.
pub(super) fn share<T>(items: &[T], is: impl Fn(&T) -> bool) -> f64 {
    mean(items.iter().map(|item| f64::from(u8::from(is(item)))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::testing::{group, scored_as};

    #[test]
    fn the_summary_speaks_of_all_rounds() {
        let mut summary = DrawSummary::default();
        let first = group(0, &[(2, FinishReason::Eos), (4, FinishReason::Length)]);
        summary.add(&[scored_as(first, &[1.0, 0.0])]);
        let second = group(1, &[(3, FinishReason::Eos), (3, FinishReason::Eos)]);
        summary.add(&[scored_as(second, &[1.0, 1.0])]);
        assert_eq!((summary.reward(), summary.frac_reward_zero_std()), (0.75, 0.5));
        assert_eq!(summary.reward_mean(0), 0.75);
        let lengths = summary.lengths();
        assert_eq!((lengths.mean, lengths.min, lengths.max), (3.0, 2.0, 4.0));
        assert_eq!((lengths.clipped_ratio, summary.tokens()), (0.25, 12));
    }

    #[test]
    fn a_group_that_a_reward_failed_on_counts_as_that_and_for_its_tokens_alone() {
        let mut summary = DrawSummary::default();
        let ended = |problem| group(problem, &[(2, FinishReason::Eos), (4, FinishReason::Eos)]);
        let mut failed = scored_as(ended(0), &[0.0, 0.0]);
        failed.scores.iter_mut().for_each(|scored| scored.score.failed = true);
        summary.add(&[failed, scored_as(ended(1), &[1.0, 0.5])]);
        assert_eq!((summary.failed, summary.reward(), summary.reward_mean(0)), (1, 0.75, 0.75));
        assert_eq!((summary.frac_reward_zero_std(), summary.tokens()), (0.0, 12));
    }
}
