//! The tokenizer files that a GGUF file stands for.

pub(super) mod byte_level;
pub(super) mod pre;
pub(super) mod sentence_piece;
pub(super) mod vocabulary;

use serde_json::{Value, json};

use super::{GgufError, GgufFile};
use crate::quote::shown;
use vocabulary::Vocabulary;

/// The key that says which kind of tokenizer it is.
pub(super) const MODEL: &str = "tokenizer.ggml.model";
/// The key of the chat template.
pub(super) const CHAT_TEMPLATE: &str = "tokenizer.chat_template";

/// The kinds of tokenizers that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// GPT-2's: every byte is a letter, and merges have an order.
    ByteLevel,
    /// SentencePiece's BPE: tokens have scores, and bytes that are in no token are tokens of their own.
    SentencePiece,
}

impl Kind {
    fn read(file: &GgufFile) -> Result<Self, GgufError> {
        match file.text(MODEL)? {
            None => Err(file.wrong(MODEL, "is missing")),
            Some("gpt2") => Ok(Self::ByteLevel),
            Some("llama") => Ok(Self::SentencePiece),
            Some(other) => Err(file.unsupported(
                format!("{MODEL} {:?}", shown(other)),
                "gpt2 (byte-level BPE) and llama (SentencePiece BPE) are read: take the Hugging Face folder",
            )),
        }
    }

    /// What llama.cpp takes for a special token that a file does not name.
    fn default_id(self, name: &str) -> Option<usize> {
        match (self, name) {
            (Self::SentencePiece, "unknown") => Some(0),
            (Self::SentencePiece, "bos") => Some(1),
            (Self::SentencePiece, "eos") => Some(2),
            _ => None,
        }
    }
}

/// The `tokenizer.json` of a file.
pub(super) fn tokenizer_json(file: &GgufFile) -> Result<Value, GgufError> {
    let kind = Kind::read(file)?;
    let vocabulary = Vocabulary::read(file)?;
    let parts = match kind {
        Kind::ByteLevel => byte_level::parts(file, &vocabulary)?,
        Kind::SentencePiece => sentence_piece::parts(file, &vocabulary)?,
    };
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": vocabulary.added_tokens(),
        "normalizer": parts.normalizer,
        "pre_tokenizer": parts.pre_tokenizer,
        "post_processor": around(file, &vocabulary, kind)?,
        "decoder": parts.decoder,
        "model": parts.model,
    }))
}

/// What differs between the kinds.
pub(super) struct Parts {
    pub normalizer: Value,
    pub pre_tokenizer: Value,
    pub decoder: Value,
    pub model: Value,
}

/// The `tokenizer_config.json` of a file.
pub(super) fn tokenizer_config_json(file: &GgufFile) -> Result<Value, GgufError> {
    let (kind, vocabulary) = (Kind::read(file)?, Vocabulary::read(file)?);
    let named = |name: &str| {
        let id = special_id(file, name)?;
        Ok::<_, GgufError>(id.and_then(|id| vocabulary.text(id)).map(str::to_owned))
    };
    let mut config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": named("bos")?,
        "eos_token": named("eos")?,
        "unk_token": named("unknown")?,
        "pad_token": named("padding")?,
        "add_bos_token": adds(file, "bos", kind)?,
        "add_eos_token": adds(file, "eos", kind)?,
        "clean_up_tokenization_spaces": false,
    });
    if let Some(template) = file.text(CHAT_TEMPLATE)? {
        config["chat_template"] = template.into();
    }
    Ok(config)
}

/// The id of a special token: `bos`, `eos`, `eot`, `unknown`, `padding`.
pub(super) fn special_id(file: &GgufFile, name: &str) -> Result<Option<usize>, GgufError> {
    let key = format!("tokenizer.ggml.{name}_token_id");
    let tokens = Vocabulary::count(file)?;
    let id = match file.number(&key)? {
        None => Kind::read(file)?.default_id(name).filter(|id| *id < tokens),
        // Older files write -1 for "none".
        Some(id) if id == -1.0 || id == f64::from(u32::MAX) => None,
        Some(_) => file.whole(&key)?,
    };
    match id {
        Some(id) if id >= tokens => {
            Err(file.wrong(&key, format!("is {id}, and the vocabulary has {tokens} tokens")))
        }
        id => Ok(id),
    }
}

/// Whether a text is begun with BOS or ended with EOS: as the file says, or else as llama.cpp does.
fn adds(file: &GgufFile, name: &str, kind: Kind) -> Result<bool, GgufError> {
    let said = file.flag(&format!("tokenizer.ggml.add_{name}_token"))?;
    let by_default = || match kind {
        Kind::SentencePiece => Ok(true),
        Kind::ByteLevel => pre::read(file).map(|pre| pre.adds_bos),
    };
    match said {
        Some(said) => Ok(said),
        None => Ok(name == "bos" && by_default()?),
    }
}

/// What puts BOS and EOS around a text; nothing where neither is.
fn around(file: &GgufFile, vocabulary: &Vocabulary, kind: Kind) -> Result<Value, GgufError> {
    let special = |name: &str| {
        let id = if adds(file, name, kind)? { special_id(file, name)? } else { None };
        Ok::<_, GgufError>(id.and_then(|id| Some((vocabulary.text(id)?, id))))
    };
    let (bos, eos) = (special("bos")?, special("eos")?);
    if bos.is_none() && eos.is_none() {
        return Ok(Value::Null);
    }
    let token = |(text, _): (&str, usize), place: u32| json!({"SpecialToken": {"id": text, "type_id": place}});
    let text = |name: &str, place: u32| {
        let begin = bos.map(|bos| token(bos, place));
        let end = eos.map(|eos| token(eos, place));
        let text = json!({"Sequence": {"id": name, "type_id": place}});
        begin.into_iter().chain([text]).chain(end).collect::<Vec<_>>()
    };
    let tokens = bos
        .into_iter()
        .chain(eos)
        .map(|(text, id)| (text.to_owned(), json!({"id": text, "ids": [id], "tokens": [text]})));
    let tokens: serde_json::Map<_, _> = tokens.collect();
    let pair = [text("A", 0), text("B", 1)].concat();
    Ok(json!({
        "type": "TemplateProcessing",
        "single": text("A", 0),
        "pair": pair,
        "special_tokens": tokens,
    }))
}
