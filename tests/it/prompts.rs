//! What a person is told about prompts: their way to the model, and which cannot be judged.

use std::fs;

use serde_json::{Value, json};

use crate::program::{Scene, says};

/// A scene whose run `run` saved a model, which then gets a chat template.
fn chat_model() -> Scene {
    let scene = Scene::new();
    scene.train("run", &["--set", "max_steps=1"]);
    scene.write("run/model/chat_template.jinja", "{{ messages[0].content }}=");
    scene
}

/// The configuration with that model and the problems of a file.
fn with_data(scene: &Scene, data: &str) {
    let text = scene.read("tiny.yaml").replace("exact", "number");
    let (before, rest) = text.split_once("model:\n").unwrap();
    let (_, after) = rest.split_once("rewards:").unwrap();
    scene.write(
        "chat.yaml",
        &format!("{before}model: {{path: run}}\ndata: {data}\nrewards:{after}"),
    );
}

const PLAIN: &str = "prompts are plain text, so the model's chat template is not used";

#[test]
fn plain_prompts_to_a_model_with_a_template_are_told_of_once() {
    let scene = chat_model();
    scene.write(
        "p.jsonl",
        "{\"prompt\": \"1+1=\", \"answer\": 2}\n{\"prompt\": \"2+2=\", \"answer\": 4}\n",
    );
    let train =
        ["train", "chat.yaml", "--overwrite", "--output-dir", "next", "--set", "max_steps=1"];
    with_data(&scene, "{kind: jsonl, path: p.jsonl, held_out: 1}");
    let said = scene.succeed(&train).stderr;
    assert_eq!(said.matches(PLAIN).count(), 1, "{said}");
    says(&said, &["data.system", "data.chat: true", "conversations"]);
    scene.write(
        "p.jsonl",
        "{\"prompt\": [{\"role\": \"user\", \"content\": \"1+1\"}], \"answer\": 2}\n",
    );
    with_data(&scene, "{kind: jsonl, path: p.jsonl}");
    assert!(!scene.succeed(&train).stderr.contains(PLAIN));
}

#[test]
fn generate_and_eval_tell_of_a_template_that_they_do_not_use() {
    let scene = chat_model();
    let generate = ["generate", "run", "--prompt", "1+1"];
    let said = scene.succeed(&generate).stderr;
    says(&said, &["note: the model has a chat template", "--chat"]);
    assert!(!scene.succeed(&[&generate[..], &["--chat"]].concat()).stderr.contains("note:"));
    let said = scene.succeed(&["eval", "run"]).stderr;
    assert_eq!(said.matches(PLAIN).count(), 1, "{said}");
}

#[test]
fn eval_says_which_problems_it_leaves_out_because_nothing_judges_them() {
    let scene = chat_model();
    scene.write("p.jsonl", "{\"prompt\": \"1+1=\", \"answer\": 2}\n");
    let held_out = ["2", "1/2", "3/4"].map(|answer| json!({"prompt": "1+1=", "answer": answer}));
    scene.write(
        "h.jsonl",
        &held_out.map(|line| format!("{line}\n")).concat().replace("1+1=", "1+2="),
    );
    fs::remove_file(scene.path("run/model/chat_template.jinja")).unwrap();
    let text = held_out_config(&scene);
    scene.write("eval.yaml", &text);
    let ended = scene.succeed(&["eval", "run", "--config", "eval.yaml", "--json"]);
    says(
        &ended.stderr,
        &[
            "note: 2 of 3 held-out problems cannot be judged by number",
            "such as \"1/2\"",
            "2 that no reward can judge are left out",
        ],
    );
    let found: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(found["problems"], 1);
}

fn held_out_config(scene: &Scene) -> String {
    with_data(scene, "{kind: jsonl, path: p.jsonl, held_out_path: h.jsonl}");
    scene.read("chat.yaml").replace("  - {kind: regex, pattern: '^[0-4]', weight: 0.5}\n", "")
}

/// Adds a token behind the vocabulary, as Llama 2's folders have a `<pad>`.
fn add_token(scene: &Scene) -> u64 {
    let path = scene.path("run/model/tokenizer.json");
    let mut json: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let id = json["model"]["vocab"].as_object().unwrap().len() as u64;
    json["added_tokens"].as_array_mut().unwrap().push(json!({
        "id": id, "content": "<new>", "special": true, "lstrip": false, "rstrip": false,
        "normalized": false, "single_word": false
    }));
    fs::write(path, json.to_string()).unwrap();
    id
}

#[test]
fn an_added_token_without_an_embedding_is_told_of_and_refused_where_a_prompt_has_it() {
    let scene = chat_model();
    let id = add_token(&scene);
    let rows = scene.read("run/model/config.json");
    let rows: Value = serde_json::from_str(&rows).unwrap();
    assert_eq!(rows["vocab_size"], id, "the first id without a row");
    let said = scene.succeed(&["generate", "run", "--chat", "--prompt", "1+1"]).stderr;
    says(&said, &[&format!("\"<new>\" ({id})"), "a text that has one is refused"]);
    let refused = scene.refused(&["generate", "run", "--chat", "--prompt", "1<new>"]);
    says(&refused, &["\"<new>\"", &format!("with id {id}"), &format!("{id} rows")]);

    scene.write(
        "p.jsonl",
        "{\"prompt\": \"1+1=\", \"answer\": 2}\n{\"prompt\": \"<new>\", \"answer\": 2}\n",
    );
    with_data(&scene, "{kind: jsonl, path: p.jsonl}");
    let refused = scene.refused(&["train", "chat.yaml", "--output-dir", "next"]);
    says(&refused, &["\"<new>\""]);
    assert!(!scene.path("next").exists(), "before anything is begun");
}
