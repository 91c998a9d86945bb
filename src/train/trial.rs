//! Completions of a few problems, sampled and scored as a training step does it, and not learned from.

use std::time::Instant;

use super::TrainError;
use super::prepared::PreparedProblems;
use super::score::{ScoredGroup, Scorer};
use crate::kernel::Kernels;
use crate::model::Decoder;
use crate::reward::Rewards;
use crate::rollout::{Generator, Noise, Prompt, Purpose};
use crate::text::Tokenizer;

/// What was sampled, and how long that took.
#[derive(Debug)]
pub struct Trial {
    /// A group for each problem, in their order, but for those that a reward failed on.
    pub groups: Vec<ScoredGroup>,
    /// How many it failed on.
    pub failed: usize,
    /// Seconds of generation.
    pub rollout_secs: f64,
    /// Seconds of scoring.
    pub reward_secs: f64,
}

/// `samples` completions of each problem; draws nothing from the random numbers of training.
///
/// # Errors
/// Logits or rewards that are not finite, or a device that failed.
pub fn try_out<B: Kernels>(
    policy: &Decoder<B>,
    tokenizer: &Tokenizer,
    problems: &PreparedProblems,
    rewards: &Rewards,
    generator: &Generator,
    [seed, samples]: [u64; 2],
) -> Result<Trial, TrainError> {
    let scorer =
        Scorer { problems, rewards, tokenizer, response_length: generator.response_length };
    let prompts: Vec<Prompt> =
        (0..problems.len()).map(|index| problems.prompt(index, samples as usize)).collect();
    let began = Instant::now();
    let rollouts =
        generator.generate(policy, &prompts, Noise::new(seed, Purpose::Evaluation, 0))?;
    let rollout_secs = began.elapsed().as_secs_f64();
    let mut groups = scorer.score(rollouts)?;
    let reward_secs = began.elapsed().as_secs_f64() - rollout_secs;
    groups.retain(|group| !group.has_failed());
    Ok(Trial { failed: problems.len() - groups.len(), groups, rollout_secs, reward_secs })
}
