//! A tokenizer of one token a character, as a real `tokenizer.json`.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::TextError;

pub(super) const PAD: &str = "<pad>";
pub(super) const BOS: &str = "<bos>";
pub(super) const EOS: &str = "<eos>";

/// The `tokenizer.json` of an alphabet: pad, BOS and EOS are 0, 1 and 2, then the characters.
pub(super) fn tokenizer_json(alphabet: &str) -> Result<Value, TextError> {
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [added_token(0, PAD), added_token(1, BOS), added_token(2, EOS)],
        "normalizer": null,
        // `.` would leave out line breaks, and engines differ in how they are told not to.
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"Regex": "[\\s\\S]"},
            "behavior": "Isolated",
            "invert": false,
        },
        "post_processor": begin_with_bos(),
        "decoder": {"type": "Fuse"},
        // The unknown token is in no vocabulary: a foreign character is an error, never a guess.
        "model": {"type": "WordLevel", "vocab": vocabulary(alphabet)?, "unk_token": "<unk>"},
    }))
}

fn vocabulary(alphabet: &str) -> Result<Map<String, Value>, TextError> {
    let mut seen = HashSet::new();
    if let Some(twice) = alphabet.chars().find(|&character| !seen.insert(character)) {
        let problem = format!("the alphabet holds {twice:?} twice; name each character once");
        return Err(TextError::Alphabet(problem));
    }
    if alphabet.is_empty() {
        return Err(TextError::Alphabet("the alphabet is empty; name its characters".to_owned()));
    }
    let specials = [PAD, BOS, EOS].map(str::to_owned);
    let tokens = specials.into_iter().chain(alphabet.chars().map(String::from));
    Ok(tokens.zip((0..).map(|id: u32| json!(id))).collect())
}

fn added_token(id: u32, content: &str) -> Value {
    json!({
        "id": id,
        "content": content,
        "single_word": false,
        "lstrip": false,
        "rstrip": false,
        "normalized": false,
        "special": true,
    })
}

fn begin_with_bos() -> Value {
    let bos = json!({"SpecialToken": {"id": BOS, "type_id": 0}});
    let sequence = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
    json!({
        "type": "TemplateProcessing",
        "single": [bos, sequence("A")],
        "pair": [bos, sequence("A"), sequence("B")],
        "special_tokens": {BOS: {"id": BOS, "ids": [1], "tokens": [BOS]}},
    })
}

#[cfg(test)]
mod tests {
    use crate::text::Tokenizer;

    #[test]
    fn every_character_is_one_token_after_bos() {
        let tokenizer = Tokenizer::characters("0123456789+=\n ").unwrap();
        assert_eq!(tokenizer.encode("12+3=", true).unwrap(), [1, 4, 5, 13, 6, 14]);
        assert_eq!(tokenizer.encode("0\n 9", false).unwrap(), [3, 15, 16, 12]);
        assert_eq!(tokenizer.encode("", true).unwrap(), [1]);
        assert_eq!(tokenizer.vocab_size(), 17);
    }

    #[test]
    fn pad_bos_and_eos_are_three_ids() {
        let tokenizer = Tokenizer::characters("ab").unwrap();
        assert_eq!(tokenizer.pad_id(), 0);
        assert_eq!(tokenizer.bos_id(), Some(1));
        assert_eq!(tokenizer.eos_ids(), [2]);
    }

    #[test]
    fn text_comes_back_without_spaces_between_characters() {
        let tokenizer = Tokenizer::characters("abcé ").unwrap();
        let ids = tokenizer.encode("a b cé", true).unwrap();
        assert_eq!(tokenizer.decode(&ids), "a b cé");
        assert_eq!(tokenizer.decode(&[1, 3, 2, 0]), "a");
    }

    #[test]
    fn a_character_outside_the_alphabet_is_named() {
        let tokenizer = Tokenizer::characters("abc").unwrap();
        let error = tokenizer.encode("abxc", true).unwrap_err().to_string();
        assert!(error.contains("'x'"), "{error}");
    }

    #[test]
    fn an_empty_or_doubled_alphabet_is_refused() {
        assert!(Tokenizer::characters("").is_err());
        let error = Tokenizer::characters("aba").unwrap_err().to_string();
        assert!(error.contains("'a' twice"), "{error}");
    }
}
