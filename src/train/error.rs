//! Why training stops.

use crate::advantage::AdvantageError;
use crate::model::ModelError;
use crate::monitor::RunFolderError;
use crate::readback::DeviceFailed;
use crate::reward::RewardError;
use crate::rollout::GenerationError;
use crate::text::TextError;

/// What can end a run before its last step.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// Generation met logits that are no numbers.
    #[error(transparent)]
    Generation(#[from] GenerationError),
    /// A device that failed, so that no number of it is to be believed.
    #[error(transparent)]
    Device(#[from] DeviceFailed),
    /// A reward function gave something that is no number.
    #[error(transparent)]
    Reward(#[from] RewardError),
    /// Rewards that no advantage follows from.
    #[error(transparent)]
    Advantage(#[from] AdvantageError),
    /// A prompt that cannot be written as tokens.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A model that cannot be loaded or saved.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A run folder that cannot be read or written.
    #[error(transparent)]
    Folder(#[from] RunFolderError),
    /// An evaluation of which nothing is known.
    #[error(
        "a reward failed on all {problems} problems of an evaluation, so there is no accuracy; see its log, mend it and \
         go on with --resume"
    )]
    NothingJudged {
        /// How many there were.
        problems: usize,
    },
    /// An evaluation that was asked to stop.
    #[error("the evaluation was stopped before its end")]
    Stopped,
    /// A gradient that is not finite.
    #[error(
        "the gradient of {tensor} is not finite in step {step}, and so it was in {count} optimiser steps on end, which \
         changed nothing: the policy has diverged; lower optimizer.learning_rate or optimizer.max_grad_norm, or set \
         device.compute_dtype to f32 where it is f16, and resume from the last checkpoint; what the step was trained on is \
         in not_finite.json of the run's folder"
    )]
    NotFinite {
        /// The training step.
        step: u64,
        /// Optimiser steps on end.
        count: u64,
        /// The first parameter whose gradient is not finite.
        tensor: String,
        /// What the step was trained on.
        batch: Box<serde_json::Value>,
    },
    /// The same in a warm start.
    #[error(
        "the gradient norm of step {step} of the warm start is {norm}: the policy has diverged; lower \
         warm_start.learning_rate, or set device.compute_dtype to f32 where it is f16"
    )]
    WarmStartNotFinite {
        /// The step.
        step: u64,
        /// The norm.
        norm: f64,
    },
    /// Rounds of prompts that did not find enough groups to learn from, where that ends the run.
    #[error(
        "step {step}: after {rounds} rounds only {counting} of {prompts} groups have rewards to learn \
         from; make the problems easier or the groups larger, or set on_exhausted to proceed or skip"
    )]
    NoSignal {
        /// The training step.
        step: u64,
        /// Rounds drawn.
        rounds: usize,
        /// Groups that count.
        counting: usize,
        /// Prompts of a step.
        prompts: usize,
    },
    /// A prompt that the tokenizer or the chat template makes nothing of.
    #[error(
        "the prompt of {part} problem {problem} is empty: it gives no token; give it some text, or \
         check the tokenizer and its chat template"
    )]
    EmptyPrompt {
        /// `training` or `held-out`.
        part: &'static str,
        /// The problem's id.
        problem: u64,
    },
    /// Data that leaves nothing to train on.
    #[error(
        "no {part} problem is left: {left_out} of {all} prompts are longer than prompt_length \
         ({prompt_length} tokens); raise prompt_length or shorten the prompts"
    )]
    NoProblems {
        /// `training` or `held-out`.
        part: &'static str,
        /// Prompts that were too long.
        left_out: usize,
        /// Prompts there were.
        all: usize,
        /// The limit.
        prompt_length: usize,
    },
    /// A warm start on a problem that has no answer to learn from.
    #[error(
        "problem {problem} has no answer, and a warm start learns from answers; give it one or \
         remove the warm_start block"
    )]
    NoAnswer {
        /// The problem's id.
        problem: u64,
    },
    /// A checkpoint that does not fit the run.
    #[error("{}: {problem}; start again with --overwrite or choose another output_dir", path.display())]
    Checkpoint {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}
