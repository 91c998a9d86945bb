//! Going on with a run: only with the same run, only one at a time, and nothing twice.

use std::fs;
use std::process::Stdio;

use serde_json::json;

use crate::bad_input::contents;
use crate::command_line::{assert_same_run, metrics};
use crate::damage::copy;
use crate::program::{Ended, Scene, lines_so_far, says, wait_until};

const RESUME: [&str; 5] = ["train", "tiny.yaml", "--output-dir", "run", "--resume"];

/// A configuration with a bit of everything, on problems in a file.
fn on_a_file() -> Scene {
    let scene = Scene::changed(|config| {
        config.replace(
            "{kind: arithmetic, digits: 1, held_out: 12}",
            "{kind: jsonl, path: problems.jsonl, held_out: 2}",
        ) + "warm_start: {max_steps: 2, check_every: 1, batch_size: 4}\nuse_kl_loss: true\n"
    });
    let lines: Vec<String> =
        (0..9).map(|n| json!({"prompt": format!("{n}+0="), "answer": n}).to_string()).collect();
    scene.write("problems.jsonl", &(lines.join("\n") + "\n"));
    scene
}

#[test]
fn a_key_that_would_make_it_another_run_is_refused_with_both_values() {
    let scene = on_a_file();
    scene.train("run", &["--set", "max_steps=2"]);
    let before = contents(&scene.path("run"));
    for (set, told) in [
        ("seed=6", "seed 5 → 6"),
        ("model.alphabet='9876543210+= '", "model.alphabet \"0123456789+= \" → \"9876543210+= \""),
        ("model.architecture.num_hidden_layers=2", "num_hidden_layers 1 → 2"),
        ("adv_estimator=rloo", "adv_estimator"),
        ("policy_loss=gspo", "policy_loss"),
        ("loss_agg_mode=seq-mean-token-mean", "loss_agg_mode"),
        ("rollout_batch_size=8", "rollout_batch_size 4 → 8"),
        ("num_return_sequences_in_group=2", "num_return_sequences_in_group 4 → 2"),
        ("response_length=4", "response_length 3 → 4"),
        ("prompt_length=9", "prompt_length 8 → 9"),
        ("ppo_epochs=2", "ppo_epochs 1 → 2"),
        ("use_kl_loss=false", "use_kl_loss true → false"),
        ("kl_loss_coef=0.5", "kl_loss_coef 0.001 → 0.5"),
        ("optimizer.learning_rate=0.5", "optimizer.learning_rate"),
        ("optimizer.schedule=cosine", "optimizer.schedule"),
        ("optimizer.moments=q8", "optimizer.moments \"f32\" → \"q8\""),
        ("sampling.temperature=0.9", "sampling.temperature"),
        ("rewards.1.weight=2", "rewards.1.weight 0.5 → 2.0"),
        ("rewards.0.kind=number", "rewards.0.kind \"exact\" → \"number\""),
        ("data.held_out=3", "data.held_out 2 → 3"),
        ("warm_start.max_steps=3", "warm_start.max_steps 2 → 3"),
        ("whiten_advantages=true", "whiten_advantages false → true"),
        ("reward_clip=1", "reward_clip nothing → 1.0"),
        ("device.reference_dtype=bf16", "device.reference_dtype"),
    ] {
        let message = scene.refused(&[&RESUME[..], &["--set", set]].concat());
        says(&message, &["cannot go on as the same run", told, "--output-dir", "--allow-changes"]);
        assert_eq!(contents(&scene.path("run")), before, "{set} changed something");
    }
}

#[test]
fn length_cadence_and_place_may_change_and_are_said() {
    let scene = Scene::new();
    scene.train("run", &["--set", "max_steps=2"]);
    fs::rename(scene.path("run"), scene.path("moved")).unwrap();
    let set = ["max_steps=3", "checkpoint.keep=5", "tracking.samples=1", "eval.every_steps=1"];
    let set: Vec<&str> = set.iter().flat_map(|set| ["--set", set]).collect();
    let ended = scene.train("moved", &[&["--resume"], &set[..]].concat());
    says(&ended.stderr, &["changed    max_steps 2 → 3, since step 2"]);
    says(&ended.stderr, &["checkpoint.keep 2 → 5", "output_dir \"run\" → \"moved\""]);
    assert_eq!(metrics(&scene, "moved").len(), 3);
    says(&scene.read("moved/config.yaml"), &["max_steps: 3"]);
}

#[test]
fn a_change_that_is_accepted_is_made_and_said() {
    let scene = Scene::new();
    scene.train("run", &["--set", "max_steps=2"]);
    let more = ["--set", "max_steps=3", "--set", "optimizer.learning_rate=0.01"];
    scene.refused(&[&RESUME[..], &more].concat());
    let ended = scene.succeed(&[&RESUME[..], &more, &["--allow-changes"]].concat());
    says(&ended.stderr, &["optimizer.learning_rate", "→ 0.01"]);
    says(&scene.read("run/config.yaml"), &["learning_rate: 0.01"]);
    // From here on it is the run.
    scene.succeed(&[&RESUME[..], &more].concat());
}

#[test]
fn moments_of_f32_do_not_become_moments_of_8_bits_even_where_changes_are_accepted() {
    // Wide enough for matrices whose moments are codes.
    let wide = "hidden_size: 64, intermediate_size: 70";
    let scene =
        Scene::changed(|config| config.replace("hidden_size: 16, intermediate_size: 24", wide));
    scene.train("run", &["--set", "max_steps=2"]);
    let more = ["--set", "max_steps=3", "--set", "optimizer.moments=q8", "--allow-changes"];
    let message = scene.refused(&[&RESUME[..], &more].concat());
    let told = ["optimizer.safetensors", "its moments are f32, and this run keeps q8"];
    says(&message, &told);
    says(&message, &["go on with optimizer.moments f32"]);
}

#[test]
fn data_that_changed_under_its_name_is_seen_and_data_that_only_moved_is_not_refused() {
    let scene = on_a_file();
    scene.train("run", &["--set", "max_steps=2"]);
    let text = scene.read("problems.jsonl");
    let longer = [&RESUME[..], &["--set", "max_steps=3"]].concat();
    scene.write("problems.jsonl", &text.replace("8+0=", "0+8="));
    says(&scene.refused(&longer), &["data.path: the content of the file has changed"]);
    fs::remove_file(scene.path("problems.jsonl")).unwrap();
    says(&scene.refused(&longer), &["problems.jsonl", "data.path"]);
    scene.write("elsewhere.jsonl", &text);
    let moved = ["--set", "data.path=elsewhere.jsonl"];
    let ended = scene.succeed(&[&longer[..], &moved].concat());
    says(&ended.stderr, &["data.path \"problems.jsonl\" → \"elsewhere.jsonl\""]);
}

#[test]
fn a_model_that_changed_under_its_name_is_seen() {
    let scene = Scene::new();
    scene.train("base", &["--set", "max_steps=1"]);
    let on_it = ["--set", "model={path: base/model}", "--set", "max_steps=2"];
    scene.train("run", &on_it);
    scene.succeed(&[&RESUME[..], &on_it].concat());
    scene.train("base", &["--overwrite", "--set", "max_steps=2"]);
    let message = scene.refused(&[&RESUME[..], &on_it].concat());
    says(&message, &["model.path: model.safetensors: the content of the file has changed"]);
}

#[test]
fn a_run_that_ended_is_gone_on_with_where_it_ended_and_logs_nothing_twice() {
    let scene = Scene::changed(|config| {
        config.replace("save_steps: 1", "save_steps: 50") + "optimizer: {schedule: constant}\n"
    });
    scene.train("whole", &["--set", "max_steps=4"]);
    scene.train("run", &["--set", "max_steps=2"]);
    let first = scene.lines("run/metrics.jsonl");
    let ended = scene.train("run", &["--resume", "--set", "max_steps=4"]);
    says(&ended.stderr, &["after step 2"]);
    // The very lines, times included: the first two steps were not done again.
    assert_eq!(scene.lines("run/metrics.jsonl")[..2], first[..]);
    assert_eq!(metrics(&scene, "run"), metrics(&scene, "whole"));
    let steps = |scene: &Scene| -> Vec<u64> {
        let lines = scene.lines("run/eval.jsonl");
        lines.iter().map(|line| line["step"].as_u64().unwrap()).collect()
    };
    assert_eq!(steps(&scene), [0, 2, 4]);
    // Nothing is left to do, and nothing is done, logged or measured again.
    let before = contents(&scene.path("run"));
    let ended = scene.train("run", &["--resume", "--set", "max_steps=4"]);
    says(&ended.stderr, &["all 4 steps are done; for more, --set max_steps=8"]);
    let after = contents(&scene.path("run"));
    let changed = |name: &String| before.get(name) != after.get(name);
    let changed: Vec<&String> = after.keys().filter(|name| changed(name)).collect();
    assert!(changed.iter().all(|name| name.ends_with("report.txt")), "{changed:?}");
}

#[test]
fn a_folder_is_enough_to_go_on_with_its_run_wherever_it_lies() {
    let scene = Scene::new();
    scene.train("whole", &[]);
    scene.train("run", &["--set", "max_steps=2"]);
    fs::rename(scene.path("run"), scene.path("moved")).unwrap();
    says(&scene.refused(&["train", "moved"]), &["`wgrpo train moved --resume` goes on with it"]);
    scene.succeed(&["train", "moved", "--resume", "--set", "max_steps=3"]);
    assert_eq!(metrics(&scene, "moved"), metrics(&scene, "whole"));
    fs::create_dir(scene.path("empty")).unwrap();
    says(&scene.refused(&["train", "empty", "--resume"]), &["a folder without a run"]);
}

#[test]
fn a_run_goes_back_to_a_step_and_what_came_after_it_is_kept() {
    let scene = Scene::changed(|config| config.replace("save_steps: 1", "save_steps: 1, keep: 9"));
    scene.train("run", &[]);
    let (first, logged) = (metrics(&scene, "run"), scene.read("run/metrics.jsonl"));
    let refused = scene.refused(&["train", "run", "--resume-from", "7"]);
    says(&refused, &["no checkpoint of step 7", "there are those of 1, 2, 3"]);
    let ended = scene.succeed(&["train", "run", "--resume-from", "1"]);
    says(&ended.stderr, &["after step 1", "what came after it is in", "after-step-1"]);
    assert_eq!(metrics(&scene, "run"), first);
    assert_eq!(scene.read("run/after-step-1/metrics.jsonl"), logged);
    assert!(scene.path("run/after-step-1/step-3/manifest.json").exists());
    // Nothing came after the last step, so that nothing is put aside.
    scene.succeed(&["train", "run", "--resume-from", "3"]);
    assert!(!scene.path("run/after-step-3").exists());
}

#[test]
fn more_steps_say_what_becomes_of_a_learning_rate_that_follows_them() {
    let cosine = "optimizer: {learning_rate: 0.01, schedule: cosine}\n";
    let scene = Scene::changed(|config| config.to_owned() + cosine);
    scene.train("run", &["--set", "max_steps=2"]);
    let ended = scene.train("run", &["--resume", "--set", "max_steps=4"]);
    // Half of the way is 0.005 now; it was the end.
    says(
        &ended.stderr,
        &["ends at step 4: after step 2 the rate is 5.000e-3, where it was to be 0.000e0"],
    );
}

#[test]
fn the_model_of_the_best_evaluation_is_kept_beside_that_of_the_end() {
    let scene = Scene::changed(|config| {
        let best = config.replace("save_steps: 1", "save_steps: 1, keep_best: eval/reward");
        best + "eval: {every_steps: 1}\noptimizer: {learning_rate: 0.05}\n"
    });
    let ended = scene.train("run", &["--set", "max_steps=6"]);
    says(&ended.stdout, &["run/best"]);
    let evaluated = scene.lines("run/eval.jsonl");
    let reward = |line: &serde_json::Value| line["eval/reward"].as_f64().unwrap();
    let best = evaluated.iter().map(reward).fold(f64::MIN, f64::max);
    let first = evaluated.iter().find(|line| reward(line) == best).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&scene.read("run/best.json")).unwrap();
    assert_eq!(kept, json!({"step": first["step"], "metric": "eval/reward", "value": best}));
    let found = scene.succeed(&["eval", "run/best", "--config", "tiny.yaml", "--json"]).stdout;
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["reward"], best, "{found}");
}

#[test]
fn two_runs_never_share_a_folder() {
    let scene = Scene::new();
    let endless = ["--set", "max_steps=100000", "--set", "optimizer.schedule=constant"];
    let mut command =
        scene.command(&[&["train", "tiny.yaml", "--output-dir", "run"], &endless[..]].concat());
    let mut live = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the first steps", || lines_so_far(&scene.path("run/metrics.jsonl")) >= 2);
    let under_way = ["another run is under way in run", "--output-dir"];
    says(&scene.refused(&[&RESUME[..], &endless].concat()), &under_way);
    let overwrite = ["train", "tiny.yaml", "--output-dir", "run", "--overwrite"];
    says(&scene.refused(&overwrite), &under_way);
    assert!(live.try_wait().unwrap().is_none(), "the run beside it was ended");
    live.kill().unwrap();
    live.wait().unwrap();
    // A lock ends with its process, however that ended.
    let steps = lines_so_far(&scene.path("run/metrics.jsonl")).to_string();
    scene
        .succeed(&[&RESUME[..], &endless[2..], &["--set", &format!("max_steps={steps}")]].concat());
}

#[test]
fn a_run_whose_overwriting_was_killed_is_not_gone_on_with() {
    let scene = Scene::new();
    scene.train("old", &[]);
    scene.train("new", &["--set", "seed=6"]);
    let overwrite = ["train", "tiny.yaml", "--output-dir", "run", "--overwrite", "--set", "seed=6"];
    for delay_millis in (0..40).step_by(4) {
        copy(&scene.path("old"), &scene.path("run"));
        let mut command = scene.command(&overwrite);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(delay_millis));
        child.kill().unwrap();
        child.wait().unwrap();
        let ended = scene.run(&[&RESUME[..], &["--set", "seed=6"]].concat());
        match ended.code {
            Some(0) => assert_same_run(&scene, "new", "run"),
            _ => drop(ended.refusal()),
        }
    }
    // Half way: the old checkpoints are there, the mark is, too.
    copy(&scene.path("old"), &scene.path("run"));
    scene.write("run/.overwriting", "");
    says(&scene.refused(&RESUME), &["was cut short", "--overwrite"]);
    let anew = ["train", "tiny.yaml", "--output-dir", "run"];
    says(&scene.refused(&anew), &["already holds a run"]);
    scene.train("run", &["--overwrite"]);
    assert_same_run(&scene, "old", "run");
}

#[test]
fn an_evaluation_of_several_batches_says_how_far_it_is_and_how_to_shorten_it() {
    let scene = Scene::new();
    // A cache of two problems at a time.
    let ended = scene.train("run", &["--set", "device.cache_tokens=20"]);
    says(&ended.stderr, &["evaluation of 12 held-out problems before training", "eval.problems"]);
    says(&ended.stderr, &["evaluate 2/12", "left", "evaluate 12/12"]);
    scene.train("at_once", &[]);
    assert_same_run(&scene, "at_once", "run");
}

#[cfg(unix)]
mod signals {
    use super::*;
    use std::process::{Child, Command};

    fn started(scene: &Scene, shell: &str, hears: &str) -> Child {
        // Whoever tests in the background or under nohup has some signals ignored, which children inherit.
        let line = format!(
            "{shell} exec $(env --default-signal={hears} true 2>/dev/null && echo env --default-signal={hears}) {} train tiny.yaml --output-dir run --set max_steps=100000 \
             --set optimizer.schedule=constant",
            env!("CARGO_BIN_EXE_wgrpo")
        );
        let mut command = Command::new("bash");
        command.args(["-c", &line]).current_dir(scene.path(""));
        // Nobody reads a pipe before the end, and a full one would hold the run up.
        let stderr = fs::File::create(scene.path("stderr")).unwrap();
        let child = command.stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        wait_until("the first steps", || lines_so_far(&scene.path("run/metrics.jsonl")) >= 2);
        child
    }

    fn send(child: &Child, signal: &str) {
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    fn ended(scene: &Scene, mut child: Child) -> Ended {
        wait_until("the end of the run", || child.try_wait().unwrap().is_some());
        Ended { stderr: scene.read("stderr"), ..child.wait_with_output().unwrap().into() }
    }

    #[test]
    fn each_signal_ends_a_run_in_order_with_the_status_that_a_shell_expects() {
        for (signal, code) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
            let scene = Scene::new();
            let child = started(&scene, "", "INT,HUP");
            send(&child, signal);
            let ended = ended(&scene, child);
            assert_eq!(ended.code, Some(code), "{signal}: {}", ended.stderr);
            says(&ended.stdout, &["stopped early"]);
            let done = lines_so_far(&scene.path("run/metrics.jsonl"));
            assert!(scene.path(&format!("run/checkpoints/step-{done}/manifest.json")).exists());
        }
    }

    #[test]
    fn a_run_under_nohup_outlives_its_terminal() {
        let scene = Scene::new();
        let child = started(&scene, "trap '' HUP;", "INT");
        send(&child, "-HUP");
        let seen = lines_so_far(&scene.path("run/metrics.jsonl"));
        let goes_on = || lines_so_far(&scene.path("run/metrics.jsonl")) > seen + 20;
        wait_until("more steps", goes_on);
        send(&child, "-TERM");
        assert_eq!(ended(&scene, child).code, Some(143));
    }
}
