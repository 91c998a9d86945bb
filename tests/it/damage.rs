//! What happens to the files of a run behind its back: it is seen, said, and never gone on with.

use std::fs;
use std::path::{Path, PathBuf};

use crate::bad_input::contents;
use crate::command_line::assert_same_run;
use crate::program::{Scene, says};

const RESUME: [&str; 5] = ["train", "tiny.yaml", "--output-dir", "run", "--resume"];

/// A scene with a finished run `whole` and the same run as `run`, with checkpoints of steps 2 and 3 that
/// have every file that a checkpoint may have.
fn finished() -> Scene {
    let scene = Scene::changed(|config| format!("{config}use_kl_loss: true\n"));
    scene.train("whole", &[]);
    copy(&scene.path("whole"), &scene.path("run"));
    scene
}

pub fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => fs::copy(entry.path(), target).map(|_| ()).unwrap(),
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn flip(file: &Path, bit: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[bit / 8] ^= 1 << (bit % 8);
    fs::write(file, bytes).unwrap();
}

/// Resumes `run`, which must go on from step 2, say what is wrong with step 3, and end as `whole`.
#[track_caller]
fn falls_back(scene: &Scene, parts: &[&str]) {
    let ended = scene.succeed(&RESUME);
    says(&ended.stderr, &["not resumed from checkpoints/step-3", "after step 2"]);
    says(&ended.stderr, parts);
    assert_same_run(scene, "whole", "run");
}

#[test]
fn a_flipped_bit_in_any_file_of_a_checkpoint_is_seen_and_the_one_before_is_used() {
    let scene = finished();
    let names = files(&scene.path("whole/checkpoints/step-3"));
    assert_eq!(names.len(), 6, "{names:?}");
    for file in names {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let bits = 8 * fs::metadata(&file).unwrap().len() as usize;
        for bit in [0, bits / 2 + 3, bits - 1] {
            copy(&scene.path("whole"), &scene.path("run"));
            flip(&scene.path("run/checkpoints/step-3").join(&name), bit);
            falls_back(&scene, &[&name, "not as it was written"]);
        }
    }
}

#[test]
fn a_checkpoint_that_lacks_a_file_or_mixes_two_steps_is_not_gone_on_with() {
    let scene = finished();
    for file in files(&scene.path("whole/checkpoints/step-3")) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        copy(&scene.path("whole"), &scene.path("run"));
        fs::remove_file(scene.path("run/checkpoints/step-3").join(&name)).unwrap();
        falls_back(&scene, &[&name]);
    }
    for mixed in ["policy.safetensors", "state.json", "optimizer.safetensors"] {
        copy(&scene.path("whole"), &scene.path("run"));
        let of = |step: &str| scene.path("run/checkpoints").join(step).join(mixed);
        fs::copy(of("step-2"), of("step-3")).unwrap();
        falls_back(&scene, &[mixed]);
    }
    copy(&scene.path("whole"), &scene.path("run"));
    let of = |step: &str| scene.path("run/checkpoints").join(step);
    copy(&of("step-2"), &of("step-3"));
    falls_back(&scene, &["it is the checkpoint of step 2"]);
}

#[test]
fn a_run_without_any_whole_checkpoint_is_refused_with_what_is_wrong_with_each() {
    let scene = finished();
    flip(&scene.path("run/checkpoints/step-2/optimizer.safetensors"), 9_000);
    fs::remove_file(scene.path("run/checkpoints/step-3/manifest.json")).unwrap();
    let before = contents(&scene.path("run"));
    let message = scene.refused(&RESUME);
    says(&message, &["no checkpoint of run is whole", "step-2: optimizer.safetensors"]);
    says(&message, &["step-3: it has no manifest.json", "--overwrite"]);
    assert_eq!(contents(&scene.path("run")), before);
}

#[test]
fn a_log_that_was_cut_or_changed_is_seen_and_a_gap_is_only_accepted_aloud() {
    let scene = finished();
    let metrics = scene.path("run/metrics.jsonl");
    let text = scene.read("run/metrics.jsonl");
    let end_of_2 = text.match_indices('\n').nth(1).unwrap().0 + 1;
    // Cut in the last line: the checkpoint before has all that it counted.
    fs::write(&metrics, &text[..end_of_2 + 20]).unwrap();
    falls_back(&scene, &["metrics.jsonl has"]);

    for log in ["metrics.jsonl", "eval.jsonl", "samples.jsonl"] {
        copy(&scene.path("whole"), &scene.path("run"));
        flip(&scene.path("run").join(log), 100);
        let before = contents(&scene.path("run"));
        says(&scene.refused(&RESUME), &[log, "not as it was written", "--allow-changes"]);
        assert_eq!(contents(&scene.path("run")), before);
    }

    copy(&scene.path("whole"), &scene.path("run"));
    let first = text.find('\n').unwrap() + 1;
    fs::write(&metrics, &text[first..]).unwrap();
    says(&scene.refused(&RESUME), &["metrics.jsonl", "--allow-changes"]);
    let ended = scene.succeed(&[&RESUME[..], &["--allow-changes"]].concat());
    says(&ended.stderr, &["after step 3", "lines of the logs are missing", "metrics.jsonl has"]);
    assert_eq!(scene.lines("run/metrics.jsonl").len(), 2);
}

#[test]
fn the_only_good_checkpoint_outlives_torn_ones() {
    let scene = Scene::new();
    let longer = ["--set", "checkpoint.keep=1", "--set", "optimizer.schedule=constant"];
    scene.train("run", &[&longer[..], &["--set", "max_steps=2"]].concat());
    // A torn one, later than all that follows.
    copy(&scene.path("run/checkpoints/step-2"), &scene.path("run/checkpoints/step-9"));
    fs::remove_file(scene.path("run/checkpoints/step-9/manifest.json")).unwrap();
    scene.train("run", &[&longer[..], &["--resume", "--set", "max_steps=3"]].concat());
    let names = files(&scene.path("run/checkpoints"));
    let names: Vec<_> = names.iter().map(|path| path.file_name().unwrap()).collect();
    assert_eq!(names, ["step-3", "step-9"]);
    // It is the one that is gone on from.
    let ended = scene.train("run", &[&longer[..], &["--resume", "--set", "max_steps=4"]].concat());
    says(&ended.stderr, &["not resumed from checkpoints/step-9", "after step 3"]);
}

#[test]
fn numbers_that_are_none_in_a_checkpoint_are_refused_by_name() {
    use wgrpo::model::{TensorFile, save_tensors};
    let scene = finished();
    let folder = scene.path("run/checkpoints/step-3");
    let file = folder.join("optimizer.safetensors");
    let opened = TensorFile::open(&file).unwrap();
    let shape = |name: &str| opened.shape(name).unwrap().to_vec();
    let layout: Vec<_> = opened.names().map(|name| (name.to_owned(), shape(name))).collect();
    let mut values: Vec<_> =
        layout.iter().map(|(name, shape)| opened.get(name, shape).unwrap()).collect();
    values[0][0] = f32::NAN;
    save_tensors(&file, &layout, &[("without_moments", "")], values).unwrap();
    let config = crate::runs::config(&scene.read("tiny.yaml"), &[]);
    let mut trainer = crate::runs::trainer(&config);
    let state = wgrpo::train::CheckpointState::read(&folder).unwrap().unwrap();
    let message = trainer.restore(&folder, &state).unwrap_err().to_string();
    says(&message, &["optimizer.safetensors", "not finite", &layout[0].0]);
}
