//! The model families that are read and written, under the names that llama.cpp and Hugging Face have for them.

/// A family of decoders that llama.cpp knows and whose tensors have a place here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// Llama, SmolLM2 and Mistral, which llama.cpp does not tell apart.
    Llama,
    /// Qwen2 and Qwen2.5.
    Qwen2,
    /// Qwen3 without experts.
    Qwen3,
    /// Granite 3 and the dense ones of Granite 4.
    Granite,
    /// OLMo 2.
    Olmo2,
    /// SmolLM3.
    SmolLm3,
}

impl Architecture {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Llama, Self::Qwen2, Self::Qwen3, Self::Granite, Self::Olmo2, Self::SmolLm3];

    /// `general.architecture` of a GGUF file.
    pub fn gguf_name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Granite => "granite",
            Self::Olmo2 => "olmo2",
            Self::SmolLm3 => "smollm3",
        }
    }

    /// `model_type` and `architectures` of a `config.json`.
    pub fn hugging_face_names(self) -> (&'static str, &'static str) {
        match self {
            Self::Llama => ("llama", "LlamaForCausalLM"),
            Self::Qwen2 => ("qwen2", "Qwen2ForCausalLM"),
            Self::Qwen3 => ("qwen3", "Qwen3ForCausalLM"),
            Self::Granite => ("granite", "GraniteForCausalLM"),
            Self::Olmo2 => ("olmo2", "Olmo2ForCausalLM"),
            Self::SmolLm3 => ("smollm3", "SmolLM3ForCausalLM"),
        }
    }

    /// The family of a GGUF file.
    pub fn from_gguf(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.gguf_name() == name)
    }

    /// The family of a `config.json`.
    pub fn from_hugging_face(model_type: &str) -> Option<Self> {
        match model_type {
            "mistral" => Some(Self::Llama),
            _ => Self::ALL.into_iter().find(|family| family.hugging_face_names().0 == model_type),
        }
    }

    /// Whether llama.cpp rotates neighbouring values of a head, for which its converter reorders the rows of q and k.
    /// Hugging Face's models, and llama.cpp's others, rotate a value with the one half a head away.
    pub fn rotates_neighbours(self) -> bool {
        matches!(self, Self::Llama | Self::Granite | Self::SmolLm3)
    }

    /// Whether norms come behind the attention and the feed-forward part instead of before them.
    pub(super) fn norms_behind(self) -> bool {
        self == Self::Olmo2
    }

    /// The names in GGUF files, for messages.
    pub(super) fn gguf_names() -> String {
        Self::ALL.map(Self::gguf_name).join(", ")
    }

    /// The names in `config.json`, for messages.
    pub(super) fn model_types() -> String {
        format!("{}, mistral", Self::ALL.map(|family| family.hugging_face_names().0).join(", "))
    }
}
