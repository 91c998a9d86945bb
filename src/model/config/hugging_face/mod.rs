//! Reads and writes Hugging Face's `config.json`, of transformers 4 and 5.

#[cfg(test)]
mod tests;

use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::place::{CONFIG_FILE, find_model, is_gguf};
use super::rope::RopeKeys;
use super::{Family, ModelConfig, ModelConfigError, one_or_many};
use crate::files::read_text;
use crate::model::gguf::GgufModel;
use crate::quote::shown;

/// Longest `config.json` that is read; the longest there are name every layer and label.
const MOST_BYTES: u64 = 4 << 20;

const SUPPORTED: &str = "the families are llama (SmolLM2 too), mistral, qwen2 and qwen3";

impl ModelConfig {
    /// Reads `config.json` of a model folder or of the one in a run's folder, and the ids that end a completion from `generation_config.json` where it has them.
    ///
    /// # Errors
    /// A path that leads to no model, a file that is malformed, a number out of its range, a feature the decoder does not have, sizes that do not fit.
    pub fn from_folder(folder: &Path) -> Result<Self, ModelConfigError> {
        let folder = find_model(folder)?;
        if is_gguf(&folder) {
            let json = GgufModel::open(&folder).and_then(|model| model.config_json());
            let config = Self::from_hf_json(&json?.to_string(), &folder)?;
            config.validate().map_err(|cause| in_file(&folder, cause))?;
            return Ok(config);
        }
        let file = folder.join(CONFIG_FILE);
        let mut config = Self::from_hf_json(&read(&file)?, &file)?;
        let generation = folder.join("generation_config.json");
        if generation.exists() {
            let eos_token_id = parse::<Generation>(&read(&generation)?, &generation)?.eos_token_id;
            // An instruct model often names its end-of-turn token here alone.
            if !eos_token_id.is_empty() {
                config.eos_token_id = eos_token_id;
            }
        }
        config.validate().map_err(|cause| in_file(&file, cause))?;
        Ok(config)
    }

    /// The contents of a `config.json` that transformers 4 and 5 open with `AutoModelForCausalLM`.
    pub fn to_hf_json(&self) -> Value {
        let (model_type, architecture) = self.model_type.hugging_face_names();
        let eos = match self.eos_token_id.as_slice() {
            [] => Value::Null,
            [id] => json!(id),
            ids => json!(ids),
        };
        let mut json = json!({
            "architectures": [architecture],
            "model_type": model_type,
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.num_hidden_layers,
            "num_attention_heads": self.num_attention_heads,
            "num_key_value_heads": self.num_key_value_heads(),
            "head_dim": self.head_dim(),
            "hidden_act": "silu",
            "rms_norm_eps": self.rms_norm_eps,
            "rope_theta": self.rope_theta,
            "rope_parameters": {"rope_type": "default", "rope_theta": self.rope_theta},
            "max_position_embeddings": self.max_position_embeddings,
            "tie_word_embeddings": self.tie_word_embeddings,
            "attention_bias": self.attention_bias,
            "attention_dropout": 0.0,
            "initializer_range": self.initializer_range,
            "bos_token_id": self.bos_token_id,
            "eos_token_id": eos,
            "pad_token_id": self.pad_token_id,
            // transformers 4 reads torch_dtype, transformers 5 dtype.
            "torch_dtype": "float32",
            "dtype": "float32",
        });
        // An absent key means a window of 4096 tokens in Mistral.
        if self.model_type == Family::Mistral {
            json["sliding_window"] = Value::Null;
        }
        json
    }

    /// The contents of a `generation_config.json`: the special ids.
    pub fn to_generation_json(&self) -> Value {
        let json = self.to_hf_json();
        json!({
            "bos_token_id": json["bos_token_id"],
            "eos_token_id": json["eos_token_id"],
            "pad_token_id": json["pad_token_id"],
        })
    }

    fn from_hf_json(text: &str, file: &Path) -> Result<Self, ModelConfigError> {
        let model_type = parse::<ModelType>(text, file)?.model_type;
        let family = Family::from_hugging_face(&model_type).ok_or_else(|| {
            refuse(file, format!("model_type {:?}", shown(&model_type)), SUPPORTED.into())
        })?;
        let (hf, rope) = (parse::<HfConfig>(text, file)?, parse::<RopeKeys>(text, file)?);
        if let Some((feature, mend)) = hf.unsupported(family).or_else(|| rope.unsupported()) {
            return Err(refuse(file, feature, mend.into()));
        }
        hf.into_model_config(family, rope.theta()).map_err(|cause| in_file(file, cause))
    }
}

impl Family {
    fn from_hugging_face(model_type: &str) -> Option<Self> {
        let all = [Self::Llama, Self::Mistral, Self::Qwen2, Self::Qwen3];
        all.into_iter().find(|family| family.hugging_face_names().0 == model_type)
    }

    fn hugging_face_names(self) -> (&'static str, &'static str) {
        match self {
            Self::Llama => ("llama", "LlamaForCausalLM"),
            Self::Mistral => ("mistral", "MistralForCausalLM"),
            Self::Qwen2 => ("qwen2", "Qwen2ForCausalLM"),
            Self::Qwen3 => ("qwen3", "Qwen3ForCausalLM"),
        }
    }
}

#[derive(Deserialize)]
struct ModelType {
    model_type: String,
}

#[derive(Deserialize)]
struct Generation {
    #[serde(default, deserialize_with = "one_or_many")]
    eos_token_id: Vec<u32>,
}

/// The keys of `config.json` that matter to a decoder; the others are left alone.
#[derive(Deserialize)]
struct HfConfig {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    rms_norm_eps: Option<f64>,
    max_position_embeddings: Option<usize>,
    initializer_range: Option<f64>,
    hidden_act: Option<String>,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default)]
    use_sliding_window: bool,
    #[serde(default = "absent", deserialize_with = "present")]
    sliding_window: Option<Option<usize>>,
    max_window_layers: Option<usize>,
    layer_types: Option<Vec<String>>,
    quantization_config: Option<IgnoredAny>,
    bos_token_id: Option<i64>,
    #[serde(default, deserialize_with = "one_or_many")]
    eos_token_id: Vec<u32>,
    pad_token_id: Option<i64>,
}

impl HfConfig {
    fn into_model_config(
        self,
        family: Family,
        rope_theta: Option<f64>,
    ) -> Result<ModelConfig, ModelConfigError> {
        Ok(ModelConfig {
            model_type: family,
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            num_key_value_heads: self.num_key_value_heads,
            // transformers takes 128 for a Qwen3 that does not say.
            head_dim: self.head_dim.or((family == Family::Qwen3).then_some(128)),
            rms_norm_eps: self.rms_norm_eps.unwrap_or(super::default_rms_norm_eps()),
            rope_theta: rope_theta.unwrap_or(super::default_rope_theta()),
            max_position_embeddings: self
                .max_position_embeddings
                .unwrap_or(super::default_max_position_embeddings()),
            tie_word_embeddings: self.tie_word_embeddings,
            attention_bias: self.attention_bias,
            initializer_range: self.initializer_range.unwrap_or(super::default_initializer_range()),
            bos_token_id: token_id("bos_token_id", self.bos_token_id)?,
            eos_token_id: self.eos_token_id,
            pad_token_id: token_id("pad_token_id", self.pad_token_id)?,
        })
    }

    fn unsupported(&self, family: Family) -> Option<(String, &'static str)> {
        let act = self.hidden_act.as_deref().unwrap_or("silu");
        if !matches!(act, "silu" | "swish") {
            return Some((
                format!("hidden_act {:?}", shown(act)),
                "the feed-forward part is SwiGLU (silu)",
            ));
        }
        if self.mlp_bias {
            return Some(("mlp_bias true".into(), "take a model without it"));
        }
        if self.quantization_config.is_some() {
            return Some((
                "quantization_config".into(),
                "take the model's f32, f16 or bf16 weights: quantised ones cannot be trained",
            ));
        }
        self.sliding(family)
    }

    fn sliding(&self, family: Family) -> Option<(String, &'static str)> {
        let mend = "every layer attends to the whole sequence: take a model without a window";
        if let Some(types) = &self.layer_types {
            let other = types.iter().find(|kind| *kind != "full_attention");
            return other.map(|kind| (format!("layer_types {:?}", shown(kind)), mend));
        }
        // What transformers assumes where the key is absent.
        let window = self.sliding_window.unwrap_or(Some(4096))?;
        let used = match family {
            Family::Llama => false,
            Family::Mistral => self.max_position_embeddings.is_none_or(|longest| window < longest),
            Family::Qwen2 | Family::Qwen3 => {
                self.use_sliding_window
                    && self.max_window_layers.unwrap_or(28) < self.num_hidden_layers
            }
        };
        used.then(|| (format!("sliding_window {window}"), mend))
    }
}

fn read(file: &Path) -> Result<String, ModelConfigError> {
    read_text(file, MOST_BYTES)
        .map_err(|source| ModelConfigError::Read { file: file.into(), source })
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str, file: &Path) -> Result<T, ModelConfigError> {
    serde_json::from_str(text).map_err(|error| ModelConfigError::Json {
        file: file.into(),
        problem: shown(&error.to_string()).into_owned(),
    })
}

fn in_file(file: &Path, cause: ModelConfigError) -> ModelConfigError {
    ModelConfigError::InFile { file: file.into(), cause: Box::new(cause) }
}

/// Older files write -1 for "none".
fn token_id(key: &'static str, id: Option<i64>) -> Result<Option<u32>, ModelConfigError> {
    let Some(id) = id.filter(|id| *id != -1) else { return Ok(None) };
    let wrong = |_| ModelConfigError::Invalid {
        key,
        problem: format!("is {id}; give a token's id, or null where there is none"),
    };
    u32::try_from(id).map(Some).map_err(wrong)
}

fn refuse(file: &Path, feature: String, mend: String) -> ModelConfigError {
    ModelConfigError::Unsupported { file: file.into(), feature, mend }
}

fn absent() -> Option<Option<usize>> {
    None
}

fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<usize>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
