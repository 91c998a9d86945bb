//! The training loop. This file alone knows the order of things:
//!
//! ```text
//! problems ─▶ rollouts ─▶ rewards ─▶ advantages ─▶ micro-batches ─▶ loss ─▶ optimiser ─▶ policy
//! ╰──────────── draw ───────────╯╰─ advantages ─╯╰─────────────── update ───────────────────╯
//! ```
//!
//! Each part of [`Trainer::step`] stands in the file of its name.

mod batch;
mod buffers;
mod carried;
mod checkpoint;
mod diagnose;
mod draw;
mod error;
mod estimate;
mod evaluate;
mod exact_kl;
mod filters;
mod gradients;
mod held;
mod moments;
mod optimizer;
mod prepared;
mod reference;
mod report;
mod score;
mod selection;
mod settings;
mod summary;
#[cfg(test)]
mod testing;
mod token_kl;
mod update;
mod warm_start;

use std::time::Instant;

use burn::backend::Autodiff;
use burn::module::AutodiffModule;

pub use batch::{MicroBatch, TrainingGroup, TrainingRow, denominators, micro_batches};
pub use buffers::{
    Generation, RunSizes, evaluation_buffers, generation_buffers, model_buffers, run_buffers,
};
pub use checkpoint::{CheckpointState, remove_checkpoint};
pub use diagnose::Diagnostics;
pub use error::TrainError;
pub use estimate::StepAdvantages;
pub use evaluate::{EvalOptions, Evaluation, evaluate};
pub use filters::{SampleFilters, Truncated};
pub use gradients::StepGradients;
pub use moments::Moments;
pub use optimizer::{Optimizer, OptimizerConfig, Schedule, StepOutcome};
pub use prepared::{PreparedProblems, scorable};
pub use reference::ReferenceRefresh;
pub use report::{StepReport, Update};
pub use score::{ScoredCompletion, ScoredGroup, reward_batch, score};
pub use selection::{DynamicSampling, QueryFilter, Selection, Validity};
pub use settings::TrainSettings;
pub use summary::{DrawSummary, Lengths};
pub use warm_start::{WarmStart, WarmStartOutcome, warm_start};

use draw::Groups;
use held::Held;

use crate::advantage::RunningMoments;
use crate::data::Order;
use crate::kernel::TrainingKernels;
use crate::model::{Decoder, Reference};
use crate::readback;
use crate::reward::Rewards;
use crate::rollout::RolloutGroup;
use crate::text::Tokenizer;

/// A policy under training.
#[derive(Debug)]
pub struct Trainer<B: TrainingKernels> {
    settings: TrainSettings,
    policy: Held<Decoder<Autodiff<B>>>,
    reference: Option<Reference<B>>,
    tokenizer: Tokenizer,
    problems: PreparedProblems,
    rewards: Rewards,
    order: Order,
    optimizer: Optimizer<B>,
    steps_done: u64,
    skipped_steps: u64,
    prompts_drawn: u64,
    tokens_seen: u64,
    /// The factor on the KL, where it is steered.
    kl_coef: f64,
    /// All rewards so far, for normalising over them.
    reward_moments: RunningMoments,
    /// Groups that wait for the next step.
    carried: Groups,
}

impl<B: TrainingKernels> Trainer<B> {
    /// A trainer before its first step; the reference is the policy as it is now.
    pub fn new(
        settings: TrainSettings,
        policy: Decoder<Autodiff<B>>,
        tokenizer: Tokenizer,
        problems: PreparedProblems,
        rewards: Rewards,
    ) -> Self {
        let storage = settings.reference_storage;
        let reference = || Reference::of(&policy).stored_as(storage);
        let reference = settings.needs_reference().then(reference);
        let order = Order::new(settings.seed, problems.len());
        let optimizer = Optimizer::new(settings.optimizer.clone(), settings.optimizer_steps());
        let kl_coef = settings.kl_coefficient.init_kl_coef;
        Self {
            settings,
            policy: Held::new(policy),
            reference,
            tokenizer,
            problems,
            rewards,
            order,
            optimizer,
            steps_done: 0,
            skipped_steps: 0,
            prompts_drawn: 0,
            tokens_seen: 0,
            kl_coef,
            reward_moments: RunningMoments::default(),
            carried: Groups::default(),
        }
    }

    /// Training steps done.
    pub fn steps_done(&self) -> u64 {
        self.steps_done
    }

    /// The rewards that completions earn.
    pub fn rewards(&self) -> &Rewards {
        &self.rewards
    }

    /// The policy as it is now, without gradients.
    pub fn policy(&self) -> Decoder<B> {
        self.policy.valid()
    }

    /// One training step.
    ///
    /// # Errors
    /// A reward or a gradient that is not finite; the optimiser step that met it changes nothing. A
    /// device that failed, which leaves nothing to go on with.
    pub fn step(&mut self) -> Result<StepReport, TrainError> {
        let started = Instant::now();
        let drawn = self.draw()?;
        let advantages = self.advantages(&drawn)?;
        let diagnosis = self.diagnose(&drawn, &advantages)?;
        let update = self.update(&drawn, &advantages)?;
        self.steps_done += 1;
        let kl = advantages.kl.or_else(|| update.kl(&self.settings.objective));
        let kl_coef = self.kl_coef;
        self.steer_kl(kl, &drawn);
        self.refresh_reference();
        readback::sync_and_check::<B>(&self.policy.device())?;
        Ok(StepReport {
            step: self.steps_done,
            epoch: self.prompts_drawn as f64 / self.problems.len() as f64,
            tokens_seen: self.tokens_seen,
            skipped_steps: self.skipped_steps,
            reward_names: self.rewards.names().map(str::to_owned).collect(),
            rollouts: drawn.groups.rollouts,
            scored: drawn.groups.scored,
            summary: drawn.summary,
            advantages,
            update,
            kl: kl.map(|kl| (kl, kl_coef)),
            diagnosis,
            step_secs: started.elapsed().as_secs_f64(),
        })
    }

    /// The problem behind a rollout group.
    pub fn problem(&self, group: &RolloutGroup) -> &crate::data::Problem {
        self.problems.problem(group.prompt.problem as usize)
    }
}
