//! What a GGUF file says of a model besides its tokenizer: sizes, positions, scales.

use serde_json::Value;

use super::metadata::Metadata;
use super::{FileType, ModelFiles};
use crate::model::gguf::config::{SCALES, SMOLLM3_INTERVAL};
use crate::model::gguf::{Architecture, GgufError};
use crate::quote::shown;

/// How few bits are laid out; the only layout that llama.cpp reads.
const QUANTIZATION_VERSION: u32 = 2;
/// transformers' base of the rotary frequencies where a `config.json` does not say.
const DEFAULT_THETA: f64 = 10_000.0;
/// transformers' width of a head of Qwen3 where a `config.json` does not say.
const QWEN3_HEAD_DIM: usize = 128;

/// Sizes: Hugging Face's key, GGUF's.
const SIZES: [(&str, &str); 5] = [
    ("max_position_embeddings", "context_length"),
    ("hidden_size", "embedding_length"),
    ("num_hidden_layers", "block_count"),
    ("intermediate_size", "feed_forward_length"),
    ("num_attention_heads", "attention.head_count"),
];

/// Adds everything that follows from `config.json`.
pub(super) fn put(
    metadata: &mut Metadata,
    family: Architecture,
    files: &ModelFiles,
    file_type: FileType,
) -> Result<(), GgufError> {
    let config = files.config;
    check_features(config)?;
    metadata.text("general.architecture", family.gguf_name());
    metadata.text("general.type", "model");
    metadata.text("general.name", files.name);
    metadata.whole("general.file_type", file_type.number());
    metadata.whole("general.quantization_version", QUANTIZATION_VERSION);
    let own = |key: &str| format!("{}.{key}", family.gguf_name());
    for (theirs, ours) in SIZES {
        metadata.whole(&own(ours), size(config, theirs)?);
    }
    let kv_heads = if config["num_key_value_heads"].is_null() {
        "num_attention_heads"
    } else {
        "num_key_value_heads"
    };
    metadata.whole(&own("attention.head_count_kv"), size(config, kv_heads)?);
    metadata.whole(&own("vocab_size"), size(config, "vocab_size")?);
    // Families differ in what they take where a config.json does not say.
    let epsilon = config["rms_norm_eps"].as_f64();
    let missing = || GgufError::unwritable("it has no rms_norm_eps", "add it to config.json");
    metadata.number(&own("attention.layer_norm_rms_epsilon"), epsilon.ok_or_else(missing)?);
    put_heads(metadata, own, config)?;
    put_positions(metadata, own, config)?;
    put_scales(metadata, own, family, config)
}

fn put_heads(
    metadata: &mut Metadata,
    own: impl Fn(&str) -> String,
    config: &Value,
) -> Result<(), GgufError> {
    let head_dim = head_dim(config)?;
    let number = small("head_dim", head_dim)?;
    metadata.whole(&own("rope.dimension_count"), number);
    let (width, heads) = (size(config, "hidden_size")?, size(config, "num_attention_heads")?);
    // Where it does not say, llama.cpp divides the width by the heads.
    if !width.is_multiple_of(heads) || width / heads != number {
        metadata.whole(&own("attention.key_length"), number);
        metadata.whole(&own("attention.value_length"), number);
    }
    Ok(())
}

fn put_positions(
    metadata: &mut Metadata,
    own: impl Fn(&str) -> String,
    config: &Value,
) -> Result<(), GgufError> {
    metadata.number(&own("rope.freq_base"), theta(config));
    match rope_block(config) {
        // Llama 3's scaling is a tensor.
        None | Some((_, "llama3")) => Ok(()),
        Some((rope, "linear")) => {
            let factor = rope["factor"].as_f64().filter(|factor| *factor > 0.0);
            let none = || {
                GgufError::unwritable("its linear scaling has no factor", "add one to config.json")
            };
            metadata.text(&own("rope.scaling.type"), "linear");
            metadata.number(&own("rope.scaling.factor"), factor.ok_or_else(none)?);
            Ok(())
        }
        Some((_, other)) => Err(GgufError::unwritable(
            format!("its positions are scaled by {:?}", shown(other)),
            "only linear and llama3 can be written",
        )),
    }
}

fn put_scales(
    metadata: &mut Metadata,
    own: impl Fn(&str) -> String,
    family: Architecture,
    config: &Value,
) -> Result<(), GgufError> {
    if family == Architecture::Granite {
        for (ours, theirs) in SCALES {
            // What transformers takes where a config.json does not say.
            metadata.number(&own(ours), config[theirs].as_f64().unwrap_or(1.0));
        }
    }
    // llama.cpp knows by itself which layers of SmolLM3 do not rotate.
    let layers = config["no_rope_layers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rotates = |at: usize| u64::from(!(at + 1).is_multiple_of(SMOLLM3_INTERVAL));
    let usual = |(at, flag): (usize, &Value)| flag.as_u64() == Some(rotates(at));
    if family == Architecture::SmolLm3 && !layers.iter().enumerate().all(usual) {
        let problem = "no_rope_layers is not every fourth layer";
        return Err(GgufError::unwritable(problem, "llama.cpp knows no other SmolLM3"));
    }
    Ok(())
}

/// What a `config.json` may ask for and GGUF, or llama.cpp, does not have in these families.
fn check_features(config: &Value) -> Result<(), GgufError> {
    let refused = |problem: String| {
        Err(GgufError::unwritable(problem, "llama.cpp would compute another model"))
    };
    let act = config["hidden_act"].as_str().unwrap_or("silu");
    if !matches!(act, "silu" | "swish") {
        return refused(format!("hidden_act is {:?}", shown(act)));
    }
    let (scaled, block) = (&config["rope_scaling"], &config["rope_parameters"]);
    let partial =
        [config, scaled, block].into_iter().find_map(|part| part["partial_rotary_factor"].as_f64());
    if let Some(partial) = partial.filter(|partial| *partial != 1.0) {
        return refused(format!("partial_rotary_factor is {partial}"));
    }
    let mut layers = config["layer_types"].as_array().into_iter().flatten();
    if layers.any(|kind| kind != "full_attention") || has_window(config) {
        return refused("it attends within a window".into());
    }
    Ok(())
}

/// Mistral has a window unless it says otherwise, the others only if they say so.
fn has_window(config: &Value) -> bool {
    let is_mistral = config["model_type"] == "mistral";
    let longest = config["max_position_embeddings"].as_u64().unwrap_or(u64::MAX);
    let default =
        if is_mistral && config.get("sliding_window").is_none() { Some(4096) } else { None };
    let window = config["sliding_window"].as_u64().or(default);
    let is_used = is_mistral || config["use_sliding_window"] == true;
    is_used && config["layer_types"].is_null() && window.is_some_and(|window| window < longest)
}

/// The block about positions and its kind, where they are scaled.
pub(super) fn rope_block(config: &Value) -> Option<(&Value, &str)> {
    let blocks = [&config["rope_scaling"], &config["rope_parameters"]];
    let kinds = blocks
        .into_iter()
        .filter_map(|block| Some((block, block["rope_type"].as_str().or(block["type"].as_str())?)));
    kinds.into_iter().find(|(_, kind)| *kind != "default")
}

/// The base of the rotary frequencies, wherever it stands.
pub(super) fn theta(config: &Value) -> f64 {
    let places = [&config["rope_parameters"], &config["rope_scaling"], config];
    places.into_iter().find_map(|place| place["rope_theta"].as_f64()).unwrap_or(DEFAULT_THETA)
}

/// Width of a head, even.
pub(super) fn head_dim(config: &Value) -> Result<usize, GgufError> {
    let said = config["head_dim"].as_u64().and_then(|width| usize::try_from(width).ok());
    let said = said.or((config["model_type"] == "qwen3").then_some(QWEN3_HEAD_DIM));
    let (width, heads) = (size(config, "hidden_size")?, size(config, "num_attention_heads")?);
    let head_dim = said.unwrap_or((width / heads) as usize);
    if head_dim > 0 && head_dim.is_multiple_of(2) {
        return Ok(head_dim);
    }
    Err(GgufError::unwritable(format!("its heads are {head_dim} wide"), "check config.json"))
}

/// A size above 0.
fn size(config: &Value, key: &str) -> Result<u32, GgufError> {
    let number = config[key].as_u64().filter(|number| *number > 0);
    let number = number.and_then(|number| u32::try_from(number).ok());
    let wrong = || {
        GgufError::unwritable(
            format!("{key} is {}", shown(&config[key].to_string())),
            "check config.json",
        )
    };
    number.ok_or_else(wrong)
}

fn small(key: &str, number: usize) -> Result<u32, GgufError> {
    let wrong = |_| GgufError::unwritable(format!("{key} is {number}"), "check config.json");
    u32::try_from(number).map_err(wrong)
}
