//! From advantages to a changed policy: the optimiser steps over a step's groups.

use std::time::Instant;

use burn::backend::Autodiff;

use super::TrainError;
use super::advantages::StepAdvantages;
use super::held::Held;
use super::loss_scale::LossScale;
use super::minibatch::{MiniBatch, Preparation};
use super::not_finite::{MOST_ON_END, batch};
use super::optimizer::{Optimizer, StepOutcome};
use super::report::Update;
use super::settings::TrainSettings;
use crate::kernel::Kernels;
use crate::loss::{LossMetrics, Objective};
use crate::model::{Decoder, Reference};

/// What an update changes, and what it looks at to do so.
pub(super) struct Learner<'a, B: Kernels> {
    pub settings: &'a TrainSettings,
    pub policy: &'a mut Held<Decoder<Autodiff<B>>>,
    pub optimizer: &'a mut Optimizer<B>,
    pub reference: Option<&'a Reference<B>>,
    /// The factor on the KL in this step.
    pub kl_coef: f64,
    /// What the loss is multiplied by, where factors of products have the range of f16.
    pub loss_scale: Option<&'a mut LossScale>,
    /// Optimiser steps on end whose gradient was not finite.
    pub not_finite: &'a mut u64,
    /// Number of the step, from 1.
    pub step: u64,
}

/// What became of an optimiser step.
enum Learned {
    /// It was taken.
    Taken(LossMetrics, StepOutcome),
    /// It was left out, and the factor on the loss is smaller from now on.
    Overflown,
    /// It was left out; the first parameter whose gradient is not finite.
    NotFinite(String),
}

/// All optimiser steps over a step's groups; none where no row reaches the loss.
pub(super) fn update_policy<B: Kernels>(
    mut learner: Learner<B>,
    advantages: &StepAdvantages,
) -> Result<Update, TrainError> {
    let started = Instant::now();
    let settings = learner.settings;
    let objective = learner.objective();
    let mut mini_batches = learner.prepared(&objective).mini_batches(advantages);
    let (mut outcomes, mut overflown, mut not_finite) = (Vec::new(), 0, 0);
    for _ in 0..settings.training.ppo_epochs {
        for mini_batch in &mut mini_batches {
            match learner.learn(mini_batch, &objective)? {
                Learned::Taken(metrics, outcome) => {
                    *learner.not_finite = 0;
                    outcomes.push((metrics, outcome));
                }
                Learned::Overflown => overflown += 1,
                Learned::NotFinite(tensor) => {
                    not_finite += 1;
                    learner.count_not_finite(tensor, advantages)?;
                }
            }
        }
    }
    Ok(Update {
        outcomes,
        overflown,
        not_finite,
        tokens: mini_batches.iter().map(|mini_batch| mini_batch.tokens).sum(),
        alpha: mean_alpha(&mini_batches),
        secs: started.elapsed().as_secs_f64(),
    })
}

impl<B: Kernels> Learner<'_, B> {
    /// The objective with the KL coefficient of this step.
    fn objective(&self) -> Objective {
        let mut objective = self.settings.objective.clone();
        let is_steered = self.settings.kl_coefficient.target_kl.is_some();
        if let (Some(term), true, None) = (&mut objective.kl, is_steered, self.settings.kl_penalty)
        {
            term.kl_loss_coef = self.kl_coef;
        }
        objective
    }

    fn prepared<'a>(&'a self, objective: &'a Objective) -> Preparation<'a, B> {
        let reference = self.reference.filter(|_| objective.needs_reference());
        Preparation::new(self.settings, objective, self.policy, reference)
    }

    /// Counts an optimiser step that was left out; too many on end are an error.
    fn count_not_finite(
        &mut self,
        tensor: String,
        advantages: &StepAdvantages,
    ) -> Result<(), TrainError> {
        *self.not_finite += 1;
        match *self.not_finite < MOST_ON_END {
            true => Ok(()),
            false => Err(TrainError::NotFinite {
                step: self.step,
                count: *self.not_finite,
                tensor,
                batch: Box::new(batch(advantages)),
            }),
        }
    }

    /// One optimiser step.
    fn learn(
        &mut self,
        mini_batch: &mut MiniBatch<B>,
        objective: &Objective,
    ) -> Result<Learned, TrainError> {
        let temperature = self.settings.temperature();
        let step = self.optimizer.steps();
        let scale = self.loss_scale.as_ref().map_or(1.0, |loss_scale| loss_scale.scale);
        let (metrics, gradients) =
            mini_batch.differentiate(self.policy, objective, temperature, step, scale)?;
        let outcome = self.policy.change(|policy| self.optimizer.step(policy, gradients))?;
        // A loss that is not finite overflowed on the way there, which no factor on it mends.
        let loss_scale = self.loss_scale.as_mut().filter(|_| metrics.loss.is_finite());
        if loss_scale.is_some_and(|loss_scale| loss_scale.is_overflown(outcome.grad_norm)) {
            return Ok(Learned::Overflown);
        }
        Ok(match (outcome.grad_norm.is_finite(), &outcome.not_finite) {
            (true, _) => Learned::Taken(metrics, outcome),
            (false, Some(tensor)) => Learned::NotFinite(tensor.clone()),
            (false, None) => Learned::NotFinite("all parameters together".into()),
        })
    }
}

/// The mean alpha of the optimiser steps; 1 where there is none.
fn mean_alpha<B: Kernels>(mini_batches: &[MiniBatch<B>]) -> f64 {
    match mini_batches.len() {
        0 => 1.0,
        count => mini_batches.iter().map(|batch| batch.alpha).sum::<f64>() / count as f64,
    }
}
