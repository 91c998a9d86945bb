//! Steps of training: passes, the leash of the reference, what is learned and what is left out.

use wgrpo::advantage::{AdvantageEstimator, Estimator, McGrpo, PostProcessing};
use wgrpo::data::{Problem, Prompt as Question};
use wgrpo::kernel::group_rule::Scale;
use wgrpo::loss::{ClippedSurrogate, LossMetrics, Objective, PolicyLoss};
use wgrpo::text::Tokenizer;
use wgrpo::train::{
    MicroBatch, PreparedProblems, StepReport, TrainConfig, TrainError, TrainSettings,
    TrainingGroup, denominators, reward_batch,
};

use super::{
    ALPHABET, all_facts, fresh_policy, settings, steps, trainer, trainer_of, training, with_kl,
};
use crate::support::{Cpu, device, floats, gradients, values};

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
    let (tokens, weights_bt) = batch.tokens(
        &policy,
        &batch.pass(&policy, Default::default()),
        settings.generator.sampling.temperature,
    );
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
        let (metrics, outcome) = &report.update.outcomes[0];
        let (loss, norm) = step_in_f64(&report, &settings);
        assert!((metrics.loss - loss).abs() < 1e-6, "{} against {loss}", metrics.loss);
        assert!(norm > 0.0 && (outcome.grad_norm - norm).abs() < 1e-5 * norm, "{norm}");
    }
}

#[test]
fn a_gradient_that_is_not_finite_changes_nothing_and_the_third_on_end_ends_the_run() {
    let before = values(&fresh_policy(1));
    // Rewards and a factor on the loss that f32 holds, and whose product it does not.
    let estimator = Estimator::DrGrpo(Default::default());
    let objective = Objective { rl_loss_coef: 1e30, ..Objective::default() };
    let settings = TrainSettings { estimator, objective, ..settings() };
    let mut trainer = trainer_of(settings, fresh_policy(1), 1e30);
    for step in 1..=2 {
        let metrics = trainer.step().unwrap().metrics();
        assert_eq!((metrics.step, metrics.skipped), (step, true));
        assert_eq!(metrics.extra["update/not_finite"], 1.0);
    }
    let error = trainer.step().unwrap_err();
    let TrainError::NotFinite { step: 3, count: 3, tensor, batch } = &error else {
        panic!("{error}")
    };
    // The head, which is the embedding, is the last to be used, so that no gradient on the way back is finite either.
    assert_eq!(tensor, "model.embed_tokens.weight");
    let first = &batch[0]["completions"][0];
    assert!(first["ids"].is_array() && first["reward"].is_number(), "{batch}");
    assert!(values(&trainer.policy()) == before, "the weights changed");
    assert_eq!(trainer.steps_done(), 2);
}

#[test]
fn a_median_estimator_draws_one_rollout_more_than_it_trains() {
    // Under a leash rows without advantage are trained, too.
    let (estimator, objective) = (Estimator::McGrpo(McGrpo::default()), with_kl(0.1));
    let report = trainer(TrainSettings { estimator, objective, ..settings() }).step().unwrap();
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
