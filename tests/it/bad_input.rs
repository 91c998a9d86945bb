//! What a person can get wrong: each ends with one clear paragraph, and nothing is lost.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::program::{Ended, Scene, lines_so_far, says};

const TRAIN: [&str; 4] = ["train", "tiny.yaml", "--output-dir", "run"];

/// What the program says to a run whose configuration has had `change` made to it.
#[track_caller]
fn refused_config(change: impl Fn(&str) -> String) -> String {
    let scene = Scene::changed(change);
    let message = scene.refused(&TRAIN);
    assert!(!scene.path("run").exists(), "a refused run leaves a folder behind");
    message
}

/// All files below a folder with their bytes.
pub fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(contents(&path));
        } else {
            files.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
    files
}

#[test]
fn a_missing_configuration_is_named() {
    let scene = Scene::new();
    for command in ["train", "bench", "config"] {
        says(&scene.refused(&[command, "tidy.yaml"]), &["tidy.yaml", "cannot be read", "path"]);
    }
}

#[test]
fn malformed_yaml_is_pointed_at() {
    says(&refused_config(|config| format!("{config}sampling: {{top_k: 5\n")), &["tiny.yaml:"]);
    says(&refused_config(|_| String::new()), &["tiny.yaml: ", "empty", "model, data and rewards"]);
    let twice = refused_config(|config| format!("{config}seed: 6\n"));
    says(&twice, &["tiny.yaml:15: ", "`seed`", "second time"]);
}

#[test]
fn a_misspelt_key_is_pointed_at_with_the_nearest_one() {
    let top = refused_config(|config| config.replace("max_steps", "max_step"));
    says(&top, &["tiny.yaml:2: ", "`max_step`", "did you mean `max_steps`?"]);
    let nested = refused_config(|config| format!("{config}optimizer:\n  lerning_rate: 1\n"));
    says(&nested, &["tiny.yaml:16: ", "`lerning_rate`", "did you mean `learning_rate`?"]);
    let tagged = refused_config(|config| config.replace("digits:", "digit:"));
    says(&tagged, &["tiny.yaml:10: ", "`digit`", "did you mean `digits`?"]);
    let choice = refused_config(|config| config.replace("kind: exact", "kind: exakt"));
    says(&choice, &["tiny.yaml:12: ", "`exakt`", "did you mean `exact`?"]);
    let name = refused_config(|config| format!("{config}adv_estimator: mc_gpro\n"));
    says(&name, &["tiny.yaml:15: ", "`mc_gpro`", "did you mean `mc_grpo`?"]);
}

#[test]
fn a_wrong_type_is_pointed_at() {
    let top = refused_config(|config| config.replace("max_steps: 3", "max_steps: soon"));
    says(&top, &["tiny.yaml:2: max_steps: ", "soon", "a whole number"]);
    let negative = refused_config(|config| config.replace("max_steps: 3", "max_steps: -3"));
    says(&negative, &["tiny.yaml:2: max_steps is -3", "at least"]);
    let nested = refused_config(|config| format!("{config}optimizer: {{learning_rate: fast}}\n"));
    says(&nested, &["tiny.yaml:15: optimizer.learning_rate: ", "fast", "a number"]);
    let tagged = refused_config(|config| config.replace("digits: 1", "digits: [1, 2]"));
    says(&tagged, &["tiny.yaml:10: data: ", "a whole number"]);
}

#[test]
fn a_missing_block_is_named() {
    let message = refused_config(|config| config.replace("data:", "# data:"));
    says(&message, &["tiny.yaml", "data"]);
}

#[test]
fn a_bad_override_is_named() {
    let scene = Scene::new();
    let refused = |set: &str| scene.refused(&["config", "tiny.yaml", "--set", set]);
    says(&refused("max_steps"), &["--set max_steps", "key.path=value"]);
    says(&refused("sampling.top_q=1"), &["--set sampling.top_q=1", "did you mean `top_p`?"]);
    says(&refused("rewards.7.weight=1"), &["--set rewards.7.weight=1", "`7`"]);
    says(&refused("sampling.top_p=7"), &["sampling.top_p", "7"]);
}

#[test]
fn a_group_of_one_is_refused_by_an_estimator_that_compares() {
    let message = refused_config(|config| config.replace("group: 4", "group: 1"));
    says(&message, &["grpo", "num_return_sequences_in_group 1", "use 2 or more"]);
}

#[test]
fn settings_that_leave_nothing_to_do_are_refused() {
    let no_rewards = refused_config(|config| {
        config.split("rewards:").next().unwrap().to_owned() + "rewards: []\n"
    });
    says(&no_rewards, &["rewards", "exact"]);
    let no_prompts = refused_config(|config| config.replace("batch_size: 4", "batch_size: 0"));
    says(&no_prompts, &["rollout_batch_size", "at least 1"]);
    let heads = refused_config(|config| config.replace("heads: 2", "heads: 3"));
    says(&heads, &["num_attention_heads"]);
}

#[test]
fn an_unknown_device_is_refused_with_those_there_are() {
    let scene = Scene::new();
    let message = scene.refused(&[&TRAIN[..], &["--device", "abacus"]].concat());
    says(&message, &["`abacus`", "cpu", "ndarray"]);
    let message = scene.refused(&["generate", "run", "--prompt", "1", "--device", "abacus"]);
    says(&message, &["`abacus`", "cpu", "ndarray"]);
}

#[test]
fn a_device_that_is_not_compiled_in_names_its_feature() {
    let scene = Scene::new();
    for missing in wgrpo::device::BACKENDS.iter().filter(|backend| !backend.compiled) {
        let message = scene.refused(&[&TRAIN[..], &["--device", missing.name]].concat());
        says(&message, &["not compiled in", &format!("--features {}", missing.feature)]);
    }
}

#[test]
fn a_folder_that_holds_a_run_is_refused_and_left_as_it_is() {
    let scene = Scene::new();
    scene.train("run", &[]);
    let before = contents(&scene.path("run"));
    says(&scene.refused(&TRAIN), &["run already holds a run", "--overwrite", "--resume"]);
    assert_eq!(contents(&scene.path("run")), before);
}

#[test]
fn overwriting_starts_anew_and_keeps_what_is_not_ours() {
    let scene = Scene::new();
    scene.train("fresh", &["--set", "seed=9"]);
    scene.train("run", &[]);
    scene.write("run/notes.txt", "mine");
    scene.write("run/checkpoints/step-2/notes.txt", "mine");
    scene.train("run", &["--overwrite", "--set", "seed=9"]);
    assert_eq!(scene.read("run/notes.txt"), "mine");
    assert_eq!(scene.read("run/checkpoints/step-2/notes.txt"), "mine");
    let model = |run: &str| fs::read(scene.path(run).join("model/model.safetensors")).unwrap();
    assert!(model("run") == model("fresh"));
    assert_eq!(scene.lines("run/metrics.jsonl").len(), 3);
}

#[test]
fn a_mistake_does_not_cost_the_run_that_was_to_be_overwritten() {
    let scene = Scene::new();
    scene.train("run", &[]);
    let before = contents(&scene.path("run"));
    let overwrite = [&TRAIN[..], &["--overwrite"]].concat();
    scene.refused(&[&overwrite[..], &["--set", "prompt_length=2"]].concat());
    scene.refused(&[&overwrite[..], &["--device", "abacus"]].concat());
    assert_eq!(contents(&scene.path("run")), before);
}

#[test]
fn resuming_without_a_checkpoint_is_refused() {
    let scene = Scene::new();
    let resume = [&TRAIN[..], &["--resume"]].concat();
    says(&scene.refused(&resume), &["run holds no checkpoint", "without --resume"]);
    assert!(!scene.path("run").exists());
}

#[test]
fn a_resume_that_cannot_work_leaves_the_run_as_it_is() {
    let scene = Scene::new();
    scene.train("run", &[]);
    let resume = [&TRAIN[..], &["--resume"]].concat();

    // Another model than the checkpoint's.
    let before = contents(&scene.path("run"));
    let message = scene.refused(
        &[&resume[..], &["--allow-changes", "--set", "model.architecture.hidden_size=32"]].concat(),
    );
    says(&message, &["step-3/policy.safetensors", "[16, 16]", "[16, 32]"]);
    assert_eq!(contents(&scene.path("run")), before);

    // The only checkpoint, which was damaged.
    fs::remove_dir_all(scene.path("run/checkpoints/step-2")).unwrap();
    let policy = scene.path("run/checkpoints/step-3/policy.safetensors");
    let bytes = fs::read(&policy).unwrap();
    fs::write(&policy, &bytes[..bytes.len() / 2]).unwrap();
    let before = contents(&scene.path("run"));
    says(&scene.refused(&resume), &["step-3: policy.safetensors"]);
    assert_eq!(contents(&scene.path("run")), before);
}

#[test]
fn a_file_where_the_folder_should_be_is_named() {
    let scene = Scene::new();
    scene.write("run", "I was here first");
    says(&scene.refused(&TRAIN), &["run", "choose another output_dir"]);
    assert_eq!(scene.read("run"), "I was here first");
}

#[cfg(target_os = "linux")]
#[test]
fn a_place_that_cannot_be_written_to_is_named() {
    let scene = Scene::new();
    let message = scene.refused(&["train", "tiny.yaml", "--output-dir", "/proc/run"]);
    says(&message, &["/proc/run", "output_dir"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_is_named_and_what_was_written_stays() {
    let scene = Scene::new();
    fs::create_dir(scene.path("run")).unwrap();
    std::os::unix::fs::symlink("/dev/full", scene.path("run/samples.jsonl")).unwrap();
    let refused = scene.refused(&[&TRAIN[..], &["--overwrite"]].concat());
    says(&refused, &["run/samples.jsonl", "free some space"]);
    assert_eq!(lines_so_far(&scene.path("run/metrics.jsonl")), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_stopped_by_a_full_disk_goes_on_when_there_is_room() {
    let scene = Scene::new();
    scene.train("whole", &[]);
    scene.train("run", &[]);
    fs::remove_dir_all(scene.path("run/checkpoints/step-3")).unwrap();
    let resume = [&TRAIN[..], &["--resume"]].concat();

    // Files may grow to 8 KiB, less than a model: what a full disk is to a large file.
    let limited = format!("trap '' XFSZ; ulimit -f 8; exec {} \"$@\"", env!("CARGO_BIN_EXE_wgrpo"));
    let mut command = Command::new("bash");
    command.args(["-c", &limited, "bash"]).args(&resume).current_dir(scene.path(""));
    let ended: Ended = command.output().unwrap().into();
    says(&ended.refusal(), &["run/checkpoints/step-3/policy.safetensors", "free some space"]);
    assert!(!scene.path("run/checkpoints/step-3/policy.safetensors").exists());

    scene.train("run", &["--resume"]);
    let model = |run: &str| fs::read(scene.path(run).join("model/model.safetensors")).unwrap();
    assert!(model("run") == model("whole"));
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_that_cannot_be_printed_is_an_error() {
    let scene = Scene::new();
    let mut command = scene.command(&["config", "tiny.yaml"]);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ended: Ended = command.stdout(full).output().unwrap().into();
    says(&ended.refusal(), &["cannot print"]);
}

#[test]
fn sampling_that_makes_no_sense_is_refused() {
    let scene = Scene::new();
    scene.train("run", &["--set", "max_steps=1"]);
    let refused = |option: &str, value: &str| {
        scene.refused(&["generate", "run", "--prompt", "1+1=", option, value])
    };
    says(&refused("--top-p", "0"), &["top_p", "(0, 1]"]);
    says(&refused("--temperature=-1", "--json"), &["temperature", "at least 0"]);
    says(&refused("--max-tokens", "0"), &["--max-tokens", "at least 1"]);
    says(&refused("--samples", "0"), &["--samples", "at least 1"]);
    says(&scene.refused(&["generate", "run", "--prompt", "one"]), &["one"]);
    let too_many = ["eval", "run", "--samples", "2", "--k", "3"];
    says(&scene.refused(&too_many), &["--k", "3", "2"]);
}

#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_any_file_is_refused_and_not_waited_for() {
    let scene = Scene::new();
    scene.train("run", &["--set", "max_steps=1"]);
    let pipe = |name: &str| {
        let path = scene.path(name);
        let _ = fs::remove_file(&path);
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    let resume = [&TRAIN[..], &["--resume"]].concat();
    for file in ["state.json", "policy.safetensors", "config.yaml", "manifest.json"] {
        let path = scene.path("run/checkpoints/step-1").join(file);
        let bytes = fs::read(&path).unwrap();
        pipe(&format!("run/checkpoints/step-1/{file}"));
        says(&scene.refused(&resume), &[file, "it is a pipe"]);
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
    }
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"] {
        let path = scene.path("run/model").join(file);
        let bytes = fs::read(&path).unwrap();
        pipe(&format!("run/model/{file}"));
        says(&scene.refused(&["generate", "run", "--prompt", "1+1="]), &[file, "a pipe"]);
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
    }
    pipe("tiny.yaml");
    says(&scene.refused(&TRAIN), &["tiny.yaml", "it is a pipe, not a file"]);
    says(&scene.refused(&["import-roll", "tiny.yaml"]), &["tiny.yaml", "it is a pipe"]);
    says(&scene.refused(&["advantages", "tiny.yaml"]), &["tiny.yaml", "it is a pipe"]);
}
