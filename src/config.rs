//! A whole run in one YAML file: ROLL's keys at the top level, blocks for everything else.
//!
//! This room builds what the others need out of what a person wrote; they never know of it.

mod blocks;
mod build;
mod error;
mod load;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use blocks::{
    CheckpointBlock, DeviceBlock, EstimatorChoice, EvalBlock, LossChoice, ModelBlock, TrackingBlock,
};
pub use build::check_sampling;
pub use error::ConfigError;

use crate::data::DataConfig;
use crate::kernel::Sampling;
use crate::loss::{Aggregation, ImportanceSampling, KlEstimator};
use crate::reward::RewardConfig;
use crate::train::{OptimizerConfig, WarmStart};

/// Everything that a run is decided by. Prompts a step and completions a prompt are given; all other
/// sizes follow, so nothing has to divide anything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Decides every random number of the run.
    #[serde(default)]
    pub seed: u64,
    /// Folder that the run writes to.
    #[serde(default = "default_output_dir")]
    pub output_dir: PathBuf,
    /// Training steps.
    #[serde(default = "default_max_steps")]
    pub max_steps: u64,

    /// Prompts of a step.
    #[serde(default = "default_rollout_batch_size")]
    pub rollout_batch_size: usize,
    /// Completions of a prompt that are compared with each other (G).
    #[serde(default = "default_group", alias = "num_generations")]
    pub num_return_sequences_in_group: usize,
    /// Longest prompt, in tokens; longer ones are left out and counted.
    #[serde(default = "default_prompt_length", alias = "max_prompt_length")]
    pub prompt_length: usize,
    /// Longest completion, in tokens.
    #[serde(default = "default_response_length", alias = "max_completion_length")]
    pub response_length: usize,

    /// How rewards become advantages: a name, or a block with `kind` and settings.
    #[serde(default)]
    pub adv_estimator: EstimatorChoice,
    /// Passes over the rollouts of a step.
    #[serde(default = "one", alias = "num_iterations")]
    pub ppo_epochs: usize,
    /// Optimiser steps of one pass.
    #[serde(default = "one")]
    pub mini_batches: usize,

    /// The loss of a token: a name, or a block with `kind` and settings.
    #[serde(default)]
    pub policy_loss: LossChoice,
    /// How losses of tokens become one number.
    #[serde(default)]
    pub loss_agg_mode: Aggregation,
    /// How far below 1 an importance ratio may fall; the loss's own default where left out.
    #[serde(default, alias = "epsilon", skip_serializing_if = "Option::is_none")]
    pub pg_clip_low: Option<f64>,
    /// How far above 1 an importance ratio may rise; the loss's own default where left out.
    #[serde(default, alias = "epsilon_high", skip_serializing_if = "Option::is_none")]
    pub pg_clip_high: Option<f64>,
    /// What an importance ratio is taken over; the loss's own default where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importance_sampling: Option<ImportanceSampling>,
    /// Factor on the entropy that is rewarded.
    #[serde(default)]
    pub entropy_loss_coef: f64,
    /// Whether the loss holds the policy near a frozen reference.
    #[serde(default)]
    pub use_kl_loss: bool,
    /// Factor on that term.
    #[serde(default = "default_kl_loss_coef", alias = "beta")]
    pub kl_loss_coef: f64,
    /// How its KL is estimated.
    #[serde(default)]
    pub kl_loss_type: KlEstimator,

    /// The model that is trained.
    pub model: ModelBlock,
    /// The problems.
    pub data: DataConfig,
    /// The reward functions with their weights.
    pub rewards: Vec<RewardConfig>,
    /// How completions are drawn.
    #[serde(default)]
    pub sampling: Sampling,
    /// Supervised learning before the first step, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_start: Option<WarmStart>,
    /// The optimiser.
    #[serde(default, alias = "optimiser")]
    pub optimizer: OptimizerConfig,
    /// Where it runs and in what pieces.
    #[serde(default)]
    pub device: DeviceBlock,
    /// Evaluation on held-out problems.
    #[serde(default)]
    pub eval: EvalBlock,
    /// What a crash may cost.
    #[serde(default)]
    pub checkpoint: CheckpointBlock,
    /// What is written down.
    #[serde(default)]
    pub tracking: TrackingBlock,
}

fn default_output_dir() -> PathBuf {
    "runs/run".into()
}

fn default_max_steps() -> u64 {
    500
}

fn default_rollout_batch_size() -> usize {
    32
}

fn default_group() -> usize {
    8
}

fn default_prompt_length() -> usize {
    512
}

fn default_response_length() -> usize {
    256
}

fn default_kl_loss_coef() -> f64 {
    0.001
}

fn one() -> usize {
    1
}
