//! `wgrpo check`: what a run is like, before the long wait.

use serde_json::{Value, json};

use crate::program::{Scene, says};

fn checked(scene: &Scene, more: &[&str]) -> (Option<i32>, Value) {
    let ended = scene.run(&[&["check", "tiny.yaml", "--json"], more].concat());
    let found = serde_json::from_str(&ended.stdout);
    (ended.code, found.unwrap_or_else(|error| panic!("{error}: {}", ended.stderr)))
}

/// What the findings say to change.
fn changes(found: &Value) -> Vec<(String, Value)> {
    let findings = found["findings"].as_array().unwrap().iter();
    let of = |finding: &Value| (finding["key"].as_str().unwrap().into(), finding["value"].clone());
    findings.map(of).collect()
}

#[test]
fn prompts_are_shown_as_the_model_sees_them_and_nothing_is_written() {
    let scene = Scene::new();
    let told = scene.succeed(&["check", "tiny.yaml"]).stdout;
    says(
        &told,
        &[
            "prompt       <bos>",
            "  said       ",
            "  expected   ",
            "(prompt_length)",
            "(response_length)",
            "pass@2 ",
            "groups of 16",
            "memory       about ",
            " s a step (generation ",
        ],
    );
    assert_eq!(told.matches("prompt       <bos>").count(), 3);
    let files: Vec<_> = std::fs::read_dir(scene.path("")).unwrap().collect();
    assert_eq!(files.len(), 1, "{files:?}");
}

#[test]
fn a_run_that_cannot_learn_ends_with_status_1_and_what_to_change() {
    // Without a warm start a fresh model is never right.
    let scene = Scene::new();
    let exact = ["--set", "rewards=[{kind: exact}]", "--set", "response_length=8", "--no-step"];
    let (code, found) = checked(&scene, &exact);
    assert_eq!((code, &found["facts"]["rewards"]["levels"]), (Some(1), &json!(1)), "{found}");
    assert!(changes(&found).contains(&("warm_start".into(), json!({"max_steps": 200}))), "{found}");
    assert_eq!(found["findings"][0]["is_fatal"], true);
    let told = scene.run(&[&["check", "tiny.yaml"][..], &exact].concat()).stdout;
    says(&told, &["cannot learn all ", "→ --set warm_start={\"max_steps\":200}"]);
}

#[test]
fn what_is_cut_off_asks_for_more_room_and_the_advice_helps() {
    let scene = Scene::new();
    let length = ["--set", "rewards=[{kind: length, max: 6}]", "--no-step", "--set"];
    let of = |tokens: u64| {
        let set = format!("response_length={tokens}");
        checked(&scene, &[&length[..], &[&set]].concat()).1
    };
    let short = of(2);
    let change = changes(&short).into_iter().find(|(key, _)| key == "response_length");
    let longer = change.unwrap_or_else(|| panic!("{short}")).1.as_u64().unwrap();
    assert!((3..=8).contains(&longer), "{short}");
    let share = |found: &Value| found["facts"]["cut_off"].as_f64().unwrap();
    assert!(share(&of(longer)) < share(&short) && share(&short) > 0.05);
}

#[test]
fn a_trial_is_the_same_each_time_and_of_the_size_that_was_asked_for() {
    let scene = Scene::new();
    let asked = ["--problems", "5", "--samples", "3", "--no-step"];
    let (_, first) = checked(&scene, &asked);
    let (_, again) = checked(&scene, &asked);
    assert_eq!((&first["facts"], &first["seen"]), (&again["facts"], &again["seen"]));
    assert_eq!(first["facts"]["problems"], 5);
    assert_eq!(first["facts"]["samples"], 3);
    assert_eq!(first["time"], Value::Null);
    let levels = first["facts"]["without_signal"].as_array().unwrap();
    assert!(levels.iter().all(|size| (0.0..=1.0).contains(&size["share"].as_f64().unwrap())));
}

#[test]
fn the_time_of_a_run_is_that_of_its_steps_and_evaluations() {
    let scene = Scene::new();
    let (code, found) = checked(&scene, &["--set", "max_steps=100"]);
    let of = |key: &str| found["time"][key].as_f64().unwrap();
    assert!(code == Some(0) && of("run_s") >= 100.0 * of("step_s"), "{found}");
    assert!(of("step_s") >= of("rollout_s") + of("update_s"), "{found}");
}

#[test]
fn a_run_says_before_its_first_step_what_keeps_it_from_learning() {
    let scene = Scene::new();
    let exact = ["--set", "rewards=[{kind: exact}]", "--set", "response_length=8"];
    let told = scene.train("run", &exact).stderr;
    says(&told, &["check      all 12 completions earn the same reward, 0", "→ --set warm_start="]);
    let told = scene.train("other", &[&exact[..], &["--skip-check"]].concat()).stderr;
    assert!(!told.contains("check      "), "{told}");
    // It is not part of the run.
    let metrics = |run: &str| scene.lines(&format!("{run}/metrics.jsonl"));
    let reward =
        |run: &str| metrics(run).iter().map(|line| line["reward"].clone()).collect::<Vec<_>>();
    assert_eq!(reward("run"), reward("other"));
}

#[test]
fn every_configuration_here_fits_the_schema_as_far_as_its_keys_go() {
    let scene = Scene::new();
    let schema: Value = serde_json::from_str(&scene.succeed(&["schema"]).stdout).unwrap();
    let known = schema["properties"].as_object().unwrap();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let keys = text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
        for key in keys.filter_map(|line| line.split_once(':')).map(|(key, _)| key) {
            assert!(known.contains_key(key), "{key}");
        }
    }
}

#[test]
fn a_key_is_explained_and_one_that_is_not_there_names_the_nearest() {
    let scene = Scene::new();
    let told = scene.succeed(&["explain", "num_return_sequences_in_group"]).stdout;
    says(&told, &["a whole number", "at least 1", "in TRL   num_generations", "default  8"]);
    says(&scene.succeed(&["explain"]).stdout, &["optimizer ", "rewards "]);
    says(&scene.refused(&["explain", "sampling.temprature"]), &["did you mean `temperature`?"]);
}

#[test]
fn what_init_writes_can_be_checked_as_it_stands_and_is_never_written_over() {
    let scene = Scene::new();
    scene.train("base", &["--set", "max_steps=1"]);
    let problems =
        (0..9).map(|a| format!("{{\"prompt\": \"{a}+1=\", \"answer\": \"{}\"}}\n", a + 1));
    scene.write("problems.jsonl", &problems.collect::<String>());
    let init = ["init", "mine.yaml", "--model", "base/model", "--data", "problems.jsonl"];
    let init = [&init[..], &["--reward", "math"]].concat();
    scene.succeed(&init);
    let ended = scene.run(&["check", "mine.yaml", "--no-step", "--samples", "2", "--json"]);
    let found: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    // One of nine problems is held out.
    assert_eq!(found["facts"]["problems"], 8, "{found}");
    says(&scene.refused(&init), &["mine.yaml is there already"]);
}
