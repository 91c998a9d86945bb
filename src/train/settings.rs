//! What a trainer works by.

use super::diagnose::Diagnostics;
use super::draw::Selection;
use super::masks::SampleFilters;
use super::optimizer::OptimizerConfig;
use super::reference::ReferenceRefresh;
use crate::advantage::{Estimator, PostProcessing, RewardShaping};
use crate::loss::{KlCoefficient, KlEstimator, Objective};
use crate::model::WeightStorage;
use crate::rollout::Generator;

/// What a run is made of, as its configuration says; a plain GRPO run by default but for the sizes.
#[derive(Debug, Clone)]
pub struct TrainSettings {
    /// Decides every random number of the run.
    pub seed: u64,
    /// Number of training steps.
    pub max_steps: u64,
    /// Prompts of a step.
    pub rollout_batch_size: usize,
    /// Completions of a prompt that reach the loss.
    pub num_return_sequences_in_group: usize,
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
    /// When the reference follows the policy.
    pub reference_refresh: ReferenceRefresh,
    /// How the reference's weights are stored, where the device can.
    pub reference_storage: WeightStorage,
    /// What is minimised.
    pub objective: Objective,
    /// Optimiser passes over the rollouts of a step.
    pub ppo_epochs: usize,
    /// Optimiser steps of one pass; each takes its share of the groups.
    pub mini_batches: usize,
    /// Most tokens that one forward and backward pass holds.
    pub micro_batch_tokens: usize,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
    /// How the signal is examined.
    pub diagnostics: Diagnostics,
}

impl TrainSettings {
    /// Optimiser steps of the whole run.
    pub(super) fn optimizer_steps(&self) -> u64 {
        self.max_steps * (self.ppo_epochs * self.mini_batches) as u64
    }

    /// Temperature that divides the logits in rollouts and in training alike; greedy sampling
    /// trains the plain distribution.
    pub(super) fn temperature(&self) -> f32 {
        match self.generator.sampling.temperature {
            0.0 => 1.0,
            temperature => temperature,
        }
    }

    /// Whether a reference has to be kept.
    pub(super) fn needs_reference(&self) -> bool {
        self.objective.needs_reference() || self.kl_penalty.is_some()
    }
}
