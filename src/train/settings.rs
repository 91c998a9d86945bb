//! What a trainer works by.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::diagnose::Diagnostics;
use super::draw::Selection;
use super::masks::SampleFilters;
use super::optimizer::OptimizerConfig;
use super::reference::ReferenceRefresh;
use crate::advantage::{Estimator, PostProcessing, RewardShaping};
use crate::loss::{KlCoefficient, KlEstimator, Objective};
use crate::model::{UpdatePass, WeightStorage};
use crate::rollout::Generator;

/// Whether a layer's activations are computed once more in the backward pass, and not kept: that takes less memory, and
/// about a third more time for an update.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "BoolOrAuto", into = "BoolOrAuto")]
pub enum Checkpointing {
    /// They are.
    On,
    /// They are kept.
    Off,
    /// As memory asks for it; settled before a run begins.
    #[default]
    Auto,
}

impl Checkpointing {
    /// Whether they are computed once more.
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

/// `true`, `false` or `auto`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "true, false or auto")]
enum BoolOrAuto {
    Bool(bool),
    Auto(Auto),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Auto {
    Auto,
}

impl From<BoolOrAuto> for Checkpointing {
    fn from(written: BoolOrAuto) -> Self {
        match written {
            BoolOrAuto::Bool(true) => Self::On,
            BoolOrAuto::Bool(false) => Self::Off,
            BoolOrAuto::Auto(Auto::Auto) => Self::Auto,
        }
    }
}

impl From<Checkpointing> for BoolOrAuto {
    fn from(checkpointing: Checkpointing) -> Self {
        match checkpointing {
            Checkpointing::On => Self::Bool(true),
            Checkpointing::Off => Self::Bool(false),
            Checkpointing::Auto => Self::Auto(Auto::Auto),
        }
    }
}

/// The keys of a run that training reads as they were written; they stand at the top level of its YAML.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Decides every random number of the run.
    pub seed: u64,
    /// Training steps.
    pub max_steps: u64,
    /// Prompts of a step.
    pub rollout_batch_size: usize,
    /// Completions of a prompt that are compared with each other (G) and reach the loss.
    pub num_return_sequences_in_group: usize,
    /// Optimiser passes over the rollouts of a step.
    pub ppo_epochs: usize,
    /// Optimiser steps of one pass; each takes its share of the groups.
    pub mini_batches: usize,
    /// Whether a layer's activations are computed once more in the backward pass, and not kept.
    pub gradient_checkpointing: Checkpointing,
    /// When the reference follows the policy.
    pub reference_refresh: ReferenceRefresh,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
    /// How the signal is examined.
    pub diagnostics: Diagnostics,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            max_steps: 500,
            rollout_batch_size: 32,
            num_return_sequences_in_group: 8,
            ppo_epochs: 1,
            mini_batches: 1,
            gradient_checkpointing: Checkpointing::Auto,
            reference_refresh: ReferenceRefresh::default(),
            optimizer: OptimizerConfig::default(),
            diagnostics: Diagnostics::default(),
        }
    }
}

impl TrainConfig {
    /// Optimiser steps of one training step.
    pub fn updates(&self) -> usize {
        self.ppo_epochs * self.mini_batches
    }

    /// The forward passes of an update.
    pub(super) fn update_pass(&self) -> UpdatePass {
        let (seed, has_checkpoints) = (self.seed, self.gradient_checkpointing.is_on());
        UpdatePass { has_checkpoints, seed, ..UpdatePass::default() }
    }

    /// Those of the warm start, which share no random number with the others.
    pub fn warm_start_pass(&self) -> UpdatePass {
        UpdatePass { number: u32::MAX, ..self.update_pass() }
    }

    /// Optimiser steps of the whole run.
    pub fn optimizer_steps(&self) -> u64 {
        self.max_steps * self.updates() as u64
    }
}

/// What a trainer works by: keys as they were written, and what others of them mean together.
#[derive(Debug, Clone)]
pub struct TrainSettings {
    /// The keys that are read as they were written.
    pub training: TrainConfig,
    /// How completions are generated.
    pub generator: Generator,
    /// Which groups a step trains on.
    pub selection: Selection,
    /// What happens to rewards before the estimator.
    pub shaping: RewardShaping,
    /// Which rollouts the loss leaves out.
    pub filters: SampleFilters,
    /// How rewards become advantages.
    pub estimator: Estimator,
    /// What happens to advantages after that.
    pub post: PostProcessing,
    /// The KL that is charged to every token's reward, if any.
    pub kl_penalty: Option<KlEstimator>,
    /// The factor on the KL, in the reward where it is charged there, else in the loss.
    pub kl_coefficient: KlCoefficient,
    /// What is minimised.
    pub objective: Objective,
    /// Most tokens that one forward and backward pass holds.
    pub micro_batch_tokens: usize,
    /// Whether a factor on the loss keeps gradients within the range of f16.
    pub scales_loss: bool,
    /// Whether an update leaves out inputs at random, so that two passes of one policy differ.
    pub has_dropout: bool,
    /// How the reference's weights are stored, where the device can.
    pub reference_storage: WeightStorage,
    /// Whether the reference is the model that a fresh adapter belongs to.
    pub reference_is_base: bool,
}

impl TrainSettings {
    /// Temperature that divides the logits in rollouts and in training alike; greedy sampling
    /// trains the plain distribution.
    pub(super) fn temperature(&self) -> f32 {
        match self.generator.sampling.temperature {
            0.0 => 1.0,
            temperature => temperature,
        }
    }

    /// Whether old log-probabilities outlive the pass that leaves out inputs at random.
    pub(super) fn compares_masks(&self) -> bool {
        self.has_dropout && self.training.updates() > 1
    }

    /// Whether a reference has to be kept.
    pub(super) fn needs_reference(&self) -> bool {
        self.objective.needs_reference() || self.kl_penalty.is_some()
    }
}
