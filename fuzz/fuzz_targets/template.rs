//! Templates: that of a prompt over a row's columns, and that of a model's chat.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use wgrpo::text::{Fill, Tokenizer};
use wgrpo_fuzz::{converse, parts};

fuzz_target!(|input: &[u8]| {
    let [template, row] = parts(input);
    let row: Value = serde_json::from_str(&row).unwrap_or(Value::Null);
    let row = row.as_object().cloned().unwrap_or_default();
    if let Ok(fill) = Fill::text(&template) {
        let _ = fill.filled(&row);
    }
    if let Ok(fill) = Fill::condition(&template) {
        let _ = fill.holds(&row);
    }
    let tokenizer = Tokenizer::characters("0123456789+= ").expect("an alphabet");
    let Ok([tokenizer, config]) = tokenizer.to_texts() else { return };
    let read = |text: &str| serde_json::from_str::<Value>(text).expect("what was written");
    let (tokenizer, mut config) = (read(&tokenizer), read(&config));
    config["chat_template"] = template.into();
    let parts = [&tokenizer, &config, &json!({})];
    if let Ok(tokenizer) = Tokenizer::from_values(Path::new("fuzz"), parts) {
        converse(&tokenizer);
    }
});
