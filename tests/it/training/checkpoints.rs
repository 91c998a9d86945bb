//! Runs that stop and go on bit for bit, with all or some of their parameters trained.

use std::path::Path;

use wgrpo::model::TensorFile;
use wgrpo::train::{
    CheckpointState, OptimizerConfig, ReferenceRefresh, Schedule, TrainConfig, TrainSettings,
    Trainer,
};

use super::{
    all_facts, fresh_policy, model_config, settings, steps, trainer, trainer_of, training, with_kl,
};
use crate::support::{Cpu, named_values, values};

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
