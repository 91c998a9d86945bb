//! Whole runs that train an adapter, by the program as a person runs it.

use std::fs;

use serde_json::Value;

use crate::command_line::metrics;
use crate::program::{Scene, says};

/// A scene with a model in `base/model` and, as `tiny.yaml`, a run that adapts it.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.train("base", &["--set", "max_steps=1"]);
    let model =
        "model: {path: base/model}\nlora: {rank: 4, alpha: 64}\noptimizer: {learning_rate: 0.05}\n";
    let config = scene.read("tiny.yaml");
    let (before, rest) = config.split_once("model:\n").unwrap();
    let (_, after) = rest.split_once("data:").unwrap();
    scene.write("tiny.yaml", &format!("{before}{model}data:{after}"));
    scene
}

fn adapter(scene: &Scene, run: &str) -> Vec<u8> {
    fs::read(scene.path(run).join("adapter/adapter_model.safetensors")).unwrap()
}

/// What the model of a folder writes for a prompt, with the log-probability.
fn completion(scene: &Scene, folder: &str) -> (String, f64) {
    let prompt = ["generate", folder, "--prompt", "4+4=", "--max-tokens", "3", "--json"];
    let line: Value = serde_json::from_str(&scene.succeed(&prompt).stdout).unwrap();
    (line["completion"].as_str().unwrap().into(), line["logp"].as_f64().unwrap())
}

#[test]
fn a_run_with_an_adapter_saves_what_peft_opens_and_what_this_program_evaluates() {
    let scene = scene();
    let ended = scene.train("run", &[]);
    says(&ended.stderr, &["an adapter of rank 4 is trained: ", "stored in 16 bits"]);
    says(&ended.stdout, &["run/adapter"]);
    assert!(!scene.path("run/model").exists());
    let config: Value =
        serde_json::from_str(&scene.read("run/adapter/adapter_config.json")).unwrap();
    assert_eq!((&config["r"], &config["peft_type"]), (&4.into(), &"LORA".into()));
    let base = config["base_model_name_or_path"].as_str().unwrap();
    assert!(base.ends_with("base/model") && fs::exists(base).unwrap(), "{base}");
    let eval = scene.succeed(&["eval", "run", "--samples", "0", "--json"]);
    let accuracy = scene.lines("run/eval.jsonl").pop().unwrap()["eval/accuracy"].clone();
    let found: Value = serde_json::from_str(&eval.stdout).unwrap();
    assert_eq!(found["accuracy"], accuracy);
    assert_ne!(completion(&scene, "run"), completion(&scene, "base"));
    assert_eq!(completion(&scene, "run"), completion(&scene, "run/adapter"));
}

#[test]
fn a_merged_model_is_saved_on_request_and_writes_the_same() {
    let scene = scene();
    scene.train("run", &["--set", "lora.save_merged=true", "--set", "lora.base=f32"]);
    let ((text, logp), (merged_text, merged_logp)) =
        (completion(&scene, "run/adapter"), completion(&scene, "run/model"));
    assert_eq!(text, merged_text);
    assert!((logp - merged_logp).abs() < 0.02, "{logp} against {merged_logp}");
}

#[test]
fn a_stopped_run_of_an_adapter_goes_on_bit_for_bit() {
    let scene = scene();
    for set in ["use_kl_loss=true", "lora.base=q4_0", "lora.dropout=0.3"] {
        let more = &["--set", set][..];
        let whole = scene.path("whole");
        let _ = (fs::remove_dir_all(whole), fs::remove_dir_all(scene.path("parts")));
        scene.train("whole", more);
        scene.train("parts", &[more, &["--set", "max_steps=2"]].concat());
        scene.train("parts", &[more, &["--resume"]].concat());
        assert_eq!(metrics(&scene, "whole"), metrics(&scene, "parts"));
        assert_eq!(adapter(&scene, "whole"), adapter(&scene, "parts"));
    }
}

#[test]
fn dropout_changes_what_is_learned_and_nothing_of_how_it_is_generated() {
    let scene = scene();
    scene.train("without", &[]);
    scene.train("with", &["--set", "lora.dropout=0.5"]);
    let [without, with] = ["without", "with"].map(|run| metrics(&scene, run));
    // The first step's completions come from before any update.
    for key in ["completions/mean_length", "reward", "entropy", "grad_norm"] {
        assert!(with[0][key].is_number(), "{key}");
    }
    for key in ["completions/mean_length", "reward"] {
        assert_eq!(with[0][key], without[0][key], "{key}");
    }
    assert_ne!(with[0]["grad_norm"], without[0]["grad_norm"]);
    let config: Value =
        serde_json::from_str(&scene.read("with/adapter/adapter_config.json")).unwrap();
    assert_eq!(config["lora_dropout"], 0.5);
}

#[test]
fn with_dropout_a_run_is_cut_as_it_began() {
    let scene = scene();
    let dropout = ["--set", "lora.dropout=0.5", "--set", "mini_batches=2", "--set", "ppo_epochs=2"];
    scene.train("run", &[&dropout[..], &["--set", "max_steps=2"]].concat());
    let smaller = ["--resume", "--set", "device.micro_batch_tokens=20"];
    let again = ["train", "tiny.yaml", "--output-dir", "run"];
    says(
        &scene.refused(&[&again[..], &dropout, &smaller].concat()),
        &["device.micro_batch_tokens 4096 → 20"],
    );
    scene.train("run", &[&dropout[..], &["--resume"]].concat());
}

#[test]
fn an_adapter_is_saved_in_16_bits_on_request_and_writes_the_same() {
    let scene = scene();
    scene.train("whole", &[]);
    let (text, logp) = completion(&scene, "whole");
    for dtype in ["bf16", "f16"] {
        scene.train(dtype, &["--set", &format!("lora.dtype={dtype}")]);
        let header = String::from_utf8_lossy(&adapter(&scene, dtype)).to_string();
        says(&header, &[&format!("\"dtype\":\"{}\"", dtype.to_uppercase())]);
        assert!(!header.contains("F32"), "{dtype}");
        let (again, logp_again) = completion(&scene, dtype);
        assert_eq!(again, text);
        assert!((logp - logp_again).abs() < 0.05, "{dtype}: {logp} against {logp_again}");
    }
}

#[test]
fn an_adapter_is_continued_or_merged_first_and_the_reference_is_named() {
    let scene = scene();
    let kl = ["--set", "use_kl_loss=true"];
    let first = scene.train("first", &kl);
    says(&first.stderr, &["the KL is taken to the model without an adapter"]);
    let from = ["--set", "lora.adapter=first/adapter"];
    let continued = scene.train("continued", &[&kl[..], &from[..]].concat());
    says(&continued.stderr, &["the KL is taken to the model with the adapter that it begins with"]);
    let merged =
        scene.train("merged", &[&kl[..], &from, &["--set", "lora.merge_adapter=true"]].concat());
    says(&merged.stderr, &["the KL is taken to the model with the merged adapter"]);
    // The fresh adapter belongs to the merged model, which is in no folder but that of the run.
    assert!(scene.path("merged/model").exists() && !scene.path("merged/adapter").exists());
    // Both begin as the first ended: before their first step they judge the held-out problems alike.
    let last = scene.lines("first/eval.jsonl").pop().unwrap();
    for run in ["continued", "merged"] {
        let begin = scene.lines(&format!("{run}/eval.jsonl")).remove(0);
        assert_eq!(begin["eval/accuracy"], last["eval/accuracy"], "{run}");
    }
}

#[test]
fn checkpoints_of_layers_change_nothing_of_a_run() {
    let scene = Scene::new();
    let more = ["--set", "model.architecture.num_hidden_layers=3", "--set", "use_kl_loss=true"];
    scene.train("kept", &more);
    scene.train("again", &[&more[..], &["--set", "gradient_checkpointing=true"]].concat());
    assert_eq!(metrics(&scene, "kept"), metrics(&scene, "again"));
    let model = |run: &str| fs::read(scene.path(run).join("model/model.safetensors")).unwrap();
    assert!(model("kept") == model("again"));
}

#[test]
fn check_says_what_few_bits_cost() {
    let scene = scene();
    let of = |base: &str| {
        let set = format!("lora.base={base}");
        scene.run(&["check", "tiny.yaml", "--no-step", "--set", &set]).stdout
    };
    says(&of("bf16"), &["memory       about "]);
    assert!(!of("bf16").contains("against 16 bits"));
    let mean = |base: &str| {
        let told = of(base);
        says(&told, &[&format!("base         {base} against 16 bits: log-probabilities of ")]);
        let (_, rest) = told.split_once("differ by ").unwrap();
        rest.split_once(" nats").unwrap().0.parse::<f64>().unwrap()
    };
    let (eight, four) = (mean("q8_0"), mean("q4_0"));
    assert!(eight < four && four < 1.0, "{eight} and {four}");
}

#[test]
fn a_block_that_cannot_be_meant_is_refused_with_its_key() {
    let scene = scene();
    for (set, told) in [
        ("lora.rank=0", "lora.rank"),
        ("lora.alpha=0", "lora.alpha"),
        ("lora.dropout=1", "lora.dropout"),
        ("lora.dtype=q8_0", "bf16"),
        ("lora.targets=[]", "lora.targets"),
        ("lora.targets=[q_proj, query]", "has \"query\""),
        ("lora.base=q5_0", "q8_0"),
        ("lora.merge_adapter=true", "lora.merge_adapter"),
        ("lora.adapter=nowhere", "adapter_config.json cannot be read"),
    ] {
        says(&scene.refused(&["train", "tiny.yaml", "--output-dir", "run", "--set", set]), &[told]);
    }
    scene.write("whole.yaml", &(Scene::new().read("tiny.yaml") + "lora: {}\n"));
    says(
        &scene.refused(&["train", "whole.yaml", "--output-dir", "run"]),
        &["model.path names none"],
    );
}

#[test]
fn an_export_is_read_again_and_says_what_it_is() {
    let scene = scene();
    scene.train("run", &[]);
    let hf = scene.succeed(&["export", "run", "--format", "hf"]);
    says(&hf.stdout, &["run/export/hf", "read again: log-probabilities of"]);
    let card = scene.read("run/export/hf/README.md");
    says(
        &card,
        &["library_name: transformers", "base_model: model", "estimator: grpo", "LoRA of rank 4"],
    );
    let ((text, logp), (again, logp_again)) =
        (completion(&scene, "run"), completion(&scene, "run/export/hf"));
    assert_eq!(text, again);
    assert!((logp - logp_again).abs() < 1e-3, "{logp} against {logp_again}");
    let peft = scene.succeed(&["export", "run", "--format", "peft", "--output", "given"]);
    says(&peft.stdout, &["given", "differ by 0.00e0"]);
    says(&scene.read("given/README.md"), &["library_name: peft", "PeftModel.from_pretrained"]);
    assert_eq!(
        adapter(&scene, "run"),
        fs::read(scene.path("given/adapter_model.safetensors")).unwrap()
    );
    assert!(!scene.path("given/.tmp").exists());
    says(
        &scene.refused(&["export", "base", "--format", "peft"]),
        &["has no adapter", "export it as hf or gguf"],
    );
    // A tokenizer of characters is none of llama.cpp's.
    let refused = scene.refused(&["export", "run", "--format", "gguf"]);
    says(&refused, &["tokenizer"]);
    says(
        &scene.refused(&["export", "run", "--format", "hf", "--quantize", "q8_0"]),
        &["--quantize is how a GGUF file"],
    );
}

#[test]
fn an_adapter_is_compared_on_the_base_that_it_was_trained_on() {
    let scene = scene();
    scene.train("run", &["--set", "lora.base=q4_0"]);
    let peft = scene.succeed(&["export", "run", "--format", "peft"]);
    says(&peft.stdout, &["differ by 0.00e0"]);
    let hf = scene.succeed(&["export", "run", "--format", "hf"]);
    says(&hf.stdout, &["run/export/hf"]);
}
