//! Byte-level BPE, GPT-2's: tokens and merges are written in an alphabet of 256 letters, one for each byte.

use serde_json::{Value, json};

use super::vocabulary::Vocabulary;
use super::{Parts, pre};
use crate::model::gguf::{GgufError, GgufFile};
use crate::quote::shown;

/// The key of the merges, in their order.
pub(in crate::model::gguf) const MERGES: &str = "tokenizer.ggml.merges";

pub(super) fn parts(file: &GgufFile, vocabulary: &Vocabulary) -> Result<Parts, GgufError> {
    let pre = pre::read(file)?;
    let merges = file.texts(MERGES)?.ok_or_else(|| file.wrong(MERGES, "is missing"))?;
    // A pair has one space in it: the letter for the byte of a space is another.
    if let Some(merge) = merges.iter().find(|merge| merge.matches(' ').count() != 1) {
        return Err(file.wrong(MERGES, format!("has {:?}, which is no pair", shown(merge))));
    }
    Ok(Parts {
        normalizer: pre.normalizer(),
        pre_tokenizer: pre.json(),
        decoder: decoder(),
        model: json!({
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": pre.ignores_merges,
            "vocab": vocabulary.ids(),
            "merges": merges,
        }),
    })
}

fn decoder() -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true})
}
