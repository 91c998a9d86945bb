//! The rows of one optimiser step, and their gradient.

use burn::backend::Autodiff;
use burn::module::AutodiffModule;

use super::advantages::{StepAdvantages, ValuedGroup};
use super::batch::{MicroBatch, TrainingGroup, denominators, micro_batches};
use super::gradients::StepGradients;
use super::settings::TrainSettings;
use crate::advantage::CountedGroups;
use crate::kernel::{Kernels, Weight};
use crate::loss::{Denominators, LossMetrics, LossSums, Objective};
use crate::model::{Decoder, Reference, UpdatePass};
use crate::readback::DeviceFailed;

/// One optimiser step's worth of rows, ready for any number of passes.
pub(super) struct MiniBatch<B: Kernels> {
    micro_batches: Vec<MicroBatch<B>>,
    /// Of the rows that reach the loss, which is what reported means are over.
    seen: Denominators,
    /// Completion tokens of the rows that are differentiated: without those whose gradient is 0.
    pub(super) tokens: usize,
    /// What its loss was multiplied by for groups without signal.
    pub(super) alpha: f64,
    /// How its passes are differentiated, and of which seed they are.
    update: UpdatePass,
}

/// The groups of one optimiser step.
#[derive(Clone, Copy)]
struct Share<'a> {
    /// Those trained on.
    train: &'a [ValuedGroup],
    /// Those that only count.
    fill: &'a [ValuedGroup],
}

/// What stays fixed over all passes over a step's rows.
pub(super) struct Preparation<'a, B: Kernels> {
    pub settings: &'a TrainSettings,
    pub objective: &'a Objective,
    /// The policy that generated.
    pub policy: &'a Decoder<Autodiff<B>>,
    /// What the loss compares it with, if anything.
    pub reference: Option<&'a Reference<B>>,
    /// The reference's head `[v, d]` in f32 where the loss looks at whole distributions: one for all
    /// micro-batches, since a reference in 16 bits makes another each time it is asked.
    reference_head: Option<Weight<B>>,
}

impl<'a, B: Kernels> Preparation<'a, B> {
    pub(super) fn new(
        settings: &'a TrainSettings,
        objective: &'a Objective,
        policy: &'a Decoder<Autodiff<B>>,
        reference: Option<&'a Reference<B>>,
    ) -> Self {
        let compared = reference.filter(|_| objective.needs_exact_kls());
        let reference_head = compared.map(|reference| reference.decoder().head());
        Self { settings, objective, policy, reference, reference_head }
    }
}

impl<B: Kernels> Preparation<'_, B> {
    /// The optimiser steps of one pass, each over its share of the groups: of those trained on, and of
    /// those that only count. A share without a row to train on makes none.
    pub(super) fn mini_batches(&self, advantages: &StepAdvantages) -> Vec<MiniBatch<B>> {
        let [train, fill] = [&advantages.train, &advantages.fill];
        let of = |count| shares(count, self.settings.training.mini_batches);
        let valid = advantages.groups().filter(|group| group.advantages.has_signal).count();
        let is_missed = self.settings.selection.alpha.is_missed(valid, advantages.groups().count());
        let mut mini_batches: Vec<MiniBatch<B>> = Vec::new();
        for (own, beside) in of(train.len()).zip(of(fill.len())) {
            let share = Share { train: &train[own], fill: &fill[beside] };
            let mini_batch = self.mini_batch(share, is_missed, mini_batches.is_empty());
            mini_batches.extend((mini_batch.seen.tokens > 0.0).then_some(mini_batch));
        }
        mini_batches
    }

    /// One optimiser step, its denominators and alpha counted over the groups of this step alone.
    ///
    /// The first step of a pass meets the policy that the ratios are to, so its own forward pass gives
    /// their log-probabilities; for the others they are computed before the policy moves. So they are for all where
    /// passes leave out inputs at random and several are compared: they are then those of the whole policy.
    fn mini_batch(&self, share: Share, is_missed: bool, is_first: bool) -> MiniBatch<B> {
        let Share { train, fill } = share;
        let response_length = self.settings.generator.response_length;
        let groups: Vec<TrainingGroup> = train.iter().map(ValuedGroup::training).collect();
        let beside: Vec<TrainingGroup> = fill.iter().map(ValuedGroup::training).collect();
        let alpha = self.alpha(train.iter().chain(fill), is_missed);
        let counted = [groups.as_slice(), &beside].concat();
        let step = denominators(&counted, response_length).scaled(alpha);
        let seen = denominators(&groups, response_length);
        let groups = self.differentiated(groups);
        let lengths = groups.iter().flat_map(|group| &group.rows).map(|row| row.completion.len());
        let tokens = lengths.sum();
        let micro_batches =
            self.micro_batches(&groups, &step, !is_first || self.settings.compares_masks());
        let update = self.settings.training.update_pass();
        MiniBatch { micro_batches, seen, tokens, alpha, update }
    }

    /// The rows that have a part in the gradient: those with an advantage, where nothing else pulls.
    fn differentiated<'g>(&self, groups: Vec<TrainingGroup<'g>>) -> Vec<TrainingGroup<'g>> {
        match self.objective.scales_with_advantage() {
            true => groups.iter().filter_map(TrainingGroup::with_advantage).collect(),
            false => groups,
        }
    }

    /// What makes up for groups without signal; 1 where none was drawn for the divisor alone.
    fn alpha<'a>(
        &self,
        groups: impl Iterator<Item = &'a ValuedGroup> + Clone,
        is_missed: bool,
    ) -> f64 {
        let selection = &self.settings.selection;
        if !selection.fills() {
            return 1.0;
        }
        let valid = groups.clone().filter(|group| group.advantages.has_signal);
        selection.alpha.of(self.counted(groups), self.counted(valid), is_missed)
    }

    fn counted<'a>(&self, groups: impl Iterator<Item = &'a ValuedGroup>) -> CountedGroups {
        let groups: Vec<TrainingGroup> = groups.map(ValuedGroup::training).collect();
        let step = denominators(&groups, self.settings.generator.response_length);
        CountedGroups {
            rollouts: groups.iter().map(|group| group.rows.len()).sum(),
            divisor: self.objective.loss_agg_mode.divisor(&step),
        }
    }

    /// The micro-batches of one optimiser step, with all that stays fixed over its passes.
    fn micro_batches(
        &self,
        groups: &[TrainingGroup],
        step: &Denominators,
        follows_others: bool,
    ) -> Vec<MicroBatch<B>> {
        let Self { settings, objective, policy, reference, ref reference_head } = *self;
        let (temperature, device) = (settings.temperature(), policy.device());
        let old = follows_others.then(|| policy.valid());
        let prepare = |piece: Vec<TrainingGroup>| {
            let mut batch = MicroBatch::new(&piece, objective.loss_agg_mode, step, &device);
            if let Some(old) = &old {
                batch = batch.with_old_logps(old, temperature);
            }
            match (reference, reference_head) {
                (Some(reference), Some(head)) => {
                    batch.with_reference_distribution(reference.decoder(), head.clone())
                }
                (Some(reference), None) => batch.with_reference(reference, temperature),
                (None, _) => batch,
            }
        };
        micro_batches(groups, settings.micro_batch_tokens).into_iter().map(prepare).collect()
    }
}

impl<B: Kernels> MiniBatch<B> {
    /// The gradient of the objective over all rows, and what there is to report of the loss.
    ///
    /// `step` optimiser steps came before, and the loss is multiplied by `scale` before it is differentiated.
    ///
    /// A batch that has no old log-probabilities yet keeps those of this pass for the next.
    pub(super) fn differentiate(
        &mut self,
        policy: &Decoder<Autodiff<B>>,
        objective: &Objective,
        temperature: f32,
        step: u64,
        scale: f32,
    ) -> Result<(LossMetrics, StepGradients<B>), DeviceFailed> {
        let mut gradients = StepGradients::of_scaled(scale);
        let mut sums: Option<LossSums<Autodiff<B>>> = None;
        for (number, batch) in self.micro_batches.iter_mut().enumerate() {
            let update = UpdatePass { step, number: number as u32, ..self.update };
            let pass = batch.pass(policy, update);
            let (tokens, weights_bt) = batch.tokens(policy, &pass, temperature);
            let loss = objective.loss(&tokens, weights_bt);
            batch.keep_old_logps(&tokens);
            drop(tokens);
            gradients.add(policy, pass, &loss.loss);
            sums = Some(match sums {
                Some(sums) => sums.plus(loss.sums),
                None => loss.sums,
            });
        }
        let Some(sums) = sums else {
            let nothing = LossMetrics { entropy: f64::NAN, ..Default::default() };
            return Ok((nothing, StepGradients::zeros(policy)));
        };
        Ok((sums.read(&self.seen, self.tokens as f64)?, gradients))
    }
}

/// `0..count` as `parts` consecutive ranges whose lengths differ by one at most.
fn shares(count: usize, parts: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..parts).map(move |part| part * count / parts..(part + 1) * count / parts)
}

#[cfg(test)]
mod tests {
    use burn::backend::NdArray;
    use burn::backend::ndarray::NdArrayTensor;
    use burn::module::Param;
    use burn::tensor::{DType, Tensor};

    use super::super::batch::TrainingRow;
    use super::super::testing::{policy, settings};
    use super::*;
    use crate::model::ParameterMapper;

    /// Weights of another precision than f32, as those of a reference in 16 bits are; NdArray has no 16.
    struct InF64;

    impl ParameterMapper<NdArray> for InF64 {
        fn map<const D: usize>(
            &mut self,
            _: &str,
            param: Param<Tensor<NdArray, D>>,
        ) -> Param<Tensor<NdArray, D>> {
            param.map(|weight| weight.cast(DType::F64))
        }
    }

    #[test]
    fn micro_batches_share_one_head_of_a_reference_that_is_not_in_f32() {
        let settings = settings("use_kl_loss: true\nkl_loss_type: full\n");
        let policy = policy();
        let reference = Reference::new(policy.valid().map_parameters(&mut InF64));
        let (objective, groups) = (&settings.objective, [5, 7].map(group_of));
        let preparation = Preparation::new(&settings, objective, &policy, Some(&reference));
        let step = denominators(&groups, 8);
        let of_group = |group: &TrainingGroup| {
            let batches = preparation.micro_batches(std::slice::from_ref(group), &step, false);
            let distribution = batches[0].reference_distribution.clone().unwrap();
            let NdArrayTensor::F32(head) = distribution.head.matrix().into_primitive().tensor()
            else {
                panic!("a head that is not in f32")
            };
            head.view().as_ptr()
        };
        assert_eq!(of_group(&groups[0]), of_group(&groups[1]));
    }

    /// A group of one completion that is this token.
    fn group_of(token: u32) -> TrainingGroup<'static> {
        const TOKENS: [u32; 9] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
        let completion = &TOKENS[token as usize..][..1];
        TrainingGroup { prompt: &[3, 4], rows: vec![TrainingRow::new(0, completion, 1.0)] }
    }

    /// Two groups of three completions with these advantages.
    fn groups(advantages: [[f64; 3]; 2]) -> Vec<TrainingGroup<'static>> {
        const COMPLETIONS: [&[u32]; 3] = [&[5], &[8, 2], &[7, 1, 6]];
        let row = |(at, advantage)| TrainingRow::new(at, COMPLETIONS[at], advantage);
        let group = |advantages: [f64; 3]| TrainingGroup {
            prompt: &[3, 4],
            rows: advantages.into_iter().enumerate().map(row).collect(),
        };
        advantages.map(group).into()
    }

    fn mini_batch(
        preparation: &Preparation<NdArray>,
        computed: &[TrainingGroup],
        all: &[TrainingGroup],
    ) -> MiniBatch<NdArray> {
        let seen = denominators(all, 8);
        let rows = computed.iter().flat_map(|group| &group.rows);
        let tokens = rows.map(|row| row.completion.len()).sum();
        let micro_batches = preparation.micro_batches(computed, &seen, false);
        MiniBatch { micro_batches, seen, tokens, alpha: 1.0, update: UpdatePass::default() }
    }

    #[test]
    fn rows_without_advantage_are_not_computed_and_the_gradient_is_that_of_all_rows() {
        let settings = settings("");
        let (policy, objective) = (policy(), &settings.objective);
        let preparation = Preparation::new(&settings, objective, &policy, None);
        let all = groups([[0.7, 0.0, -1.1], [0.0, 0.0, 0.0]]);
        let computed = preparation.differentiated(all.clone());
        let rows: Vec<usize> = computed.iter().map(|group| group.rows.len()).collect();
        assert_eq!(rows, [2], "one group is silent, one row of the other");

        let of = |computed: &[TrainingGroup]| {
            let mut batch = mini_batch(&preparation, computed, &all);
            let (metrics, gradients) =
                batch.differentiate(&policy, objective, 0.8, 0, 1.0).unwrap();
            (metrics, gradients.by_name())
        };
        let ((part, few), (whole, every)) = (of(&computed), of(&all));
        assert_eq!(few.keys().collect::<Vec<_>>(), every.keys().collect::<Vec<_>>());
        for (name, gradient) in &few {
            let distance = (gradient.clone() - every[name].clone()).abs().max().into_scalar();
            assert!(distance < 1e-6, "{name} is off by {distance}");
        }
        assert!((part.loss - whole.loss).abs() < 1e-6);
        assert!((part.policy_loss - whole.policy_loss).abs() < 1e-6);
    }

    #[test]
    fn a_step_without_any_advantage_has_a_gradient_of_zero_for_all_that_is_trained() {
        let settings = settings("");
        let (policy, objective) = (policy(), &settings.objective);
        let preparation = Preparation::new(&settings, objective, &policy, None);
        let all = groups([[0.0; 3]; 2]);
        let mut batch = mini_batch(&preparation, &preparation.differentiated(all.clone()), &all);
        let (metrics, gradients) = batch.differentiate(&policy, objective, 0.8, 0, 1.0).unwrap();
        assert!(batch.micro_batches.is_empty() && metrics.entropy.is_nan());
        assert_eq!(gradients.norm().unwrap(), (0.0, None));
        assert_eq!(gradients.by_name().len(), policy.parameters().len());
    }

    #[test]
    fn what_pulls_on_every_row_keeps_every_row() {
        for keys in [
            "use_kl_loss: true\nkl_loss_coef: 0.1\n",
            "entropy_loss_coef: 0.01\n",
            "policy_loss: kimi15\n",
        ] {
            let settings = settings(keys);
            let policy = policy();
            let preparation = Preparation::new(&settings, &settings.objective, &policy, None);
            assert_eq!(preparation.differentiated(groups([[0.0; 3]; 2])).len(), 2, "{keys}");
        }
    }

    #[test]
    fn groups_that_do_not_divide_still_make_as_many_mini_batches_as_asked() {
        assert_eq!(shares(5, 4).collect::<Vec<_>>(), [0..1, 1..2, 2..3, 3..5]);
        assert_eq!(shares(64, 2).collect::<Vec<_>>(), [0..32, 32..64]);
    }
}
