//! From advantages to a changed policy: the optimiser steps over a step's groups.

use std::time::Instant;

use burn::backend::Autodiff;

use super::TrainError;
use super::advantages::StepAdvantages;
use super::held::Held;
use super::loss_scale::LossScale;
use super::minibatch::{MiniBatch, Preparation};
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
    /// Number of the step, from 1.
    pub step: u64,
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
    let (mut outcomes, mut overflown) = (Vec::new(), 0);
    for _ in 0..settings.training.ppo_epochs {
        for mini_batch in &mut mini_batches {
            let outcome = learner.learn(mini_batch, &objective)?;
            overflown += usize::from(outcome.is_none());
            outcomes.extend(outcome);
        }
    }
    Ok(Update {
        outcomes,
        overflown,
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

    /// One optimiser step; none where it overflowed.
    fn learn(
        &mut self,
        mini_batch: &mut MiniBatch<B>,
        objective: &Objective,
    ) -> Result<Option<(LossMetrics, StepOutcome)>, TrainError> {
        let temperature = self.settings.temperature();
        let step = self.optimizer.steps();
        let scale = self.loss_scale.as_ref().map_or(1.0, |loss_scale| loss_scale.scale);
        let (metrics, gradients) =
            mini_batch.differentiate(self.policy, objective, temperature, step, scale)?;
        let outcome = self.policy.change(|policy| self.optimizer.step(policy, gradients))?;
        // A loss that is not finite overflowed on the way there, which no factor on it mends.
        let loss_scale = self.loss_scale.as_mut().filter(|_| metrics.loss.is_finite());
        if loss_scale.is_some_and(|loss_scale| loss_scale.is_overflown(outcome.grad_norm)) {
            return Ok(None);
        }
        match outcome.grad_norm.is_finite() {
            true => Ok(Some((metrics, outcome))),
            false => Err(TrainError::NotFinite { step: self.step, norm: outcome.grad_norm }),
        }
    }
}

/// The mean alpha of the optimiser steps; 1 where there is none.
fn mean_alpha<B: Kernels>(mini_batches: &[MiniBatch<B>]) -> f64 {
    match mini_batches.len() {
        0 => 1.0,
        count => mini_batches.iter().map(|batch| batch.alpha).sum::<f64>() / count as f64,
    }
}
