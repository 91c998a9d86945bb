//! The shape of a decoder: what Hugging Face keeps in `config.json` and a run's YAML in its `model:` block.

mod check;
mod error;
mod family;
mod hugging_face;
mod parameters;
mod pieces;
mod place;
mod positions;
mod rope;
mod scales;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

pub use error::ModelConfigError;
pub use family::{Family, Gate};
pub use place::{find_model, is_gguf};
pub use positions::LayerType;
pub use rope::{RopeScaling, Rotation};

/// The sizes and options of a decoder, under Hugging Face's names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The family, which decides on biases and on norms.
    #[serde(default)]
    pub model_type: Family,
    /// Tokens in the vocabulary; a run's YAML leaves it out and takes the tokenizer's ([`Self::for_tokenizer`]).
    #[serde(default)]
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the feed-forward part.
    pub intermediate_size: usize,
    /// Number of decoder layers.
    pub num_hidden_layers: usize,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key/value heads, each shared by a group of query heads; as many as query heads where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_key_value_heads: Option<usize>,
    /// Width of one head; `hidden_size / num_attention_heads` where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_dim: Option<usize>,
    /// Added to the mean square inside RMSNorm.
    #[serde(default = "default_rms_norm_eps")]
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    #[serde(default = "default_rope_theta")]
    pub rope_theta: f64,
    /// What becomes of those frequencies; nothing where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_scaling: Option<RopeScaling>,
    /// Base of the frequencies in the layers with a window (Gemma 3); 10000 where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_local_base_freq: Option<f64>,
    /// For each layer of a SmolLM3, 1 where it has rotary positions and 0 where it has none; every fourth has
    /// none where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_rope_layers: Option<Vec<u8>>,
    /// Longest sequence the model is meant for, in tokens.
    #[serde(default = "default_max_position_embeddings")]
    pub max_position_embeddings: usize,
    /// How many tokens back the layers with a window see (Mistral, Qwen2, Qwen3, SmolLM3, Gemma 3). Attention here has
    /// none, so every row has to stay inside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sliding_window: Option<usize>,
    /// Which layers have that window; all where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_types: Option<Vec<LayerType>>,
    /// Whether the output head is the embedding matrix itself.
    #[serde(default)]
    pub tie_word_embeddings: bool,
    /// Biases on the q, k, v and output projections; Qwen2 has its own rule and Mistral none.
    #[serde(default)]
    pub attention_bias: bool,
    /// Biases on the feed-forward part (Llama, SmolLM3, Granite).
    #[serde(default, skip_serializing_if = "is_false")]
    pub mlp_bias: bool,
    /// What embeddings are multiplied by (Granite); 1 where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding_multiplier: Option<f64>,
    /// What products of queries and keys are multiplied by (Granite); 1/√head_dim where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention_multiplier: Option<f64>,
    /// Products of queries and keys are divided by its root (Gemma 3); by √head_dim where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_pre_attn_scalar: Option<usize>,
    /// What a block gives is multiplied by before it joins the residual stream (Granite); 1 where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residual_multiplier: Option<f64>,
    /// What logits are divided by (Granite); 1 where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logits_scaling: Option<f64>,
    /// Standard deviation of fresh weights.
    #[serde(default = "default_initializer_range")]
    pub initializer_range: f64,
    /// Token put before a text, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bos_token_id: Option<u32>,
    /// Tokens that end a completion: one id or a list.
    #[serde(default, deserialize_with = "one_or_many")]
    #[schemars(with = "Ids")]
    pub eos_token_id: Vec<u32>,
    /// Token that fills rows up to a common length, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pad_token_id: Option<u32>,
}

impl ModelConfig {
    /// The same model for another tokenizer: its vocabulary size and special ids.
    pub fn for_tokenizer(
        self,
        vocab_size: usize,
        bos_token_id: Option<u32>,
        eos_token_id: Vec<u32>,
        pad_token_id: Option<u32>,
    ) -> Self {
        Self { vocab_size, bos_token_id, eos_token_id, pad_token_id, ..self }
    }

    /// Whether there are norms of what blocks take from the residual stream.
    pub fn norms_inputs(&self) -> bool {
        self.model_type != Family::Olmo2
    }

    /// Whether there are norms of what blocks give, before it joins the residual stream.
    pub fn norms_outputs(&self) -> bool {
        matches!(self.model_type, Family::Olmo2 | Family::Gemma3Text)
    }

    /// What is added to the stored factors of norms.
    pub fn norm_offset(&self) -> f64 {
        if self.model_type == Family::Gemma3Text { 1.0 } else { 0.0 }
    }

    /// The activation of the gate in the feed-forward part.
    pub fn gate(&self) -> Gate {
        if self.model_type == Family::Gemma3Text { Gate::GeluTanh } else { Gate::Silu }
    }

    /// Width of one head.
    pub fn head_dim(&self) -> usize {
        // Asked before the sizes are checked, too, so no heads are no reason to stop.
        self.head_dim.unwrap_or(self.hidden_size.checked_div(self.num_attention_heads).unwrap_or(0))
    }

    /// Number of key/value heads.
    pub fn num_key_value_heads(&self) -> usize {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    /// Whether the q, k and v projections have biases.
    pub fn has_qkv_bias(&self) -> bool {
        self.model_type == Family::Qwen2 || self.has_output_bias()
    }

    /// Whether the attention's output projection has a bias.
    pub fn has_output_bias(&self) -> bool {
        self.attention_bias && self.model_type.takes_attention_bias()
    }

    /// Widths over which q and k are normalised, where they are: one head, or all of them together.
    pub fn qk_norm_widths(&self) -> Option<[usize; 2]> {
        let (heads, kv_heads) = (self.num_attention_heads, self.num_key_value_heads());
        match self.model_type {
            Family::Qwen3 | Family::Gemma3Text => Some([self.head_dim(); 2]),
            Family::Olmo2 => Some([heads, kv_heads].map(|heads| heads * self.head_dim())),
            _ => None,
        }
    }
}

/// Tokens, of which one alone needs no list.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a token id or a list of token ids")]
enum Ids {
    One(u32),
    Many(Vec<u32>),
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u32>, D::Error> {
    Ok(match Option::<Ids>::deserialize(deserializer)? {
        None => Vec::new(),
        Some(Ids::One(id)) => vec![id],
        Some(Ids::Many(ids)) => ids,
    })
}

fn is_false(value: &bool) -> bool {
    !value
}

fn default_rms_norm_eps() -> f64 {
    1e-6
}

fn default_rope_theta() -> f64 {
    10_000.0
}

fn default_max_position_embeddings() -> usize {
    2048
}

fn default_initializer_range() -> f64 {
    0.02
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_is_refused() {
        let error = serde_json::from_str::<ModelConfig>(r#"{"hiden_size": 8}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `hiden_size`"));
    }
}
