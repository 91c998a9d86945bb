//! The text of tokens that come one after another, given out as far as no later token changes it.

use super::Tokenizer;

/// The text of a sequence of tokens while it grows.
///
/// A token may end within a character, and a token beside others may read otherwise than alone. So all
/// tokens are decoded together each time, and what is given out is the part that is new and settled.
/// Together the parts are [`Tokenizer::decode`] of all tokens.
#[derive(Debug, Clone)]
pub struct GrowingText<'a> {
    tokenizer: &'a Tokenizer,
    ids: Vec<u32>,
    given: String,
    /// Whether the last token that has a text is a single byte. Whether bytes in a row are characters is
    /// known only where the row ends: one that fits no character spoils all of them.
    ends_in_byte: bool,
}

impl<'a> GrowingText<'a> {
    /// Of no token yet.
    pub fn new(tokenizer: &'a Tokenizer) -> Self {
        Self { tokenizer, ids: Vec::new(), given: String::new(), ends_in_byte: false }
    }

    /// Adds tokens; gives the text that they settle.
    pub fn add(&mut self, ids: &[u32]) -> String {
        self.ids.extend(ids);
        let last = ids.iter().rev().find_map(|id| self.tokenizer.shown_token(*id));
        self.ends_in_byte = last.map_or(self.ends_in_byte, |token| is_byte(&token));
        if self.ends_in_byte {
            return String::new();
        }
        let text = self.tokenizer.decode(&self.ids);
        // Bytes that are no character yet; the next token may complete them.
        let settled = text.trim_end_matches(char::REPLACEMENT_CHARACTER);
        let new = settled.strip_prefix(&*self.given).unwrap_or_default().to_owned();
        self.given.push_str(&new);
        new
    }

    /// Ends the sequence; gives what was held back until now.
    pub fn end(&mut self) -> String {
        let text = self.tokenizer.decode(&self.ids);
        // A decoder that takes back what it said is none of a published model: then the rest follows what
        // the two texts have in common.
        let new = text[common(&text, &self.given)..].to_owned();
        self.given.push_str(&new);
        new
    }

    /// All that was given out.
    pub fn given(&self) -> &str {
        &self.given
    }
}

/// A token `<0xE2>` stands for one byte where a vocabulary lacks the character.
fn is_byte(token: &str) -> bool {
    let digits = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
    digits.is_some_and(|digits| digits.len() == 2 && u8::from_str_radix(digits, 16).is_ok())
}

/// The bytes of the characters that two texts begin with alike.
fn common(a: &str, b: &str) -> usize {
    let alike = a.chars().zip(b.chars()).take_while(|(a, b)| a == b);
    alike.map(|(character, _)| character.len_utf8()).sum()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;

    /// A tokenizer of these tokens, their ids in order, behind a special one with id 0.
    fn tokenizer(tokens: &[&str], decoder: &Value) -> Tokenizer {
        let special = json!({"id": 0, "content": "<end>", "special": true, "lstrip": false,
            "rstrip": false, "normalized": false, "single_word": false});
        let ids = ["<end>"].iter().chain(tokens).zip(0..);
        let vocabulary: serde_json::Map<String, Value> =
            ids.map(|(token, id)| ((*token).to_owned(), json!(id))).collect();
        let model = json!({"type": "WordLevel", "vocab": vocabulary, "unk_token": "<end>"});
        let json = json!({"version": "1.0", "added_tokens": [special], "decoder": decoder, "model": model});
        let config = json!({"eos_token": "<end>"});
        Tokenizer::from_values(Path::new("here"), [&json, &config, &json!({})]).unwrap()
    }

    /// What is given out after each token, and at the end.
    fn parts(tokenizer: &Tokenizer, ids: &[u32]) -> Vec<String> {
        let mut text = GrowingText::new(tokenizer);
        let mut parts: Vec<String> = ids.iter().map(|id| text.add(&[*id])).collect();
        parts.push(text.end());
        assert_eq!(text.given(), parts.concat());
        parts
    }

    /// GPT-2's letters for bytes: `é` is C3 A9, `€` is E2 82 AC.
    fn byte_level() -> Tokenizer {
        let decoder = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
            "use_regex": true});
        tokenizer(&["a", "Ã", "©", "âĤ", "¬", "Ġb", "ÿ"], &decoder)
    }

    /// Llama 2's and Gemma's: characters that the vocabulary lacks are bytes, the first space goes.
    fn byte_fallback() -> Tokenizer {
        let decoders = json!([
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ]);
        let tokens = ["▁a", "b", "<0xC3>", "<0xA9>", "<0xFF>"];
        tokenizer(&tokens, &json!({"type": "Sequence", "decoders": decoders}))
    }

    #[test]
    fn a_character_is_given_out_when_its_last_byte_is_there() {
        let parts = parts(&byte_level(), &[1, 2, 3, 4, 5, 6]);
        assert_eq!(parts, ["a", "", "é", "", "€", " b", ""]);
    }

    #[test]
    fn bytes_that_are_no_character_stay_what_unicode_has_for_them() {
        let tokenizer = byte_level();
        assert_eq!(parts(&tokenizer, &[1, 4]), ["a", "", "\u{fffd}"]);
        assert_eq!(parts(&tokenizer, &[7, 2, 1]), ["", "", "\u{fffd}\u{fffd}a", ""]);
        assert_eq!(tokenizer.decode(&[7, 2, 1]), "\u{fffd}\u{fffd}a");
    }

    #[test]
    fn bytes_in_a_row_wait_for_the_end_of_the_row() {
        let tokenizer = byte_fallback();
        assert_eq!(parts(&tokenizer, &[1, 3, 4, 2]), ["a", "", "", "éb", ""]);
        assert_eq!(parts(&tokenizer, &[3, 0, 4, 0]), ["", "", "", "", "é"]);
        // Here the last byte makes the two before it unreadable, too.
        let spoilt = [1, 3, 4, 5, 2];
        assert_eq!(tokenizer.decode(&spoilt), "a\u{fffd}\u{fffd}\u{fffd}b");
        assert_eq!(parts(&tokenizer, &spoilt).concat(), tokenizer.decode(&spoilt));
    }

    #[test]
    fn a_space_is_kept_or_left_out_as_in_the_whole_text() {
        assert_eq!(parts(&byte_fallback(), &[1, 1, 0]), ["a", " a", "", ""]);
        let pieces = json!({"type": "WordPiece", "prefix": "##", "cleanup": true});
        let words = tokenizer(&["a", "##b", "."], &pieces);
        assert_eq!(parts(&words, &[1, 2, 3, 1]), ["a", "b", ".", " a", ""]);
        let space = json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true});
        let words = tokenizer(&["▁a", "b"], &space);
        assert_eq!(parts(&words, &[1, 2, 1]), ["a", "b", " a", ""]);
    }

    #[test]
    fn several_tokens_at_once_give_the_same_text() {
        let tokenizer = byte_level();
        let ids = [1, 2, 3, 4, 5, 6, 7, 2, 1, 0, 99];
        for size in 1..=ids.len() {
            let mut text = GrowingText::new(&tokenizer);
            ids.chunks(size).for_each(|ids| drop(text.add(ids)));
            text.end();
            assert_eq!(text.given(), tokenizer.decode(&ids), "{size} at a time");
        }
    }

    #[test]
    fn a_decoder_that_takes_its_words_back_is_borne() {
        let replace = json!({"type": "Replace", "pattern": {"String": "ab"}, "content": "c"});
        let decoders = json!([{"type": "Fuse"}, replace]);
        let tokenizer =
            tokenizer(&["a", "b", "é"], &json!({"type": "Sequence", "decoders": decoders}));
        assert_eq!(tokenizer.decode(&[1, 2, 3]), "cé");
        assert_eq!(parts(&tokenizer, &[1, 2, 3]), ["a", "", "", "cé"]);
    }
}
