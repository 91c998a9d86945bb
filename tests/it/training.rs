//! The training loop: what may change a gradient and what may not, what is kept, that it learns.

use std::path::Path;

use wgrpo::advantage::{
    AdvantageEstimator, Estimator, Grpo, McGrpo, PostProcessing, RewardShaping,
};
use wgrpo::data::{Problem, Prompt as Question};
use wgrpo::kernel::group_rule::Scale;
use wgrpo::loss::{
    Aggregation, ClippedSurrogate, KlCoefficient, KlEstimator, KlTerm, LossMetrics, Objective,
    PolicyLoss,
};
use wgrpo::model::{
    Decoder, ModelConfig, PackedCompletions, PromptGroup, Reference, TensorFile, WeightStorage,
};
use wgrpo::reward::{Completion, Reward, Rewards};
use wgrpo::rollout::{Generator, Sampling};
use wgrpo::text::Tokenizer;
use wgrpo::train::{
    CheckpointState, Diagnostics, MicroBatch, OptimizerConfig, PreparedProblems, ReferenceRefresh,
    SampleFilters, Schedule, Selection, StepReport, TrainConfig, TrainError, TrainSettings,
    Trainer, TrainingGroup, TrainingRow, denominators, micro_batches, reward_batch,
};

use crate::support::{
    Cpu, Training, device, distance, floats, gradients, named_values, open, token_ids, values,
};

const ALPHABET: &str = "abcdefgh=";

/// The share of the longest length that is the letter `a`, times a factor.
struct LetterA(f64);

impl Reward for LetterA {
    fn name(&self) -> &'static str {
        "letter_a"
    }

    fn score(&self, _: &Problem, completion: &Completion) -> Option<f64> {
        let count = completion.text.matches('a').count();
        Some(self.0 * count as f64 / completion.max_tokens as f64)
    }
}

fn tokenizer() -> Tokenizer {
    Tokenizer::characters(ALPHABET).unwrap()
}

fn model_config() -> ModelConfig {
    let json = serde_json::json!({
        "vocab_size": 12, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": true,
    });
    serde_json::from_value(json).unwrap()
}

fn fresh_policy(seed: u64) -> Decoder<Training> {
    Decoder::initialise(&model_config(), seed, &device()).unwrap()
}

fn problems() -> PreparedProblems {
    let letters: Vec<char> = ALPHABET.chars().collect();
    let problem = |id: usize| Problem {
        id: id as u64,
        // Prompts of one to four letters.
        prompt: Question::Text(letters[id % 8..].iter().take(1 + id % 4).collect()),
        answer: None,
        columns: Default::default(),
    };
    PreparedProblems::new("training", (0..24).map(problem).collect(), &tokenizer(), 8).unwrap()
}

fn training() -> TrainConfig {
    TrainConfig {
        seed: 1,
        max_steps: 40,
        rollout_batch_size: 6,
        num_return_sequences_in_group: 8,
        ppo_epochs: 1,
        mini_batches: 1,
        reference_refresh: ReferenceRefresh::default(),
        optimizer: OptimizerConfig { learning_rate: 3e-3, ..OptimizerConfig::default() },
        diagnostics: Diagnostics::default(),
    }
}

fn settings() -> TrainSettings {
    TrainSettings {
        training: training(),
        generator: Generator {
            sampling: Sampling::default(),
            response_length: 6,
            eos_ids: vec![2],
            cache_tokens: 10_000,
        },
        selection: Selection::default(),
        shaping: RewardShaping::default(),
        filters: SampleFilters::default(),
        estimator: Estimator::Grpo(Grpo::default()),
        post: PostProcessing::default(),
        kl_penalty: None,
        kl_coefficient: KlCoefficient::default(),
        objective: Objective::default(),
        micro_batch_tokens: 10_000,
        reference_storage: WeightStorage::F32,
    }
}

fn with_kl(kl_loss_coef: f64) -> Objective {
    let kl = KlTerm { kl_loss_type: KlEstimator::K3, kl_loss_coef };
    Objective { kl: Some(kl), ..Objective::default() }
}

fn trainer_of(settings: TrainSettings, policy: Decoder<Training>, factor: f64) -> Trainer<Cpu> {
    let mut rewards =
        Rewards::new(&[serde_json::from_str(r#"{"kind":"length","max":6}"#).unwrap()]).unwrap();
    rewards.push(1.0, Box::new(LetterA(factor))).unwrap();
    Trainer::new(settings, policy, tokenizer(), problems(), rewards)
}

fn trainer(settings: TrainSettings) -> Trainer<Cpu> {
    trainer_of(settings, fresh_policy(1), 1.0)
}

fn steps(trainer: &mut Trainer<Cpu>, count: usize) -> Vec<StepReport> {
    (0..count).map(|_| trainer.step().unwrap()).collect()
}

/// Everything a report says that is not a time.
fn facts(report: &StepReport) -> String {
    let completions = report.rollouts().flat_map(|group| &group.completions);
    format!(
        "{} {} {} {:?} {:?} {:?} {:?}",
        report.step,
        report.epoch,
        report.tokens_seen,
        completions.collect::<Vec<_>>(),
        report.advantages,
        report.update.outcomes,
        report.update.tokens,
    )
}

fn all_facts(reports: &[StepReport]) -> Vec<String> {
    reports.iter().map(facts).collect()
}

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
        let (tokens, weights_bt) = batch.tokens(policy, 0.8);
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
    let (tokens, weights_bt) = batch.tokens(&policy, 1.0);
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
    let (tokens, weights_bt) = batch.tokens(&policy, 1.0);
    let loss = Objective::default().loss(&tokens, weights_bt).loss;
    // The head is the embedding (tied), the first parameter: the rows of EOS and of the other token
    // must be pulled apart.
    let embedding = &gradients(&policy, loss)[0];
    let row = |id: usize| &embedding[id * 32..(id + 1) * 32];
    assert!(row(2).iter().any(|g| g.abs() > 1e-4));
    let opposed = row(2).iter().zip(row(7)).filter(|(a, b)| **a * **b < 0.0).count();
    assert!(opposed >= 30, "{opposed} of 32");
}

/// Losses of two passes over the rollouts of one step, under bounds of 1 ± `clip`.
fn two_passes(clip: f64) -> [LossMetrics; 2] {
    let policy_loss = PolicyLoss::ClippedSurrogate(ClippedSurrogate {
        pg_clip_low: clip,
        pg_clip_high: clip,
        ..ClippedSurrogate::default()
    });
    let objective = Objective { policy_loss, ..Objective::default() };
    let training = TrainConfig { ppo_epochs: 2, ..training() };
    let settings = TrainSettings { training, objective, ..settings() };
    let report = trainer(settings).step().unwrap();
    let losses: Vec<LossMetrics> = report.update.outcomes.iter().map(|(loss, _)| *loss).collect();
    losses.try_into().expect("two passes are two optimiser steps")
}

#[test]
fn a_second_pass_over_the_same_rollouts_sees_ratios_away_from_one() {
    let [first, second] = two_passes(0.01);
    assert_eq!(first.clip_region(), 0.0, "before the first pass every ratio is exactly 1");
    assert!(second.clip_region() > 0.05, "clipped: {}", second.clip_region());
    // Unclipped, the second loss says what the first pass has won.
    let [first, second] = two_passes(100.0);
    assert_eq!(second.clip_region(), 0.0);
    let won = first.policy_loss - second.policy_loss;
    assert!(won > 1e-3, "the first pass won {won}");
}

#[test]
fn mini_batches_each_take_an_optimiser_step_of_their_own() {
    let training = TrainConfig { mini_batches: 3, ppo_epochs: 2, ..training() };
    let settings = TrainSettings { training, ..settings() };
    let report = trainer(settings).step().unwrap();
    assert_eq!(report.update.outcomes.len(), 6);
}

#[test]
fn the_divergence_from_the_reference_is_zero_at_first_and_grows() {
    let mut trainer = trainer(TrainSettings { objective: with_kl(0.01), ..settings() });
    let kls: Vec<f64> =
        steps(&mut trainer, 5).iter().map(|report| report.update.outcomes[0].0.kl).collect();
    assert_eq!(kls[0], 0.0);
    assert!(kls[1..].iter().all(|kl| *kl > 0.0), "{kls:?}");
    assert!(kls[4] > 1e-4, "{kls:?}");
}

#[test]
fn a_strong_leash_keeps_the_policy_near_its_reference() {
    let kl_after = |coef| {
        let mut trainer = trainer(TrainSettings { objective: with_kl(coef), ..settings() });
        steps(&mut trainer, 25)[24].update.outcomes[0].0.kl
    };
    let (free, held) = (kl_after(0.0), kl_after(3.0));
    assert!(held < 0.3 * free, "{held} against {free}");
}

#[test]
fn the_reward_rises_in_a_short_run() {
    for seed in [1, 2] {
        let training = TrainConfig { seed, ..training() };
        let reports = steps(&mut trainer(TrainSettings { training, ..settings() }), 40);
        let reward = |report: &StepReport| report.metrics().reward;
        let mean = |part: &[StepReport]| part.iter().map(reward).sum::<f64>() / part.len() as f64;
        let (first, last) = (mean(&reports[..5]), mean(&reports[35..]));
        assert!(last > first + 0.4, "seed {seed}: from {first} to {last}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run_bit_for_bit_and_another_seed_another() {
    let run = |seed| {
        let training = TrainConfig { seed, ppo_epochs: 2, ..training() };
        let settings = TrainSettings { training, objective: with_kl(0.01), ..settings() };
        let mut trainer = trainer(settings);
        (all_facts(&steps(&mut trainer, 4)), values(&trainer.policy()))
    };
    let (first, again, other) = (run(1), run(1), run(2));
    assert_eq!(first.0, again.0);
    assert!(first.1 == again.1, "the weights differ");
    assert_ne!(first.0, other.0);
    assert!(first.1 != other.1);
}

/// Loss and gradient norm of the first step, its advantages computed on the host in f64.
fn step_in_f64(report: &StepReport, settings: &TrainSettings) -> (f64, f64) {
    let scored = report.groups().map(|group| &group.scored);
    let batch = reward_batch(scored, vec![1.0; 2], settings.training.seed);
    let estimates = settings.estimator.estimate(&batch).unwrap();
    let (advantages, _) = settings.post.apply(estimates, &batch);
    let pairs = report.rollouts().zip(&advantages);
    let groups: Vec<TrainingGroup> =
        pairs.map(|(rollouts, of)| TrainingGroup::new(rollouts, of, None)).collect();
    let step = denominators(&groups, settings.generator.response_length);
    let aggregation = settings.objective.loss_agg_mode;
    let batch = MicroBatch::<Cpu>::new(&groups, aggregation, &step, &device());
    let policy = fresh_policy(1);
    let (tokens, weights_bt) = batch.tokens(&policy, settings.generator.sampling.temperature);
    let loss = settings.objective.loss(&tokens, weights_bt).loss;
    let gradient = gradients(&policy, loss.clone());
    let squares: f64 = gradient.iter().flatten().map(|&g| f64::from(g) * f64::from(g)).sum();
    (floats(loss)[0].into(), squares.sqrt())
}

#[test]
fn a_step_with_the_group_kernels_is_the_step_with_the_f64_estimator() {
    let mad = McGrpo { scale: Scale::Mad, ..McGrpo::default() };
    let whitened = PostProcessing { whiten_advantages: true, advantage_clip: Some(1.5) };
    for (estimator, post) in [
        (Estimator::default(), PostProcessing::default()),
        (Estimator::McGrpo(mad), PostProcessing::default()),
        (Estimator::default(), whitened),
    ] {
        assert!(estimator.group_rule().is_some());
        let settings = TrainSettings { estimator, post, ..settings() };
        let report = trainer(settings.clone()).step().unwrap();
        let (metrics, outcome) = report.update.outcomes[0];
        let (loss, norm) = step_in_f64(&report, &settings);
        assert!((metrics.loss - loss).abs() < 1e-6, "{} against {loss}", metrics.loss);
        assert!(norm > 0.0 && (outcome.grad_norm - norm).abs() < 1e-5 * norm, "{norm}");
    }
}

fn resumable() -> TrainSettings {
    let optimizer = OptimizerConfig {
        schedule: Schedule::Cosine,
        warmup_steps: 4,
        weight_decay: 0.1,
        ..training().optimizer
    };
    let training = TrainConfig { max_steps: 6, ppo_epochs: 2, optimizer, ..training() };
    TrainSettings { training, objective: with_kl(0.05), ..settings() }
}

fn restored(folder: &Path) -> Trainer<Cpu> {
    let state = CheckpointState::read(folder).unwrap().expect("a checkpoint was saved");
    // Another policy than the run began with: all that matters must come from the checkpoint.
    let mut trainer = trainer_of(resumable(), fresh_policy(77), 1.0);
    trainer.restore(folder, &state).unwrap();
    trainer
}

#[test]
fn a_run_that_is_stopped_and_resumed_goes_on_bit_for_bit() {
    let mut straight = trainer(resumable());
    let expected = all_facts(&steps(&mut straight, 6));

    for stop in [0, 3] {
        let folder = tempfile::tempdir().unwrap();
        let mut first = trainer(resumable());
        steps(&mut first, stop);
        first.save(folder.path(), Some(0.25)).unwrap();
        let state = CheckpointState::read(folder.path()).unwrap().unwrap();
        assert_eq!((state.step, state.accuracy_before), (stop as u64, Some(0.25)));

        let mut second = restored(folder.path());
        assert_eq!(second.steps_done(), stop as u64);
        assert_eq!(all_facts(&steps(&mut second, 6 - stop)), expected[stop..]);
        assert!(values(&second.policy()) == values(&straight.policy()), "the weights differ");
    }
}

/// Names that are frozen in turn: the embedding (which is the head, too), and every norm.
const FROZEN: [&str; 2] = ["embed_tokens", "norm"];

/// A run with a moving reference whose parameters with `part` in their names are frozen.
fn partly_frozen(seed: u64, part: &str) -> Trainer<Cpu> {
    let reference_refresh = ReferenceRefresh::MovingAverage { every_steps: 2, mixup_alpha: 0.3 };
    let policy = fresh_policy(seed).freeze(|name| name.contains(part));
    let mut settings = resumable();
    settings.training.reference_refresh = reference_refresh;
    trainer_of(settings, policy, 1.0)
}

fn names_in(file: &Path) -> Vec<String> {
    TensorFile::open(file).unwrap().names().map(str::to_owned).collect()
}

#[test]
fn frozen_parameters_stay_to_the_last_bit_while_all_others_learn() {
    for part in FROZEN {
        let before = named_values(&fresh_policy(1));
        let mut trainer = partly_frozen(1, part);
        steps(&mut trainer, 4);
        let after = named_values(&trainer.policy());
        assert_eq!(after.len(), before.len());
        for (name, values) in &before {
            let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            let unchanged = bits(&after[name]) == bits(values);
            assert_eq!(unchanged, name.contains(part), "{part} frozen: {name}");
        }
    }
}

#[test]
fn a_checkpoint_holds_no_moments_and_no_reference_of_what_is_frozen() {
    for part in FROZEN {
        let folder = tempfile::tempdir().unwrap();
        let mut trainer = partly_frozen(1, part);
        steps(&mut trainer, 2);
        trainer.save(folder.path(), None).unwrap();
        let all: Vec<String> = model_config().parameters().into_iter().map(|(n, _)| n).collect();
        let trained = || all.iter().filter(|name| !name.contains(part));
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        let moments =
            trained().flat_map(|name| [format!("first.{name}"), format!("second.{name}")]);
        let in_file = |name| names_in(&folder.path().join(name));
        assert_eq!(in_file("optimizer.safetensors"), sorted(moments.collect()), "{part}");
        assert_eq!(in_file("reference.safetensors"), sorted(trained().cloned().collect()));
        assert_eq!(in_file("policy.safetensors"), sorted(all.clone()));
    }
}

#[test]
fn a_run_with_frozen_parameters_is_resumed_bit_for_bit() {
    for part in FROZEN {
        let mut straight = partly_frozen(1, part);
        let expected = all_facts(&steps(&mut straight, 6));
        let folder = tempfile::tempdir().unwrap();
        let mut first = partly_frozen(1, part);
        steps(&mut first, 3);
        first.save(folder.path(), None).unwrap();
        let state = CheckpointState::read(folder.path()).unwrap().unwrap();
        let mut second = partly_frozen(77, part);
        second.restore(folder.path(), &state).unwrap();
        assert_eq!(all_facts(&steps(&mut second, 3)), expected[3..], "{part}");
        assert!(values(&second.policy()) == values(&straight.policy()), "{part}");
    }
}

#[test]
fn a_checkpoint_of_other_trainable_parameters_is_refused_and_says_which() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = partly_frozen(1, "embed_tokens");
    steps(&mut first, 2);
    first.save(folder.path(), None).unwrap();
    let state = CheckpointState::read(folder.path()).unwrap().unwrap();
    let refusal =
        |part| partly_frozen(1, part).restore(folder.path(), &state).unwrap_err().to_string();
    let message = refusal("nothing at all");
    for part in ["reference.safetensors", "it lacks model.embed_tokens.weight;"] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
    let message = refusal("o_proj");
    for part in ["lacks model.embed_tokens.weight", "it has model.layers.0.self_attn.o_proj.weight"]
    {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
}

#[test]
fn a_folder_without_a_whole_checkpoint_holds_none() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(CheckpointState::read(folder.path()).unwrap(), None);
    trainer(settings()).save(folder.path(), None).unwrap();
    std::fs::remove_file(folder.path().join("state.json")).unwrap();
    assert_eq!(CheckpointState::read(folder.path()).unwrap(), None);
    std::fs::write(folder.path().join("state.json"), "{").unwrap();
    let error = CheckpointState::read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("state.json"), "{error}");
}

#[test]
fn a_gradient_that_is_not_finite_changes_nothing() {
    let before = values(&fresh_policy(1));
    // Rewards and a factor on the loss that f32 holds, and whose product it does not.
    let estimator = Estimator::DrGrpo(Default::default());
    let objective = Objective { rl_loss_coef: 1e30, ..Objective::default() };
    let settings = TrainSettings { estimator, objective, ..settings() };
    let mut trainer = trainer_of(settings, fresh_policy(1), 1e30);
    let error = trainer.step().unwrap_err();
    assert!(matches!(error, TrainError::NotFinite { step: 1, .. }), "{error}");
    assert!(values(&trainer.policy()) == before, "the weights changed");
    assert_eq!(trainer.steps_done(), 0);
}

#[test]
fn a_median_estimator_draws_one_rollout_more_than_it_trains() {
    let estimator = Estimator::McGrpo(McGrpo::default());
    let report = trainer(TrainSettings { estimator, ..settings() }).step().unwrap();
    let lengths = |kept: bool| -> usize {
        let rows = report
            .groups()
            .flat_map(|group| group.scored.rollout.completions.iter().zip(&group.advantages.kept));
        rows.filter(|(_, k)| **k == kept).map(|(completion, _)| completion.ids.len()).sum()
    };
    assert!(report.rollouts().all(|group| group.completions.len() == 9));
    assert!(
        report.groups().map(|group| &group.advantages).all(|of| of
            .kept
            .iter()
            .filter(|kept| !**kept)
            .count()
            == 1)
    );
    assert!(lengths(false) > 0);
    assert_eq!(report.update.tokens, lengths(true));
}

#[test]
fn a_prompt_of_megabytes_is_left_out_before_it_is_tokenised() {
    let tokenizer = Tokenizer::characters(ALPHABET).unwrap();
    let problem = |id, prompt: String| Problem {
        id,
        prompt: Question::Text(prompt),
        answer: None,
        columns: serde_json::Map::new(),
    };
    // Foreign letters, which would be an error if anyone looked at them.
    let problems = vec![problem(0, "a=".into()), problem(1, "?".repeat(2 << 20))];
    let prepared = PreparedProblems::new("training", problems, &tokenizer, usize::MAX).unwrap();
    assert_eq!((prepared.len(), prepared.left_out()), (1, 1));
}
