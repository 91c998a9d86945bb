//! What rules that look at a running run know of its configuration.

use super::open::Opened;
use crate::config::RunConfig;
use crate::kernel::Kernels;
use crate::monitor::{RewardSetting, Setting};
use crate::reward::Rewards;

/// The setting of a run that is opened.
pub(super) fn setting<B: Kernels>(config: &RunConfig, opened: &Opened<B>) -> Setting {
    let (training, problems) = (&config.training, &opened.problems);
    let positions = opened.model.config.max_position_embeddings;
    Setting {
        max_steps: training.max_steps,
        prompts: training.rollout_batch_size,
        completions: training.num_return_sequences_in_group,
        response_length: config.response_length,
        longest_response: Some(positions.saturating_sub(problems.longest_prompt())),
        warmup_steps: training.optimizer.warmup_steps,
        draws_again: config.dynamic_sampling.is_some(),
        bypasses_template: opened.model.tokenizer.has_chat_template() && problems.are_plain(),
        keeps_reference: config.keeps_reference(),
        rewards: rewards(&opened.rewards),
    }
}

fn rewards(rewards: &Rewards) -> Vec<RewardSetting> {
    let judged = rewards.weights().into_iter().zip(rewards.full_scores());
    let setting = |(name, (weight, full_score)): (&str, (f64, Option<f64>))| RewardSetting {
        name: name.to_owned(),
        weight,
        full_score,
    };
    rewards.names().zip(judged).map(setting).collect()
}
