//! SentencePiece's BPE: of all pairs of neighbours the one whose token has the highest score is merged first. A space
//! is `▁`, and a byte that is in no token is a token by itself.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::vocabulary::{TokenKind, Vocabulary};
use super::{Parts, special_id};
use crate::model::gguf::{GgufError, GgufFile};

/// The key of the scores, in the order of the tokens.
pub(in crate::model::gguf) const SCORES: &str = "tokenizer.ggml.scores";
/// The key that says whether a text begins with a space of its own.
pub(in crate::model::gguf) const SPACE_FIRST: &str = "tokenizer.ggml.add_space_prefix";
/// What stands for a space.
pub(in crate::model::gguf) const SPACE: &str = "▁";

/// Most work to find the merges: the squares of the tokens' lengths in bytes, added up. Llama 2 takes a million.
const MOST_WORK: usize = 1 << 27;
/// Most pairs that make a token; Llama 2 has sixty thousand, the largest vocabulary half a million.
const MOST_PAIRS: usize = 1 << 20;

pub(super) fn parts(file: &GgufFile, vocabulary: &Vocabulary) -> Result<Parts, GgufError> {
    let scores = file.numbers(SCORES)?.ok_or_else(|| file.wrong(SCORES, "is missing"))?;
    if scores.len() != vocabulary.tokens.len() {
        let tokens = vocabulary.tokens.len();
        return Err(file.wrong(SCORES, format!("has {} scores for {tokens} tokens", scores.len())));
    }
    let space_first = file.flag(SPACE_FIRST)?.unwrap_or(true);
    let unknown = special_id(file, "unknown")?.and_then(|id| vocabulary.text(id));
    let merges = merges(file, vocabulary, &scores)?;
    Ok(Parts {
        normalizer: normalizer(space_first),
        pre_tokenizer: Value::Null,
        decoder: decoder(space_first),
        model: json!({
            "type": "BPE",
            "dropout": null,
            "unk_token": unknown,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": true,
            "byte_fallback": true,
            "ignore_merges": false,
            "vocab": vocabulary.ids(),
            "merges": merges,
        }),
    })
}

fn normalizer(space_first: bool) -> Value {
    let first = space_first.then(|| json!({"type": "Prepend", "prepend": SPACE}));
    let spaces = json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE});
    json!({"type": "Sequence", "normalizers": first.into_iter().chain([spaces]).collect::<Vec<_>>()})
}

fn decoder(space_first: bool) -> Value {
    let spaces = json!({"type": "Replace", "pattern": {"String": SPACE}, "content": " "});
    let parts = [spaces, json!({"type": "ByteFallback"}), json!({"type": "Fuse"})];
    let first =
        space_first.then(|| json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    json!({"type": "Sequence", "decoders": parts.into_iter().chain(first).collect::<Vec<_>>()})
}

/// Every pair of tokens that makes a token, the one with the highest score first.
fn merges(
    file: &GgufFile,
    vocabulary: &Vocabulary,
    scores: &[f64],
) -> Result<Vec<[String; 2]>, GgufError> {
    let normal = || vocabulary.iter().filter(|(_, _, kind)| *kind == TokenKind::Normal);
    let work = normal().map(|(_, token, _)| token.len().saturating_mul(token.len()));
    if work.fold(0, usize::saturating_add) > MOST_WORK {
        return Err(file.wrong(super::vocabulary::TOKENS, "has tokens too long to be words"));
    }
    let ids: HashMap<&str, usize> = normal().map(|(id, token, _)| (token, id)).collect();
    let mut pairs = Vec::new();
    for (id, token, _) in normal() {
        let cuts = token.char_indices().skip(1).map(|(at, _)| token.split_at(at));
        let parts = cuts.filter_map(|(left, right)| Some((*ids.get(left)?, *ids.get(right)?)));
        let begin = pairs.len();
        pairs.extend(parts.map(|(left, right)| (scores[id], left, right)));
        pairs[begin..].sort_unstable_by_key(|(_, left, right)| (*left, *right));
        if pairs.len() > MOST_PAIRS {
            return Err(file.wrong(
                super::vocabulary::TOKENS,
                "has more pairs that make a token than any vocabulary",
            ));
        }
    }
    pairs.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
    let text = |id: usize| vocabulary.text(id).unwrap_or_default().to_owned();
    Ok(pairs.into_iter().map(|(_, left, right)| [text(left), text(right)]).collect())
}
