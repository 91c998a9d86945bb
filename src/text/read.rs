//! `tokenizer.json` from anywhere, read with its bounds and tried out before it is trusted.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::boundary::{in_time, with_large_stack};
use super::growth::Growth;
use super::limits::{LONGEST_ADDED, LONGEST_ON_THE_WAY, LONGEST_WORD, MOST_ADDED};
use super::tokenizer::largest_id;

/// How long a handful of short texts may take.
const TRIAL: Duration = Duration::from_secs(3);
/// Bytes of text that must fit, or the tokenizer is of no use.
const SHORT_TEXT: usize = 64;
/// Tokens of a long completion.
const LONG_COMPLETION: usize = 16 << 10;

/// A tokenizer and what is known of it.
#[derive(Debug)]
pub(super) struct ReadTokenizer {
    pub(super) inner: Arc<tokenizers::Tokenizer>,
    pub(super) growth: Growth,
    /// The largest id, and what has it.
    pub(super) largest: (String, u32),
}

/// Reads the bytes of a `tokenizer.json`.
///
/// # Errors
/// What is wrong with the file, as the end of a sentence that begins with its path.
pub(super) fn tokenizer(bytes: &[u8]) -> Result<ReadTokenizer, String> {
    let broken = |error: String| format!("is no tokenizer ({error}); it must be a tokenizer.json");
    let json: Value = serde_json::from_slice(bytes).map_err(|error| broken(error.to_string()))?;
    let growth = checked_growth(&json)?;
    check_words(&json["model"])?;
    check_dropout(&json["model"])?;
    check_added(&json["added_tokens"])?;
    let inner = with_large_stack(|| tokenizers::Tokenizer::from_bytes(bytes));
    let mut inner = inner.map_err(broken)?.map_err(|error| broken(error.to_string()))?;
    // Lengths are the business of a run, not of whoever saved the tokenizer.
    inner.with_padding(None);
    inner.with_truncation(None).map_err(|error| error.to_string())?;
    let added = added_id(&json["post_processor"]);
    let largest = [largest_id(&inner), added].into_iter().max_by_key(|(_, id)| *id);
    let inner = Arc::new(inner);
    let tried = inner.clone();
    in_time(TRIAL, move || try_out(&tried))
        .map_err(|problem| format!("fails on short texts ({problem}); it is broken or hostile"))?;
    Ok(ReadTokenizer { inner, growth, largest: largest.unwrap_or_default() })
}

fn checked_growth(json: &Value) -> Result<Growth, String> {
    let (encoding, decoding) = (Growth::of_encoding(json), Growth::of_decoding(json));
    let too_long = |part: &str, length: f64| {
        format!(
            "has a {part} that may make {length:.1e} bytes out of {SHORT_TEXT}; it is broken or hostile"
        )
    };
    match (encoding.of(SHORT_TEXT), decoding.of(SHORT_TEXT)) {
        (length, _) if length > LONGEST_ON_THE_WAY => {
            Err(too_long("normalizer or post-processor", length))
        }
        (_, length) if decoding.of(LONG_COMPLETION) > 8.0 * LONGEST_ON_THE_WAY => {
            Err(too_long("decoder", length))
        }
        _ => Ok(encoding),
    }
}

fn check_words(model: &Value) -> Result<(), String> {
    match model["max_input_chars_per_word"].as_u64() {
        Some(longest) if longest > LONGEST_WORD => Err(format!(
            "has max_input_chars_per_word {longest}; words of at most {LONGEST_WORD} letters are looked up"
        )),
        _ => Ok(()),
    }
}

/// Dropped merges are drawn outside of any seed: no run could be made again, nor resumed.
fn check_dropout(model: &Value) -> Result<(), String> {
    match model["dropout"].as_f64() {
        Some(share) if share != 0.0 => Err(format!(
            "has model.dropout {share}, which tokenises a text otherwise each time; set it to null"
        )),
        _ => Ok(()),
    }
}

fn check_added(tokens: &Value) -> Result<(), String> {
    let tokens = tokens.as_array().map(Vec::as_slice).unwrap_or_default();
    if tokens.len() > MOST_ADDED {
        let count = tokens.len();
        return Err(format!("has {count} added tokens, and at most {MOST_ADDED} are read"));
    }
    let lengths = tokens.iter().map(|token| token["content"].as_str().map_or(0, str::len));
    match lengths.max() {
        Some(longest) if longest > LONGEST_ADDED => Err(format!(
            "has an added token of {longest} bytes, and tokens of at most {LONGEST_ADDED} are looked for"
        )),
        _ => Ok(()),
    }
}

/// The largest id that a post-processor puts around texts; it need not be in the vocabulary.
fn added_id(part: &Value) -> (String, u32) {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok()).unwrap_or(0);
    let nested = part["processors"].as_array().into_iter().flatten().map(added_id);
    let pairs = ["sep", "cls"].map(|key| &part[key]);
    let pairs = pairs
        .into_iter()
        .map(|pair| (pair[0].as_str().unwrap_or_default().to_owned(), id(&pair[1])));
    let tokens = part["special_tokens"].as_object().into_iter().flatten();
    let tokens = tokens.flat_map(|(name, token)| {
        token["ids"].as_array().into_iter().flatten().map(move |value| (name.clone(), id(value)))
    });
    nested.chain(pairs).chain(tokens).max_by_key(|(_, id)| *id).unwrap_or_default()
}

/// Tokenises short texts and reads them back. Errors are allowed, a panic is not.
fn try_out(tokenizer: &tokenizers::Tokenizer) {
    let mut texts = vec![
        "1+1=2. Is that so?\n".to_owned(),
        "Ünïcödé ▁ 語 😀 \u{fdfa} \t x".to_owned(),
        String::new(),
    ];
    texts.extend(["a", "A", "1", " ", "\n", "é", "."].map(|letter| letter.repeat(48)));
    texts.extend(["a", "1", " "].map(|letter| letter.repeat(48) + "!"));
    let size = tokenizer.get_vocab_size(true) as u32;
    for text in texts {
        for specials in [true, false] {
            if let Ok(encoding) = tokenizer.encode_fast(text.as_str(), specials) {
                let _ = tokenizer.decode(encoding.get_ids(), false);
            }
        }
    }
    // What a model gives need not be what a text has.
    let ids: Vec<u32> = (0..size).step_by((size as usize / 64).max(1)).collect();
    let _ = tokenizer.decode(&ids, true);
    for id in ids {
        let _ = tokenizer.decode(&[id], false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokenizer_that_draws_its_merges_is_refused() {
        let with = |dropout: Value| {
            let model = serde_json::json!({
                "type": "BPE", "dropout": dropout, "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"],
            });
            let file = serde_json::json!({"version": "1.0", "added_tokens": [], "model": model});
            tokenizer(file.to_string().as_bytes()).map(|_| ())
        };
        assert_eq!(with(Value::Null), Ok(()));
        assert!(with(0.5.into()).unwrap_err().contains("model.dropout 0.5"));
    }
}
