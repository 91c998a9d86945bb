//! Scores of SentencePiece's tokens, which a `tokenizer.json` does not keep.
//!
//! SentencePiece merges the pair whose token has the highest score, and its BPE training scores a token by minus its
//! rank. So the order of the merges is all there is to know: a token's score is minus the place of the first merge
//! that makes it. What no merge makes is worth less than all that one makes.

use std::collections::HashMap;

use super::tokens::Tokens;
use crate::model::gguf::tokenizer::vocabulary::TokenKind;

/// The scores of the tokens by id.
pub(super) fn of(tokens: &Tokens, merges: &[(&str, &str)]) -> Vec<f32> {
    let mut places = HashMap::new();
    for (place, (left, right)) in merges.iter().enumerate() {
        places.entry(format!("{left}{right}")).or_insert(place);
    }
    let mut scores = vec![0.0; tokens.len()];
    for (id, text, kind) in tokens.iter() {
        if kind == TokenKind::Normal {
            let place = places.get(text).copied().unwrap_or(merges.len() + id);
            // f32 counts to sixteen million, and no vocabulary has as many merges.
            scores[id] = -(place as f32);
        }
    }
    scores
}
