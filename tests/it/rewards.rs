//! Rewards as a person meets them: the page that describes them, and `wgrpo rewards test`.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::program::{Scene, says};
use wgrpo::config::RunConfig;
use wgrpo::data::{Problem, Prompt};
use wgrpo::reward::{Completion, Item, Rewards};

/// A run around rewards: a model that is never made, problems that are never read.
const RUN: &str = "\
model: {path: there/is/no/model}
data: {kind: jsonl, path: there/is/no/data.jsonl, answer_column: truth}
response_length: 100
rewards:
";

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rewards.md")).unwrap()
}

/// The blocks of the page with what stands behind their fence, in order.
fn blocks(text: &str) -> Vec<(String, String)> {
    let parts: Vec<&str> = text.split("\n```").collect();
    let block = |part: &&str| {
        let (kind, content) = part.split_once('\n')?;
        (!kind.is_empty()).then(|| (kind.to_owned(), content.to_owned()))
    };
    parts.iter().skip(1).filter_map(block).collect()
}

fn config(rewards: &str) -> RunConfig {
    RunConfig::parse(Path::new("docs/rewards.md"), &format!("{RUN}{rewards}\n"), &[]).unwrap()
}

/// The total of a line by these rewards.
fn total(rewards: &Rewards, line: &Map<String, Value>) -> Option<f64> {
    let text = |key: &str| line.get(key).and_then(Value::as_str);
    let problem = Problem {
        id: 0,
        prompt: Prompt::Text(String::new()),
        answer: text("answer").map(str::to_owned),
        columns: line.clone(),
    };
    let tokens = line.get("tokens").map_or(1, |tokens| tokens.as_u64().unwrap() as usize);
    let completion = Completion {
        text: text("completion").unwrap(),
        tokens,
        finished: true,
        max_tokens: 100,
        ids: &[],
    };
    rewards.score_batch(&[Item { problem: &problem, completion }]).unwrap()[0].total
}

#[test]
fn every_example_of_the_page_has_the_totals_that_it_prints() {
    let (mut rewards, mut compared) = (None, 0);
    for (kind, content) in blocks(&page()) {
        match kind.as_str() {
            "yaml rewards" => rewards = Some(Rewards::new(&config(&content).rewards).unwrap()),
            "jsonl totals" => {
                for line in content.lines() {
                    let line: Map<String, Value> = serde_json::from_str(line).unwrap();
                    let found = total(rewards.as_ref().unwrap(), &line);
                    let expected = line["total"].as_f64();
                    let is_near = found.zip(expected).is_some_and(|(a, b)| (a - b).abs() < 1e-9);
                    assert!(is_near, "{line:?}: {found:?}");
                    compared += 1;
                }
            }
            _ => {}
        }
    }
    assert!(compared > 40, "{compared}");
}

#[test]
fn every_kind_of_reward_has_a_section_and_every_key_is_named_in_it() {
    let page = page();
    let kinds = serde_json::from_value::<wgrpo::reward::RewardConfig>(json!({"kind": "?"}));
    let message = kinds.unwrap_err().to_string();
    let (_, listed) = message.split_once("expected one of ").unwrap();
    let kinds: Vec<&str> = listed.split('`').skip(1).step_by(2).collect();
    assert!(kinds.len() >= 13, "{message}");
    for kind in kinds {
        let heading = format!("\n## {kind}\n");
        let (_, section) =
            page.split_once(&heading).unwrap_or_else(|| panic!("no section for {kind}"));
        let section = section.split("\n## ").next().unwrap();
        let Some(example) = blocks(section).into_iter().find(|(fence, _)| fence == "yaml rewards")
        else {
            continue;
        };
        let configs = config(&example.1).rewards;
        let config = configs.iter().map(|config| serde_json::to_value(config).unwrap());
        let config = config.into_iter().find(|config| config["kind"] == kind).unwrap();
        for key in
            config.as_object().unwrap().keys().filter(|k| !["kind", "weight"].contains(&k.as_str()))
        {
            assert!(section.contains(&format!("`{key}`")), "{kind}: {key} is not described");
        }
    }
}

const REWARDS: &str = "- {kind: choice}\n- {kind: length, max: 4, weight: 0.5}\n";
const COMPLETIONS: &str = "\
{\"completion\": \"The answer is B.\", \"answer\": \"B\", \"tokens\": 6}
{\"completion\": \"C\", \"truth\": \"B\", \"tokens\": 2}

{\"completion\": \"B\"}
";

fn scene() -> Scene {
    let scene = Scene::with(&format!("{RUN}{REWARDS}"));
    scene.write("given.jsonl", COMPLETIONS);
    scene
}

#[test]
fn given_completions_are_scored_without_model_or_data() {
    let ended = scene().succeed(&[
        "rewards",
        "test",
        "tiny.yaml",
        "--completions",
        "given.jsonl",
        "--json",
    ]);
    let lines: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        lines,
        [
            json!({"extracted": "B", "rewards": {"choice": 1.0, "length": -0.5}, "total": 0.75, "solved": true}),
            json!({"extracted": "C", "rewards": {"choice": 0.0, "length": 0.0}, "total": 0.0, "solved": false}),
            json!({"extracted": "B", "rewards": {"choice": null, "length": null}, "total": null, "solved": null}),
        ]
    );
    says(&ended.stderr, &["1 of 3 lines have no column tokens", "length"]);
}

#[test]
fn a_table_shows_what_was_found_and_earned() {
    let ended = scene().succeed(&["rewards", "test", "tiny.yaml", "--completions", "given.jsonl"]);
    let rows: Vec<Vec<&str>> = ended
        .stdout
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|c| !c.is_empty()).collect())
        .collect();
    assert_eq!(rows[0], ["completion", "extracted", "choice", "length", "total", "solved"]);
    assert_eq!(rows[1], ["The answer is B.", "B", "1", "-0.5", "0.75", "yes"]);
    assert_eq!(rows[3], ["B", "B", "-", "-", "-", "-"]);
}

#[test]
fn a_line_that_is_no_completion_is_refused_with_its_number() {
    let scene = scene();
    let arguments = ["rewards", "test", "tiny.yaml", "--completions", "given.jsonl"];
    scene.write("given.jsonl", "{\"completion\": \"B\"}\n\n{\"answer\": \"B\"}\n");
    says(&scene.refused(&arguments), &["given.jsonl:3: has no completion", "write one as"]);
    scene.write("given.jsonl", "\n");
    says(&scene.refused(&arguments), &["given.jsonl: holds no completion"]);
    let arguments = ["rewards", "test", "tiny.yaml", "--completions", "nowhere.jsonl"];
    says(&scene.refused(&arguments), &["nowhere.jsonl: cannot be read"]);
}

#[test]
fn completions_are_sampled_where_none_are_given() {
    let arguments = ["rewards", "test", "tiny.yaml", "--problems", "3", "--samples", "2", "--json"];
    let scene = Scene::new();
    let ended = scene.succeed(&arguments);
    assert_eq!(ended.stdout.lines().count(), 6, "{}", ended.stdout);
    let first: Value = serde_json::from_str(ended.stdout.lines().next().unwrap()).unwrap();
    assert!(first["rewards"]["exact"].is_number() && first["solved"].is_boolean(), "{first}");
    assert_eq!(scene.succeed(&arguments).stdout, ended.stdout);
}

#[test]
fn programs_run_only_where_that_is_allowed() {
    let scene = Scene::with(&format!("{RUN}- {{kind: code}}\n"));
    scene.write("given.jsonl", "{\"completion\": \"x = 1\", \"tests\": [\"assert x == 1\"]}\n");
    let arguments = ["rewards", "test", "tiny.yaml", "--completions", "given.jsonl"];
    says(&scene.refused(&arguments), &["code.allow_execution", "your rights"]);
}
