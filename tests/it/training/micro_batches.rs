//! What may change a gradient and what may not: budgets of tokens, masks, the end of a completion.

use wgrpo::loss::{Aggregation, Objective};
use wgrpo::model::{Decoder, PackedCompletions, PromptGroup, Reference};
use wgrpo::train::{
    MicroBatch, OptimizerConfig, TrainConfig, TrainSettings, TrainingGroup, TrainingRow,
    denominators, micro_batches,
};

use super::{fresh_policy, settings, steps, trainer, training, with_kl};
use crate::support::{Cpu, Training, device, distance, floats, gradients, open, token_ids, values};

/// Groups with advantages for a fixture's vocabulary: prompts and completions of every length.
struct Rows {
    groups: Vec<(Vec<u32>, Vec<Vec<u32>>)>,
}

impl Rows {
    fn new(vocabulary: usize) -> Self {
        let sizes: [(usize, &[usize]); 3] = [(20, &[1, 3, 12]), (3, &[2, 9]), (6, &[5, 5, 7, 22])];
        let group = |(g, (prompt, rows)): (usize, &(usize, &[usize]))| {
            let ids = |i: usize, count| token_ids((50 * g + i) as u64, count, vocabulary);
            (ids(0, *prompt), rows.iter().enumerate().map(|(i, n)| ids(i + 1, *n)).collect())
        };
        Self { groups: sizes.iter().enumerate().map(group).collect() }
    }

    fn training_groups(&self) -> Vec<TrainingGroup<'_>> {
        let row = |(at, completion): (usize, _)| TrainingRow::new(at, completion, at as f64 - 1.2);
        let groups = self.groups.iter().map(|(prompt, rows)| TrainingGroup {
            prompt,
            rows: rows.iter().map(Vec::as_slice).enumerate().map(row).collect(),
        });
        groups.collect()
    }
}

/// The gradient of a step under a token budget, and how many micro-batches it took.
fn gradient_under(
    budget: usize,
    objective: &Objective,
    policy: &Decoder<Training>,
    reference: &Reference<Cpu>,
) -> (Vec<Vec<f32>>, usize) {
    let rows = Rows::new(64);
    let groups = rows.training_groups();
    let step = denominators(&groups, 30);
    let pieces = micro_batches(&groups, budget);
    let count = pieces.len();
    let mut sum: Vec<Vec<f32>> = Vec::new();
    for piece in pieces {
        let batch = MicroBatch::<Cpu>::new(&piece, objective.loss_agg_mode, &step, &device())
            .with_reference(reference, 0.8);
        let (tokens, weights_bt) =
            batch.tokens(policy, &batch.pass(policy, Default::default()), 0.8);
        let gradient = gradients(policy, objective.loss(&tokens, weights_bt).loss);
        if sum.is_empty() {
            sum = gradient;
            continue;
        }
        for (sum, part) in sum.iter_mut().flatten().zip(gradient.iter().flatten()) {
            *sum += part;
        }
    }
    (sum, count)
}

#[test]
fn the_token_budget_of_a_micro_batch_never_changes_the_gradient() {
    let (_, policy) = open::<Training>("llama");
    let (_, other) = open::<Cpu>("qwen3");
    let reference = Reference::new(other);
    for loss_agg_mode in [
        Aggregation::TokenMean,
        Aggregation::SeqMeanTokenSum,
        Aggregation::SeqMeanTokenMean,
        Aggregation::SeqMeanTokenSumNorm,
        Aggregation::DrGrpo,
    ] {
        let objective = Objective { loss_agg_mode, entropy_loss_coef: 0.05, ..with_kl(0.02) };
        let (whole, one) = gradient_under(10_000, &objective, &policy, &reference);
        assert_eq!(one, 1);
        for budget in [1, 25, 60] {
            let (pieces, count) = gradient_under(budget, &objective, &policy, &reference);
            assert!(count > 1);
            let apart = distance(&pieces, &whole);
            assert!(apart < 2e-6, "{loss_agg_mode:?}, {budget} tokens: {apart:e} apart");
        }
    }
}

#[test]
fn the_token_budget_of_a_micro_batch_never_changes_the_updated_weights() {
    let run = |micro_batch_tokens| {
        // A large epsilon, for AdamW's first step would make the sign of a gradient that is mere
        // rounding into a whole learning rate.
        let optimizer =
            OptimizerConfig { learning_rate: 0.1, epsilon: 0.1, ..OptimizerConfig::default() };
        let training = TrainConfig { optimizer, ..training() };
        let settings =
            TrainSettings { micro_batch_tokens, training, objective: with_kl(0.1), ..settings() };
        let mut trainer = trainer(settings);
        let norms: Vec<f64> = steps(&mut trainer, 2)
            .iter()
            .flat_map(|report| report.update.outcomes.iter().map(|(_, outcome)| outcome.grad_norm))
            .collect();
        (values(&trainer.policy()), norms)
    };
    let (whole, norms) = run(10_000);
    let moved = distance(&whole, &values(&fresh_policy(1)));
    assert!(moved > 1e-3, "the steps moved the weights by {moved:e} only");
    for budget in [1, 40] {
        let (pieces, pieces_norms) = run(budget);
        let apart = distance(&pieces, &whole);
        assert!(apart < 1e-6, "{budget} tokens: {apart:e} apart");
        for (a, b) in pieces_norms.iter().zip(&norms) {
            assert!((a - b).abs() < 1e-5 * b, "norm {a} against {b}");
        }
    }
}

#[test]
fn the_mask_holds_every_eos_and_no_pad_even_where_they_are_one_id() {
    // 2 is EOS and pad at once: at the end of completions, inside one, and in the prompt.
    let completions: [&[u32]; 4] = [&[5, 6, 2], &[2], &[7, 2, 8, 9, 2], &[4, 4, 4]];
    let rows = completions.map(|completion| TrainingRow::new(0, completion, 1.0));
    let groups = [TrainingGroup { prompt: &[1, 2, 3], rows: rows.to_vec() }];
    let (_, policy) = open::<Training>("llama");
    let step = denominators(&groups, 8);
    let batch = MicroBatch::<Cpu>::new(&groups, Aggregation::TokenMean, &step, &device());
    let (tokens, weights_bt) = batch.tokens(&policy, &batch.pass(&policy, Default::default()), 1.0);
    let lengths = completions.map(<[u32]>::len);
    assert_eq!((step.tokens, step.sequences), (12.0, 4.0));

    let (mask, logps) = (floats(tokens.mask_bt()), floats(tokens.logps_bt()));
    assert_eq!(mask.len(), 4 * 5);
    let group = PromptGroup { prompt: &[1, 2, 3], completions: completions.to_vec() };
    let expected = policy.completion_logps(&PackedCompletions::new(&[group]), 1.0).logps;
    let mut expected = floats(expected).into_iter();
    for (row, length) in lengths.iter().enumerate() {
        for at in 0..5 {
            let inside = at < *length;
            assert_eq!(mask[row * 5 + at], f32::from(u8::from(inside)), "row {row}, token {at}");
            let logp = if inside { expected.next().unwrap() } else { 0.0 };
            assert_eq!(logps[row * 5 + at], logp, "row {row}, token {at}");
        }
    }
    let loss = Objective::default().loss(&tokens, weights_bt);
    assert!(gradients(&policy, loss.loss).iter().flatten().all(|gradient| gradient.is_finite()));
}

#[test]
fn stopping_is_trained() {
    // Rows that differ in nothing but their EOS: the better one must make it more probable.
    let rows = [TrainingRow::new(0, &[5, 2], 1.0), TrainingRow::new(1, &[5, 7], -1.0)];
    let groups = [TrainingGroup { prompt: &[1, 3], rows: rows.to_vec() }];
    let policy = fresh_policy(1);
    let step = denominators(&groups, 4);
    let batch = MicroBatch::<Cpu>::new(&groups, Aggregation::TokenMean, &step, &device());
    let (tokens, weights_bt) = batch.tokens(&policy, &batch.pass(&policy, Default::default()), 1.0);
    let loss = Objective::default().loss(&tokens, weights_bt).loss;
    // The head is the embedding (tied), the first parameter: the rows of EOS and of the other token
    // must be pulled apart.
    let embedding = &gradients(&policy, loss)[0];
    let row = |id: usize| &embedding[id * 32..(id + 1) * 32];
    assert!(row(2).iter().any(|g| g.abs() > 1e-4));
    let opposed = row(2).iter().zip(row(7)).filter(|(a, b)| **a * **b < 0.0).count();
    assert!(opposed >= 30, "{opposed} of 32");
}
