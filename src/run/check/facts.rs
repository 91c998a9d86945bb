//! What a trial of a few problems shows of a run, in numbers.

use serde::Serialize;

use super::odds::without_signal;
use crate::rollout::FinishReason;
use crate::train::{PreparedProblems, ScoredGroup, Trial, pass_at_k};

/// Rewards that differ by no more are equal.
const EQUAL_TOL: f64 = 1e-6;

/// Group sizes that the share of groups without signal is told for, beside the run's own.
const GROUP_SIZES: [usize; 4] = [2, 4, 8, 16];

/// The share of completions that a response length should cut off at most.
const MOST_CUT_OFF: f64 = 0.05;

/// Numbers of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Lengths {
    /// Half are no longer.
    pub median: usize,
    /// 95 of 100 are no longer.
    pub p95: usize,
    /// The longest.
    pub max: usize,
    /// What the configuration lets them be.
    pub limit: usize,
}

impl Lengths {
    /// Of lengths in any order.
    pub(super) fn of(mut lengths: Vec<usize>, limit: usize) -> Self {
        lengths.sort_unstable();
        let at = |share: f64| {
            let rank = (share * lengths.len() as f64).ceil() as usize;
            lengths.get(rank.saturating_sub(1)).copied().unwrap_or(0)
        };
        Self { median: at(0.5), p95: at(0.95), max: at(1.0), limit }
    }
}

/// The probability that one of k completions of a problem is right.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PassAt {
    /// How many.
    pub k: usize,
    /// The probability, the mean over problems.
    pub share: f64,
}

/// The share of groups whose rewards are all equal, which teach nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct WithoutSignal {
    /// Completions of a prompt.
    pub group: usize,
    /// The share.
    pub share: f64,
}

/// Total rewards of the completions that could be scored.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RewardFacts {
    /// The smallest.
    pub min: f64,
    /// Their mean.
    pub mean: f64,
    /// The largest.
    pub max: f64,
    /// How many different ones there are.
    pub levels: usize,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Facts {
    /// Problems that were tried and judged,
    pub problems: usize,
    /// and completions of each.
    pub samples: usize,
    /// Problems that a reward failed on, and that nothing here counts.
    pub failed: usize,
    /// Lengths of all training prompts that are short enough.
    pub prompts: Lengths,
    /// Prompts that are longer than `prompt_length`, and left out.
    pub prompts_left_out: usize,
    /// Lengths of the sampled completions, their end tokens included.
    pub completions: Lengths,
    /// Share of completions that were cut off at `response_length`.
    pub cut_off: f64,
    /// The `response_length` within which 95 of 100 end; an estimate where more are cut off, none where that says nothing.
    pub asks_for: Option<usize>,
    /// Share of completions that differ from all before them in their group.
    pub distinct: f64,
    /// Share of completions that some reward applied to.
    pub scored: f64,
    /// Total rewards; none where nothing was scored.
    pub rewards: Option<RewardFacts>,
    /// Mean of each reward by itself, in the order of the configuration; none where it never applied.
    pub each: Vec<(String, Option<f64>)>,
    /// Share of right completions; none where no reward judges answers.
    pub accuracy: Option<f64>,
    /// The same for the best of several.
    pub pass_at: Vec<PassAt>,
    /// Groups without signal, by the size of the group; none where nothing was scored.
    pub without_signal: Vec<WithoutSignal>,
}

impl Facts {
    /// Those of a trial, of a run with groups of `group` completions.
    pub(super) fn of(
        Trial { groups, failed, .. }: &Trial,
        problems: &PreparedProblems,
        names: Vec<String>,
        [prompt_length, response_length, group]: [usize; 3],
    ) -> Self {
        let all = || groups.iter().flat_map(ScoredGroup::completions);
        let count = all().count().max(1) as f64;
        let share = |of: usize| of as f64 / count;
        let totals: Vec<f64> = all().filter_map(|(_, scored)| scored.score.total).collect();
        let lengths: Vec<usize> = all().map(|(completion, _)| completion.ids.len()).collect();
        let cut_off = all().filter(|(completion, _)| completion.finish == FinishReason::Length);
        let cut_off = share(cut_off.count());
        let scored_groups = levels_of_groups(groups, levels(&totals).len());
        Self {
            problems: groups.len(),
            failed: *failed,
            samples: groups.first().map_or(0, |group| group.scores.len()),
            prompts: Lengths::of(problems.prompt_lengths(), prompt_length),
            prompts_left_out: problems.left_out(),
            cut_off,
            asks_for: asks_for(&lengths, response_length, cut_off),
            completions: Lengths::of(lengths, response_length),
            distinct: share(groups.iter().map(distinct).sum()),
            scored: share(totals.len()),
            rewards: reward_facts(&totals),
            each: names
                .into_iter()
                .enumerate()
                .map(|(at, name)| (name, mean_of(groups, at)))
                .collect(),
            accuracy: accuracy(groups),
            pass_at: pass_at(groups),
            without_signal: sizes(group)
                .filter_map(|group| {
                    let share = without_signal(&scored_groups, group)?;
                    Some(WithoutSignal { group, share })
                })
                .collect(),
        }
    }

    /// The share of groups without signal at some size.
    pub fn without_signal_at(&self, group: usize) -> Option<f64> {
        self.without_signal.iter().find(|found| found.group == group).map(|found| found.share)
    }
}

/// The tokens within which 95 of 100 completions end. Where more are cut off, they are taken to go on ending at the rate
/// per token at which they did in the second half of the room that they had.
fn asks_for(lengths: &[usize], limit: usize, cut_off: f64) -> Option<usize> {
    if lengths.is_empty() || cut_off <= MOST_CUT_OFF {
        return (!lengths.is_empty()).then(|| Lengths::of(lengths.to_vec(), limit).p95);
    }
    let late = lengths.iter().filter_map(|length| length.checked_sub(limit / 2 + 1));
    let tokens: usize = late.clone().map(|beyond| beyond + 1).sum();
    let ended = late.count() as f64 - cut_off * lengths.len() as f64;
    // Fewer than one: none ended there.
    let tokens_an_end = (ended > 0.5).then(|| tokens as f64 / ended)?;
    Some(limit + (tokens_an_end * (cut_off / MOST_CUT_OFF).ln()).ceil() as usize)
}

/// The sizes that are told, a run's own among them.
fn sizes(own: usize) -> impl Iterator<Item = usize> {
    let mut sizes: Vec<usize> = GROUP_SIZES.into_iter().chain([own]).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes.into_iter()
}

/// Completions of a group without those that repeat an earlier one.
fn distinct(group: &ScoredGroup) -> usize {
    let ids = group.rollout.completions.iter().map(|completion| &completion.ids);
    ids.collect::<std::collections::HashSet<_>>().len()
}

fn reward_facts(totals: &[f64]) -> Option<RewardFacts> {
    let levels = levels(totals);
    let ((min, _), (max, _)) = (levels.first()?, levels.last()?);
    let mean = totals.iter().sum::<f64>() / totals.len() as f64;
    Some(RewardFacts { min: *min, mean, max: *max, levels: levels.len() })
}

/// Different rewards, the smallest first, and how often each comes.
fn levels(rewards: &[f64]) -> Vec<(f64, usize)> {
    let mut sorted = rewards.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut levels: Vec<(f64, usize)> = Vec::new();
    for reward in sorted {
        match levels.last_mut() {
            Some((level, count)) if reward - *level <= EQUAL_TOL => *count += 1,
            _ => levels.push((reward, 1)),
        }
    }
    levels
}

/// How often each reward comes in each group that was scored, with 0 for those that only others have.
fn levels_of_groups(groups: &[ScoredGroup], most: usize) -> Vec<Vec<usize>> {
    let of_group = |group: &ScoredGroup| {
        let totals: Vec<f64> = group.totals().into_iter().flatten().collect();
        let mut counts: Vec<usize> = levels(&totals).into_iter().map(|(_, count)| count).collect();
        counts.resize(most.max(2), 0);
        counts
    };
    groups.iter().map(of_group).filter(|counts| counts.iter().sum::<usize>() > 0).collect()
}

fn mean_of(groups: &[ScoredGroup], at: usize) -> Option<f64> {
    let all = groups.iter().flat_map(|group| &group.scores);
    let scores: Vec<f64> = all.filter_map(|scored| *scored.score.each.get(at)?).collect();
    (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
}

/// Right completions and judged ones of each group in which any was judged.
fn judged(groups: &[ScoredGroup]) -> Vec<[usize; 2]> {
    let of_group = |group: &ScoredGroup| {
        let solved: Vec<bool> =
            group.scores.iter().filter_map(|scored| scored.score.solved).collect();
        [solved.iter().filter(|solved| **solved).count(), solved.len()]
    };
    groups.iter().map(of_group).filter(|[_, all]| *all > 0).collect()
}

fn accuracy(groups: &[ScoredGroup]) -> Option<f64> {
    let judged = judged(groups);
    let sum = |at: usize| judged.iter().map(|counts| counts[at]).sum::<usize>() as f64;
    (!judged.is_empty()).then(|| sum(0) / sum(1))
}

fn pass_at(groups: &[ScoredGroup]) -> Vec<PassAt> {
    let judged = judged(groups);
    let most = judged.iter().map(|[_, all]| *all).min().unwrap_or(0);
    let of = |k: usize| {
        let sum: f64 = judged.iter().map(|[right, all]| pass_at_k(*all, *right, k)).sum();
        PassAt { k, share: sum / judged.len() as f64 }
    };
    std::iter::successors(Some(1), |k| Some(2 * k)).take_while(|k| *k <= most).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_response_length_should_be_is_seen_or_follows_from_how_fast_completions_end() {
        assert_eq!(asks_for(&[], 8, 0.0), None);
        assert_eq!(asks_for(&(1..=100).collect::<Vec<_>>(), 200, 0.0), Some(95));
        // A completion ends with each token at a rate of 1/20: 36 % are longer than 20 tokens, 5 % than 59.
        let of_share = |share: f64| (share.ln() / (1.0 - 0.05f64).ln()).ceil() as usize;
        let lengths = (0..1000).map(|at| of_share((f64::from(at) + 0.5) / 1000.0));
        let limited: Vec<usize> = lengths.clone().map(|length| length.clamp(1, 20)).collect();
        let cut_off = lengths.filter(|length| *length > 20).count() as f64 / 1000.0;
        let found = asks_for(&limited, 20, cut_off).unwrap();
        assert!((57..=61).contains(&found), "{found}");
        assert_eq!(asks_for(&[8, 8, 2], 8, 2.0 / 3.0), None);
    }

    #[test]
    fn a_percentile_is_the_smallest_length_that_so_many_are_not_longer_than() {
        let of = |lengths: Vec<usize>| Lengths::of(lengths, 9);
        assert_eq!(
            of((1..=100).rev().collect()),
            Lengths { median: 50, p95: 95, max: 100, limit: 9 }
        );
        assert_eq!(of(vec![7]), Lengths { median: 7, p95: 7, max: 7, limit: 9 });
        assert_eq!(of(vec![]), Lengths { median: 0, p95: 0, max: 0, limit: 9 });
    }

    #[test]
    fn rewards_apart_by_rounding_are_one_level() {
        assert_eq!(levels(&[0.3, 0.1 + 0.2, 1.0, 0.0]), [(0.0, 1), (0.3, 2), (1.0, 1)]);
        assert_eq!(reward_facts(&[]), None);
    }

    #[test]
    fn a_runs_own_group_size_is_told_with_the_others() {
        assert_eq!(sizes(6).collect::<Vec<_>>(), [2, 4, 6, 8, 16]);
        assert_eq!(sizes(8).collect::<Vec<_>>(), [2, 4, 8, 16]);
    }
}
