//! Tensors that a checkpoint has and the decoder does not: which would change what it computes.

use crate::model::ModelConfig;
use crate::quote::shown;

/// How names begin in the decoder's own part of a checkpoint, with and without the wrappers that
/// training tools put around a model. Heads of other tasks and states of optimisers begin otherwise.
const DECODER: [&str; 10] = [
    "model.",
    "lm_head.",
    "layers.",
    "norm.",
    "embed_tokens.",
    "transformer.",
    "decoder.",
    "base_model.",
    "module.",
    "_orig_mod.",
];

/// What training keeps about a parameter under the parameter's name.
const TRAINING_STATE: [&str; 5] = [".exp_avg", ".exp_avg_sq", ".step", ".grad", ".momentum_buffer"];

/// Most names that a message has room for.
const NAMES_SHOWN: usize = 5;

/// Whether a model computes something else without this tensor.
///
/// Rotary buffers do not count: they follow from `rope_theta`.
pub(super) fn is_part_of_decoder(name: &str) -> bool {
    let derived = name.contains("rotary_emb.");
    let state = TRAINING_STATE.iter().any(|end| name.ends_with(end));
    let ours = DECODER.iter().any(|start| name.starts_with(start)) || name.contains(".lora_");
    ours && !derived && !state
}

/// The first few names and how many more there are.
pub(super) fn list(names: &[&str]) -> String {
    let some: Vec<_> = names.iter().take(NAMES_SHOWN).map(|name| shown(name)).collect();
    match names.len().saturating_sub(NAMES_SHOWN) {
        0 => some.join(", "),
        more => format!("{} and {more} more", some.join(", ")),
    }
}

/// What most likely is wrong with the folder.
pub(super) fn mend(names: &[&str], config: &ModelConfig) -> String {
    let any = |part: &str| names.iter().any(|name| name.contains(part));
    let layers = names.iter().filter_map(|name| layer(name)).max().map_or(0, |layer| layer + 1);
    if layers > config.num_hidden_layers as u64 {
        let configured = config.num_hidden_layers;
        return format!(
            "num_hidden_layers is {configured} in config.json, and these are {layers} layers: set it to {layers}"
        );
    }
    let mend = match () {
        () if any(".lora_") => {
            "merge the adapter into the weights first (merge_and_unload of peft)"
        }
        () if any("_scale") || any("qweight") => "take the model's weights before quantisation",
        () if any("self_attn.o_proj.bias") => "set attention_bias to true in config.json",
        () if any("mlp.") && any(".bias") => "set mlp_bias to true in config.json (llama)",
        () if any("self_attn.q_proj.bias") => "such biases belong to model_type qwen2",
        () if any("pre_feedforward_layernorm") => "such norms belong to model_type gemma3_text",
        () if any("post_feedforward_layernorm") => "such norms belong to model_type olmo2",
        () if any("self_attn.q_norm") => "such norms belong to model_type qwen3",
        () => "check that config.json belongs to these weights",
    };
    mend.into()
}

/// The layer that a tensor belongs to.
fn layer(name: &str) -> Option<u64> {
    let (_, rest) = name.split_once("layers.")?;
    rest.split('.').next()?.parse::<u32>().ok().map(u64::from)
}
