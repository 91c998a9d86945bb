//! `wgrpo report` and `wgrpo runs`: what runs have left behind, for a person to read.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use wgrpo::monitor::{EvalMetrics, SampleLine, StepMetrics};

use crate::program::{Scene, says};

/// Writes what a run of so many steps would have.
fn write_run(scene: &Scene, run: &str, steps: u64) {
    let share = |step: u64| step as f64 / steps as f64;
    let metrics = |step: u64| {
        let mut line = StepMetrics {
            step,
            reward: 1.5 * share(step) + 0.1 * (step as f64).sin(),
            accuracy: share(step),
            kl: Some(0.4 * share(step)),
            entropy: 1.2 - share(step),
            mean_length: 40.0 + (step % 17) as f64,
            grad_norm: if step.is_multiple_of(97) { 40.0 } else { 0.5 },
            learning_rate: 1e-4 * (1.0 - share(step)),
            step_secs: 0.8 + 0.01 * (step % 7) as f64,
            ..StepMetrics::default()
        };
        line.reward_means.insert("exact".into(), share(step));
        serde_json::to_string(&line).unwrap() + "\n"
    };
    let eval = |step: u64| {
        let line =
            EvalMetrics { step, accuracy: share(step), problems: 9, ..EvalMetrics::default() };
        serde_json::to_string(&line).unwrap() + "\n"
    };
    let samples = |step: u64| (0..4).map(|at| sample(step, at)).collect::<String>();
    let write = |name: &str, text: String| scene.write(&format!("{run}/{name}"), &text);
    write("config.yaml", format!("seed: {steps}\nmax_steps: {steps}\noutput_dir: {run}\n"));
    write("metrics.jsonl", (1..=steps).map(metrics).collect());
    write("eval.jsonl", (0..=steps).step_by(100).map(eval).collect());
    write("samples.jsonl", (1..=steps).map(samples).collect());
    let finding = json!({"event": "finding", "step": 7, "problem": "groups without signal", "key": "seed", "value": 1});
    write("events.jsonl", finding.to_string() + "\n");
    write("report.txt", "accuracy   10.0 % before\n".into());
}

/// A completion, every second one with what became of each token.
fn sample(step: u64, at: u64) -> String {
    let words = ["<b>", "The", " sum", " is", " 4", "2"];
    let line = SampleLine {
        step,
        problem: format!("sum-{}", step % 40),
        prompt: "What is 40 + 2?".into(),
        completion: words.concat(),
        reward: at as f64 / 3.0,
        rewards: [("exact".into(), Some(1.0)), ("length".into(), None)].into(),
        advantage: at as f64 - 1.5,
        finish: if at == 0 { "length" } else { "eos" }.into(),
        tokens: words.len() as u64,
        ..SampleLine::default()
    };
    let mut line = serde_json::to_value(line).unwrap();
    line["answer"] = "42".into();
    if at.is_multiple_of(2) {
        line["extracted"] = "42".into();
        line["token_logps"] = words.iter().map(|word| json!([word, -0.7 * at as f64])).collect();
    }
    line.to_string() + "\n"
}

/// What the page's script reads.
fn data(scene: &Scene, page: &str) -> Value {
    let html = scene.read(page);
    let (_, rest) = html.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

fn listed(scene: &Scene, folder: &str) -> Vec<Value> {
    let told = scene.succeed(&["runs", folder, "--json"]).stdout;
    told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_run_is_reported_with_its_curves_completions_and_closing_report() {
    let scene = Scene::new();
    scene.train("run", &[]);
    let told = scene.succeed(&["report", "run", "-o", "page.html"]);
    says(&told.stdout, &["page.html (", " kB)"]);
    assert_eq!(told.stderr, "");
    let run = &data(&scene, "page.html")["runs"][0];
    let metrics = scene.lines("run/metrics.jsonl");
    let rewards: Vec<f64> = metrics.iter().map(|line| line["reward"].as_f64().unwrap()).collect();
    let drawn = run["curves"]["reward"]["mean"].as_array().unwrap();
    assert_eq!(drawn.len(), rewards.len());
    let apart = drawn.iter().zip(&rewards).map(|(a, b)| (a.as_f64().unwrap() - b).abs());
    assert!(apart.fold(0.0, f64::max) < 1e-4, "{drawn:?} {rewards:?}");
    assert_eq!(
        run["samples"]["rows"].as_array().unwrap().len(),
        scene.lines("run/samples.jsonl").len()
    );
    assert_eq!(run["report"], scene.read("run/report.txt"));
    // The newest checkpoint says from what the run was made.
    assert!(run["environment"].as_array().unwrap().contains(&json!(["step", "3"])), "{run}");
}

#[test]
fn a_report_is_replaced_by_a_newer_one_and_nothing_else_is() {
    let scene = Scene::new();
    write_run(&scene, "run", 2);
    scene.succeed(&["report", "run"]);
    scene.succeed(&["report", "run", "-o", "report.html"]);
    let log = scene.read("run/metrics.jsonl");
    let message = scene.refused(&["report", "run", "-o", "run/metrics.jsonl"]);
    says(&message, &["run/metrics.jsonl is there already and is no report", "-o"]);
    assert_eq!(scene.read("run/metrics.jsonl"), log);
    says(&scene.refused(&["report", "run", "-o", "run"]), &["run is a folder", "-o report.html"]);
}

#[test]
fn what_is_no_run_is_refused_with_a_way_out() {
    let scene = Scene::new();
    says(&scene.refused(&["report", "nowhere"]), &["nowhere is no folder", "output_dir"]);
    scene.write("empty/notes.txt", "");
    says(&scene.refused(&["report", "empty"]), &["empty holds no metrics.jsonl", "wgrpo runs"]);
    scene.write("table/metrics.jsonl", "step,reward\n1,0.5\n");
    says(&scene.refused(&["report", "table"]), &["holds no line of a run's metrics", "restore"]);
    says(&scene.refused(&["runs", "nowhere"]), &["nowhere is no folder"]);
    says(&scene.succeed(&["runs", "empty"]).stderr, &["there is no run below empty"]);
}

#[test]
fn a_run_that_was_killed_over_a_line_is_reported_without_it() {
    let scene = Scene::new();
    write_run(&scene, "run", 5);
    let log = scene.read("run/metrics.jsonl");
    scene.write("run/metrics.jsonl", &log[..log.len() - 20]);
    let told = scene.succeed(&["report", "run"]);
    assert_eq!(told.stderr, "");
    assert_eq!(data(&scene, "report.html")["runs"][0]["steps"], 4);
    // A line in the middle is missed, and told.
    scene.write("run/metrics.jsonl", &log.replacen("\"step\":2", "\"step\":", 1));
    says(&scene.succeed(&["report", "run"]).stderr, &["run: a line of its logs could not be read"]);
}

#[test]
fn runs_are_listed_with_their_state_and_what_differs() {
    let scene = Scene::new();
    scene.train("runs/first", &[]);
    scene.train("runs/more/second", &["--set", "seed=6", "--set", "max_steps=2"]);
    scene.train("runs/third", &["--set", "seed=6"]);
    let config = scene.read("runs/third/config.yaml");
    scene.write("runs/third/config.yaml", &config.replace("max_steps: 3", "max_steps: 9"));
    let told = scene.succeed(&["runs"]).stdout;
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 3, "{told}");
    says(lines[0], &["first ", "finished", "3 of 3", " % → ", "max_steps=3, seed=5"]);
    says(lines[1], &["second ", "finished", "2 of 2", "max_steps=2"]);
    says(lines[2], &["third ", "stopped", "3 of 9", "max_steps=9"]);
    // Two of three have it.
    assert!(!lines[1].contains("seed="), "{told}");

    std::fs::remove_file(scene.path("runs/third/report.txt")).unwrap();
    let lock = File::open(scene.path("runs/first/.lock")).unwrap();
    lock.lock().unwrap();
    let runs = listed(&scene, "runs");
    let states: Vec<&Value> = runs.iter().map(|run| &run["state"]).collect();
    assert_eq!(states, ["running", "finished", "failed"]);
    let evals = scene.lines("runs/first/eval.jsonl");
    let accuracy = |at: usize| evals[at]["eval/accuracy"].clone();
    assert_eq!(runs[0]["accuracy_before"], accuracy(0));
    assert_eq!(runs[0]["accuracy_after"], accuracy(evals.len() - 1));
    assert_eq!((&runs[2]["steps"], &runs[2]["max_steps"]), (&json!(3), &json!(9)));
}

#[test]
fn a_browser_draws_the_curves_of_a_thousand_steps_and_filters_their_completions() {
    let scene = Scene::new();
    write_run(&scene, "first", 1000);
    write_run(&scene, "second", 700);
    for (page, runs) in [("one.html", &["first"][..]), ("two.html", &["first", "second"])] {
        scene.succeed(&[&["report"], runs, &["-o", page]].concat());
        let bytes = scene.read(page).len();
        assert!(bytes < 2_000_000, "{page} has {bytes} bytes");
        try_in_browser(&scene.path(page));
    }
}

/// Tries a page in headless Chromium, where there is one.
fn try_in_browser(page: &Path) {
    let is_there = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !["python3", "chromium"].into_iter().all(is_there) {
        eprintln!("skipped: the report in a browser needs python3 and chromium");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/report/browser.py");
    let ended = Command::new("python3").arg("-B").arg(script).arg(page).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}
