//! Supervised fine-tuning (SFT) before reinforcement: a policy must solve a few problems for rewards to
//! tell it anything.

use std::sync::Arc;

use burn::backend::Autodiff;
use burn::module::AutodiffModule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TrainError;
use super::evaluate::{EvalOptions, evaluate};
use super::gradients::StepGradients;
use super::loss_scale::LossScale;
use super::moments::MomentStorage;
use super::optimizer::{Optimizer, OptimizerConfig};
use super::prepared::PreparedProblems;
use crate::data::Order;
use crate::kernel::Kernels;
use crate::model::{Decoder, PackedCompletions, PromptGroup, UpdatePass};
use crate::random::Stream;
use crate::readback::{self, DeviceFailed};
use crate::reward::Rewards;
use crate::text::Tokenizer;

// Which of a seed's number sequences decides the problems whose answers are shown.
const SHOWN_PROBLEMS: u32 = 0x5f7;

/// The `warm_start:` block of a run: learning from the answers of some of the problems.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WarmStart {
    /// Share of the training problems whose answers are shown.
    pub share: f64,
    /// Ends as soon as greedy accuracy on training problems that were not shown reaches this.
    pub stop_accuracy: f64,
    /// Most optimiser steps.
    pub max_steps: u64,
    /// Steps between two looks at the accuracy.
    pub check_every: u64,
    /// Answers in a step.
    pub batch_size: usize,
    /// Learning rate, constant after `warmup_steps`.
    pub learning_rate: f64,
    /// Steps over which the learning rate rises.
    pub warmup_steps: u64,
    /// How its passes are differentiated, which comes from keys of the run.
    #[serde(skip)]
    pub update: UpdatePass,
    /// Whether a factor on the loss keeps gradients within the range of f16.
    #[serde(skip)]
    pub scales_loss: bool,
    /// In what the moments are kept: the run's `optimizer.moments`, from which it comes.
    #[serde(skip)]
    pub moments: MomentStorage,
}

impl Default for WarmStart {
    fn default() -> Self {
        Self {
            share: 0.5,
            stop_accuracy: 0.5,
            max_steps: 2000,
            check_every: 25,
            batch_size: 128,
            learning_rate: 1e-3,
            warmup_steps: 20,
            update: UpdatePass::default(),
            scales_loss: false,
            moments: MomentStorage::F32,
        }
    }
}

/// How a warm start ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WarmStartOutcome {
    /// Optimiser steps taken.
    pub steps: u64,
    /// Accuracy at the last look.
    pub accuracy: f64,
    /// Mean negative log-probability of an answer token in the last step, in nats.
    pub loss: f64,
}

/// Problems set aside to judge the warm start with.
pub(super) const JUDGED: usize = 256;

/// Trains `policy` on answers until it is as good as asked.
///
/// `watch` is called after every step and ends the warm start by answering `false`.
///
/// # Errors
/// A problem without an answer; logits or gradients that are not finite; a device that failed.
#[allow(clippy::too_many_arguments)]
pub fn warm_start<B: Kernels>(
    settings: &WarmStart,
    mut policy: Decoder<Autodiff<B>>,
    tokenizer: &Tokenizer,
    problems: &PreparedProblems,
    rewards: &Rewards,
    options: &EvalOptions,
    mut watch: impl FnMut(WarmStartOutcome) -> bool,
) -> Result<(Decoder<Autodiff<B>>, WarmStartOutcome), TrainError> {
    let options = &EvalOptions { samples: 0, ..options.clone() };
    let mut lessons = Lessons::new(settings, tokenizer, problems, options)?;
    let mut optimizer = Optimizer::new(optimizer_config(settings), settings.max_steps);
    let mut outcome = WarmStartOutcome { steps: 0, accuracy: 0.0, loss: f64::NAN };
    let mut loss_scale = settings.scales_loss.then(LossScale::default);
    while outcome.steps < settings.max_steps {
        let batch = lessons.batch(outcome.steps, settings.batch_size);
        let step;
        let scale = loss_scale.map_or(1.0, |loss_scale| loss_scale.scale);
        let (update, optimizer) = (settings.update, &mut optimizer);
        (policy, outcome.loss, step) = sft_step(policy, &batch, optimizer, update, scale)?;
        let is_overflown = outcome.loss.is_finite()
            && loss_scale.as_mut().is_some_and(|loss_scale| loss_scale.is_overflown(step));
        if !step.is_finite() && !is_overflown {
            return Err(TrainError::WarmStartNotFinite { step: outcome.steps + 1, norm: step });
        }
        outcome.steps += 1;
        if outcome.steps.is_multiple_of(settings.check_every.max(1)) {
            let judged = evaluate(&policy.valid(), tokenizer, &lessons.judged, rewards, options)?;
            outcome.accuracy = judged.accuracy;
        }
        if !watch(outcome) || outcome.accuracy >= settings.stop_accuracy {
            break;
        }
    }
    Ok((policy, outcome))
}

fn optimizer_config(settings: &WarmStart) -> OptimizerConfig {
    OptimizerConfig {
        learning_rate: settings.learning_rate,
        warmup_steps: settings.warmup_steps,
        moments: settings.moments,
        ..OptimizerConfig::default()
    }
}

/// One supervised step on answers, its loss multiplied by `scale` before it is differentiated; the mean negative log-probability of their tokens and the
/// gradient norm.
fn sft_step<B: Kernels>(
    policy: Decoder<Autodiff<B>>,
    batch: &[(&[u32], &[u32])],
    optimizer: &mut Optimizer<B>,
    update: UpdatePass,
    scale: f32,
) -> Result<(Decoder<Autodiff<B>>, f64, f64), DeviceFailed> {
    let groups: Vec<PromptGroup> = batch
        .iter()
        .map(|(prompt, answer)| PromptGroup { prompt, completions: vec![answer] })
        .collect();
    let packing = PackedCompletions::new(&groups);
    let pass =
        policy.training_pass(&packing.packed, UpdatePass { step: optimizer.steps(), ..update });
    let loss = policy.logps_after(pass.hidden(), &packing, 1.0).logps.mean().neg();
    let value = readback::read(loss.clone())?.iter::<f64>().sum();
    let mut gradients = StepGradients::of_scaled(scale);
    gradients.add(&policy, pass, &loss);
    let (policy, outcome) = optimizer.step(policy, gradients);
    Ok((policy, value, outcome?.grad_norm))
}

/// Prompts with their answers, and problems that are kept unseen to judge by.
struct Lessons {
    shown: Vec<(Arc<[u32]>, Vec<u32>)>,
    order: Order,
    judged: PreparedProblems,
}

impl Lessons {
    fn new(
        settings: &WarmStart,
        tokenizer: &Tokenizer,
        problems: &PreparedProblems,
        options: &EvalOptions,
    ) -> Result<Self, TrainError> {
        let order = Stream::new(options.seed, SHOWN_PROBLEMS).permutation(problems.len());
        let count = (settings.share.clamp(0.0, 1.0) * problems.len() as f64).ceil() as usize;
        let (shown, hidden) = order.split_at(count.clamp(1, problems.len()));
        let judged = if hidden.is_empty() { shown } else { hidden };
        let shown = shown
            .iter()
            .map(|index| {
                let answer = answer_ids(problems, *index, tokenizer, options)?;
                Ok((problems.prompt(*index, 1).ids, answer))
            })
            .collect::<Result<Vec<_>, TrainError>>()?;
        Ok(Self {
            order: Order::new(options.seed, shown.len()),
            shown,
            judged: problems.select(&judged[..judged.len().min(JUDGED)]),
        })
    }

    fn batch(&mut self, step: u64, size: usize) -> Vec<(&[u32], &[u32])> {
        let drawn = self.order.take(step * size as u64, size);
        let lessons = drawn.into_iter().map(|index| &self.shown[index]);
        lessons.map(|(prompt, answer)| (&**prompt, answer.as_slice())).collect()
    }
}

/// Tokens of a problem's answer, ended by EOS.
fn answer_ids(
    problems: &PreparedProblems,
    index: usize,
    tokenizer: &Tokenizer,
    options: &EvalOptions,
) -> Result<Vec<u32>, TrainError> {
    let problem = problems.problem(index);
    let Some(answer) = &problem.answer else {
        return Err(TrainError::NoAnswer { problem: problem.id });
    };
    let mut ids = tokenizer.encode(answer, false)?;
    ids.extend(options.generator.eos_ids.first());
    Ok(ids)
}
