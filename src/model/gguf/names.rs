//! Tensors under llama.cpp's names and under Hugging Face's.

use super::Architecture;

/// Names without a layer: GGUF's, Hugging Face's.
const WHOLE: [(&str, &str); 3] =
    [("token_embd", "model.embed_tokens"), ("output_norm", "model.norm"), ("output", "lm_head")];

/// Names within a layer.
const LAYER: [(&str, &str); 9] = [
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// Norms before a part, as most have them.
const NORMS_BEFORE: [(&str, &str); 2] =
    [("attn_norm", "input_layernorm"), ("ffn_norm", "post_attention_layernorm")];

/// Norms behind a part.
const NORMS_BEHIND: [(&str, &str); 2] = [
    ("post_attention_norm", "post_attention_layernorm"),
    ("post_ffw_norm", "post_feedforward_layernorm"),
];

/// Factors of the rotary frequencies, which no Hugging Face file has as a tensor.
pub(super) const ROPE_FACTORS: &str = "rope_freqs.weight";

/// Hugging Face's name of a tensor of a GGUF file.
pub(super) fn to_hugging_face(family: Architecture, name: &str) -> Option<String> {
    let (stem, kind) = split_kind(name)?;
    if let Some((_, theirs)) = WHOLE.iter().find(|(ours, _)| *ours == stem) {
        return Some(format!("{theirs}.{kind}"));
    }
    let (layer, part) = stem.strip_prefix("blk.")?.split_once('.')?;
    let (_, theirs) = parts(family).find(|(ours, _)| *ours == part)?;
    Some(format!("model.layers.{}.{theirs}.{kind}", number(layer)?))
}

/// The name in a GGUF file of a tensor of Hugging Face's.
pub(super) fn to_gguf(family: Architecture, name: &str) -> Option<String> {
    let (stem, kind) = split_kind(name)?;
    if let Some((ours, _)) = WHOLE.iter().find(|(_, theirs)| *theirs == stem) {
        return Some(format!("{ours}.{kind}"));
    }
    let (layer, part) = stem.strip_prefix("model.layers.")?.split_once('.')?;
    let (ours, _) = parts(family).find(|(_, theirs)| *theirs == part)?;
    Some(format!("blk.{}.{ours}.{kind}", number(layer)?))
}

/// Whether a tensor under Hugging Face's name is one whose rows llama.cpp's converter reorders; says whether it is q.
pub(super) fn is_rotated(name: &str) -> Option<bool> {
    let (stem, _) = split_kind(name)?;
    match () {
        () if stem.ends_with("self_attn.q_proj") => Some(true),
        () if stem.ends_with("self_attn.k_proj") => Some(false),
        () => None,
    }
}

fn parts(family: Architecture) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    let norms = if family.norms_behind() { &NORMS_BEHIND } else { &NORMS_BEFORE };
    LAYER.iter().chain(norms)
}

fn split_kind(name: &str) -> Option<(&str, &str)> {
    name.rsplit_once('.').filter(|(_, kind)| matches!(*kind, "weight" | "bias"))
}

/// A layer's number as it is written: `01` is no other name of layer 1.
fn number(layer: &str) -> Option<u16> {
    layer.parse().ok().filter(|number: &u16| number.to_string() == layer)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From llama.cpp's own table, `gguf-py/gguf/tensor_mapping.py`.
    #[test]
    fn names_go_both_ways() {
        let pairs = [
            (Architecture::Llama, "token_embd.weight", "model.embed_tokens.weight"),
            (Architecture::Llama, "output.weight", "lm_head.weight"),
            (Architecture::Llama, "output_norm.weight", "model.norm.weight"),
            (
                Architecture::Llama,
                "blk.11.attn_norm.weight",
                "model.layers.11.input_layernorm.weight",
            ),
            (Architecture::Qwen2, "blk.0.attn_q.bias", "model.layers.0.self_attn.q_proj.bias"),
            (
                Architecture::Qwen3,
                "blk.3.attn_k_norm.weight",
                "model.layers.3.self_attn.k_norm.weight",
            ),
            (
                Architecture::Llama,
                "blk.0.ffn_norm.weight",
                "model.layers.0.post_attention_layernorm.weight",
            ),
            (
                Architecture::Olmo2,
                "blk.0.post_attention_norm.weight",
                "model.layers.0.post_attention_layernorm.weight",
            ),
            (
                Architecture::Olmo2,
                "blk.0.post_ffw_norm.weight",
                "model.layers.0.post_feedforward_layernorm.weight",
            ),
        ];
        for (family, ours, theirs) in pairs {
            assert_eq!(to_hugging_face(family, ours).as_deref(), Some(theirs));
            assert_eq!(to_gguf(family, theirs).as_deref(), Some(ours));
        }
    }

    #[test]
    fn what_has_no_place_has_no_name() {
        for name in [
            "blk.0.attn_qkv.weight",
            "blk.01.attn_q.weight",
            "blk.x.attn_q.weight",
            "blk.0",
            "output",
            "blk.0.ffn_norm.scale",
        ] {
            assert_eq!(to_hugging_face(Architecture::Llama, name), None, "{name}");
        }
        assert_eq!(to_hugging_face(Architecture::Olmo2, "blk.0.attn_norm.weight"), None);
    }
}
