//! How long a text can become on its way through a tokenizer, read off `tokenizer.json`.
//!
//! Forty rules that write `11` for `1` make a terabyte of one letter. Each step's bound is computed before any
//! text goes through.

use serde_json::Value;

/// What one step makes of a length: `times` as long, and `plus` more.
#[derive(Debug, Clone, Copy)]
struct Step {
    times: f64,
    plus: f64,
}

/// The steps of a tokenizer, in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Growth {
    steps: Vec<Step>,
}

impl Growth {
    /// The steps between a text and its ids: normalizer, pre-tokenizer, post-processor.
    pub(super) fn of_encoding(tokenizer: &Value) -> Self {
        let mut growth = Self::default();
        for part in ["normalizer", "pre_tokenizer", "post_processor"] {
            growth.add(&tokenizer[part]);
        }
        growth
    }

    /// The steps between ids and their text.
    pub(super) fn of_decoding(tokenizer: &Value) -> Self {
        let mut growth = Self::default();
        growth.add(&tokenizer["decoder"]);
        growth
    }

    /// The most bytes or tokens that `length` bytes can become.
    pub(super) fn of(&self, length: usize) -> f64 {
        self.steps.iter().fold(length as f64, |length, step| step.times * length + step.plus)
    }

    fn add(&mut self, part: &Value) {
        let nested = ["normalizers", "pretokenizers", "processors", "decoders"];
        let nested = nested.iter().filter_map(|key| part[*key].as_array()).flatten();
        nested.for_each(|part| self.add(part));
        let (times, plus) = match part["type"].as_str() {
            Some("Replace") => (replacement(part), length(&part["content"])),
            Some("Prepend") => (1.0, length(&part["prepend"])),
            // A byte is a letter of two, and each piece may get a space before it.
            Some("ByteLevel") => (3.0, 3.0),
            Some("Metaspace") => (2.0 * length(&part["replacement"]).max(1.0), 4.0),
            Some("Precompiled") => (precompiled(part), 0.0),
            Some("TemplateProcessing") => template(part),
            Some("WordPiece") => (2.0 + length(&part["prefix"]), 2.0),
            Some("BertProcessing" | "RobertaProcessing") => (1.0, 2.0),
            _ => return,
        };
        self.steps.push(Step { times, plus });
    }
}

fn length(text: &Value) -> f64 {
    text.as_str().map_or(0, str::len) as f64
}

/// A pattern may fit the empty text between any two letters, unless it is a plain text.
fn replacement(part: &Value) -> f64 {
    let content = length(&part["content"]);
    match part["pattern"]["String"].as_str() {
        Some(pattern) if !pattern.is_empty() => (content / pattern.len() as f64).max(1.0),
        // A regex that fits a letter and puts one back, as nearly all do.
        _ if content <= 1.0 => 1.0,
        _ => 1.0 + content,
    }
}

/// The longest text that the map has for a letter. Unicode's own have up to 33 bytes, for letters that are
/// rare; a map beyond that is taken by its word.
fn precompiled(part: &Value) -> f64 {
    let map = part["precompiled_charsmap"].as_str().unwrap_or_default();
    // Base64: three bytes in four letters. Where the texts begin is said in the first four bytes.
    let longest = map.len() as f64 * 0.75;
    let bytes = decoded(map);
    let texts = bytes.get(..4).and_then(|size| {
        let size = u32::from_le_bytes([size[0], size[1], size[2], size[3]]) as usize;
        bytes.get(size.checked_add(4)?..)
    });
    let longest = texts.map_or(longest, |texts| {
        texts.split(|byte| *byte == 0).map(<[u8]>::len).max().unwrap_or(0) as f64
    });
    if longest <= 64.0 { 1.0 } else { longest }
}

/// Base64, what is no letter of it left out.
fn decoded(text: &str) -> Vec<u8> {
    let (mut bits, mut count) = (0u32, 0);
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

/// How often a template repeats the text, and the tokens it puts around it.
fn template(part: &Value) -> (f64, f64) {
    let pieces = part["single"].as_array().map_or(&[][..], Vec::as_slice);
    let ids = part["special_tokens"].as_object().map(|tokens| {
        let counts = tokens.values().map(|token| token["ids"].as_array().map_or(0, Vec::len));
        counts.max().unwrap_or(0)
    });
    let texts = pieces.iter().filter(|piece| piece.get("Sequence").is_some()).count();
    (texts as f64, ((pieces.len() - texts) * ids.unwrap_or(0).max(1)) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn doubling_forty_times_is_a_million_millions() {
        let double = json!({"type": "Replace", "pattern": {"String": "1"}, "content": "11"});
        let normalizer = json!({"type": "Sequence", "normalizers": vec![double; 40]});
        let growth = Growth::of_encoding(&json!({"normalizer": normalizer}));
        assert!(growth.of(1) >= 2f64.powi(40));
    }

    #[test]
    fn what_published_tokenizers_do_is_small() {
        let llama = json!({
            "normalizer": {"type": "Sequence", "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ]},
            "post_processor": {"type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
                "special_tokens": {"<s>": {"ids": [1]}}},
        });
        // Three bytes before, three for each of ten spaces, one token in front.
        assert_eq!(Growth::of_encoding(&llama).of(10), 3.0 * 13.0 + 3.0 + 1.0);
        let qwen = json!({
            "normalizer": {"type": "NFC"},
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split"}, {"type": "ByteLevel"}]},
        });
        assert!(Growth::of_encoding(&qwen).of(1000) <= 4000.0);
    }

    #[test]
    fn base64_is_read() {
        assert_eq!(decoded("AQAAAA=="), [1, 0, 0, 0]);
        assert_eq!(decoded("SGVsbG8h"), b"Hello!");
    }
}
