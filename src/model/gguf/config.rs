//! The `config.json` that a GGUF file stands for.

use serde_json::{Map, Value, json};

use super::names::ROPE_FACTORS;
use super::rope::Llama3;
use super::sizes::{Keys, Sizes};
use super::tokenizer::special_id;
use super::{Architecture, GgufError};
use crate::quote::shown;

/// llama.cpp's base of the rotary frequencies where a file does not say.
const DEFAULT_THETA: f64 = 10_000.0;
/// SmolLM3 rotates in all layers but every fourth, which llama.cpp knows by itself.
pub(super) const SMOLLM3_INTERVAL: usize = 4;

/// Keys that only Granite has a meaning for here: GGUF's name, Hugging Face's.
pub(super) const SCALES: [(&str, &str); 4] = [
    ("attention.scale", "attention_multiplier"),
    ("embedding_scale", "embedding_multiplier"),
    ("residual_scale", "residual_multiplier"),
    ("logit_scale", "logits_scaling"),
];

/// Writes the `config.json` of a file whose sizes are known.
pub(super) fn config_json(keys: Keys, sizes: &Sizes) -> Result<Value, GgufError> {
    check_features(keys)?;
    let (model_type, class) = keys.family.hugging_face_names();
    let theta = keys.number("rope.freq_base")?.unwrap_or(DEFAULT_THETA);
    let epsilon = keys.number("attention.layer_norm_rms_epsilon")?;
    let mut config = json!({
        "architectures": [class],
        "model_type": model_type,
        "vocab_size": vocabulary(keys)?,
        "hidden_size": sizes.width,
        "intermediate_size": sizes.inner,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.kv_heads,
        "head_dim": sizes.head_dim,
        "hidden_act": "silu",
        "rms_norm_eps": epsilon.ok_or_else(|| keys.wrong("attention.layer_norm_rms_epsilon", "is missing"))?,
        "rope_theta": theta,
        "max_position_embeddings": keys.size("context_length")?,
        "tie_word_embeddings": !keys.file.contains("output.weight"),
        "attention_bias": has_bias(keys, "attn_q"),
        "mlp_bias": has_bias(keys, "ffn_up"),
        "bos_token_id": special_id(keys.file, "bos")?,
        "eos_token_id": ends(keys)?,
        "pad_token_id": special_id(keys.file, "padding")?,
    });
    if let Some(scaling) = rope(keys, sizes.head_dim, theta)? {
        config["rope_scaling"] = scaling;
    }
    for (key, value) in of_family(keys, sizes)? {
        config[key] = value;
    }
    Ok(config)
}

/// What a file may have and a decoder of these families does not.
fn check_features(keys: Keys) -> Result<(), GgufError> {
    if let Some(experts) = keys.whole("expert_count")?.filter(|count| *count > 0) {
        let feature = format!("{} {experts}", keys.name("expert_count"));
        return Err(keys.file.unsupported(feature, "take a dense model, without experts"));
    }
    let longest = keys.size("context_length")?;
    let window = keys.whole("attention.sliding_window")?;
    if let Some(window) = window.filter(|window| (1..longest).contains(window)) {
        let feature = format!("{} {window}", keys.name("attention.sliding_window"));
        let mend = "every layer attends to the whole sequence: take a model without a window";
        return Err(keys.file.unsupported(feature, mend));
    }
    if keys.file.flag(&keys.name("attention.causal"))? == Some(false) {
        let feature = format!("{} false", keys.name("attention.causal"));
        return Err(keys.file.unsupported(feature, "take a model that generates text"));
    }
    Ok(())
}

fn vocabulary(keys: Keys) -> Result<usize, GgufError> {
    let embedding = "token_embd.weight";
    let missing = || GgufError::missing(keys.file.path(), embedding, keys.file.names());
    keys.file.shape(embedding).and_then(|shape| shape.first()).copied().ok_or_else(missing)
}

fn has_bias(keys: Keys, part: &str) -> bool {
    // Qwen2's biases go without saying.
    keys.family != Architecture::Qwen2 && keys.file.contains(&format!("blk.0.{part}.bias"))
}

/// The ids that end a completion: that of the document and, where it is another, that of a turn.
fn ends(keys: Keys) -> Result<Value, GgufError> {
    let (eos, eot) = (special_id(keys.file, "eos")?, special_id(keys.file, "eot")?);
    Ok(match (eos, eot) {
        (Some(eos), Some(eot)) if eos != eot => json!([eos, eot]),
        (eos, eot) => json!(eos.or(eot)),
    })
}

/// `rope_scaling`, where positions are scaled.
fn rope(keys: Keys, head_dim: usize, theta: f64) -> Result<Option<Value>, GgufError> {
    let kind = keys.text("rope.scaling.type")?.unwrap_or("linear");
    let factor = keys.number("rope.scaling.factor")?;
    let factor = factor.or(keys.number("rope.scale_linear")?).filter(|factor| *factor != 0.0);
    let linear = factor.filter(|factor| *factor != 1.0);
    let refused = |feature: String| {
        let mend = "linear scaling and that of Llama 3 are read: take another model";
        Err(keys.file.unsupported(feature, mend))
    };
    if !matches!(kind, "none" | "linear") {
        return refused(format!("{} {:?}", keys.name("rope.scaling.type"), shown(kind)));
    }
    let strength = keys.number("rope.scaling.attn_factor")?.filter(|strength| *strength != 1.0);
    if let Some(strength) = strength {
        return refused(format!("{} {strength}", keys.name("rope.scaling.attn_factor")));
    }
    let llama3 = llama3(keys, head_dim, theta)?;
    match (linear.filter(|_| kind == "linear"), llama3) {
        (Some(_), Some(_)) => refused(format!("linear scaling beside {ROPE_FACTORS}")),
        (Some(factor), None) => Ok(Some(json!({"rope_type": "linear", "factor": factor}))),
        (None, llama3) => Ok(llama3.map(Llama3::to_json)),
    }
}

fn llama3(keys: Keys, head_dim: usize, theta: f64) -> Result<Option<Llama3>, GgufError> {
    let file = keys.file;
    let Some(shape) = file.shape(ROPE_FACTORS) else { return Ok(None) };
    let expected = [head_dim / 2];
    if shape != expected {
        return Err(GgufError::Shape {
            file: file.path().into(),
            tensor: ROPE_FACTORS.into(),
            expected: expected.to_vec(),
            found: shape.to_vec(),
        });
    }
    let factors: Vec<f64> = file.rows(ROPE_FACTORS, 0..1)?.into_iter().map(f64::from).collect();
    if factors.iter().all(|factor| *factor == 1.0) {
        return Ok(None);
    }
    let unknown = || {
        let mend = "the factors of Llama 3.1, 3.2 and 3.3 are read: take the Hugging Face folder";
        file.unsupported(format!("{ROPE_FACTORS} that is no published Llama's"), mend)
    };
    Llama3::recover(&factors, theta).map(Some).ok_or_else(unknown)
}

/// What only one family says.
fn of_family(keys: Keys, sizes: &Sizes) -> Result<Map<String, Value>, GgufError> {
    let mut more = Map::new();
    for (ours, theirs) in SCALES {
        let Some(scale) = keys.number(ours)?.filter(|scale| *scale != 0.0) else { continue };
        if keys.family != Architecture::Granite {
            let feature = format!("{} {scale}", keys.name(ours));
            return Err(keys.file.unsupported(feature, "only granite has such a scale here"));
        }
        more.insert(theirs.into(), scale.into());
    }
    if keys.family == Architecture::Granite {
        // What llama.cpp takes where a file does not say; Hugging Face's default is 1.
        let scale = (sizes.head_dim as f64).sqrt().recip();
        more.entry("attention_multiplier").or_insert(scale.into());
    }
    if keys.family == Architecture::SmolLm3 {
        let rotates = |layer: usize| usize::from(!layer.is_multiple_of(SMOLLM3_INTERVAL));
        let layers: Vec<usize> = (1..=sizes.layers.min(1 << 10)).map(rotates).collect();
        more.insert("no_rope_layers".into(), json!(layers));
        more.insert("no_rope_layer_interval".into(), SMOLLM3_INTERVAL.into());
    }
    Ok(more)
}
