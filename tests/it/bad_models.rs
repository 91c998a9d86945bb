//! Model folders that do not fit, lack a file or want too much: each is refused with its reason.

use std::fs;

use crate::program::{Scene, says};

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
