//! Tokenizers that Hugging Face's library trained, out of the GGUF files that hold their tokens.

use serde_json::Value;
use tokenizers::Tokenizer;

use super::{fixture, json_fixture};
use crate::model::gguf::{GgufFile, tokenizer};
use crate::random::Stream;
use crate::text::{self, GrowingText};

fn file(name: &str) -> GgufFile {
    GgufFile::open(&fixture(&format!("{name}.tokenizer.gguf"))).unwrap()
}

fn read(json: &Value) -> Tokenizer {
    Tokenizer::from_bytes(json.to_string()).unwrap()
}

/// Checks ids and texts of all that `make_gguf.py` tokenised.
pub(super) fn check(tokenizer: &Tokenizer, name: &str) {
    let golden = json_fixture("tokenizers.json");
    let made = &golden["made"][name];
    for (at, text) in golden["texts"].as_array().unwrap().iter().enumerate() {
        let text = text.as_str().unwrap();
        let ids = tokenizer.encode(text, true).unwrap().get_ids().to_vec();
        let expected: Vec<u32> = serde_json::from_value(made["ids"][at].clone()).unwrap();
        assert_eq!(ids, expected, "{name}: {text:?}");
        assert_eq!(tokenizer.decode(&ids, true).unwrap(), made["decoded"][at].as_str().unwrap());
    }
}

#[test]
fn every_kind_gives_the_ids_of_the_tokenizer_that_it_was_made_of() {
    for name in json_fixture("tokenizers.json")["made"].as_object().unwrap().keys() {
        check(&read(&tokenizer::tokenizer_json(&file(name)).unwrap()), name);
    }
}

/// The tokenizer with what is ours around it.
fn ours(name: &str) -> text::Tokenizer {
    let file = file(name);
    let [json, config] =
        [tokenizer::tokenizer_json(&file), tokenizer::tokenizer_config_json(&file)];
    let parts = [&json.unwrap(), &config.unwrap(), &Value::Null];
    text::Tokenizer::from_values(&fixture(name), parts).unwrap()
}

#[test]
fn the_text_of_tokens_that_come_one_by_one_is_that_of_all_of_them() {
    for name in json_fixture("tokenizers.json")["made"].as_object().unwrap().keys() {
        let (tokenizer, mut stream) = (ours(name), Stream::new(7, 0x7e87));
        let size = tokenizer.vocab_size() as u64;
        for length in 0..60 {
            let ids: Vec<u32> = (0..length).map(|_| stream.below(size) as u32).collect();
            let mut text = GrowingText::new(&tokenizer);
            let parts: String = ids.iter().map(|id| text.add(&[*id])).collect();
            assert_eq!(parts + &text.end(), tokenizer.decode(&ids), "{name}: {ids:?}");
        }
    }
}

#[test]
fn the_vocabulary_ends_where_the_tokens_do() {
    let tokenizer = read(&tokenizer::tokenizer_json(&file("qwen2")).unwrap());
    let size = u32::try_from(tokenizer.get_vocab_size(true)).unwrap();
    assert_eq!(tokenizer.id_to_token(size), None);
    assert_eq!(tokenizer.id_to_token(size - 1).as_deref(), Some("</think>"));
}

#[test]
fn special_tokens_and_the_template_are_named() {
    let config = |name: &str| tokenizer::tokenizer_config_json(&file(name)).unwrap();
    for name in ["smollm", "llama"] {
        let config = config(name);
        assert_eq!((&config["bos_token"], &config["eos_token"]), (&"<s>".into(), &"</s>".into()));
        assert_eq!(config["chat_template"], "{% for m in messages %}{{ m.content }}{% endfor %}");
    }
    let adds = |name: &str| config(name)["add_bos_token"] == true;
    assert_eq!(["smollm", "llama-bpe", "llama"].map(adds), [false, true, true]);
    assert_eq!(
        (&config("llama")["unk_token"], &config("smollm")["unk_token"]),
        (&"<unk>".into(), &Value::Null)
    );
}
