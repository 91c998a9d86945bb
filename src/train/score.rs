//! Rewards of a step's rollouts.

use rayon::prelude::*;

use super::prepared::{PreparedProblems, scorable};
use crate::advantage::{GroupRewards, RewardBatch};
use crate::reward::{RewardError, Rewards, Score};
use crate::rollout::RolloutGroup;
use crate::text::Tokenizer;

/// What a completion says and what it earned.
#[derive(Debug, Clone)]
pub struct ScoredCompletion {
    /// Its text, specials left out.
    pub text: String,
    /// Its rewards.
    pub score: Score,
    /// Whether it solves the problem; `None` where no reward function can tell.
    pub correct: Option<bool>,
}

/// One list a group, in the order of its completions.
pub type ScoredGroup = Vec<ScoredCompletion>;

/// Scores every completion; groups go to threads of their own, none of which touches a tensor.
///
/// # Errors
/// A reward that is not a finite number.
pub fn score(
    groups: &[RolloutGroup],
    problems: &PreparedProblems,
    rewards: &Rewards,
    tokenizer: &Tokenizer,
    response_length: usize,
) -> Result<Vec<ScoredGroup>, RewardError> {
    groups
        .par_iter()
        .map(|group| {
            let problem = problems.problem(group.prompt.problem as usize);
            let completions = group.completions.iter().map(|completion| {
                let text = tokenizer.decode(&completion.ids);
                let seen = scorable(&text, completion, response_length);
                let score = rewards.score(problem, &seen)?;
                let correct = rewards.is_correct(problem, &seen);
                Ok(ScoredCompletion { text, score, correct })
            });
            completions.collect()
        })
        .collect()
}

/// The rewards alone, as the estimators take them.
pub fn reward_batch(
    groups: &[RolloutGroup],
    scored: &[ScoredGroup],
    reward_weights: Vec<f64>,
    seed: u64,
) -> RewardBatch {
    let of_group = |(group, scored): (&RolloutGroup, &ScoredGroup)| GroupRewards {
        rewards: scored.iter().map(|completion| completion.score.total).collect(),
        lengths: group.completions.iter().map(|completion| completion.ids.len()).collect(),
        each: scored.iter().map(|completion| completion.score.each.clone()).collect(),
    };
    RewardBatch { groups: groups.iter().zip(scored).map(of_group).collect(), reward_weights, seed }
}
