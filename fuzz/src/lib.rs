//! What the targets share: a tiny model folder of which one file is another, and texts cut into parts.

use std::fs;
use std::path::Path;

use burn::backend::NdArray;
use serde_json::json;
use tempfile::TempDir;
use wgrpo::data::Message;
use wgrpo::model::{Decoder, LoadedModel, ModelConfig};
use wgrpo::text::Tokenizer;

/// The backend that weights are opened on.
pub type Cpu = NdArray<f32>;

/// Parts of an input, cut at its zero bytes; those that are not there are empty.
pub fn parts<const N: usize>(input: &[u8]) -> [String; N] {
    let mut pieces = input.splitn(N, |byte| *byte == 0).map(String::from_utf8_lossy);
    std::array::from_fn(|_| pieces.next().unwrap_or_default().into_owned())
}

/// A tiny chat model that is whole.
pub fn model() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tokenizer = Tokenizer::characters("0123456789+-*/=() ").expect("an alphabet");
    let config: ModelConfig = serde_json::from_value(json!({
        "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2
    }))
    .expect("a configuration");
    let config = config.for_tokenizer(tokenizer.vocab_size(), tokenizer.bos_id(), vec![2], Some(0));
    let decoder = Decoder::<Cpu>::initialise(&config, 0, &Default::default()).expect("a decoder");
    LoadedModel { config, decoder, tokenizer }.save(folder.path()).expect("a saved model");
    let template = "{%- for m in messages -%}{{ m.content | trim }}{%- endfor -%}";
    fs::write(folder.path().join("chat_template.jinja"), template).expect("a template");
    folder
}

/// Opens a model and asks for a conversation; all errors are right, only a panic is not.
pub fn open(path: &Path) {
    let Ok(model) = LoadedModel::<Cpu>::open(path, &Default::default()) else { return };
    converse(&model.tokenizer);
}

/// Puts a conversation through a tokenizer and its template, and back.
pub fn converse(tokenizer: &Tokenizer) {
    let turn = Message { role: "user".into(), content: "1+1=".into() };
    let text = tokenizer.render_chat(&[turn], true).unwrap_or_else(|_| "1+1=".into());
    if let Ok(ids) = tokenizer.encode(&text, true) {
        tokenizer.decode(&ids);
        tokenizer.decode_all(&ids);
    }
}

/// Writes `input` in the place of a file of a folder, and opens the folder.
pub fn open_with(folder: &Path, file: &str, input: &[u8]) {
    fs::write(folder.join(file), input).expect("a file of a temporary folder");
    open(folder);
}
