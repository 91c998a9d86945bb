//! What everything drawn in a step looks like, groups included that no loss ever saw.

use super::score::{ScoredCompletion, ScoredGroup};
use crate::rollout::{FinishReason, RolloutGroup};

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
    /// Seconds spent on generation.
    pub rollout_secs: f64,
    /// Seconds spent on rewards.
    pub reward_secs: f64,
    groups: Vec<GroupFacts>,
    lengths: Vec<(usize, FinishReason)>,
    correct: Vec<bool>,
    each: Vec<Vec<Option<f64>>>,
}

/// Facts about the rewards of one group, as they were scored.
#[derive(Debug, Clone, Copy)]
struct GroupFacts {
    mean: f64,
    std: f64,
    spread: f64,
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
    pub fn add(&mut self, rollouts: &[RolloutGroup], scored: &[ScoredGroup]) {
        self.groups.extend(scored.iter().filter_map(GroupFacts::of));
        let completions = rollouts.iter().flat_map(|group| &group.completions);
        self.lengths.extend(completions.map(|c| (c.ids.len(), c.finish)));
        let scored = || scored.iter().flatten();
        self.correct.extend(scored().filter_map(|completion| completion.correct));
        self.each.extend(scored().map(|completion| completion.score.each.clone()));
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
        share(&self.correct, |correct| *correct)
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

impl GroupFacts {
    fn of(group: &ScoredGroup) -> Option<Self> {
        let totals = |completion: &ScoredCompletion| completion.score.total;
        let rewards: Vec<f64> = group.iter().filter_map(totals).collect();
        let centre = mean(rewards.iter().copied());
        let squares: f64 = rewards.iter().map(|reward| (reward - centre).powi(2)).sum();
        let highest = rewards.iter().copied().reduce(f64::max)?;
        let lowest = rewards.iter().copied().reduce(f64::min)?;
        let std = (squares / (rewards.len() - 1).max(1) as f64).sqrt();
        Some(Self { mean: centre, std, spread: highest - lowest })
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
    use crate::train::testing::{group, scored};

    #[test]
    fn the_summary_speaks_of_all_rounds() {
        let mut summary = DrawSummary::default();
        let first = group(0, &[(2, FinishReason::Eos), (4, FinishReason::Length)]);
        summary.add(&[first], &[scored(&[1.0, 0.0])]);
        summary.add(
            &[group(1, &[(3, FinishReason::Eos), (3, FinishReason::Eos)])],
            &[scored(&[1.0, 1.0])],
        );
        assert_eq!((summary.reward(), summary.frac_reward_zero_std()), (0.75, 0.5));
        assert_eq!(summary.reward_mean(0), 0.75);
        let lengths = summary.lengths();
        assert_eq!((lengths.mean, lengths.min, lengths.max), (3.0, 2.0, 4.0));
        assert_eq!((lengths.clipped_ratio, summary.tokens()), (0.25, 12));
    }
}
