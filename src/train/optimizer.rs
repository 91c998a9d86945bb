//! AdamW over all parameters of a decoder, with the global gradient norm that Burn does not have.

use burn::backend::Autodiff;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::kernel::{self, AdamW, TrainingKernels};
use crate::model::Decoder;

/// How the learning rate moves after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

/// Gradients of all parameters, flat, in the order of the module's parameters.
#[derive(Debug)]
pub struct StepGradients<B: TrainingKernels> {
    parameters: Vec<Option<Tensor<B, 1>>>,
}

impl<B: TrainingKernels> Default for StepGradients<B> {
    fn default() -> Self {
        Self { parameters: Vec::new() }
    }
}

impl<B: TrainingKernels> StepGradients<B> {
    /// Differentiates a micro-batch's loss and adds its gradients to the step's.
    pub fn add(&mut self, decoder: &Decoder<Autodiff<B>>, loss: Tensor<Autodiff<B>, 1>) {
        let mut taken = Taken { gradients: loss.backward(), parameters: Vec::new() };
        decoder.visit(&mut taken);
        if self.parameters.is_empty() {
            self.parameters = taken.parameters;
            return;
        }
        for (sum, new) in self.parameters.iter_mut().zip(taken.parameters) {
            *sum = match (sum.take(), new) {
                (Some(sum), Some(new)) => Some(sum + new),
                (sum, new) => sum.or(new),
            };
        }
    }

    /// Euclidean norm over all parameters together.
    pub fn norm(&self) -> f64 {
        let squares: Vec<_> =
            self.parameters.iter().flatten().map(kernel::sum_of_squares).collect();
        if squares.is_empty() {
            return 0.0;
        }
        let squares = Tensor::cat(squares, 0).into_data();
        squares.iter::<f64>().sum::<f64>().sqrt()
    }
}

struct Taken<B: TrainingKernels> {
    gradients: <Autodiff<B> as AutodiffBackend>::Gradients,
    parameters: Vec<Option<Tensor<B, 1>>>,
}

impl<B: TrainingKernels> ModuleVisitor<Autodiff<B>> for Taken<B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<Autodiff<B>, D>>) {
        let gradient = param.val().grad_remove(&mut self.gradients);
        self.parameters.push(gradient.map(|gradient| {
            let count = gradient.shape().num_elements();
            gradient.reshape([count])
        }));
    }
}

/// What an optimiser step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepOutcome {
    /// Gradient norm before clipping.
    pub grad_norm: f64,
    /// Learning rate that was used.
    pub learning_rate: f64,
}

/// AdamW's state.
#[derive(Debug)]
pub struct Optimizer<B: TrainingKernels> {
    config: OptimizerConfig,
    total_steps: u64,
    steps: u64,
    moments: Vec<[Tensor<B, 1>; 2]>,
}

impl<B: TrainingKernels> Optimizer<B> {
    /// An optimiser that has not stepped, for a schedule over `total_steps`.
    pub fn new(config: OptimizerConfig, total_steps: u64) -> Self {
        Self { config, total_steps, steps: 0, moments: Vec::new() }
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Updates every parameter that has a gradient.
    ///
    /// A gradient that is not finite changes nothing; its norm says so.
    pub fn step(
        &mut self,
        decoder: Decoder<Autodiff<B>>,
        gradients: StepGradients<B>,
    ) -> (Decoder<Autodiff<B>>, StepOutcome) {
        let grad_norm = gradients.norm();
        let learning_rate = self.config.learning_rate(self.steps, self.total_steps);
        let outcome = StepOutcome { grad_norm, learning_rate };
        if !grad_norm.is_finite() {
            return (decoder, outcome);
        }
        self.steps += 1;
        let moments = std::mem::take(&mut self.moments);
        let mut update = Update {
            hyper: self.hyper(outcome),
            weight_decay: self.config.weight_decay as f32,
            gradients: gradients.parameters.into_iter(),
            old_moments: moments.into_iter(),
            moments: Vec::new(),
        };
        let decoder = decoder.map(&mut update);
        self.moments = update.moments;
        (decoder, outcome)
    }

    fn hyper(&self, outcome: StepOutcome) -> AdamW {
        let limit = self.config.max_grad_norm;
        let clipped = limit > 0.0 && outcome.grad_norm > limit;
        AdamW {
            learning_rate: outcome.learning_rate as f32,
            beta_1: self.config.betas[0] as f32,
            beta_2: self.config.betas[1] as f32,
            epsilon: self.config.epsilon as f32,
            weight_decay: 0.0,
            grad_scale: if clipped { (limit / outcome.grad_norm) as f32 } else { 1.0 },
            step: self.steps as i32,
        }
    }

    /// Values of both moments of every parameter, in order; empty before the first step.
    pub fn moments(&self) -> impl Iterator<Item = [Vec<f32>; 2]> + '_ {
        self.moments.iter().map(|pair| pair.clone().map(|m| m.into_data().iter().collect()))
    }

    /// Takes up a saved state: the steps taken and the moments in the order of [`Self::moments`].
    pub fn restore(&mut self, steps: u64, moments: Vec<[Vec<f32>; 2]>, device: &B::Device) {
        let tensor = |values: Vec<f32>| {
            let count = values.len();
            Tensor::from_data(TensorData::new(values, [count]), device)
        };
        self.steps = steps;
        self.moments = moments.into_iter().map(|pair| pair.map(tensor)).collect();
    }
}

struct Update<B: TrainingKernels> {
    hyper: AdamW,
    weight_decay: f32,
    gradients: std::vec::IntoIter<Option<Tensor<B, 1>>>,
    old_moments: std::vec::IntoIter<[Tensor<B, 1>; 2]>,
    moments: Vec<[Tensor<B, 1>; 2]>,
}

impl<B: TrainingKernels> ModuleMapper<Autodiff<B>> for Update<B> {
    fn map_float<const D: usize>(
        &mut self,
        param: Param<Tensor<Autodiff<B>, D>>,
    ) -> Param<Tensor<Autodiff<B>, D>> {
        let gradient = self.gradients.next().flatten();
        let (id, tensor, mapper) = param.consume();
        let (count, device) = (tensor.shape().num_elements(), tensor.device());
        let zeros = || Tensor::zeros([count], &device);
        let moments = self.old_moments.next().unwrap_or_else(|| [zeros(), zeros()]);
        let Some(gradient) = gradient else {
            self.moments.push(moments);
            return Param::from_mapped_value(id, tensor, mapper);
        };
        let weight_decay = if D > 1 { self.weight_decay } else { 0.0 };
        let hyper = AdamW { weight_decay, ..self.hyper };
        let (weight, moments) = kernel::adamw_step(hyper, tensor.inner(), moments, &gradient);
        self.moments.push(moments);
        let tensor = Tensor::from_inner(weight).require_grad();
        Param::from_mapped_value(id, tensor, mapper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
