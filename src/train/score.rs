//! Rewards of a step's rollouts, all in one batch.

use rayon::prelude::*;

use super::prepared::{PreparedProblems, scorable};
use crate::advantage::{GroupRewards, RewardStatistics};
use crate::kernel::group_rule::EvenMedian;
use crate::reward::{Item, RewardError, Rewards, Score};
use crate::rollout::{Completion, RolloutGroup};
use crate::text::Tokenizer;

/// What a completion says and what it earned.
#[derive(Debug, Clone)]
pub struct ScoredCompletion {
    /// Its text, specials left out.
    pub text: String,
    /// Its rewards, and whether it solves the problem.
    pub score: Score,
}

/// What was generated for a prompt and what it earned.
#[derive(Debug, Clone)]
pub struct ScoredGroup {
    /// The prompt and its completions.
    pub rollout: RolloutGroup,
    /// One for each completion, in their order.
    pub scores: Vec<ScoredCompletion>,
    /// What the total rewards look like, as they were scored.
    pub statistics: RewardStatistics,
    /// Whether it was sampled in an earlier step, and so by another policy than today's.
    pub is_carried: bool,
}

impl ScoredGroup {
    /// A group of completions and what each of them earned.
    pub fn new(rollout: RolloutGroup, scores: Vec<ScoredCompletion>) -> Self {
        assert!(rollout.completions.len() == scores.len(), "one score for each completion");
        let totals: Vec<f64> = scores.iter().filter_map(|scored| scored.score.total).collect();
        let statistics = RewardStatistics::of(&totals, EvenMedian::Lower);
        Self { rollout, scores, statistics, is_carried: false }
    }

    /// The same group in a later step than that which sampled it.
    pub(super) fn carried(self) -> Self {
        Self { is_carried: true, ..self }
    }

    /// Whether a reward failed on it, so that it leaves: nothing is to be learned or told from its scores.
    pub fn has_failed(&self) -> bool {
        self.scores.iter().any(|scored| scored.score.failed)
    }

    /// Every completion with what it earned.
    pub fn completions(&self) -> impl Iterator<Item = (&Completion, &ScoredCompletion)> {
        self.rollout.completions.iter().zip(&self.scores)
    }

    /// The total reward of each completion; none where no reward applies.
    pub fn totals(&self) -> Vec<Option<f64>> {
        self.scores.iter().map(|scored| scored.score.total).collect()
    }

    /// The rewards alone, as the estimators take them.
    pub fn rewards(&self) -> GroupRewards {
        GroupRewards {
            rewards: self.totals(),
            lengths: self.rollout.completions.iter().map(|c| c.ids.len()).collect(),
            each: self.scores.iter().map(|scored| scored.score.each.clone()).collect(),
        }
    }
}

/// What scores rollouts; none of its threads touches a tensor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scorer<'a> {
    pub problems: &'a PreparedProblems,
    pub rewards: &'a Rewards,
    pub tokenizer: &'a Tokenizer,
    /// The most tokens a completion was allowed.
    pub response_length: usize,
}

impl Scorer<'_> {
    /// Scores every completion of every group, each by every reward once.
    ///
    /// # Errors
    /// A reward that fails, or is not a finite number.
    pub(super) fn score(
        &self,
        rollouts: Vec<RolloutGroup>,
    ) -> Result<Vec<ScoredGroup>, RewardError> {
        let texts: Vec<Vec<String>> = rollouts.par_iter().map(|group| self.texts(group)).collect();
        let groups = rollouts.iter().zip(&texts);
        let items: Vec<Item> = groups.flat_map(|(group, texts)| self.items(group, texts)).collect();
        let mut scores = self.rewards.score_batch(&items)?.into_iter();
        let scored = |(rollout, texts): (RolloutGroup, Vec<String>)| {
            let completions = texts.into_iter().zip(scores.by_ref());
            let scores = completions.map(|(text, score)| ScoredCompletion { text, score });
            ScoredGroup::new(rollout, scores.collect())
        };
        Ok(rollouts.into_iter().zip(texts).map(scored).collect())
    }

    fn texts(&self, group: &RolloutGroup) -> Vec<String> {
        group.completions.iter().map(|c| self.tokenizer.decode(&c.ids)).collect()
    }

    fn items<'b>(
        &'b self,
        group: &'b RolloutGroup,
        texts: &'b [String],
    ) -> impl Iterator<Item = Item<'b>> {
        let problem = self.problems.problem(group.prompt.problem as usize);
        group.completions.iter().zip(texts).map(move |(completion, text)| Item {
            problem,
            completion: scorable(text, completion, self.response_length),
        })
    }
}
