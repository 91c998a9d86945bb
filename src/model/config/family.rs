//! The families of decoders: what each is called, and which pieces a configuration of it may have.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The families whose checkpoints are read and written, all of them configurations of one decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Llama and SmolLM2: no biases unless `attention_bias` or `mlp_bias` asks for them.
    #[default]
    Llama,
    /// Mistral: a Llama without biases, whose window every row has to stay inside.
    Mistral,
    /// Qwen2 and Qwen2.5: biases on the q, k and v projections.
    Qwen2,
    /// Qwen3: RMSNorm over the width of a head on q and k, before the rotation.
    Qwen3,
    /// SmolLM3: a Llama in which some layers rotate nothing (`no_rope_layers`).
    SmolLm3,
    /// Granite 3: a Llama with factors on embeddings, attention, residual stream and logits.
    Granite,
    /// OLMo 2: norms of what a block gives instead of what it takes, and of q and k over all heads together.
    Olmo2,
    /// Gemma 3's text models: norms of what blocks take and of what they give, whose factors are stored less 1, a
    /// gate of GELU, and layers with a window that turn by a base of their own.
    #[serde(rename = "gemma3_text")]
    Gemma3Text,
}

/// The activation of a feed-forward part's gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// x · σ(x).
    Silu,
    /// GELU, its normal distribution approximated by a hyperbolic tangent.
    GeluTanh,
}

impl Family {
    /// Every family with the names that Hugging Face has for it: `model_type` and architecture.
    pub(super) const ALL: [(Self, &str, &str); 8] = [
        (Self::Llama, "llama", "LlamaForCausalLM"),
        (Self::Mistral, "mistral", "MistralForCausalLM"),
        (Self::Qwen2, "qwen2", "Qwen2ForCausalLM"),
        (Self::Qwen3, "qwen3", "Qwen3ForCausalLM"),
        (Self::SmolLm3, "smollm3", "SmolLM3ForCausalLM"),
        (Self::Granite, "granite", "GraniteForCausalLM"),
        (Self::Olmo2, "olmo2", "Olmo2ForCausalLM"),
        (Self::Gemma3Text, "gemma3_text", "Gemma3ForCausalLM"),
    ];

    /// The family of a `model_type`.
    pub(super) fn from_hugging_face(model_type: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name, _)| *name == model_type).map(|(family, ..)| *family)
    }

    /// `model_type` and architecture.
    pub(super) fn hugging_face_names(self) -> [&'static str; 2] {
        let found = Self::ALL.iter().find(|(family, ..)| *family == self);
        found.map_or_else(|| unreachable!("every family is in the list"), |(_, a, b)| [*a, *b])
    }

    /// Whether `attention_bias` puts biases on q, k, v and the output of attention.
    pub(super) fn takes_attention_bias(self) -> bool {
        !matches!(self, Self::Mistral | Self::Qwen2)
    }

    /// Whether `mlp_bias` puts biases on the feed-forward part.
    pub(super) fn takes_mlp_bias(self) -> bool {
        matches!(self, Self::Llama | Self::SmolLm3 | Self::Granite)
    }

    /// Whether some or all of its layers may attend to a window alone.
    pub(super) fn takes_window(self) -> bool {
        matches!(self, Self::Mistral | Self::Qwen2 | Self::Qwen3 | Self::SmolLm3 | Self::Gemma3Text)
    }

    /// Whether each of its layers may be with or without a window.
    pub(super) fn takes_layer_types(self) -> bool {
        self.takes_window() && self != Self::Mistral
    }

    /// The base of the rotary frequencies where a file has none.
    pub(super) fn default_rope_theta(self) -> f64 {
        match self {
            Self::SmolLm3 => 2e6,
            Self::Gemma3Text => 1e6,
            _ => super::default_rope_theta(),
        }
    }

    /// The width of a head where a file has none and the residual stream does not say it.
    pub(super) fn default_head_dim(self) -> Option<usize> {
        match self {
            Self::Qwen3 => Some(128),
            Self::Gemma3Text => Some(256),
            _ => None,
        }
    }

    /// What a norm adds to the mean square where a file does not say.
    pub(super) fn default_rms_norm_eps(self) -> f64 {
        if self == Self::Olmo2 { 1e-5 } else { super::default_rms_norm_eps() }
    }

    /// Whether the output head is the embedding where a file does not say.
    pub(super) fn ties_by_default(self) -> bool {
        matches!(self, Self::SmolLm3 | Self::Gemma3Text)
    }
}
