//! A whole run in one YAML file: ROLL's keys at the top level, blocks for everything else.
//!
//! Every key is said once, in [`RunConfig`] or in the struct of the room that works by it, which
//! [`RunConfig`] holds; TRL's names for them stand in one table of their own.
//!
//! This room builds what the others need out of what a person wrote; they never know of it.

mod blocks;
mod build;
mod changes;
mod check;
mod choice;
mod error;
mod explain;
mod import;
mod load;
mod notes;
mod numbers;
mod objective;
mod schema;
mod signal;
mod tree;
mod trl;
mod typed;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use blocks::{
    BestBy, CheckpointBlock, DeviceBlock, EvalBlock, GpgBlock, LoraBlock, ModelBlock, TrackingBlock,
};
pub use changes::ChangedKey;
pub use check::check_sampling;
pub use choice::{EstimatorChoice, LossChoice};
pub use error::ConfigError;
pub use import::{Fate, Imported, ImportedKey, import_roll};
pub use load::LONGEST_CONFIG;
pub use schema::{Described, describe, schema};

use crate::advantage::NormOver;
use crate::data::DataConfig;
use crate::kernel::Sampling;
use crate::loss::{Aggregation, ImportanceSampling, KlCoefficient, KlEstimator};
use crate::reward::RewardConfig;
use crate::train::{DynamicSampling, QueryFilter, TrainConfig, Truncated, WarmStart};

/// Everything that a run is decided by. Prompts a step and completions a prompt are given; all other
/// sizes follow, so nothing has to divide anything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// What training reads as it was written. In YAML these keys stand beside the others, among which
    /// serde alone does not know them: [`RunConfig::parse`] reads them first.
    #[serde(flatten, skip_deserializing)]
    pub training: TrainConfig,
    /// Folder that the run writes to.
    #[serde(default = "default_output_dir")]
    pub output_dir: PathBuf,
    /// Longest prompt, in tokens; longer ones are left out and counted.
    #[serde(default = "default_prompt_length")]
    pub prompt_length: usize,
    /// Longest completion, in tokens.
    #[serde(default = "default_response_length")]
    pub response_length: usize,

    /// How rewards become advantages: a name, or a block with `kind` and settings.
    #[serde(default)]
    pub adv_estimator: EstimatorChoice,

    /// Over which rewards a mean is taken and subtracted before the estimator `reinforce`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub norm_mean_type: Option<NormOver>,
    /// Over which rewards a standard deviation is taken that divides them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub norm_std_type: Option<NormOver>,
    /// ROLL's older key for both of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward_norm: Option<NormOver>,
    /// With `reward_norm`: subtract the mean only. With `adv_estimator: grpo`: leave out its scale.
    #[serde(default, skip_serializing_if = "is_false")]
    pub reward_shift: bool,
    /// With `reward_norm`: divide by the deviation only.
    #[serde(default, skip_serializing_if = "is_false")]
    pub reward_scale: bool,
    /// Largest absolute reward, after any normalisation and before the estimator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward_clip: Option<f64>,
    /// What happens to completions that were cut off: `keep`, `mask` or `penalise`; ROLL's `true`
    /// is `mask`.
    #[serde(default)]
    pub max_len_mask: Truncated,
    /// What `max_len_mask: penalise` takes off the reward of such a completion; 1 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncation_penalty: Option<f64>,
    /// Leaves groups out of the loss whose mean reward is not strictly between the thresholds.
    #[serde(default)]
    pub difficulty_mask: bool,
    /// The lower of them.
    #[serde(default)]
    pub difficulty_low_threshold: f64,
    /// The upper of them.
    #[serde(default = "one_f64")]
    pub difficulty_high_threshold: f64,
    /// Which prompts never reach the loss nor any count of it.
    #[serde(default)]
    pub query_filter: QueryFilter,
    /// Draws other prompts for those that the filter dropped; without a filter, for groups of equal
    /// rewards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dynamic_sampling: Option<DynamicSampling>,
    /// Alpha and the drawing of prompts of `adv_estimator: gpg` and `mc_gpg`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpg: Option<GpgBlock>,
    /// Brings advantages to mean 0 and deviation 1 over the step's loss tokens.
    #[serde(default)]
    pub whiten_advantages: bool,
    /// Largest absolute advantage, after whitening.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advantage_clip: Option<f64>,

    /// The loss of a token: a name, or a block with `kind` and settings. Left out it is the clipped
    /// surrogate, and the plain policy gradient for GPG's estimators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_loss: Option<LossChoice>,
    /// How losses of tokens become one number; where left out, as the loss is defined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_agg_mode: Option<Aggregation>,
    /// How far an importance ratio may move from 1 either way; the loss's own bounds where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pg_clip: Option<f64>,
    /// How far below 1 an importance ratio may fall, where that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pg_clip_low: Option<f64>,
    /// How far above 1 an importance ratio may rise, where that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pg_clip_high: Option<f64>,
    /// Bounds the loss of bad tokens whose ratio ran away.
    #[serde(default)]
    pub dual_clip_loss: bool,
    /// The ratio from which it does; ROLL's `1 + 2 * pg_clip` where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dual_clip_c: Option<f64>,
    /// What an importance ratio is taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importance_sampling: Option<ImportanceSampling>,
    /// Factor on the policy loss.
    #[serde(default = "one_f64")]
    pub rl_loss_coef: f64,
    /// Factor on the entropy that is rewarded.
    #[serde(default)]
    pub entropy_loss_coef: f64,

    /// Whether the loss holds the policy near a frozen reference.
    #[serde(default)]
    pub use_kl_loss: bool,
    /// Factor on that term.
    #[serde(default = "default_kl_loss_coef")]
    pub kl_loss_coef: f64,
    /// How its KL is estimated.
    #[serde(default)]
    pub kl_loss_type: KlEstimator,
    /// Whether the KL to the reference is charged to every token's reward.
    #[serde(default)]
    pub add_token_level_kl: bool,
    /// How that KL is estimated.
    #[serde(default = "default_kl_penalty")]
    pub kl_penalty: KlEstimator,
    /// Factor on that KL, where it begins.
    #[serde(default = "default_init_kl_coef")]
    pub init_kl_coef: f64,
    /// KL in nats per token that the factor is steered towards, that of the reward where it is
    /// charged there and else that of the loss; left out, it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_kl: Option<f64>,
    /// Sequences over which the factor follows.
    #[serde(default = "default_kl_horizon")]
    pub kl_horizon: f64,

    /// The model that is trained.
    pub model: ModelBlock,
    /// Trains an adapter in the place of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraBlock>,
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

fn default_prompt_length() -> usize {
    512
}

fn default_response_length() -> usize {
    256
}

fn default_kl_loss_coef() -> f64 {
    0.001
}

fn default_kl_penalty() -> KlEstimator {
    KlEstimator::K1
}

fn default_init_kl_coef() -> f64 {
    KlCoefficient::default().init_kl_coef
}

fn default_kl_horizon() -> f64 {
    KlCoefficient::default().kl_horizon
}

fn one_f64() -> f64 {
    1.0
}

// Serde hands over a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(flag: &bool) -> bool {
    !flag
}
