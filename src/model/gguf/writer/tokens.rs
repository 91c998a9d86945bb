//! The tokenizer of a GGUF file, from a `tokenizer.json`.

use std::collections::HashSet;

use serde_json::Value;

use super::metadata::Metadata;
use super::{ModelFiles, scores, special};
use crate::model::gguf::GgufError;
use crate::model::gguf::tokenizer::byte_level::MERGES;
use crate::model::gguf::tokenizer::pre::{self, PRE};
use crate::model::gguf::tokenizer::sentence_piece::{SCORES, SPACE, SPACE_FIRST};
use crate::model::gguf::tokenizer::vocabulary::{KINDS, TOKENS, TokenKind, filler};
use crate::model::gguf::tokenizer::{CHAT_TEMPLATE, MODEL};
use crate::quote::shown;

/// What to do where a tokenizer is refused.
const MEND: &str = "byte-level BPE with the rules of GPT-2, SmolLM, Llama 3, Qwen2 or Tekken and SentencePiece BPE can be written";

/// The tokens of a model by id.
pub(super) struct Tokens<'a> {
    texts: Vec<Option<&'a str>>,
    kinds: Vec<TokenKind>,
}

/// Adds everything about the tokenizer of a model whose embedding has so many rows.
pub(super) fn put(
    metadata: &mut Metadata,
    files: &ModelFiles,
    rows: usize,
) -> Result<(), GgufError> {
    let model = &files.tokenizer["model"];
    if model["type"] != "BPE" {
        let problem = format!("its tokenizer is of type {}", shown(&model["type"].to_string()));
        return Err(GgufError::unwritable(problem, MEND));
    }
    let parts = ["continuing_subword_prefix", "end_of_word_suffix"].map(|key| (key, &model[key]));
    if let Some((key, part)) = parts.iter().find(|(_, part)| !(part.is_null() || *part == "")) {
        return Err(GgufError::unwritable(format!("its tokenizer has {key} {part}"), MEND));
    }
    let tokens = Tokens::of(files.tokenizer, rows)?;
    let merges = merges(model)?;
    if model["byte_fallback"] == true {
        put_sentence_piece(metadata, files.tokenizer, &tokens, &merges)?;
    } else {
        put_byte_level(metadata, files.tokenizer, &merges)?;
    }
    metadata.texts(TOKENS, &tokens.filled()?);
    let kinds: Vec<i32> = tokens.kinds.iter().map(|kind| kind.number()).collect();
    metadata.wholes(KINDS, &kinds);
    special::put(metadata, files, &tokens)?;
    if let Some(template) = template(files) {
        metadata.text(CHAT_TEMPLATE, template);
    }
    Ok(())
}

impl<'a> Tokens<'a> {
    /// The tokens of a `tokenizer.json`; added ones beyond the embedding are in no text and are left out.
    fn of(tokenizer: &'a Value, rows: usize) -> Result<Self, GgufError> {
        let mut tokens = Self { texts: vec![None; rows], kinds: vec![TokenKind::Unused; rows] };
        let is_pieces = tokenizer["model"]["byte_fallback"] == true;
        for (text, id) in tokenizer["model"]["vocab"].as_object().into_iter().flatten() {
            let kind = if is_pieces && is_byte(text) { TokenKind::Byte } else { TokenKind::Normal };
            if !tokens.set(id, text, kind) {
                let problem = format!("token {:?} has no row in the embedding", shown(text));
                return Err(GgufError::unwritable(problem, "the tokenizer is of another model"));
            }
        }
        let unknown = tokenizer["model"]["unk_token"].as_str().filter(|_| is_pieces);
        for added in tokenizer["added_tokens"].as_array().into_iter().flatten() {
            let Some(text) = added["content"].as_str() else { continue };
            let kind = match added["special"] == true {
                _ if unknown == Some(text) => TokenKind::Unknown,
                true => TokenKind::Control,
                false => TokenKind::UserDefined,
            };
            tokens.set(&added["id"], text, kind);
        }
        Ok(tokens)
    }

    /// All of them, with a name for every id without a token. llama.cpp ends where two are the same.
    fn filled(&self) -> Result<Vec<String>, GgufError> {
        let all = self.texts.iter().enumerate();
        let all = all.map(|(id, text)| text.map_or_else(|| filler(id), str::to_owned));
        let all: Vec<String> = all.collect();
        let mut seen = HashSet::new();
        match all.iter().find(|text| !seen.insert(text.as_str())) {
            None => Ok(all),
            Some(twice) => Err(GgufError::unwritable(
                format!("its tokenizer has {:?} under two ids", shown(twice)),
                "check the added tokens of tokenizer.json",
            )),
        }
    }

    /// The id of a token.
    pub fn id_of(&self, text: &str) -> Option<usize> {
        self.texts.iter().position(|token| *token == Some(text))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Ids, texts and kinds of those that are there.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &'a str, TokenKind)> {
        let all = self.texts.iter().zip(&self.kinds).enumerate();
        all.filter_map(|(id, (text, kind))| Some((id, (*text)?, *kind)))
    }

    fn set(&mut self, id: &Value, text: &'a str, kind: TokenKind) -> bool {
        let id = id.as_u64().and_then(|id| usize::try_from(id).ok());
        let Some(id) = id.filter(|id| *id < self.texts.len()) else { return false };
        (self.texts[id], self.kinds[id]) = (Some(text), kind);
        true
    }
}

/// `<0x0A>`
fn is_byte(text: &str) -> bool {
    let digits = text.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
    digits.is_some_and(|digits| digits.len() == 2 && u8::from_str_radix(digits, 16).is_ok())
}

/// The pairs of a tokenizer, which files have as `a b` or as `["a", "b"]`.
fn merges(model: &Value) -> Result<Vec<(&str, &str)>, GgufError> {
    let merges = model["merges"].as_array().map(Vec::as_slice).unwrap_or_default();
    merges.iter().map(|merge| pair(merge).ok_or_else(|| wrong_merge(merge))).collect()
}

fn pair(merge: &Value) -> Option<(&str, &str)> {
    match merge {
        Value::String(text) => text.split_once(' ').filter(|(_, right)| !right.contains(' ')),
        _ => Some((merge[0].as_str()?, merge[1].as_str()?)),
    }
}

fn wrong_merge(merge: &Value) -> GgufError {
    let problem = format!("its tokenizer has the merge {}", shown(&merge.to_string()));
    GgufError::unwritable(problem, "merges are pairs of tokens: check tokenizer.json")
}

fn put_byte_level(
    metadata: &mut Metadata,
    tokenizer: &Value,
    merges: &[(&str, &str)],
) -> Result<(), GgufError> {
    let pre = pre::recognise(tokenizer).ok_or_else(|| {
        let found = tokenizer["pre_tokenizer"].to_string();
        let problem = format!("llama.cpp has no name for the pre_tokenizer {}", shown(&found));
        GgufError::unwritable(problem, MEND)
    })?;
    check_normalizer(&tokenizer["normalizer"])?;
    // The format tells the two apart by the space between them.
    if let Some((left, right)) =
        merges.iter().find(|(left, right)| left.contains(' ') || right.contains(' '))
    {
        let problem = format!("its tokenizer merges {:?} and {:?}", shown(left), shown(right));
        return Err(GgufError::unwritable(problem, "no token has a space in byte-level BPE"));
    }
    metadata.text(MODEL, "gpt2");
    metadata.text(PRE, pre.names[0]);
    let merges: Vec<String> =
        merges.iter().map(|(left, right)| format!("{left} {right}")).collect();
    metadata.texts(MERGES, &merges);
    Ok(())
}

/// llama.cpp changes no letter of a text. Unicode's composed form is what nearly every text has.
fn check_normalizer(normalizer: &Value) -> Result<(), GgufError> {
    let parts = normalizer["normalizers"].as_array().map(Vec::as_slice);
    let parts = parts.unwrap_or(std::slice::from_ref(normalizer));
    if parts.iter().all(|part| part.is_null() || part["type"] == "NFC") {
        return Ok(());
    }
    let problem = format!("llama.cpp has no normalizer {}", shown(&normalizer.to_string()));
    Err(GgufError::unwritable(problem, MEND))
}

fn put_sentence_piece(
    metadata: &mut Metadata,
    tokenizer: &Value,
    tokens: &Tokens,
    merges: &[(&str, &str)],
) -> Result<(), GgufError> {
    let space_first = space_first(tokenizer).ok_or_else(|| {
        let (normalizer, pre) = (&tokenizer["normalizer"], &tokenizer["pre_tokenizer"]);
        let found = format!("{normalizer} and {pre}");
        let problem = format!("llama.cpp does not turn spaces into {SPACE} by {}", shown(&found));
        GgufError::unwritable(problem, MEND)
    })?;
    metadata.text(MODEL, "llama");
    metadata.text(PRE, "default");
    metadata.flag(SPACE_FIRST, space_first);
    metadata.numbers(SCORES, &scores::of(tokens, merges));
    Ok(())
}

/// Whether a text gets a space before it, for the two ways in which files say how spaces become `▁`.
fn space_first(tokenizer: &Value) -> Option<bool> {
    let (normalizer, pre) = (&tokenizer["normalizer"], &tokenizer["pre_tokenizer"]);
    let is_spaces = |part: &Value| {
        part["type"] == "Replace" && part["pattern"]["String"] == " " && part["content"] == SPACE
    };
    let is_first = |part: &Value| part["type"] == "Prepend" && part["prepend"] == SPACE;
    let parts = normalizer["normalizers"].as_array().map(Vec::as_slice);
    match parts.unwrap_or(std::slice::from_ref(normalizer)) {
        [first, spaces] if is_first(first) && is_spaces(spaces) && pre.is_null() => Some(true),
        [spaces] if is_spaces(spaces) && pre.is_null() => Some(false),
        [nothing]
            if nothing.is_null() && pre["type"] == "Metaspace" && pre["replacement"] == SPACE =>
        {
            match pre["prepend_scheme"].as_str() {
                Some("never") => Some(false),
                Some("first" | "always") => Some(true),
                _ => None,
            }
        }
        _ => None,
    }
}

fn template<'a>(files: &ModelFiles<'a>) -> Option<&'a str> {
    let own = &files.tokenizer_config["chat_template"];
    let named = own.as_array().map(Vec::as_slice).unwrap_or_default();
    let default = named.iter().find(|entry| entry["name"] == "default").or(named.first());
    let listed = default.and_then(|entry| entry["template"].as_str());
    files.chat_template.or(own.as_str()).or(listed)
}
