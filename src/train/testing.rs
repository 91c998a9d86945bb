//! What the tests of this room share: groups made by hand.

use std::sync::Arc;

use super::score::{ScoredCompletion, ScoredGroup};
use crate::reward::Score;
use crate::rollout::{Completion, FinishReason, Prompt, RolloutGroup};

/// A group of completions of the given lengths and endings.
pub(crate) fn group(problem: u32, completions: &[(usize, FinishReason)]) -> RolloutGroup {
    let completion = |&(length, finish): &(usize, FinishReason)| Completion {
        ids: vec![7; length],
        logps: vec![-1.0; length],
        finish,
    };
    RolloutGroup {
        prompt: Prompt { problem, ids: Arc::from([1, 2]), samples: completions.len() },
        completions: completions.iter().map(completion).collect(),
    }
}

/// Completions that earned these rewards.
pub(crate) fn scored(rewards: &[f64]) -> ScoredGroup {
    let completion = |&reward: &f64| ScoredCompletion {
        text: String::new(),
        score: Score { each: vec![Some(reward)], total: Some(reward) },
        correct: None,
    };
    rewards.iter().map(completion).collect()
}
