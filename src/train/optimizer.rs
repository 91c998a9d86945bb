//! AdamW over the parameters of a decoder that have a gradient.

use std::collections::BTreeMap;

use burn::backend::Autodiff;
use burn::module::Param;
use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gradients::StepGradients;
use super::moments::{MomentStorage, Moments};
use crate::kernel::{self, AdamW, Kernels};
use crate::model::{Decoder, ParameterMapper};
use crate::readback::{self, DeviceFailed};

/// How the learning rate moves after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// It stays.
    #[default]
    Constant,
    /// In a straight line to the smallest rate.
    Linear,
    /// Along half a cosine to the smallest rate.
    Cosine,
}

/// The `optimizer:` block of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Largest learning rate.
    pub learning_rate: f64,
    /// How it moves after the warm-up.
    pub schedule: Schedule,
    /// Optimiser steps over which it rises from 0.
    pub warmup_steps: u64,
    /// Where the schedule ends, as a share of `learning_rate`.
    pub min_learning_rate_ratio: f64,
    /// Decays of the first and second moment.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled decay of matrices; norms and biases are left alone.
    pub weight_decay: f64,
    /// Gradients of a larger global norm are scaled down to it; 0 never does.
    pub max_grad_norm: f64,
    /// In what the two moments are kept.
    pub moments: MomentStorage,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-6,
            schedule: Schedule::Constant,
            warmup_steps: 0,
            min_learning_rate_ratio: 0.0,
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            weight_decay: 0.0,
            max_grad_norm: 1.0,
            moments: MomentStorage::F32,
        }
    }
}

impl OptimizerConfig {
    /// Learning rate of optimiser step `step` (from 0) of `total`.
    ///
    /// ```text
    /// warm-up: lr·(step + 1)/warmup_steps       then: lr·(m + (1 − m)·shape(progress))
    /// ```
    pub fn learning_rate(&self, step: u64, total: u64) -> f64 {
        if step < self.warmup_steps {
            return self.learning_rate * (step + 1) as f64 / self.warmup_steps as f64;
        }
        let (done, all) = (step - self.warmup_steps, total.saturating_sub(self.warmup_steps));
        let progress = (done as f64 / all.max(1) as f64).min(1.0);
        let shape = match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Linear => 1.0 - progress,
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
        };
        let floor = self.min_learning_rate_ratio;
        self.learning_rate * (floor + (1.0 - floor) * shape)
    }
}

/// What an optimiser step did.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOutcome {
    /// Gradient norm before clipping.
    pub grad_norm: f64,
    /// Learning rate that was used.
    pub learning_rate: f64,
    /// The first parameter whose gradient is not finite; then the step changed nothing.
    pub not_finite: Option<String>,
    /// How far the parameters moved, beside their norm: of the first tensors that are trained, up to
    /// 262,144 numbers. NaN where nothing was measured.
    ///
    /// ```text
    /// |w' − w| / |w|
    /// ```
    pub relative_update: f64,
}

/// Numbers of which the movement is measured: under Adam all move at much the same pace, and what is measured is held
/// twice meanwhile.
const MOST_MEASURED: usize = 1 << 18;

/// AdamW's state.
#[derive(Debug)]
pub struct Optimizer<B: Kernels> {
    config: OptimizerConfig,
    total_steps: u64,
    steps: u64,
    moments: Moments<B>,
}

impl<B: Kernels> Optimizer<B> {
    /// An optimiser that has not stepped, for a schedule over `total_steps`.
    pub fn new(config: OptimizerConfig, total_steps: u64) -> Self {
        let moments = Moments::new(config.moments);
        Self { config, total_steps, steps: 0, moments }
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Updates every parameter that has a gradient.
    ///
    /// A gradient that is not finite changes nothing; its norm says so. Nor does a device that failed,
    /// which the outcome is then.
    ///
    /// # Panics
    /// Gradients of another decoder.
    pub fn step(
        &mut self,
        decoder: Decoder<Autodiff<B>>,
        gradients: StepGradients<B>,
    ) -> (Decoder<Autodiff<B>>, Result<StepOutcome, DeviceFailed>) {
        let (grad_norm, not_finite) = match gradients.norm() {
            Ok((norm, first)) => (norm, first.map(str::to_owned)),
            Err(failed) => return (decoder, Err(failed)),
        };
        let learning_rate = self.config.learning_rate(self.steps, self.total_steps);
        let outcome =
            StepOutcome { grad_norm, learning_rate, not_finite, relative_update: f64::NAN };
        if !grad_norm.is_finite() {
            return (decoder, Ok(outcome));
        }
        self.steps += 1;
        let mut update = Update {
            hyper: self.hyper(&outcome, gradients.scale()),
            weight_decay: self.config.weight_decay as f32,
            gradients: gradients.by_name(),
            moments: &mut self.moments,
            moved: Moved { left: MOST_MEASURED, squares: Vec::new() },
        };
        let decoder = decoder.map_parameters(&mut update);
        let left: Vec<&String> = update.gradients.keys().collect();
        assert!(left.is_empty(), "gradients of parameters that the policy lacks: {left:?}");
        let moved = update.moved.relative();
        (decoder, moved.map(|relative_update| StepOutcome { relative_update, ..outcome }))
    }

    fn hyper(&self, outcome: &StepOutcome, loss_scale: f32) -> AdamW {
        let limit = self.config.max_grad_norm;
        let clipped = limit > 0.0 && outcome.grad_norm > limit;
        let clip = if clipped { (limit / outcome.grad_norm) as f32 } else { 1.0 };
        AdamW {
            learning_rate: outcome.learning_rate as f32,
            beta_1: self.config.betas[0] as f32,
            beta_2: self.config.betas[1] as f32,
            epsilon: self.config.epsilon as f32,
            weight_decay: 0.0,
            grad_scale: clip / loss_scale,
            step: self.steps as i32,
        }
    }

    /// The moments of the parameters that ever had a gradient.
    pub fn moments(&self) -> &Moments<B> {
        &self.moments
    }

    /// Takes up a saved state: the steps taken and the moments then.
    pub fn restore(&mut self, steps: u64, moments: Moments<B>) {
        self.steps = steps;
        self.moments = moments;
    }
}

struct Update<'a, B: Kernels> {
    hyper: AdamW,
    weight_decay: f32,
    gradients: BTreeMap<String, Tensor<B, 1>>,
    moments: &'a mut Moments<B>,
    moved: Moved<B>,
}

/// Squares of what some tensors moved by, and of what they were.
struct Moved<B: Kernels> {
    /// Numbers that may still be measured.
    left: usize,
    /// `[1]` each, by turns of the difference and of the tensor.
    squares: Vec<Tensor<B, 1>>,
}

impl<B: Kernels> Moved<B> {
    /// Whether a tensor of so many numbers is measured.
    fn takes(&mut self, count: usize) -> bool {
        let left = self.left.checked_sub(count);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }

    fn add<const D: usize>(&mut self, before: Tensor<B, D>, after: &Tensor<B, D>) {
        let of_before = kernel::sum_of_squares(&before);
        self.squares.push(kernel::sum_of_squares(&(after.clone() - before)));
        self.squares.push(of_before);
    }

    fn relative(self) -> Result<f64, DeviceFailed> {
        if self.squares.is_empty() {
            return Ok(f64::NAN);
        }
        let squares: Vec<f64> = readback::read(Tensor::cat(self.squares, 0))?.iter().collect();
        let sum = |first: usize| squares.iter().skip(first).step_by(2).sum::<f64>();
        Ok((sum(0) / sum(1)).sqrt())
    }
}

impl<B: Kernels> ParameterMapper<Autodiff<B>> for Update<'_, B> {
    fn map<const D: usize>(
        &mut self,
        name: &str,
        param: Param<Tensor<Autodiff<B>, D>>,
    ) -> Param<Tensor<Autodiff<B>, D>> {
        let Some(gradient) = self.gradients.remove(name) else { return param };
        let weight_decay = if D > 1 { self.weight_decay } else { 0.0 };
        let hyper = AdamW { weight_decay, ..self.hyper };
        param.map(|weight| {
            let count = weight.shape().num_elements();
            let moments = self.moments.take(name, count, &weight.device());
            let weight = weight.inner();
            let before = self.moved.takes(count).then(|| weight.clone());
            let (weight, moments) = match self.moments.has_codes(count) {
                true => kernel::adamw_step_q8(hyper, weight, moments, &gradient),
                false => kernel::adamw_step(hyper, weight, moments, &gradient),
            };
            if let Some(before) = before {
                self.moved.add(before, &weight);
            }
            self.moments.put(name, moments);
            Tensor::from_inner(weight).require_grad()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::testing::{any_pass, policy, values};

    #[test]
    fn a_parameter_without_a_gradient_keeps_its_values_and_has_no_moments() {
        let policy = policy();
        let mut gradients = StepGradients::default();
        gradients.add(&policy, any_pass(&policy), &policy.head().matrix().sum());
        let config =
            OptimizerConfig { learning_rate: 0.1, weight_decay: 0.5, ..Default::default() };
        let mut optimizer = Optimizer::new(config, 1);
        let (after, _) = optimizer.step(policy, gradients);
        let embedding = "model.embed_tokens.weight";
        assert_eq!(optimizer.moments().names().collect::<Vec<_>>(), [embedding]);
        let before = values(&crate::train::testing::policy());
        for (name, after) in values(&after) {
            assert_eq!(after != before[&name], name == embedding, "{name}");
        }
    }

    #[test]
    fn the_relative_update_is_what_moved_beside_what_there_was() {
        let policy = policy();
        let before = values(&policy);
        let mut gradients = StepGradients::default();
        gradients.add(&policy, any_pass(&policy), &crate::train::testing::loss(&policy));
        let mut optimizer =
            Optimizer::new(OptimizerConfig { learning_rate: 1e-3, ..Default::default() }, 1);
        let (after, outcome) = optimizer.step(policy, gradients);
        let square = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>();
        let (mut moved, mut norm) = (0.0, 0.0);
        for (name, after) in values(&after) {
            let before = before[&name].iter().map(|x| f64::from(*x));
            norm += square(&mut before.clone());
            moved += square(
                &mut after.iter().zip(before).map(|(after, before)| f64::from(*after) - before),
            );
        }
        let (found, expected) = (outcome.unwrap().relative_update, (moved / norm).sqrt());
        assert!((found - expected).abs() < 1e-6 * expected && expected > 0.0, "{found} {expected}");
    }

    fn rate(schedule: Schedule, step: u64) -> f64 {
        let config = OptimizerConfig {
            learning_rate: 1.0,
            schedule,
            warmup_steps: 2,
            min_learning_rate_ratio: 0.1,
            ..OptimizerConfig::default()
        };
        config.learning_rate(step, 12)
    }

    #[test]
    fn the_rate_rises_in_the_warm_up_and_then_follows_its_schedule() {
        let rates = |schedule| [0, 1, 2, 7, 12].map(|step| rate(schedule, step));
        assert_eq!(rates(Schedule::Constant), [0.5, 1.0, 1.0, 1.0, 1.0]);
        for schedule in [Schedule::Linear, Schedule::Cosine] {
            for (rate, expected) in rates(schedule).iter().zip([0.5, 1.0, 1.0, 0.55, 0.1]) {
                assert!((rate - expected).abs() < 1e-12, "{schedule:?}: {rate}");
            }
        }
    }
}
