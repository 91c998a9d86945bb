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

/// What the program says to a run on problems in a file of these lines.
#[track_caller]
fn refused_data(lines: &str) -> String {
    let scene = Scene::changed(jsonl);
    scene.write("problems.jsonl", lines);
    scene.refused(&TRAIN)
}

fn jsonl(config: &str) -> String {
    config.replace(
        "{kind: arithmetic, digits: 1, held_out: 12}",
        "{kind: jsonl, path: problems.jsonl, held_out: 1}",
    )
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
fn a_bad_line_of_data_is_named_with_its_number() {
    let good = "{\"prompt\": \"1+1=\", \"answer\": \"2\"}\n";
    let at_line_3 = |line: &str| refused_data(&format!("{good}{good}{line}\n{good}"));
    let broken = at_line_3("{\"prompt\": \"1+");
    says(&broken, &["problems.jsonl:3: ", "broken JSON", "expected one JSON object"]);
    says(&at_line_3("{\"prompt\": \"\"}"), &["problems.jsonl:3: ", "\"prompt\" is empty"]);
    says(&at_line_3("{\"question\": \"1+1=\"}"), &["problems.jsonl:3: ", "prompt"]);
    says(&refused_data(""), &["problems.jsonl", "no lines"]);
    says(&refused_data("\n\n"), &["problems.jsonl", "no lines"]);
}

#[test]
fn blank_lines_of_data_are_skipped() {
    let scene = Scene::changed(jsonl);
    let lines: String =
        (0..6).map(|n| format!("{{\"prompt\": \"{n}+1=\", \"answer\": {}}}\n\n", n + 1)).collect();
    scene.write("problems.jsonl", &lines);
    says(&scene.train("run", &[]).stderr, &["5 to train on, 1 held out"]);
}

#[test]
fn a_file_of_another_format_is_called_by_its_name() {
    says(&refused_data("[{\"prompt\": \"1+1=\"}]\n"), &["is a JSON array", "jq"]);
    says(&refused_data("prompt,answer\n1+1=,2\n"), &["is a CSV table", "to_json"]);
    says(&refused_data("PAR1\u{15}\u{4}"), &["is a parquet file", "to_json"]);
    says(&refused_data("{\0\"\0p\0"), &["is text in UTF-16", "iconv"]);
}

#[cfg(unix)]
#[test]
fn a_pipe_as_data_file_is_refused_and_not_waited_for() {
    let scene = Scene::changed(jsonl);
    let made = Command::new("mkfifo").arg(scene.path("problems.jsonl")).status().unwrap();
    assert!(made.success());
    says(&scene.refused(&TRAIN), &["problems.jsonl is a pipe", "save its content in a file"]);
}

#[test]
fn answers_that_no_reward_can_judge_are_refused_before_the_run() {
    let only_exact = |config: &str| {
        let end = config.find("  - {kind: regex").unwrap();
        jsonl(&config[..end])
    };
    let refused = |lines: &str, config: &dyn Fn(&str) -> String| {
        let scene = Scene::changed(config);
        scene.write("problems.jsonl", lines);
        let message = scene.refused(&TRAIN);
        assert!(!scene.path("run").exists());
        message
    };
    let misspelt: String =
        (0..4).map(|n| format!("{{\"prompt\": \"{n}+1=\", \"anwser\": {}}}\n", n + 1)).collect();
    let message = refused(&misspelt, &only_exact);
    says(&message, &["3 of 3 training problems", "exact", "have no answer", "anwser, prompt"]);
    let named = |config: &str| only_exact(config).replace("held_out: 1", "answer_column: solution");
    says(&refused(&misspelt, &named), &["data.answer_column", "\"solution\"", "anwser, prompt"]);
    let number = |config: &str| only_exact(config).replace("kind: exact", "kind: number");
    let compound = misspelt.replace("anwser\": ", "answer\": \"1/").replace("}", "\"}");
    says(&refused(&compound, &number), &["number", "not one number", "\"1/"]);
}

#[test]
fn problems_that_cannot_be_judged_are_said_and_counted() {
    let scene = Scene::changed(|config| {
        let end = config.find("  - {kind: regex").unwrap();
        jsonl(&config[..end]).replace("kind: exact", "kind: number").replace(", held_out: 1", "")
    });
    let answer = |n: usize| if n < 2 { "\"1/2\"".to_owned() } else { n.to_string() };
    let lines: String = (0..9)
        .map(|n| format!("{{\"prompt\": \"{n}+0=\", \"answer\": {}}}\n", answer(n)))
        .collect();
    scene.write("problems.jsonl", &lines);
    let ended = scene.train("run", &["--set", "checkpoint.save_steps=0"]);
    says(
        &ended.stderr,
        &["2 of 9 training problems cannot be judged by number", "such as \"1/2\""],
    );
    says(&ended.stderr, &["2 that no reward can judge are left out"]);
    let trained = scene.lines("run/metrics.jsonl");
    assert!(trained.iter().all(|step| step["reward"].is_f64()), "{trained:?}");
}

#[test]
fn a_conversation_with_its_solution_is_refused_and_an_explicit_column_wins() {
    let turns = "[{\"role\": \"user\", \"content\": \"1+1=\"}, \
                 {\"role\": \"assistant\", \"content\": \"2\"}]";
    let line = format!("{{\"problem\": \"1+1=\", \"answer\": 2, \"messages\": {turns}}}\n");
    let message = refused_data(&line);
    says(&message, &["problems.jsonl:1: ", "assistant", "the solution", "data.prompt_column"]);
    let scene =
        Scene::changed(|config| jsonl(config).replace("held_out: 1", "prompt_column: problem"));
    scene.write("problems.jsonl", &line);
    scene.train("run", &[]);
    let samples = scene.lines("run/samples.jsonl");
    assert!(samples.iter().all(|sample| sample["prompt"] == "1+1="), "{samples:?}");
}

#[test]
fn data_that_is_not_there_or_cannot_be_written_as_tokens_is_named() {
    says(&Scene::changed(jsonl).refused(&TRAIN), &["problems.jsonl", "data.path"]);
    let foreign = refused_data("{\"prompt\": \"1+1=\"}\n{\"prompt\": \"one\"}\n");
    says(&foreign, &["\"one\""]);
}

#[test]
fn prompts_that_are_too_long_are_counted_and_left_out() {
    let scene = Scene::changed(jsonl);
    let lines: String = (0..10)
        .map(|number| {
            let zeros = if number < 3 { "0000000" } else { "" };
            format!("{{\"prompt\": \"{zeros}{number}+1=\", \"answer\": \"{}\"}}\n", number + 1)
        })
        .collect();
    scene.write("problems.jsonl", &lines);
    let ended = scene.train("run", &[]);
    says(&ended.stderr, &["3 left out", "prompt_length 8"]);
    says(&ended.stdout, &["left out   3 problems", "prompt_length"]);
}

#[test]
fn a_run_without_a_prompt_that_is_short_enough_is_refused() {
    let message = refused_config(|config| config.replace("prompt_length: 8", "prompt_length: 2"));
    says(&message, &["no training problem is left", "prompt_length", "raise"]);
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
        &[&resume[..], &["--accept-changes", "--set", "model.architecture.hidden_size=32"]]
            .concat(),
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
fn a_model_folder_that_does_not_fit_is_refused_with_the_tensor() {
    let scene = Scene::new();
    scene.train("run", &["--set", "max_steps=1"]);
    let config = scene.read("run/model/config.json");
    let refused = |key: &str, from: &str, to: &str| {
        let (from, to) = (format!("\"{key}\": {from}"), format!("\"{key}\": {to}"));
        assert!(config.contains(&from), "{config}");
        scene.write("run/model/config.json", &config.replace(&from, &to));
        scene.refused(&["generate", "run", "--prompt", "1+1="])
    };
    let missing = refused("num_hidden_layers", "1", "2");
    says(&missing, &["no tensor model.layers.1.", "config.json"]);
    let misshapen = refused("intermediate_size", "24", "32");
    says(&misshapen, &["model.layers.0.mlp.", "[24, 16]", "[32, 16]", "config.json"]);
}

#[test]
fn a_model_folder_that_is_incomplete_is_refused_with_the_file() {
    let scene = Scene::new();
    scene.train("run", &["--set", "max_steps=1"]);
    for file in ["model.safetensors", "tokenizer.json", "config.json"] {
        let path = scene.path("run/model").join(file);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let eval = ["eval", "run/model", "--config", "tiny.yaml"];
        says(&scene.refused(&eval), &[file]);
        fs::remove_file(&path).unwrap();
        says(&scene.refused(&eval), &[file]);
        fs::write(&path, &bytes).unwrap();
    }
    says(&scene.refused(&["generate", "nowhere", "--prompt", "1"]), &["nowhere", "config.json"]);
}

#[test]
fn a_token_without_an_embedding_is_refused_when_the_folder_is_read() {
    let scene = Scene::new();
    scene.train("run", &["--set", "max_steps=1"]);
    let tokenizer = scene.read("run/model/tokenizer.json");
    let mut json: serde_json::Value = serde_json::from_str(&tokenizer).unwrap();
    json["model"]["vocab"]["!"] = 4_294_967_295_u32.into();
    scene.write("run/model/tokenizer.json", &json.to_string());
    let refused = scene.refused(&["generate", "run", "--prompt", "1+1="]);
    says(&refused, &["tokenizer.json", "\"!\" has id 4294967295", "embedding", "rows"]);
}

#[test]
fn a_chat_template_or_tokenizer_without_measure_is_refused_with_its_reason() {
    let scene = Scene::new();
    scene.train("run", &["--set", "max_steps=1"]);
    let generate = ["generate", "run", "--chat", "--prompt", "1+1="];
    let loops = "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}";
    scene.write("run/model/chat_template.jinja", loops);
    says(&scene.refused(&generate), &["chat template failed", "more than", "chat_template:1"]);
    scene.write("run/model/chat_template.jinja", &format!("{{{{ {}1 }}}}", "not ".repeat(20_000)));
    says(&scene.refused(&generate), &["chat_template.jinja", "in one another"]);
    let tokenizer = scene.read("run/model/tokenizer.json");
    let mut json: serde_json::Value = serde_json::from_str(&tokenizer).unwrap();
    json["normalizer"] =
        serde_json::json!({"type": "Precompiled", "precompiled_charsmap": "AQAAAA=="});
    scene.write("run/model/tokenizer.json", &json.to_string());
    let refused = scene.refused(&generate);
    says(&refused, &["tokenizer.json"]);
    assert!(!refused.contains("panicked"), "{refused}");
}

#[test]
fn a_run_without_a_model_is_told_from_a_folder_without_one() {
    let scene = Scene::new();
    scene.train("run", &["--set", "max_steps=1"]);
    fs::remove_dir_all(scene.path("run/model")).unwrap();
    says(&scene.refused(&["eval", "run"]), &["run holds a run", "no model yet"]);
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
