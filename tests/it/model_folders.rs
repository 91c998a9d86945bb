//! Folders given as models, as people give them: what the program makes of each.

use std::fs;
use std::process::Command;

use wgrpo::model::{ModelConfig, Weights, save_tensors};

use crate::program::{Scene, says};

/// A scene with a trained run in `run`.
fn trained() -> Scene {
    let scene = Scene::new();
    scene.train("run", &["--set", "max_steps=1"]);
    scene
}

/// Writes a configuration whose model is `path`.
fn from_path(scene: &Scene, path: &str) {
    let config = scene.read("tiny.yaml");
    let (before, rest) = config.split_once("model:\n").unwrap();
    let (_, after) = rest.split_once("data:").unwrap();
    scene.write("from.yaml", &format!("{before}model: {{path: {path}}}\ndata:{after}"));
}

/// Adds a tensor to the weights of `run/model`, every one of its values the same.
fn add_tensor(scene: &Scene, name: &str, value: f32) {
    let folder = scene.path("run/model");
    let config = ModelConfig::from_folder(&folder).unwrap();
    let weights = Weights::open(&folder).unwrap();
    let mut layout = config.parameters();
    let mut values: Vec<_> =
        layout.iter().map(|(name, shape)| weights.get(name, shape).unwrap()).collect();
    layout.push((name.into(), vec![16]));
    values.push(vec![value; 16]);
    save_tensors(&folder.join("model.safetensors"), &layout, &[], values).unwrap();
}

#[test]
fn a_runs_folder_given_as_a_model_is_trained_on() {
    let scene = trained();
    from_path(&scene, "run");
    scene.succeed(&["train", "from.yaml", "--output-dir", "next", "--set", "max_steps=1"]);
    assert!(scene.path("next/model/model.safetensors").exists());
}

#[test]
fn a_tensor_that_would_change_the_model_is_refused_and_another_is_listed() {
    let scene = trained();
    let generate = ["generate", "run", "--prompt", "1+1="];
    add_tensor(&scene, "v_head.summary.weight", 1.0);
    let said = scene.succeed(&generate).stderr;
    says(&said, &["not used by the decoder: v_head.summary.weight"]);
    add_tensor(&scene, "model.layers.0.self_attn.q_proj.bias", 50.0);
    says(&scene.refused(&generate), &["model.layers.0.self_attn.q_proj.bias", "another model"]);
}

#[test]
fn weights_that_are_no_numbers_are_not_called_a_diverged_run() {
    let scene = trained();
    let path = scene.path("run/model/model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    // The last tensor of the file lies at its end.
    let end = bytes.len() - 4;
    bytes[end..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    from_path(&scene, "run/model");
    let message = scene.refused(&["train", "from.yaml", "--output-dir", "next"]);
    says(&message, &["1 of the", "NaN", "of tensor ", "model.safetensors"]);
    assert!(!scene.path("next").exists());
}

#[test]
fn a_prompt_and_completion_beyond_the_models_positions_are_refused_before_the_run() {
    let scene = Scene::new();
    let positions = "model.architecture.max_position_embeddings=5";
    let message = scene.refused(&["train", "tiny.yaml", "--output-dir", "run", "--set", positions]);
    says(&message, &["max_position_embeddings is 5", "3 more", "lower "]);
    assert!(!scene.path("run").exists());

    // Nor does an answer that nobody can judge come before it.
    fs::write(scene.path("x.jsonl"), "{\"prompt\": \"1+1=\", \"answer\": \"x\"}\n").unwrap();
    let data = "data={kind: jsonl, path: x.jsonl}";
    let rewards = "rewards=[{kind: number}]";
    let settings = ["--set", data, "--set", rewards];
    let run = ["train", "tiny.yaml", "--output-dir", "run"];
    says(&scene.refused(&[&run[..], &settings].concat()), &["cannot be judged by number"]);
    let settings = ["--set", data, "--set", rewards, "--set", positions];
    says(&scene.refused(&[&run[..], &settings].concat()), &["max_position_embeddings is 5"]);
}

#[test]
fn sizes_that_no_model_has_are_refused_before_anything_is_allocated() {
    let scene = Scene::new();
    for (key, size) in [("num_attention_heads", "0"), ("num_hidden_layers", "1000000000")] {
        let set = format!("model.architecture.{key}={size}");
        let message = scene.refused(&["train", "tiny.yaml", "--output-dir", "run", "--set", &set]);
        says(&message, &[&format!("{key} is {size}")]);
    }
}

#[test]
#[cfg(unix)]
fn a_pipe_in_place_of_a_file_is_named_instead_of_waited_on() {
    let scene = trained();
    for file in ["model.safetensors", "config.json", "generation_config.json"] {
        let path = scene.path("run/model").join(file);
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let message = scene.refused(&["generate", "run", "--prompt", "1+1="]);
        says(&message, &[file, "it is a pipe, not a file"]);
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
    }
}
