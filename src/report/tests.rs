//! Whole pages, of runs that are long, several, hostile and damaged.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{MOST_RUNS, ReportError, page};
use crate::monitor::{EvalMetrics, RunPaths, SampleLine, StepMetrics};

fn step(step: u64) -> String {
    let share = step as f64 / 7.0;
    let mut metrics = StepMetrics {
        step,
        reward: share.sin(),
        accuracy: share.cos().abs(),
        kl: Some(share / 100.0),
        grad_norm: 1.0 / share,
        step_secs: share.fract() + 0.123_456_789,
        num_tokens: 4096 * step,
        ..StepMetrics::default()
    };
    metrics.reward_means.insert("exact".into(), share.fract());
    serde_json::to_string(&metrics).unwrap() + "\n"
}

/// A line with the two fields that not every version writes.
fn sample(step: u64, words: usize) -> String {
    let words: Vec<String> = (0..words).map(|at| format!(" word{at}")).collect();
    let line = SampleLine {
        step,
        problem: format!("problem {}", step % 50),
        prompt: "What is 1 + 1?".into(),
        completion: words.concat(),
        answer: Some("2".into()),
        rewards: [("exact".into(), Some(0.5)), ("length".into(), None)].into(),
        finish: "eos".into(),
        ..SampleLine::default()
    };
    let mut line = serde_json::to_value(line).unwrap();
    line["extracted"] = "2".into();
    line["token_logps"] = words.iter().map(|word| json!([word, -0.123_456])).collect();
    line.to_string() + "\n"
}

fn run(root: &Path, name: &str, steps: u64, words: usize) -> PathBuf {
    let folder = root.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let paths = RunPaths::new(&folder);
    let config = format!("max_steps: {steps}\noutput_dir: {name}\nadv_estimator: {name}\n");
    let evals = (0..=steps).step_by(100).map(|step| {
        let line = EvalMetrics { step, accuracy: 0.5, problems: 100, ..EvalMetrics::default() };
        serde_json::to_string(&line).unwrap() + "\n"
    });
    std::fs::write(paths.config(), config).unwrap();
    std::fs::write(paths.metrics(), (1..=steps).map(step).collect::<String>()).unwrap();
    std::fs::write(paths.eval(), evals.collect::<String>()).unwrap();
    std::fs::write(paths.samples(), (1..=steps).map(|s| sample(s, words)).collect::<String>())
        .unwrap();
    folder
}

fn html(folders: &[PathBuf]) -> String {
    page(folders).unwrap().html
}

/// What the page's script reads.
fn data(html: &str) -> Value {
    let (_, rest) = html.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn a_thousand_steps_take_less_than_two_megabytes_however_many_runs_and_completions() {
    let root = tempfile::tempdir().unwrap();
    let runs: Vec<PathBuf> =
        (0..MOST_RUNS).map(|n| run(root.path(), &format!("run{n}"), 1000, 100)).collect();
    for count in [1, 3, MOST_RUNS] {
        let html = html(&runs[..count]);
        assert!(html.len() < 2_000_000, "{count} runs: {} bytes", html.len());
        let data = data(&html);
        for run in data["runs"].as_array().unwrap() {
            let rows = run["samples"]["rows"].as_array().unwrap().len() as u64;
            assert!(rows > 10 && rows + run["samples"]["left_out"].as_u64().unwrap() == 1000);
            let curve = &run["curves"]["reward"];
            assert!(curve["low"].as_array().unwrap().len() >= 20, "{curve}");
        }
    }
    let error = page(&vec![runs[0].clone(); MOST_RUNS + 1]).unwrap_err();
    assert!(matches!(error, ReportError::TooMany { .. }), "{error}");
}

#[test]
fn a_hundred_thousand_steps_take_no_more() {
    let root = tempfile::tempdir().unwrap();
    let folder = run(root.path(), "long", 100_000, 1);
    let html = html(&[folder]);
    assert!(html.len() < 2_000_000, "{} bytes", html.len());
    let data = data(&html);
    let run = &data["runs"][0];
    assert_eq!(run["steps"], 100_000);
    for grid in run["grids"].as_array().unwrap() {
        assert!(grid.as_array().unwrap().len() <= 500);
    }
}

#[test]
fn the_page_names_nothing_outside_of_itself() {
    let root = tempfile::tempdir().unwrap();
    let html = html(&[run(root.path(), "run", 3, 3)]);
    assert!(html.starts_with(super::MARK));
    assert!(html.contains("default-src 'none'"));
    // The one address is the name of SVG's elements, which nobody opens.
    let addresses = html.matches("://").count();
    assert_eq!(addresses, html.matches("\"http://www.w3.org/2000/svg\"").count());
    for loading in
        [" src=", "href=", "@import", "url(", "fetch(", "innerHTML", "/*data*/", "/*program*/"]
    {
        assert!(!html.contains(loading), "{loading}");
    }
}

#[test]
fn no_text_of_a_run_becomes_part_of_the_page() {
    let root = tempfile::tempdir().unwrap();
    let folder = run(root.path(), "run", 2, 2);
    let evil = "</script><script>alert(1)</script><!--<script> /*data*/ &lt; \u{2028}\u{0}";
    let line = json!({
        "step": 1, "problem": evil, "prompt": evil, "completion": evil, "answer": evil, "finish": evil,
        "rewards": {evil: 1.0}, "extracted": evil, "token_logps": [[evil, -1.0]],
    });
    std::fs::write(folder.join("samples.jsonl"), line.to_string() + "\n").unwrap();
    std::fs::write(folder.join("report.txt"), evil).unwrap();
    let finding =
        json!({"event": "finding", "problem": evil, "key": evil, "value": evil, "example": evil});
    std::fs::write(folder.join("events.jsonl"), finding.to_string() + "\n").unwrap();
    let html = html(&[folder]);
    assert_eq!(html.matches("<script").count(), 2);
    assert_eq!(html.matches("</script").count(), 2);
    let run = &data(&html)["runs"][0];
    for told in
        [&run["report"], &run["samples"]["rows"][0]["prompt"], &run["findings"][0]["example"]]
    {
        assert_eq!(told, evil);
    }
}

#[test]
fn runs_are_named_by_as_much_as_tells_them_apart_and_their_differences_are_told() {
    let root = tempfile::tempdir().unwrap();
    let runs = [run(root.path(), "a/seed1", 2, 1), run(root.path(), "b/seed1", 3, 1)];
    let data = data(&html(&runs));
    let names: Vec<String> =
        ["a", "b"].map(|n| Path::new(n).join("seed1").display().to_string()).into();
    assert_eq!(json!([data["runs"][0]["name"], data["runs"][1]["name"]]), json!(names));
    let expected = json!([
        {"key": "adv_estimator", "values": ["a/seed1", "b/seed1"]},
        {"key": "max_steps", "values": ["2", "3"]},
    ]);
    assert_eq!(data["differences"], expected);
    assert_eq!(self::data(&html(&runs[..1]))["differences"], json!([]));
}

#[test]
fn whatever_is_damaged_there_is_a_page_or_a_message() {
    let root = tempfile::tempdir().unwrap();
    let folder = run(root.path(), "run", 1, 2);
    std::fs::write(folder.join("events.jsonl"), "{\"event\":\"finding\",\"problem\":\"p\"}\n")
        .unwrap();
    std::fs::write(folder.join("manifest.json"), "{\"device\":\"cpu\"}").unwrap();
    let names = [
        "metrics.jsonl",
        "eval.jsonl",
        "samples.jsonl",
        "config.yaml",
        "events.jsonl",
        "manifest.json",
    ];
    for path in names.map(|name| folder.join(name)) {
        let whole = std::fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(7) {
            for byte in [b'"', b'9', b'\n', 0xFF] {
                let mut damaged = whole.clone();
                damaged[at] = byte;
                std::fs::write(&path, &damaged).unwrap();
                let _ = page(std::slice::from_ref(&folder));
            }
            std::fs::write(&path, &whole[..at]).unwrap();
            let _ = page(std::slice::from_ref(&folder));
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let is_log =
            path.extension().is_some_and(|kind| kind == "jsonl") && !path.ends_with("events.jsonl");
        assert_eq!(page(std::slice::from_ref(&folder)).is_err(), is_log, "{}", path.display());
        std::fs::remove_dir(&path).unwrap();
        std::fs::write(&path, &whole).unwrap();
    }
}
