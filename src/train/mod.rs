//! The training loop. This file alone knows the order of things:
//!
//! ```text
//! problems ─▶ rollouts ─▶ rewards ─▶ advantages ─▶ micro-batches ─▶ loss ─▶ optimiser ─▶ policy
//! ```

mod batch;
mod checkpoint;
mod error;
mod evaluate;
mod held;
mod optimizer;
mod prepared;
mod report;
mod score;
mod warm_start;

use std::time::Instant;

use burn::backend::Autodiff;
use burn::module::AutodiffModule;

pub use batch::{MicroBatch, TrainingGroup, TrainingRow, denominators, micro_batches};
pub use checkpoint::{CheckpointState, remove_checkpoint};
pub use error::TrainError;
pub use evaluate::{EvalOptions, Evaluation, evaluate};
pub use optimizer::{Optimizer, OptimizerConfig, Schedule, StepGradients, StepOutcome};
pub use prepared::{PreparedProblems, scorable};
pub use report::StepReport;
pub use score::{ScoredCompletion, ScoredGroup, reward_batch, score};
pub use warm_start::{WarmStart, WarmStartOutcome, warm_start};

use held::Held;

use crate::advantage::{AdvantageEstimator, Estimator, GroupAdvantages};
use crate::data::Order;
use crate::kernel::TrainingKernels;
use crate::loss::{LossSums, Objective};
use crate::model::{Decoder, Reference};
use crate::reward::Rewards;
use crate::rollout::{Generator, Noise, Purpose, RolloutGroup};
use crate::text::Tokenizer;

/// What a run is made of, as its configuration says.
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
    /// How rewards become advantages.
    pub estimator: Estimator,
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
}

impl TrainSettings {
    /// Optimiser steps of the whole run.
    fn optimizer_steps(&self) -> u64 {
        self.max_steps * (self.ppo_epochs * self.mini_batches) as u64
    }

    /// Temperature that divides the logits in rollouts and in training alike; greedy sampling
    /// trains the plain law.
    fn temperature(&self) -> f32 {
        match self.generator.sampling.temperature {
            0.0 => 1.0,
            temperature => temperature,
        }
    }
}

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
    tokens_seen: u64,
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
        let reference = settings.objective.needs_reference().then(|| Reference::snapshot(&policy));
        let order = Order::new(settings.seed, problems.len());
        let optimizer = Optimizer::new(settings.optimizer.clone(), settings.optimizer_steps());
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
            tokens_seen: 0,
        }
    }

    /// Training steps done.
    pub fn steps_done(&self) -> u64 {
        self.steps_done
    }

    /// The policy as it is now, without gradients.
    pub fn policy(&self) -> Decoder<B> {
        self.policy.valid()
    }

    /// One training step.
    ///
    /// # Errors
    /// A reward or a gradient that is not finite; the optimiser step that met it changes nothing.
    pub fn step(&mut self) -> Result<StepReport, TrainError> {
        let started = Instant::now();
        let rollouts = self.roll_out()?;
        let rollout_secs = started.elapsed().as_secs_f64();
        let scored = self.score(&rollouts)?;
        let advantages = self.advantages(&rollouts, &scored)?;
        let reward_secs = started.elapsed().as_secs_f64() - rollout_secs;
        let update = self.update(&rollouts, &advantages)?;
        self.steps_done += 1;
        self.tokens_seen += report::tokens_of(&rollouts);
        Ok(StepReport {
            step: self.steps_done,
            epoch: self.drawn() as f64 / self.problems.len() as f64,
            tokens_seen: self.tokens_seen,
            reward_names: self.rewards.names().map(str::to_owned).collect(),
            rollouts,
            scored,
            advantages,
            update,
            rollout_secs,
            reward_secs,
            step_secs: started.elapsed().as_secs_f64(),
        })
    }

    /// The problem behind a rollout group.
    pub fn problem(&self, group: &RolloutGroup) -> &crate::data::Problem {
        self.problems.problem(group.prompt.problem as usize)
    }

    /// Prompts drawn so far.
    fn drawn(&self) -> u64 {
        self.steps_done * self.settings.rollout_batch_size as u64
    }

    fn roll_out(&self) -> Result<Vec<RolloutGroup>, TrainError> {
        let settings = &self.settings;
        let samples =
            settings.estimator.rollouts_per_prompt(settings.num_return_sequences_in_group);
        let drawn = self.order.take(self.drawn(), settings.rollout_batch_size);
        let prompts: Vec<_> =
            drawn.into_iter().map(|index| self.problems.prompt(index, samples)).collect();
        let noise = Noise::new(settings.seed, Purpose::Training, self.steps_done);
        Ok(settings.generator.generate(&self.policy.valid(), &prompts, noise)?)
    }

    fn score(&self, rollouts: &[RolloutGroup]) -> Result<Vec<ScoredGroup>, TrainError> {
        let response_length = self.settings.generator.response_length;
        Ok(score(rollouts, &self.problems, &self.rewards, &self.tokenizer, response_length)?)
    }

    fn advantages(
        &self,
        rollouts: &[RolloutGroup],
        scored: &[ScoredGroup],
    ) -> Result<Vec<GroupAdvantages>, TrainError> {
        let seed = self.settings.seed.wrapping_add(self.steps_done);
        let batch = reward_batch(rollouts, scored, self.rewards.weights(), seed);
        Ok(self.settings.estimator.estimate(&batch)?)
    }

    fn update(
        &mut self,
        rollouts: &[RolloutGroup],
        advantages: &[GroupAdvantages],
    ) -> Result<report::Update, TrainError> {
        let started = Instant::now();
        let groups: Vec<_> = rollouts
            .iter()
            .zip(advantages)
            .map(|(group, of)| TrainingGroup::new(group, &of.advantages, &of.kept))
            .collect();
        let share = groups.len().div_ceil(self.settings.mini_batches).max(1);
        let mut steps = Vec::new();
        for mini_batch in groups.chunks(share) {
            steps.push((self.micro_batches(mini_batch), self.denominators(mini_batch)));
        }
        let mut outcomes = Vec::new();
        for _ in 0..self.settings.ppo_epochs {
            for (micro_batches, denominators) in &steps {
                let (sums, gradients) = self.differentiate(micro_batches);
                let metrics = sums.map(|sums| sums.read(denominators)).unwrap_or_default();
                outcomes.push((metrics, self.optimise(gradients)?));
            }
        }
        let tokens = groups.iter().flat_map(|g| &g.rows).map(|row| row.completion.len()).sum();
        Ok(report::Update { outcomes, tokens, secs: started.elapsed().as_secs_f64() })
    }

    fn denominators(&self, groups: &[TrainingGroup]) -> crate::loss::Denominators {
        denominators(groups, self.settings.generator.response_length)
    }

    /// The micro-batches of one optimiser step, with all that stays fixed over its passes.
    fn micro_batches(&self, groups: &[TrainingGroup]) -> Vec<MicroBatch<B>> {
        let (settings, temperature) = (&self.settings, self.settings.temperature());
        let device = self.policy.device();
        let step = self.denominators(groups);
        // The first pass over fresh rollouts has a ratio of exactly 1 without any recomputing.
        let reused = settings.ppo_epochs * settings.mini_batches > 1;
        let old = reused.then(|| self.policy.valid());
        let pieces = micro_batches(groups, settings.micro_batch_tokens);
        let prepare = |piece: Vec<TrainingGroup>| {
            let aggregation = settings.objective.loss_agg_mode;
            let mut batch = MicroBatch::new(&piece, aggregation, &step, &device);
            if let Some(old) = &old {
                batch = batch.with_old_logps(old, temperature);
            }
            match &self.reference {
                Some(reference) => batch.with_reference(reference, temperature),
                None => batch,
            }
        };
        pieces.into_iter().map(prepare).collect()
    }

    fn differentiate(
        &self,
        micro_batches: &[MicroBatch<B>],
    ) -> (Option<LossSums<Autodiff<B>>>, StepGradients<B>) {
        let mut gradients = StepGradients::default();
        let mut sums: Option<LossSums<Autodiff<B>>> = None;
        for batch in micro_batches {
            let (tokens, row_weights) = batch.tokens(&self.policy, self.settings.temperature());
            let loss = self.settings.objective.loss(&tokens, row_weights);
            gradients.add(&self.policy, loss.loss);
            sums = Some(match sums {
                Some(sums) => sums.plus(loss.sums),
                None => loss.sums,
            });
        }
        (sums, gradients)
    }

    fn optimise(&mut self, gradients: StepGradients<B>) -> Result<StepOutcome, TrainError> {
        let optimizer = &mut self.optimizer;
        let outcome = self.policy.change(|policy| optimizer.step(policy, gradients));
        match outcome.grad_norm.is_finite() {
            true => Ok(outcome),
            false => {
                Err(TrainError::NotFinite { step: self.steps_done + 1, norm: outcome.grad_norm })
            }
        }
    }
}
