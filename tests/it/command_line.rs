//! What each command prints and writes, and that a run can be stopped and gone on with.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::program::{Ended, Scene, lines_so_far, says, wait_until};

/// Metrics that depend on the clock.
const TIMES: [&str; 7] = [
    "step_time",
    "time/rollout_secs",
    "time/reward_secs",
    "time/update_secs",
    "rollout_tokens_per_s",
    "reward_tokens_per_s",
    "update_tokens_per_s",
];

/// The lines of `metrics.jsonl` without what the clock decides.
pub fn metrics(scene: &Scene, folder: &str) -> Vec<Value> {
    let mut lines = scene.lines(&format!("{folder}/metrics.jsonl"));
    for line in &mut lines {
        for key in TIMES {
            assert!(line.as_object_mut().unwrap().remove(key).is_some(), "no {key}");
        }
    }
    lines
}

/// Checks that two runs have the same metrics, evaluations, samples and model.
#[track_caller]
pub fn assert_same_run(scene: &Scene, one: &str, other: &str) {
    assert_eq!(metrics(scene, one), metrics(scene, other));
    let files = [
        "eval.jsonl",
        "samples.jsonl",
        "events.jsonl",
        "model/model.safetensors",
        "model/tokenizer.json",
    ];
    for file in files {
        let read = |folder: &str| fs::read(scene.path(folder).join(file)).unwrap();
        assert!(read(one) == read(other), "{file} differs");
    }
}

/// The only line of standard output, or the last of several, as JSON.
fn last_json(ended: &Ended) -> Value {
    serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap()
}

#[test]
fn train_writes_the_run_and_tells_what_it_reached() {
    let scene = Scene::new();
    let ended = scene.train("run", &[]);
    says(
        &ended.stdout,
        &["accuracy", "before", "after, on 12 held-out problems", "steps      3 in"],
    );
    for file in ["model", "metrics.jsonl", "samples.jsonl", "config.yaml"] {
        says(&ended.stdout, &[Path::new("run").join(file).to_str().unwrap()]);
        assert!(scene.path("run").join(file).exists(), "no {file}");
    }
    assert_eq!(ended.stdout, scene.read("run/report.txt"));
    says(&ended.stderr, &["88 to train on, 12 held out", "train 3/3: reward"]);
}

#[test]
fn every_step_is_a_line_under_trl_names() {
    let scene = Scene::new();
    scene.train("run", &[]);
    let lines = scene.lines("run/metrics.jsonl");
    assert_eq!(lines.len(), 3);
    let names = "step reward reward_std frac_reward_zero_std kl entropy clip_ratio/low_mean \
        clip_ratio/high_mean clip_ratio/region_mean completions/mean_length \
        completions/clipped_ratio grad_norm learning_rate step_time time/rollout_secs \
        time/reward_secs time/update_secs rewards/exact/mean rewards/regex/mean";
    for (line, step) in lines.iter().zip(1..) {
        assert_eq!(line["step"], step);
        for name in names.split_whitespace() {
            assert!(line.get(name).is_some(), "step {step} has no {name}");
        }
        assert!(line["grad_norm"].as_f64().unwrap() > 0.0);
    }
    assert_eq!(scene.lines("run/eval.jsonl").len(), 2, "one evaluation before and one after");
}

#[test]
fn sample_completions_come_with_rewards_and_advantages() {
    let scene = Scene::new();
    scene.train("run", &["--set", "tracking.samples_every=1", "--set", "tracking.samples=2"]);
    let lines = scene.lines("run/samples.jsonl");
    assert_eq!(lines.len(), 6);
    for line in lines {
        assert!(line["prompt"].as_str().unwrap().ends_with('='));
        assert!(line["completion"].is_string() && line["rewards"]["exact"].is_number());
        assert!(line["reward"].is_number() && line["advantage"].is_number());
    }
}

#[test]
fn quiet_leaves_only_the_closing_report() {
    let scene = Scene::new();
    let ended = scene.train("run", &["--quiet"]);
    assert_eq!(ended.stderr, "");
    assert_eq!(ended.stdout, scene.read("run/report.txt"));
}

#[test]
fn quiet_keeps_no_warning_back() {
    let scene = Scene::new();
    let ended = scene.train("run", &["--quiet", "--set", "sampling.top_p=0.9"]);
    says(&ended.stderr, &["sampling.top_p", "bias"]);
    assert!(!ended.stderr.contains("train 3/3"), "{}", ended.stderr);
    std::fs::write(scene.path("run/checkpoints/step-3/policy.safetensors"), "torn").unwrap();
    let resumed = scene.train("run", &["--quiet", "--resume", "--set", "sampling.top_p=0.9"]);
    says(&resumed.stderr, &["step-3", "policy.safetensors"]);
}

#[test]
fn eval_prints_one_json_line_that_agrees_with_the_run() {
    // Taught enough to have something to agree on.
    let taught = "warm_start={max_steps: 300, learning_rate: 0.01, stop_accuracy: 0.3}";
    let scene = Scene::new();
    scene.train("run", &["--set", taught]);
    let ended = scene.succeed(&["eval", "run", "--json", "--samples", "4", "--k", "2"]);
    assert_eq!(ended.stdout.lines().count(), 1);
    let found = last_json(&ended);
    let after = &scene.lines("run/eval.jsonl")[1]["eval/accuracy"];
    assert_eq!((&found["accuracy"], &found["problems"]), (after, &Value::from(12)));
    let share = |name: &str| found[name].as_f64().unwrap();
    assert!(share("accuracy") > 0.0, "{found}");
    assert!(share("mean_at_n") <= share("pass_at_k") && share("pass_at_k") <= 1.0, "{found}");
    assert_eq!((&found["k"], &found["samples"]), (&Value::from(2), &Value::from(4)));
}

#[test]
fn eval_samples_by_itself_and_takes_fewer_problems_where_asked() {
    let scene = Scene::new();
    scene.train("run", &[]);
    let ended = scene.succeed(&["eval", "run", "--problems", "5"]);
    says(&ended.stdout, &["accuracy", "greedy, on 5 held-out problems", "mean@4", "pass@4"]);
}

#[test]
fn eval_takes_a_bare_model_folder_with_a_configuration() {
    let scene = Scene::new();
    scene.train("run", &[]);
    let of_run = scene.succeed(&["eval", "run", "--json"]);
    let of_folder = scene.succeed(&["eval", "run/model", "--config", "tiny.yaml", "--json"]);
    assert_eq!(of_run.stdout, of_folder.stdout);
    says(&scene.refused(&["eval", "run/model"]), &["run/model", "--config FILE"]);
}

#[test]
fn generate_continues_a_prompt_and_repeats_itself_for_the_same_seed() {
    let scene = Scene::new();
    scene.train("run", &[]);
    let sampled = |seed: &str| {
        let arguments =
            "generate run --prompt 1+2= --samples 8 --temperature 1 --max-tokens 4 --json";
        let mut arguments: Vec<&str> = arguments.split(' ').collect();
        arguments.extend(["--seed", seed]);
        scene.succeed(&arguments).stdout
    };
    let lines = sampled("1");
    assert_eq!(lines, sampled("1"));
    assert_ne!(lines, sampled("2"));
    assert_eq!(lines.lines().count(), 8);
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["completion"].is_string() && line["logp"].as_f64().unwrap() < 0.0);
        assert!(["eos", "length"].contains(&line["finish"].as_str().unwrap()));
    }
    let greedy = scene.succeed(&["generate", "run/model", "--prompt", "1+2="]);
    assert!(greedy.stdout.ends_with('\n'));
}

#[test]
fn bench_prints_its_figures_as_the_last_line() {
    let scene = Scene::new();
    let ended = scene.succeed(&["bench", "tiny.yaml", "--steps", "2", "--warmup", "1"]);
    let figures = last_json(&ended);
    let names = "parameters median_step_s rollouts_per_s generated_tokens_per_s \
        trained_tokens_per_s rollout_s reward_s update_s";
    for name in names.split_whitespace() {
        assert!(figures[name].as_f64().unwrap() >= 0.0, "{name}: {figures}");
    }
    assert_eq!((&figures["steps"], &figures["rollouts_per_step"]), (&2.into(), &16.into()));
    assert_eq!(figures["max_rss_mib"].is_number(), cfg!(target_os = "linux"));
    assert!(!scene.path("runs").exists(), "a benchmark leaves no run behind");
}

#[test]
fn bench_times_generation_for_each_number_of_rows_it_is_given() {
    let scene = Scene::new();
    let tied = "model.architecture.tie_word_embeddings=true";
    let rows = ["bench", "tiny.yaml", "--decode", "1,3", "--steps", "1", "--set", tied];
    let ended = scene.succeed(&rows);
    let figures = last_json(&ended);
    assert!(figures["read_gb_per_s"].as_f64().unwrap() > 0.0, "{figures}");
    let decode = figures["decode"].as_array().unwrap();
    assert_eq!(decode.iter().map(|of| &of["rows"]).collect::<Vec<_>>(), [1, 3]);
    for of in decode {
        let figure = |name: &str| of[name].as_f64().unwrap();
        let passes_per_s = figure("tokens_per_s") / figure("rows");
        let read = passes_per_s * figures["parameters"].as_f64().unwrap() * 4.0 / 1e9;
        assert!((figure("weights_gb_per_s") - read).abs() < 0.01 * read + 1e-4, "{figures}");
        assert!(figure("share_of_read_bandwidth") > 0.0 || read < 1e-3, "{figures}");
    }
    says(&scene.run(&["bench", "tiny.yaml", "--decode", "0"]).stderr, &["1..=4096"]);
}

#[test]
fn bench_asks_for_a_run() {
    says(&Scene::new().run(&["bench"]).stderr, &["<CONFIG>"]);
}

#[test]
fn config_prints_a_run_that_reads_back_as_itself() {
    let scene = Scene::new();
    let printed = scene.succeed(&["config", "tiny.yaml", "--set", "optimizer.learning_rate=1e-5"]);
    says(&printed.stdout, &["learning_rate: 0.00001", "kl_loss_coef", "micro_batch_tokens"]);
    scene.write("resolved.yaml", &printed.stdout);
    assert_eq!(scene.succeed(&["config", "resolved.yaml"]).stdout, printed.stdout);
}

#[test]
fn a_run_keeps_the_configuration_it_was_made_by() {
    let scene = Scene::new();
    scene.train("run", &["--set", "max_steps=1"]);
    let again = scene.succeed(&["config", "run/config.yaml"]);
    assert_eq!(again.stdout, scene.read("run/config.yaml"));
    says(&again.stdout, &["max_steps: 1\n", "output_dir: run\n"]);
}

#[test]
fn devices_lists_what_is_compiled_in_and_what_could_be() {
    let scene = Scene::new();
    says(&scene.succeed(&["devices"]).stdout, &["ndarray", "compiled in", "`cpu`", "threads"]);
    let json = scene.succeed(&["devices", "--json"]).stdout;
    let devices: Vec<Value> =
        json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(devices.iter().any(|device| device["compiled"] == true && device["is_cpu"] == true));
}

#[test]
fn a_backend_is_chosen_by_name() {
    let scene = Scene::new();
    scene.train("cpu", &["--device", "cpu"]);
    scene.train("ndarray", &["--device", "ndarray"]);
    assert_same_run(&scene, "cpu", "ndarray");
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let scene = Scene::new();
    scene.train("first", &[]);
    scene.train("second", &[]);
    scene.train("other", &["--set", "seed=6"]);
    assert_same_run(&scene, "first", "second");
    assert_ne!(metrics(&scene, "first"), metrics(&scene, "other"));
}

#[test]
fn a_run_that_is_taken_back_and_resumed_is_bit_for_bit_the_same() {
    let scene = Scene::new();
    scene.train("whole", &[]);
    scene.train("resumed", &[]);
    // As if it had been killed in its third step, with the second checkpoint written.
    fs::remove_dir_all(scene.path("resumed/checkpoints/step-3")).unwrap();
    fs::remove_dir_all(scene.path("resumed/model")).unwrap();
    fs::OpenOptions::new()
        .append(true)
        .open(scene.path("resumed/metrics.jsonl"))
        .and_then(|mut file| std::io::Write::write_all(&mut file, b"{\"step\":4,\"cut o"))
        .unwrap();
    let ended = scene.train("resumed", &["--resume"]);
    says(&ended.stderr, &["resumed from resumed/checkpoints/step-2 after step 2"]);
    assert_same_run(&scene, "whole", "resumed");
}

#[test]
fn a_warm_start_and_a_reference_survive_a_resume_too() {
    let scene = Scene::changed(|config| {
        format!(
            "{config}warm_start: {{max_steps: 4, check_every: 2, batch_size: 8}}\nuse_kl_loss: true\nppo_epochs: 2\n"
        )
    });
    scene.train("whole", &[]);
    scene.train("resumed", &[]);
    fs::remove_dir_all(scene.path("resumed/checkpoints/step-3")).unwrap();
    scene.train("resumed", &["--resume"]);
    assert_same_run(&scene, "whole", "resumed");
}

#[test]
fn how_the_reference_is_stored_is_said_where_it_was_asked_for() {
    let scene = Scene::changed(|config| format!("{config}use_kl_loss: true\n"));
    let asked = ["--set", "device.name=ndarray", "--set", "device.reference_dtype=f16"];
    let ended = scene.train("half", &asked);
    says(&ended.stderr, &["reference  its weights stored in f32, for ndarray has no f16"]);
    let plain = scene.train("plain", &["--set", "device.name=ndarray"]);
    assert!(!plain.stderr.contains("weights stored"), "{}", plain.stderr);
    assert_same_run(&scene, "half", "plain");
}

#[test]
fn what_a_cpu_is_given_to_do_is_not_counted() {
    let scene = Scene::new();
    let refusal = scene.refused(&["bench", "tiny.yaml", "--count", "--device", "cpu"]);
    says(&refusal, &["--count", "ndarray is none", "--device vulkan"]);
}

#[test]
fn tf32_is_refused_where_only_f32_is_computed() {
    let scene = Scene::new();
    let refusal = scene.refused(&["train", "tiny.yaml", "--set", "device.compute_dtype=tf32"]);
    says(&refusal, &["device.compute_dtype is tf32", "this device", "--device cuda"]);
}

#[test]
fn bf16_trains_where_the_cpu_multiplies_it_and_is_refused_elsewhere() {
    let scene = Scene::new();
    let bf16 = ["--set", "device.compute_dtype=bf16"];
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512bf16") {
        let run = scene.succeed(&[&["train", "tiny.yaml"][..], &bf16].concat());
        says(&run.stderr, &["device.compute_dtype bf16", "8 of 24 bits"]);
        return;
    }
    let refusal = scene.refused(&[&["train", "tiny.yaml"][..], &bf16].concat());
    says(&refusal, &["device.compute_dtype is bf16", "AVX512-BF16"]);
}

#[test]
fn a_finished_run_can_be_taken_further() {
    let scene = Scene::changed(|config| format!("{config}optimizer: {{schedule: constant}}\n"));
    scene.train("whole", &["--set", "max_steps=4"]);
    scene.train("longer", &["--set", "max_steps=2"]);
    scene.train("longer", &["--resume", "--set", "max_steps=4"]);
    assert_eq!(metrics(&scene, "whole"), metrics(&scene, "longer"));
}

#[test]
fn only_the_newest_checkpoints_are_kept() {
    let scene = Scene::new();
    scene.train("run", &["--set", "max_steps=4", "--set", "checkpoint.keep=2"]);
    let mut names: Vec<_> = fs::read_dir(scene.path("run/checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["step-3", "step-4"]);
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_the_run_after_its_step_and_it_can_be_resumed() {
    // Without checkpoints on the way, so that only the interrupt can have saved one.
    let scene = Scene::changed(|config| config.replace("save_steps: 1", "save_steps: 0"));
    let endless = ["--set", "max_steps=100000", "--set", "optimizer.schedule=constant"];
    let mut child = start(&scene, &endless);
    wait_until("the first steps", || lines_so_far(&scene.path("run/metrics.jsonl")) >= 2);
    interrupt(&child);
    wait_until("the end of the run", || child.try_wait().unwrap().is_some());
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    says(&ended.stderr, &["ending after this step"]);
    says(&ended.stdout, &["of 100000, stopped early", "--resume"]);
    let done = metrics(&scene, "run");
    assert!(scene.path("run/model/model.safetensors").exists());
    assert!(scene.path(&format!("run/checkpoints/step-{}", done.len())).exists());

    let further = format!("max_steps={}", done.len() + 1);
    scene.train("run", &["--resume", "--set", &further, endless[2], endless[3]]);
    let all = metrics(&scene, "run");
    assert_eq!((all.len(), &all[..done.len()]), (done.len() + 1, &done[..]));
}

#[cfg(unix)]
#[test]
fn a_second_interrupt_ends_the_run_at_once() {
    // A step of a hundred thousand completions, which nobody waits for.
    let large = ["--set", "rollout_batch_size=25000", "--set", "response_length=100"];
    let scene = Scene::new();
    let mut child = start(&scene, &large);
    wait_until("the first evaluation", || lines_so_far(&scene.path("run/eval.jsonl")) == 1);
    interrupt(&child);
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert!(child.try_wait().unwrap().is_none(), "it did not wait for the end of its step");
    interrupt(&child);
    wait_until("the end", || child.try_wait().unwrap().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(lines_so_far(&scene.path("run/metrics.jsonl")), 0);
}

#[cfg(unix)]
#[test]
fn an_interrupted_warm_start_leaves_no_checkpoint() {
    let scene = Scene::changed(|config| {
        format!("{config}warm_start: {{max_steps: 1000000, check_every: 10, stop_accuracy: 1.1}}\n")
    });
    let mut child = start(&scene, &[]);
    wait_until("the run folder", || scene.path("run/config.yaml").exists());
    std::thread::sleep(std::time::Duration::from_millis(300));
    interrupt(&child);
    wait_until("the end of the run", || child.try_wait().unwrap().is_some());
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert!(!scene.path("run/checkpoints").exists());
    says(
        &scene.refused(&["train", "tiny.yaml", "--output-dir", "run", "--resume"]),
        &["no checkpoint to resume from", "--overwrite"],
    );
}

#[cfg(unix)]
fn start(scene: &Scene, more: &[&str]) -> Child {
    let arguments = [&["train", "tiny.yaml", "--output-dir", "run"], more].concat();
    let mut command = scene.command(&arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[cfg(unix)]
fn interrupt(child: &Child) {
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_error() {
    let scene = Scene::new();
    let program = env!("CARGO_BIN_EXE_wgrpo");
    let line = format!("{program} config tiny.yaml | true; exit ${{PIPESTATUS[0]}}");
    let output = Command::new("bash").args(["-c", &line]).current_dir(scene.path("")).output();
    let ended: Ended = output.unwrap().into();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[cfg(unix)]
#[test]
fn no_command_minds_that_nobody_reads_what_it_says() {
    let scene = Scene::new();
    scene.write("roll.yaml", "exp_name: x\nrollout_batch_size: 4\n");
    scene.write("rewards.jsonl", "{\"rewards\": [1, 0]}\n");
    // The pipe of standard error is closed before the program begins, and then that of both.
    let unheard = |arguments: &str, both: &str| -> Ended {
        let program = env!("CARGO_BIN_EXE_wgrpo");
        let line =
            format!("{{ sleep 0.1; {program} {arguments}; echo $? >&9; }} {both} 9>code | true");
        let output = Command::new("bash").args(["-c", &line]).current_dir(scene.path("")).output();
        assert!(output.unwrap().status.success());
        let code = scene.read("code").trim().parse().ok();
        Ended { code, stdout: String::new(), stderr: String::new() }
    };
    for both in ["2>&1", "2>&1 >/dev/null"] {
        for (arguments, code) in [
            ("train tiny.yaml --output-dir run --overwrite", 0),
            ("train nowhere.yaml", 1),
            ("advantages rewards.jsonl", 0),
            ("config tiny.yaml", 0),
            ("eval run", 0),
            ("bench tiny.yaml --steps 1", 0),
            ("--help", 0),
            ("devices", 0),
        ] {
            assert_eq!(unheard(arguments, both).code, Some(code), "{arguments} {both}");
        }
        let imported = unheard("import-roll roll.yaml", both).code;
        assert!(matches!(imported, Some(0 | 1)), "{imported:?}");
        assert!(scene.path("run/model/model.safetensors").exists());
    }
}

#[test]
fn help_names_every_command_and_says_what_it_does() {
    let scene = Scene::new();
    let help = scene.succeed(&["--help"]).stdout;
    for command in ["train", "eval", "generate", "bench", "config", "devices"] {
        says(&help, &[command]);
        assert!(scene.succeed(&[command, "--help"]).stdout.contains("Usage: wgrpo"));
    }
}
