//! The special tokens of a GGUF file, from where Hugging Face's files name them.

use serde_json::Value;

use super::ModelFiles;
use super::metadata::Metadata;
use super::tokens::Tokens;
use crate::model::gguf::GgufError;

/// Names: of `tokenizer_config.json`, of `config.json`, of GGUF.
const NAMES: [(&str, &str, &str); 4] = [
    ("bos_token", "bos_token_id", "bos"),
    ("eos_token", "eos_token_id", "eos"),
    ("unk_token", "unk_token_id", "unknown"),
    ("pad_token", "pad_token_id", "padding"),
];

/// Adds the ids of special tokens, and whether BOS and EOS are put around a text.
pub(super) fn put(
    metadata: &mut Metadata,
    files: &ModelFiles,
    tokens: &Tokens,
) -> Result<(), GgufError> {
    let single = around(&files.tokenizer["post_processor"])?;
    let (begin, end) = (single.first().copied(), single.last().copied());
    let mut ids = Vec::new();
    for (name, id_name, own) in NAMES {
        let around = match own {
            "bos" => begin.and_then(added),
            "eos" => end.and_then(added),
            _ => None,
        };
        let id = named(&files.tokenizer_config[name], tokens, name)?;
        let id = id.or(around.and_then(|text| tokens.id_of(text)));
        let Some(id) = id.or_else(|| first_id(&files.config[id_name], tokens)) else { continue };
        ids.push((own, id));
    }
    for (own, id) in &ids {
        metadata.whole(&format!("tokenizer.ggml.{own}_token_id"), small(*id)?);
    }
    let id = |name: &str| ids.iter().find(|(own, _)| *own == name).map(|(_, id)| *id);
    if let Some(eot) = further_end(&files.config["eos_token_id"], id("eos"), tokens) {
        metadata.whole("tokenizer.ggml.eot_token_id", small(eot)?);
    }
    metadata.flag("tokenizer.ggml.add_bos_token", is_put(begin, id("bos"), tokens, "begins")?);
    metadata.flag("tokenizer.ggml.add_eos_token", is_put(end, id("eos"), tokens, "ends")?);
    Ok(())
}

/// What a post-processor makes of one text: the text, with at most one special token at either end.
fn around(processor: &Value) -> Result<Vec<&Value>, GgufError> {
    let kind = &processor["type"];
    let parts = match kind.as_str() {
        Some("Sequence") => {
            let parts = processor["processors"].as_array().into_iter().flatten().map(around);
            parts.collect::<Result<Vec<_>, _>>()?.concat()
        }
        Some("TemplateProcessing") => {
            processor["single"].as_array().into_iter().flatten().collect()
        }
        None | Some("ByteLevel") => Vec::new(),
        Some(_) => {
            let problem = format!("its tokenizer has the post_processor {kind}");
            return Err(GgufError::unwritable(problem, "a template can be written"));
        }
    };
    let inside = parts.iter().skip(1).rev().skip(1);
    if parts.len() > 3 || inside.filter_map(|part| added(part)).next().is_some() {
        let problem = "its tokenizer puts more around a text than a token at either end";
        return Err(GgufError::unwritable(problem, "llama.cpp puts BOS and EOS there alone"));
    }
    Ok(parts)
}

/// The special token that a place of the template stands for.
fn added(part: &Value) -> Option<&str> {
    part["SpecialToken"]["id"].as_str()
}

/// Whether BOS or EOS is put at an end; another token there cannot be told to llama.cpp.
fn is_put(
    part: Option<&Value>,
    id: Option<usize>,
    tokens: &Tokens,
    does: &str,
) -> Result<bool, GgufError> {
    match part.and_then(added) {
        None => Ok(false),
        Some(text) if id.is_some() && tokens.id_of(text) == id => Ok(true),
        Some(text) => Err(GgufError::unwritable(
            format!("its tokenizer {does} a text with {text:?}"),
            "llama.cpp puts BOS and EOS there alone: name it so in tokenizer_config.json",
        )),
    }
}

/// A token as a string, or as an object with its `content`.
fn named(value: &Value, tokens: &Tokens, name: &str) -> Result<Option<usize>, GgufError> {
    let Some(text) = value.as_str().or(value["content"].as_str()) else { return Ok(None) };
    let unknown = || {
        let problem = format!("{name} is {text:?}, which has no row in the embedding");
        GgufError::unwritable(problem, "check tokenizer_config.json")
    };
    // A pad token beyond the embedding is in published folders, and in no text.
    match tokens.id_of(text) {
        None if name == "pad_token" => Ok(None),
        id => id.ok_or_else(unknown).map(Some),
    }
}

fn first_id(value: &Value, tokens: &Tokens) -> Option<usize> {
    ids(value, tokens).first().copied()
}

/// An end of a completion besides EOS: that of a turn.
fn further_end(value: &Value, eos: Option<usize>, tokens: &Tokens) -> Option<usize> {
    ids(value, tokens).into_iter().find(|id| Some(*id) != eos)
}

fn ids(value: &Value, tokens: &Tokens) -> Vec<usize> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or(std::slice::from_ref(value));
    let id = |value: &Value| usize::try_from(value.as_u64()?).ok().filter(|id| *id < tokens.len());
    list.iter().filter_map(id).collect()
}

fn small(id: usize) -> Result<u32, GgufError> {
    let large = |_| GgufError::unwritable(format!("it has a token {id}"), "ids have 32 bits");
    u32::try_from(id).map_err(large)
}
