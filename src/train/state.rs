//! What a step changes, and a checkpoint keeps.

use burn::backend::Autodiff;

use super::held::Held;
use super::loss_scale::LossScale;
use super::optimizer::Optimizer;
use super::score::ScoredGroup;
use super::settings::TrainSettings;
use crate::advantage::RunningMoments;
use crate::data::Order;
use crate::kernel::Kernels;
use crate::model::{Decoder, Reference};

/// The state of a run between two steps. No stage sees it whole: each is given what it needs.
#[derive(Debug)]
pub(super) struct TrainState<B: Kernels> {
    pub policy: Held<Decoder<Autodiff<B>>>,
    pub reference: Option<Reference<B>>,
    pub optimizer: Optimizer<B>,
    /// Which problem comes when.
    pub order: Order,
    /// All rewards so far, for normalising over them.
    pub moments: RunningMoments,
    /// The factor on the KL, where it is steered.
    pub kl_coef: f64,
    /// What the loss is multiplied by, where factors of products have the range of f16.
    pub loss_scale: Option<LossScale>,
    /// Groups that wait for the next step.
    pub carried: Vec<ScoredGroup>,
    pub counters: Counters,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counters {
    /// Training steps done.
    pub steps: u64,
    /// Of these, steps that had nothing to learn from.
    pub skipped_steps: u64,
    /// Optimiser steps on end whose gradient was not finite.
    pub not_finite_on_end: u64,
    /// Prompts drawn, which is the place in the order of the data.
    pub prompts_drawn: u64,
    /// Completion tokens generated.
    pub tokens_seen: u64,
}

impl<B: Kernels> TrainState<B> {
    /// The state before the first step; the reference is the policy as it is now.
    pub(super) fn new(
        settings: &TrainSettings,
        policy: Decoder<Autodiff<B>>,
        problems: usize,
    ) -> Self {
        let (training, storage) = (&settings.training, settings.reference_storage);
        let reference = || match settings.reference_is_base {
            true => Reference::of_base(&policy),
            false => Reference::of(&policy).stored_as(storage),
        };
        Self {
            reference: settings.needs_reference().then(reference),
            policy: Held::new(policy),
            optimizer: Optimizer::new(training.optimizer.clone(), training.optimizer_steps()),
            order: Order::new(training.seed, problems),
            moments: RunningMoments::default(),
            kl_coef: settings.kl_coefficient.init_kl_coef,
            loss_scale: settings.scales_loss.then(LossScale::default),
            carried: Vec::new(),
            counters: Counters::default(),
        }
    }
}
