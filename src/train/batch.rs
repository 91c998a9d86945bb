//! Rows that are trained on, and their micro-batches.

use burn::backend::Autodiff;
use burn::tensor::{Tensor, backend::Backend};

use crate::advantage::{GroupAdvantages, TokenAdvantages};
use crate::kernel::{self, Kernels, TokenWeighting, Weight};
use crate::loss::{Aggregation, Denominators, TokenBatch};
use crate::model::{Decoder, PackedCompletions, PromptGroup, Reference, TrainingPass, UpdatePass};
use crate::readback;
use crate::rollout::RolloutGroup;

use super::advantages::ValuedGroup;
use super::exact_kl::{Distribution, exact_kls};

/// The rows of one group that reach the loss.
#[derive(Debug, Clone)]
pub struct TrainingGroup<'a> {
    /// Tokens of their prompt.
    pub prompt: &'a [u32],
    /// Completion and advantage of each row, shortest first.
    pub rows: Vec<TrainingRow<'a>>,
}

/// One completion and what it is worth.
#[derive(Debug, Clone, Copy)]
pub struct TrainingRow<'a> {
    /// Tokens, all of them inside the loss.
    pub completion: &'a [u32],
    /// Its advantage over its group.
    pub advantage: f64,
    /// Its tokens' own advantages, where they differ.
    pub token_advantages: Option<&'a [f64]>,
    /// The log-probabilities that its tokens were sampled with, in nats, where an earlier policy than
    /// that of the step did so.
    pub sampled_logps: Option<&'a [f32]>,
    /// Its place in the group that was generated.
    pub rollout: usize,
}

impl<'a> TrainingRow<'a> {
    /// A completion all of whose tokens are worth the same.
    pub fn new(rollout: usize, completion: &'a [u32], advantage: f64) -> Self {
        let (token_advantages, sampled_logps) = (None, None);
        Self { completion, advantage, token_advantages, sampled_logps, rollout }
    }
}

impl<'a> TrainingGroup<'a> {
    /// The rows of a rollout group that reach the loss, each with its advantage.
    pub fn new(
        group: &'a RolloutGroup,
        advantages: &GroupAdvantages,
        tokens: Option<&'a TokenAdvantages>,
    ) -> Self {
        let row = |rollout: usize| TrainingRow {
            token_advantages: tokens.map(|tokens| tokens.advantages[rollout].as_slice()),
            ..TrainingRow::new(
                rollout,
                &group.completions[rollout].ids,
                advantages.advantages[rollout],
            )
        };
        let kept = (0..group.completions.len()).filter(|rollout| advantages.kept[*rollout]);
        let mut rows: Vec<_> = kept.map(row).collect();
        // Rows of like length share a micro-batch, so the few padded [b, t] tensors stay small.
        rows.sort_by_key(|row| row.completion.len());
        Self { prompt: &group.prompt.ids, rows }
    }
}

impl TrainingRow<'_> {
    fn has_advantage(&self) -> bool {
        match self.token_advantages {
            Some(of_tokens) => of_tokens.iter().any(|advantage| *advantage != 0.0),
            None => self.advantage != 0.0,
        }
    }
}

impl TrainingGroup<'_> {
    /// Its rows that have an advantage, if any has.
    pub(super) fn with_advantage(&self) -> Option<Self> {
        let rows: Vec<_> = self.rows.iter().copied().filter(TrainingRow::has_advantage).collect();
        (!rows.is_empty()).then_some(Self { prompt: self.prompt, rows })
    }
}

impl ValuedGroup {
    /// Its rows that reach the loss.
    pub(super) fn training(&self) -> TrainingGroup<'_> {
        let rollout = &self.scored.rollout;
        let mut group = TrainingGroup::new(rollout, &self.advantages, self.tokens.as_ref());
        for row in group.rows.iter_mut().filter(|_| self.scored.is_carried) {
            row.sampled_logps = Some(&rollout.completions[row.rollout].logps);
        }
        group
    }
}

/// The denominators of an optimiser step over `groups`.
pub fn denominators(groups: &[TrainingGroup], response_length: usize) -> Denominators {
    let rows = groups.iter().flat_map(|group| &group.rows);
    let lengths: Vec<usize> = rows.map(|row| row.completion.len()).collect();
    Denominators::of_step(&lengths, response_length)
}

/// Cuts groups so that no piece computes more than `token_budget` tokens, or holds one row.
///
/// A cut inside a group repeats its prompt; nothing else changes, the gradient included.
pub fn micro_batches<'a>(
    groups: &[TrainingGroup<'a>],
    token_budget: usize,
) -> Vec<Vec<TrainingGroup<'a>>> {
    let mut batches: Vec<Vec<TrainingGroup>> = Vec::new();
    let mut current: Vec<TrainingGroup> = Vec::new();
    let mut room = token_budget;
    for group in groups {
        let mut rest = group.rows.as_slice();
        while !rest.is_empty() {
            let fitting = rows_that_fit(group.prompt.len(), rest, room);
            if fitting == 0 && !current.is_empty() {
                batches.push(std::mem::take(&mut current));
                room = token_budget;
                continue;
            }
            let (piece, later) = rest.split_at(fitting.max(1));
            current.push(TrainingGroup { prompt: group.prompt, rows: piece.to_vec() });
            room = room.saturating_sub(tokens_of(group.prompt.len(), piece));
            rest = later;
        }
    }
    batches.extend((!current.is_empty()).then_some(current));
    batches
}

/// How many of the first rows, their prompt included, are computed within `room` tokens.
fn rows_that_fit(prompt: usize, rows: &[TrainingRow], room: usize) -> usize {
    (1..=rows.len()).take_while(|count| tokens_of(prompt, &rows[..*count]) <= room).count()
}

fn tokens_of(prompt: usize, rows: &[TrainingRow]) -> usize {
    PackedCompletions::tokens_of(prompt, rows.iter().map(|row| row.completion.len()))
}

/// A micro-batch ready for any number of passes.
#[derive(Debug)]
pub struct MicroBatch<B: Backend> {
    packing: PackedCompletions,
    /// For each place of [b, t] the completion token that stands there; pads point at token 0.
    places_bt: Vec<u32>,
    mask_bt: Tensor<B, 2>,
    advantages_bt: Tensor<B, 2>,
    /// What each token's loss is multiplied by; 0 on pads.
    weights_bt: Tensor<B, 2>,
    old_logps_bt: Option<Tensor<B, 2>>,
    sampled: Option<Sampled<B>>,
    reference_logps_bt: Option<Tensor<B, 2>>,
    pub(super) reference_distribution: Option<Distribution<B>>,
}

/// What an earlier policy sampled some of the rows with.
#[derive(Debug)]
struct Sampled<B: Backend> {
    /// Log-probabilities, `[b, t]`; 0 in all other rows and on pads.
    logps_bt: Tensor<B, 2>,
    /// 1 in rows of an earlier policy, `[b, t]`.
    rows_bt: Tensor<B, 2>,
}

impl<B: Backend> Sampled<B> {
    /// What the rows of `groups` were sampled with, if an earlier policy sampled any.
    fn of(groups: &[TrainingGroup], [b, t]: [usize; 2], device: &B::Device) -> Option<Self> {
        let rows = || groups.iter().flat_map(|group| &group.rows);
        rows().find_map(|row| row.sampled_logps)?;
        let padded = |row: &TrainingRow| {
            let mut logps = row.sampled_logps.map_or(Vec::new(), <[f32]>::to_vec);
            logps.resize(t, 0.0);
            logps
        };
        let is_sampled = |row: &TrainingRow| [f32::from(row.sampled_logps.is_some())].repeat(t);
        Some(Self {
            logps_bt: on_device(rows().flat_map(padded).collect(), b, device),
            rows_bt: on_device(rows().flat_map(is_sampled).collect(), b, device),
        })
    }

    /// Log-probabilities of the policy that sampled each row, where `of_step_bt` are those of the
    /// policy that the step began with.
    fn beside(&self, of_step_bt: Tensor<B, 2>) -> Tensor<B, 2> {
        let is_sampled_bt = self.rows_bt.clone().equal_elem(1.0);
        of_step_bt.mask_where(is_sampled_bt, self.logps_bt.clone())
    }
}

impl<B: Kernels> MicroBatch<B> {
    /// Lays out the rows of `groups`, weighed by the denominators of their whole optimiser step.
    pub fn new(
        groups: &[TrainingGroup],
        aggregation: Aggregation,
        step: &Denominators,
        device: &B::Device,
    ) -> Self {
        let packing = packing(groups);
        let (places_bt, mask) = layout(&packing.row_lengths);
        let b = packing.row_lengths.len();
        let t = places_bt.len() / b.max(1);
        let advantages = on_device(advantages(groups, t), b, device);
        let weighting = weighting(aggregation, &packing.row_lengths, step);
        let lengths: Vec<u32> = packing.row_lengths.iter().map(|&length| length as u32).collect();
        let [weights_bt, advantages_bt] =
            kernel::token_weights(&advantages, &lengths, t, weighting);
        Self {
            packing,
            places_bt,
            mask_bt: on_device(mask, b, device),
            advantages_bt,
            weights_bt,
            old_logps_bt: None,
            sampled: Sampled::of(groups, [b, t], device),
            reference_logps_bt: None,
            reference_distribution: None,
        }
    }

    /// Remembers the policy's log-probabilities before the first of several optimiser passes.
    pub fn with_old_logps(mut self, policy: &Decoder<B>, temperature: f32) -> Self {
        let logps = policy.completion_logps(&self.packing, temperature).logps;
        self.old_logps_bt = Some(self.rows_of(logps));
        self
    }

    /// Adds the log-probabilities under the reference.
    pub fn with_reference(mut self, reference: &Reference<B>, temperature: f32) -> Self {
        let logps = reference.completion_logps(&self.packing, temperature);
        self.reference_logps_bt = Some(self.rows_of(logps));
        self
    }

    /// Adds what the exact KL to the reference needs, whose head `[v, d]` is given: its whole
    /// distribution at every completion token.
    pub fn with_reference_distribution(mut self, reference: &Decoder<B>, head: Weight<B>) -> Self {
        self.reference_distribution = Some(Distribution::of(reference, &self.packing, head));
        self
    }

    /// Spreads values per completion token `[n]` over rows `[b, t]`; pads repeat token 0.
    fn rows_of<A: Kernels>(&self, values: Tensor<A, 1>) -> Tensor<A, 2> {
        let b = self.packing.row_lengths.len();
        let values = kernel::gather_rows(&values.unsqueeze_dim(1), &self.places_bt);
        values.reshape([b, self.places_bt.len() / b.max(1)])
    }
}

impl<B: Kernels> MicroBatch<B> {
    /// The current policy's pass over the rows.
    pub fn pass(&self, policy: &Decoder<Autodiff<B>>, update: UpdatePass) -> TrainingPass<B> {
        policy.training_pass(&self.packing.packed, update)
    }

    /// What the loss looks at: the current policy's log-probabilities and all that goes with them,
    /// and the weight of each token `[b, t]`.
    pub fn tokens(
        &self,
        policy: &Decoder<Autodiff<B>>,
        pass: &TrainingPass<B>,
        temperature: f32,
    ) -> (TokenBatch<Autodiff<B>>, Tensor<Autodiff<B>, 2>) {
        let distribution = Distribution::after(pass.hidden(), &self.packing, policy.head());
        let [logps, entropies] = distribution.logps(&self.packing.targets, temperature);
        let logps_bt = self.rows_of(logps);
        let old_logps_bt = self.old_logps_bt(logps_bt.clone());
        let mut tokens = TokenBatch::new(
            logps_bt,
            Tensor::from_inner(self.advantages_bt.clone()),
            Tensor::from_inner(self.mask_bt.clone()),
        )
        .with_entropies(self.rows_of(entropies));
        if let Some(reference) = &self.reference_distribution {
            let kls = exact_kls(&distribution, &reference.with_gradients(), temperature);
            tokens = tokens.with_exact_kls(self.rows_of(kls));
        }
        if let Some(logps_bt) = old_logps_bt {
            tokens = tokens.with_old_logps(Tensor::from_inner(logps_bt));
        }
        if let Some(logps_bt) = &self.reference_logps_bt {
            tokens = tokens.with_reference_logps(Tensor::from_inner(logps_bt.clone()));
        }
        (tokens, Tensor::from_inner(self.weights_bt.clone()))
    }

    /// Remembers the log-probabilities of a first pass, which are those that later passes compare with.
    pub(super) fn keep_old_logps(&mut self, tokens: &TokenBatch<Autodiff<B>>) {
        self.old_logps_bt.get_or_insert_with(|| tokens.logps_bt().inner());
    }

    /// What the ratio compares with, beside the log-probabilities `[b, t]` of now; none where they are
    /// those of the policy that sampled all rows.
    fn old_logps_bt(&self, logps_bt: Tensor<Autodiff<B>, 2>) -> Option<Tensor<B, 2>> {
        let of_step_bt = self.old_logps_bt.clone();
        match &self.sampled {
            Some(sampled) => Some(sampled.beside(of_step_bt.unwrap_or_else(|| logps_bt.inner()))),
            None => of_step_bt,
        }
    }
}

/// Rows as the model takes them.
pub(super) fn packing(groups: &[TrainingGroup]) -> PackedCompletions {
    PackedCompletions::new(&groups.iter().map(prompt_group).collect::<Vec<_>>())
}

/// One advantage a row, or `t` a row where tokens have their own; pads have 0.
fn advantages(groups: &[TrainingGroup], t: usize) -> Vec<f32> {
    let rows = || groups.iter().flat_map(|group| &group.rows);
    if rows().all(|row| row.token_advantages.is_none()) {
        return rows().map(|row| row.advantage as f32).collect();
    }
    let of_row = |row: &TrainingRow| {
        let (own, whole) = (row.token_advantages.map(<[f64]>::to_vec), vec![row.advantage; t]);
        let mut advantages = own.unwrap_or(whole);
        advantages.resize(t, 0.0);
        advantages.into_iter().map(|advantage| advantage as f32).collect::<Vec<_>>()
    };
    rows().flat_map(of_row).collect()
}

/// What the tokens of rows weigh, which are all or a part of the rows of `step`.
fn weighting(
    aggregation: Aggregation,
    row_lengths: &[usize],
    step: &Denominators,
) -> TokenWeighting {
    let tokens = row_lengths.iter().sum::<usize>() as f64;
    assert!(tokens <= step.tokens, "{tokens} tokens are not of this step of {}", step.tokens);
    let (factor, per_row_length) = aggregation.token_weight(step);
    TokenWeighting { factor: factor as f32, per_row_length }
}

/// Values of `b` rows.
fn on_device<B: Backend>(values: Vec<f32>, b: usize, device: &B::Device) -> Tensor<B, 2> {
    let shape = [b, values.len() / b.max(1)];
    readback::upload(values, shape, device)
}

fn prompt_group<'a>(group: &TrainingGroup<'a>) -> PromptGroup<'a> {
    let completions = group.rows.iter().map(|row| row.completion).collect();
    PromptGroup { prompt: group.prompt, completions }
}

/// Places and mask of rows of the given lengths, both [b, t] for the longest t.
fn layout(row_lengths: &[usize]) -> (Vec<u32>, Vec<f32>) {
    let t = row_lengths.iter().copied().max().unwrap_or(0);
    let (mut places, mut mask) = (Vec::new(), Vec::new());
    let mut first = 0;
    for &length in row_lengths {
        places.extend((0..t).map(|at| if at < length { (first + at) as u32 } else { 0 }));
        mask.extend((0..t).map(|at| if at < length { 1.0 } else { 0.0 }));
        first += length;
    }
    (places, mask)
}

#[cfg(test)]
mod tests {
    use burn::backend::NdArray;

    use super::*;

    fn device() -> <NdArray as burn::tensor::backend::BackendTypes>::Device {
        Default::default()
    }

    fn floats(tensor: Tensor<NdArray, 2>) -> Vec<f32> {
        tensor.into_data().to_vec().unwrap()
    }

    fn group<'a>(prompt: &'a [u32], completions: &[&'a [u32]]) -> TrainingGroup<'a> {
        let row =
            |(rollout, completion): (usize, &&'a [u32])| TrainingRow::new(rollout, completion, 1.0);
        TrainingGroup { prompt, rows: completions.iter().enumerate().map(row).collect() }
    }

    #[test]
    fn the_ratio_of_a_carried_row_is_to_the_policy_that_sampled_it() {
        use crate::train::testing::policy;
        let mut groups = [group(&[3, 4], &[&[7, 2], &[5, 8, 2]])];
        groups[0].rows[1].sampled_logps = Some(&[-1.0, -2.5, -0.25]);
        let step = denominators(&groups, 4);
        let batch = MicroBatch::new(&groups, Aggregation::TokenMean, &step, &device());
        let now = policy();
        let ratios = |batch: &MicroBatch<NdArray>| {
            let (tokens, _) = batch.tokens(&now, &batch.pass(&now, UpdatePass::default()), 1.0);
            [tokens.log_ratios_bt(), tokens.logps_bt()].map(|bt| floats(bt.inner()))
        };
        let [log_ratios, logps] = ratios(&batch);
        assert_eq!(log_ratios[..3], [0.0; 3]);
        for (at, sampled) in [-1.0, -2.5, -0.25].into_iter().enumerate() {
            let right = logps[3 + at] - sampled;
            assert!(right != 0.0 && (log_ratios[3 + at] - right).abs() < 1e-6, "{log_ratios:?}");
        }
        // With several passes the fresh row is compared with the policy before the first of them.
        use burn::module::AutodiffModule;
        let [again, _] = ratios(&batch.with_old_logps(&now.valid(), 1.0));
        assert_eq!(again[3..], log_ratios[3..]);
        assert!(again[..3].iter().all(|log_ratio| log_ratio.abs() < 1e-6), "{again:?}");
    }

    #[test]
    fn the_mask_follows_lengths_and_never_token_ids() {
        let (places, mask) = layout(&[1, 3]);
        assert_eq!(places, [0, 0, 0, 1, 2, 3]);
        assert_eq!(mask, [1.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn tokens_with_advantages_of_their_own_are_padded_and_others_repeat_their_rows() {
        let mut groups = [group(&[1], &[&[9], &[9, 9]])];
        assert_eq!(advantages(&groups, 2), [1.0, 1.0]);
        groups[0].rows[1].token_advantages = Some(&[0.5, -0.5]);
        groups[0].rows[0].token_advantages = Some(&[2.0]);
        assert_eq!(advantages(&groups, 2), [2.0, 0.0, 0.5, -0.5]);
    }

    #[test]
    fn weights_of_the_kernel_are_those_of_the_aggregation() {
        use Aggregation::*;
        // Rows of 1 and 2 tokens in a step of 2 more rows with 5 tokens; L is 4.
        let groups = [group(&[1], &[&[9], &[9, 9]])];
        let step = Denominators::of_step(&[1, 2, 4, 1], 4).scaled(2.0);
        for (aggregation, weights) in [
            (TokenMean, [2.0 / 8.0; 2]),
            (SeqMeanTokenSum, [2.0 / 4.0; 2]),
            (SeqMeanTokenMean, [2.0 / 4.0, 2.0 / 8.0]),
            (SeqMeanTokenSumNorm, [2.0 / 4.0; 2]),
            (DrGrpo, [2.0 / 16.0; 2]),
        ] {
            let batch = MicroBatch::<NdArray>::new(&groups, aggregation, &step, &device());
            let weights = [weights[0], 0.0, weights[1], weights[1]].map(|weight| weight as f32);
            assert_eq!(floats(batch.weights_bt), weights, "{aggregation:?}");
            assert_eq!(floats(batch.advantages_bt), [1.0, 0.0, 1.0, 1.0]);
        }
    }

    #[test]
    fn a_row_without_loss_tokens_weighs_nothing_even_where_the_whole_step_has_none() {
        let step = Denominators::of_step(&[0, 0], 6);
        let weighting = weighting(Aggregation::TokenMean, &[0, 0], &step);
        assert_eq!(weighting.factor, f32::INFINITY);
        let advantages = on_device::<NdArray>(vec![1.0, 2.0], 2, &device());
        let [weights_bt, _] = kernel::token_weights(&advantages, &[0, 0], 3, weighting);
        assert_eq!(floats(weights_bt), [0.0; 6]);
    }

    #[test]
    #[should_panic(expected = "3 tokens are not of this step of 2")]
    fn rows_of_another_step_are_refused() {
        weighting(Aggregation::TokenMean, &[1, 2], &Denominators::of_step(&[2], 6));
    }

    #[test]
    fn micro_batches_keep_every_row_once_and_stay_within_the_budget() {
        let groups =
            [group(&[1, 2], &[&[3, 4, 5], &[3, 4, 5], &[3, 4, 5]]), group(&[1], &[&[9], &[9, 9]])];
        for budget in [1, 4, 6, 7, 100] {
            let batches = micro_batches(&groups, budget);
            let rows: usize = batches.iter().flatten().map(|piece| piece.rows.len()).sum();
            assert_eq!(rows, 5, "budget {budget}");
            for batch in &batches {
                let cost = |piece: &TrainingGroup| tokens_of(piece.prompt.len(), &piece.rows);
                let tokens: usize = batch.iter().map(cost).sum();
                let one_row = batch.len() == 1 && batch[0].rows.len() == 1;
                assert!(tokens <= budget || one_row, "budget {budget}: {tokens} tokens");
            }
        }
        assert_eq!(micro_batches(&groups, 100).len(), 1);
    }
}
