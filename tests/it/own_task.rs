//! The way of a new user in docs/your-own-task.md, command by command, on a model that is small enough.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::program::{Scene, says};

const DOCUMENT: &str = "docs/your-own-task.md";
/// What the document trains.
const MODEL: &str = "HuggingFaceTB/SmolLM2-135M-Instruct";
const TEMPLATE: &str = "{%- for m in messages -%}{{ m.content }}{%- endfor -%}:";

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The commands of the document, as arguments of the program.
fn commands() -> Vec<Vec<String>> {
    let text = read(DOCUMENT);
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let lines = blocks.flat_map(str::lines).filter_map(|line| line.strip_prefix("wgrpo "));
    lines.map(words).collect()
}

/// The words of a command, of which one may stand in double quotes.
fn words(line: &str) -> Vec<String> {
    let line = line.split(" #").next().unwrap();
    let word = regex::Regex::new(r#""([^"]*)"|(\S+)"#).unwrap();
    let of = |found: regex::Captures| found.get(1).or(found.get(2)).unwrap().as_str().to_owned();
    word.captures_iter(line).map(of).collect()
}

/// A chat model of characters in the folder `base/model`.
fn tiny_chat_model(scene: &Scene) {
    let printable: String = (' '..='~').collect();
    let alphabet = serde_json::to_string(&format!("{printable}\n")).unwrap();
    let config = format!(
        "max_steps: 1\nrollout_batch_size: 1\nnum_return_sequences_in_group: 2\nprompt_length: 8\n\
         response_length: 2\ndata: {{kind: arithmetic, digits: 1, held_out: 1}}\nrewards: [{{kind: exact}}]\n\
         model:\n  alphabet: {alphabet}\n  architecture: {{hidden_size: 16, intermediate_size: 16, \
         num_hidden_layers: 1, num_attention_heads: 2, max_position_embeddings: 1024}}\n"
    );
    scene.write("base.yaml", &config);
    scene.succeed(&["train", "base.yaml", "--output-dir", "base", "--quiet"]);
    scene.write("base/model/chat_template.jinja", TEMPLATE);
}

#[test]
fn every_command_of_the_document_does_what_it_says() {
    let python = Command::new("python3").arg("--version").stdout(Stdio::null()).status();
    if !python.is_ok_and(|status| status.success()) {
        println!("skipped: there is no python3");
        return;
    }
    let scene = Scene::new();
    tiny_chat_model(&scene);
    for name in ["people.jsonl", "rewards.py", "answers.jsonl"] {
        scene.write(name, &read(&format!("docs/own-task/{name}")));
    }
    let mut done = Vec::new();
    for command in commands() {
        let mut command: Vec<&str> = command.iter().map(String::as_str).collect();
        command.iter_mut().filter(|part| **part == MODEL).for_each(|part| *part = "base/model");
        let name = command[0];
        match name {
            // An untrained model of characters writes no JSON, so that nothing can be learned from it.
            "check" => {
                let ended = scene
                    .run(&[&command[..], &["--no-step", "--set", "response_length=8"]].concat());
                assert_eq!(ended.code, Some(1), "{ended:?}");
                says(&ended.stdout, &["Give the name and the age", "person 0.000", "cannot learn"]);
            }
            "train" => {
                let short = ["--set", "max_steps=2", "--set", "response_length=8"];
                let told = scene.succeed(&[&command[..], &short].concat());
                says(&told.stdout, &["runs/people/adapter"]);
            }
            "rewards" => {
                let judged = scene.succeed(&[&command[..], &["--json"]].concat()).stdout;
                let totals = judged.lines().map(|line| {
                    let line: serde_json::Value = serde_json::from_str(line).unwrap();
                    line["total"].as_f64().unwrap()
                });
                assert_eq!(totals.collect::<Vec<_>>(), [1.0, 2.0 / 3.0, 0.0]);
            }
            _ => {
                scene.succeed(&command);
            }
        }
        done.push(name.to_owned());
    }
    assert_eq!(done, ["init", "check", "rewards", "train", "eval", "generate", "report", "export"]);
}

#[test]
fn the_files_that_the_document_shows_are_those_beside_it() {
    let text = read(DOCUMENT);
    let shown =
        [("json", 1, "people.jsonl"), ("python", 1, "rewards.py"), ("json", 2, "answers.jsonl")];
    for (language, at, file) in shown {
        let fence = format!("```{language}\n");
        let shown = text.split(&fence).nth(at).unwrap().split("```").next().unwrap();
        assert!(read(&format!("docs/own-task/{file}")).starts_with(shown), "{file}");
    }
    assert_eq!(read("docs/own-task/people.jsonl").lines().count(), 30);
}
