//! The training loop. This file alone knows the order of things:
//!
//! ```text
//! problems ─▶ rollouts ─▶ rewards ─▶ advantages ─▶ micro-batches ─▶ loss ─▶ optimiser ─▶ policy
//! ╰──────────── draw ───────────╯╰─ advantages ─╯╰─────────────── update ───────────────────╯
//! Vec<ScoredGroup> ─▶ Drawn ─▶ StepAdvantages ─▶ Update ─▶ StepReport
//! ```
//!
//! Each stage is a function in the file of its name: it takes what it needs of the state and gives back
//! a new type.

mod advantages;
mod batch;
mod buffers;
mod carried;
mod checkpoint;
mod diagnose;
mod draw;
mod error;
mod evaluate;
mod exact_kl;
mod gradients;
mod held;
mod loss_scale;
mod masks;
mod memory;
mod minibatch;
mod moments;
mod not_finite;
mod optimizer;
mod prepared;
mod reference;
mod report;
mod score;
mod score_early;
mod settings;
mod sft;
mod state;
mod summary;
#[cfg(test)]
mod testing;
mod token_kl;
mod trial;
mod update;

use std::time::Instant;

use burn::backend::Autodiff;
use burn::module::AutodiffModule;

pub use advantages::{StepAdvantages, ValuedGroup, reward_batch};
pub use batch::{MicroBatch, TrainingGroup, TrainingRow, denominators, micro_batches};
pub use buffers::{
    Generation, RunSizes, evaluation_buffers, generation_buffers, model_buffers, run_buffers,
};
pub use checkpoint::{CheckpointState, remove_checkpoint};
pub use diagnose::Diagnostics;
pub use draw::{
    DrawWindow, DynamicSampling, OnExhausted, QueryFilter, Selection, Surplus, Validity,
    WindowChoice, WindowDecision,
};
pub use error::TrainError;
pub use evaluate::{
    EvalOptions, EvalProgress, EvalWatch, Evaluation, evaluate, evaluate_watched, pass_at_k,
};
pub use gradients::StepGradients;
pub use loss_scale::LossScale;
pub use masks::{SampleFilters, Truncated};
pub use memory::{Estimate, MemoryOf, estimate};
pub use moments::{MomentStorage, Moments};
pub use optimizer::{Optimizer, OptimizerConfig, Schedule, StepOutcome};
pub use prepared::{PreparedProblems, scorable};
pub use reference::ReferenceRefresh;
pub use report::{StepReport, Update};
pub use score::{ScoredCompletion, ScoredGroup};
pub use settings::{Checkpointing, TrainConfig, TrainSettings};
pub use sft::{WarmStart, WarmStartOutcome, warm_start};
pub use summary::{DrawSummary, Lengths};
pub use trial::{Trial, try_out};

use advantages::{Estimation, value_groups};
use diagnose::{Examination, diagnose_signal};
use draw::{Drawn, DrawnGroup, Source, draw_groups};
use score::Scorer;
use state::TrainState;
use token_kl::KlCharge;
use update::{Learner, update_policy};

use crate::kernel::Kernels;
use crate::model::Decoder;
use crate::monitor::SampleLine;
use crate::readback;
use crate::reward::Rewards;
use crate::text::Tokenizer;

/// A policy under training: what the run is made of, and its state.
#[derive(Debug)]
pub struct Trainer<B: Kernels> {
    settings: TrainSettings,
    tokenizer: Tokenizer,
    problems: PreparedProblems,
    rewards: Rewards,
    state: TrainState<B>,
}

impl<B: Kernels> Trainer<B> {
    /// A trainer before its first step; the reference is the policy as it is now.
    pub fn new(
        settings: TrainSettings,
        policy: Decoder<Autodiff<B>>,
        tokenizer: Tokenizer,
        problems: PreparedProblems,
        rewards: Rewards,
    ) -> Self {
        let state = TrainState::new(&settings, policy, problems.len());
        Self { settings, tokenizer, problems, rewards, state }
    }

    /// Training steps done.
    pub fn steps_done(&self) -> u64 {
        self.state.counters.steps
    }

    /// The rewards that completions earn.
    pub fn rewards(&self) -> &Rewards {
        &self.rewards
    }

    /// The policy as it is now, without gradients.
    pub fn policy(&self) -> Decoder<B> {
        self.state.policy.valid()
    }

    /// The first `count` completions of a step for a log, one from each group before a second of any.
    pub fn samples(&self, report: &StepReport, count: usize) -> Vec<SampleLine> {
        report.samples(count, &self.scorer())
    }

    /// The problems that are trained on.
    pub fn problems(&self) -> &PreparedProblems {
        &self.problems
    }

    /// A group of completions for each of these problems; the training has not seen them.
    ///
    /// # Errors
    /// Logits or rewards that are not finite, or a device that failed.
    pub fn try_out(&self, problems: &PreparedProblems) -> Result<Trial, TrainError> {
        let training = &self.settings.training;
        let by = [training.seed, training.num_return_sequences_in_group as u64];
        let (rewards, generator) = (&self.rewards, &self.settings.generator);
        try_out(&self.policy(), &self.tokenizer, problems, rewards, generator, by)
    }

    /// One training step.
    ///
    /// # Errors
    /// A reward or a gradient that is not finite; the optimiser step that met it changes nothing. A
    /// device that failed, which leaves nothing to go on with.
    pub fn step(&mut self) -> Result<StepReport, TrainError> {
        let started = Instant::now();
        let drawn = self.draw()?;
        let advantages = self.advantages([drawn.train, drawn.fill])?;
        let diagnosis = diagnose_signal(&self.examination(), &advantages.train)?;
        let update = self.update(&advantages)?;
        let kl = advantages.kl.or_else(|| update.kl(&self.settings.objective));
        let kl_coef = self.state.kl_coef;
        self.end_step(&advantages, &update, kl);
        readback::sync_and_check::<B>(&self.state.policy.device())?;
        let counters = self.state.counters;
        Ok(StepReport {
            step: counters.steps,
            epoch: counters.prompts_drawn as f64 / self.problems.len() as f64,
            tokens_seen: counters.tokens_seen,
            skipped_steps: counters.skipped_steps,
            loss_scale: self.state.loss_scale,
            reward_names: self.rewards.names().map(str::to_owned).collect(),
            summary: drawn.summary,
            advantages,
            update,
            kl: kl.map(|kl| (kl, kl_coef)),
            diagnosis,
            step_secs: started.elapsed().as_secs_f64(),
        })
    }

    fn draw(&mut self) -> Result<Drawn, TrainError> {
        let carried = std::mem::take(&mut self.state.carried);
        let (mut counters, mut order) = (self.state.counters, self.state.order.clone());
        let mut source = Source {
            settings: &self.settings,
            policy: &self.policy().for_inference(),
            order: &mut order,
            scorer: self.scorer(),
            estimation: &self.estimation(),
            moments: self.state.moments,
        };
        let mut drawn = draw_groups(&mut source, carried, &mut counters)?;
        (self.state.counters, self.state.order) = (counters, order);
        self.state.carried = std::mem::take(&mut drawn.carried);
        Ok(drawn)
    }

    fn advantages(&mut self, groups: [Vec<DrawnGroup>; 2]) -> Result<StepAdvantages, TrainError> {
        let (reference, kl_coef) = (self.state.reference.as_ref(), self.state.kl_coef);
        let charge = KlCharge::asked(&self.settings, reference, kl_coef);
        let mut moments = self.state.moments;
        let advantages = value_groups(&self.estimation(), charge, groups, &mut moments)?;
        self.state.moments = moments;
        Ok(advantages)
    }

    fn update(&mut self, advantages: &StepAdvantages) -> Result<Update, TrainError> {
        let state = &mut self.state;
        let learner = Learner {
            settings: &self.settings,
            policy: &mut state.policy,
            optimizer: &mut state.optimizer,
            reference: state.reference.as_ref(),
            kl_coef: state.kl_coef,
            loss_scale: state.loss_scale.as_mut(),
            not_finite: &mut state.counters.not_finite_on_end,
            step: state.counters.steps + 1,
        };
        update_policy(learner, advantages)
    }

    /// What follows a step that measured this KL: counters, the KL's factor, the reference.
    fn end_step(&mut self, advantages: &StepAdvantages, update: &Update, kl: Option<f64>) {
        let state = &mut self.state;
        state.counters.steps += 1;
        let has_nothing = update.outcomes.is_empty() && update.left_out() == 0;
        state.counters.skipped_steps += u64::from(has_nothing);
        let rollouts = advantages.train.iter().map(|group| &group.scored.rollout);
        let sequences = rollouts.map(|rollout| rollout.completions.len()).sum();
        if let Some(kl) = kl {
            state.kl_coef = self.settings.kl_coefficient.next(state.kl_coef, kl, sequences);
        }
        self.refresh_reference();
    }

    fn scorer(&self) -> Scorer<'_> {
        Scorer {
            problems: &self.problems,
            rewards: &self.rewards,
            tokenizer: &self.tokenizer,
            response_length: self.settings.generator.response_length,
        }
    }

    fn estimation(&self) -> Estimation<'_, B> {
        Estimation {
            settings: &self.settings,
            reward_weights: self.rewards.weights(),
            seed: self.settings.training.seed.wrapping_add(self.steps_done()),
            device: self.state.policy.device(),
        }
    }

    fn examination(&self) -> Examination<'_, B> {
        Examination {
            settings: &self.settings,
            policy: &self.state.policy,
            scorer: self.scorer(),
            steps_done: self.steps_done(),
        }
    }
}
