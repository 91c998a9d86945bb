//! The factor on the loss that f16 needs, which f32 must not notice.

use wgrpo::advantage::{DrGrpo, Estimator};
use wgrpo::train::{CheckpointState, LossScale, TrainConfig, TrainSettings};

use super::{all_facts, fresh_policy, settings, steps, trainer, trainer_of, training};
use crate::support::values;

fn scaled() -> TrainSettings {
    TrainSettings { scales_loss: true, ..settings() }
}

#[test]
fn a_factor_on_the_loss_changes_no_bit_in_f32() {
    let (mut with, mut without) = (trainer(scaled()), trainer(settings()));
    assert_eq!(all_facts(&steps(&mut with, 3)), all_facts(&steps(&mut without, 3)));
    assert!(values(&with.policy()) == values(&without.policy()), "the weights differ");
}

/// Advantages so large that squares of gradients overflow with the factor and not without.
fn overflowing() -> TrainSettings {
    let estimator = Estimator::DrGrpo(DrGrpo::default());
    let training = TrainConfig { mini_batches: 2, ..training() };
    TrainSettings { estimator, training, ..scaled() }
}

#[test]
fn steps_that_overflow_are_left_out_and_counted_until_the_factor_is_small_enough() {
    let mut trainer = trainer_of(overflowing(), fresh_policy(1), 1e17);
    let before = values(&trainer.policy());
    let first = trainer.step().unwrap();
    assert!(first.update.outcomes.is_empty());
    assert_eq!(first.loss_scale.map(|loss| (loss.scale, loss.overflown)), Some((16_384.0, 2)));
    assert!(values(&trainer.policy()) == before, "an overflown step changed the policy");
    let metrics = first.metrics();
    assert_eq!(metrics.extra["loss_scale/overflown_steps"], 2.0);
    assert_eq!(metrics.extra["loss_scale/scale"], 16_384.0);

    let later = steps(&mut trainer, 8);
    let last = later.last().unwrap();
    assert!(!last.update.outcomes.is_empty(), "{:?}", last.loss_scale);
    assert!(last.update.outcomes.iter().all(|(_, outcome)| outcome.grad_norm.is_finite()));
    assert!(values(&trainer.policy()) != before);
}

#[test]
fn the_factor_goes_on_where_it_stood() {
    let folder = tempfile::tempdir().unwrap();
    let mut straight = trainer_of(overflowing(), fresh_policy(1), 1e17);
    let expected = all_facts(&steps(&mut straight, 6));
    let mut first = trainer_of(overflowing(), fresh_policy(1), 1e17);
    steps(&mut first, 2);
    first.save(folder.path(), None).unwrap();
    let state = CheckpointState::read(folder.path()).unwrap().unwrap();
    assert_eq!(state.loss_scale.map(|loss| loss.overflown), Some(4));
    let mut second = trainer_of(overflowing(), fresh_policy(1), 1e17);
    second.restore(folder.path(), &state).unwrap();
    assert_eq!(all_facts(&steps(&mut second, 4)), expected[2..]);
}

#[test]
fn a_factor_that_no_run_came_to_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = trainer(scaled());
    steps(&mut trainer, 1);
    trainer.save(folder.path(), None).unwrap();
    let path = folder.path().join("state.json");
    let text = std::fs::read_to_string(&path).unwrap();
    for scale in ["0.0", "3.0", "-65536.0", "1e30"] {
        let broken = text.replace("\"scale\": 65536.0", &format!("\"scale\": {scale}"));
        assert_ne!(broken, text);
        std::fs::write(&path, broken).unwrap();
        assert!(CheckpointState::read(folder.path()).is_err(), "{scale}");
    }
    let LossScale { scale, .. } = LossScale::default();
    assert_eq!(scale, 65_536.0);
}
