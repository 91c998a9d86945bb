//! Model folders with one file changed: configuration, tokenizer, special tokens and chat template.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use serde_json::{Value, json};

use wgrpo::data::Message;
use wgrpo::model::{Decoder, LoadedModel, ModelConfig};
use wgrpo::random::Stream;
use wgrpo::text::Tokenizer;

use super::changes::{change_bytes, change_json};
use super::{Tally, cases};
use crate::support::{Cpu, device};

pub const FILES: [&str; 7] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "model.safetensors",
];

const TEMPLATE: &str = "{%- for m in messages -%}{{ m.content | trim }}{%- endfor -%}";
const ALPHABET: &str = "0123456789+-*/=() ";

/// A tiny chat model that is whole.
pub fn whole() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = Tokenizer::characters(ALPHABET).unwrap();
    let config: ModelConfig = serde_json::from_value(json!({
        "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2
    }))
    .unwrap();
    let config = config.for_tokenizer(tokenizer.vocab_size(), tokenizer.bos_id(), vec![2], Some(0));
    let decoder = Decoder::<Cpu>::initialise(&config, 0, &device()).unwrap();
    LoadedModel { config, decoder, tokenizer }.save(folder.path()).unwrap();
    let map =
        json!({"bos_token": "<bos>", "eos_token": {"content": "<eos>"}, "pad_token": "<pad>"});
    fs::write(folder.path().join("special_tokens_map.json"), map.to_string()).unwrap();
    fs::write(folder.path().join("chat_template.jinja"), TEMPLATE).unwrap();
    folder
}

/// Another form of a file, made by its kind.
pub fn changed(file: &str, bytes: &[u8], stream: &mut Stream) -> Vec<u8> {
    match file.ends_with(".json") {
        true if stream.below(8) == 0 => with_token(bytes, stream),
        true => change_json(bytes, stream),
        false => change_bytes(bytes, stream),
    }
}

/// Special tokens and added ones as nobody has them.
fn with_token(bytes: &[u8], stream: &mut Stream) -> Vec<u8> {
    let mut json: Value = serde_json::from_slice(bytes).unwrap();
    let long = "<x>".repeat(100_000);
    let names = ["<bos>", "1", "", "<nope>", "\u{0}", " ", long.as_str()];
    let name = names[stream.index_below(names.len())];
    let id = [0, 1, 18, 20, 21, 22, 1 << 24, u64::from(u32::MAX), u64::MAX][stream.index_below(9)];
    let token = json!({"id": id, "content": name, "special": stream.below(2) == 0, "lstrip": true,
        "rstrip": true, "normalized": true, "single_word": false});
    match json["added_tokens"].as_array_mut() {
        Some(added) => added.push(token),
        None => {
            let key =
                ["eos_token", "bos_token", "pad_token", "eos_token_id"][stream.index_below(4)];
            json[key] = [token, json!(name), json!([id, id])][stream.index_below(3)].clone();
        }
    }
    json.to_string().into_bytes()
}

/// Opens the folder and puts a prompt through its template and its tokenizer.
fn used(folder: &Path) -> Result<(), String> {
    let model = LoadedModel::<Cpu>::open(folder, &device()).map_err(|error| error.to_string())?;
    let text = model.tokenizer.render_chat(&[Message::new("user", "1+1=")], true);
    let ids = model.tokenizer.encode(&text.map_err(|error| error.to_string())?, false);
    let ids = ids.map_err(|error| error.to_string())?;
    assert!(ids.iter().all(|id| (*id as usize) < model.config.vocab_size), "{ids:?}");
    let _ = model.tokenizer.decode(&ids);
    Ok(())
}

#[test]
fn fuzz_a_folder_with_any_file_changed_is_opened_or_refused() {
    let folder = whole();
    used(folder.path()).unwrap();
    for (number, file) in FILES.iter().enumerate() {
        let path = folder.path().join(file);
        let bytes = fs::read(&path).unwrap();
        let mut tally = Tally::new(&format!("folders with another {file}"));
        for seed in 0..cases(100) {
            let mut stream = Stream::new(seed, 0xB0 + number as u32);
            fs::write(&path, changed(file, &bytes, &mut stream)).unwrap();
            let _ = tally.watch(&format!("seed {seed}"), || used(folder.path()));
        }
        fs::write(&path, &bytes).unwrap();
        assert!(tally.refused > 0, "{file}");
    }
}
