//! Reads and writes Hugging Face's `config.json`, of transformers 4 and 5.

mod keys;
mod rope;
#[cfg(test)]
mod tests;

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use self::keys::HfConfig;
use self::rope::RopeKeys;
use super::place::{CONFIG_FILE, find_model, is_gguf};
use super::{Family, LayerType, ModelConfig, ModelConfigError, one_or_many};
use crate::files::read_text;
use crate::model::gguf::GgufModel;
use crate::quote::shown;

/// Longest `config.json` that is read; the longest there are name every layer and label.
const MOST_BYTES: u64 = 4 << 20;

/// What is not supported, and what to do instead.
type Refusal = (String, &'static str);

const SUPPORTED: &str = "the families are llama (SmolLM2 too), mistral, qwen2 (Qwen2.5 too), qwen3, smollm3, granite, olmo2 and gemma3_text";

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
        let [model_type, architecture] = self.model_type.hugging_face_names();
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
        rope::write(self, &mut json);
        self.write_pieces(&mut json);
        json
    }

    /// The keys that not every family has.
    fn write_pieces(&self, json: &mut Value) {
        let family = self.model_type;
        if family.takes_mlp_bias() {
            json["mlp_bias"] = json!(self.mlp_bias);
        }
        // An absent key means a window of 4096 tokens in Mistral.
        if family == Family::Mistral {
            json["sliding_window"] = json!(self.sliding_window);
        }
        if family.takes_layer_types() && self.sliding_window.is_some() {
            self.write_window(json);
        }
        if family == Family::SmolLm3 {
            let rotates = |layer| u8::from(self.layer_rotates(layer));
            let rotating: Vec<u8> = (0..self.num_hidden_layers).map(rotates).collect();
            json["no_rope_layers"] = json!(rotating);
        }
        if family == Family::Gemma3Text {
            self.write_gemma(json);
        }
        if family == Family::Granite {
            let by_width = 1.0 / (self.head_dim() as f64).sqrt();
            json["embedding_multiplier"] = json!(self.embedding_multiplier.unwrap_or(1.0));
            json["attention_multiplier"] = json!(self.attention_multiplier.unwrap_or(by_width));
            json["residual_multiplier"] = json!(self.residual_multiplier.unwrap_or(1.0));
            json["logits_scaling"] = json!(self.logits_scaling.unwrap_or(1.0));
        }
    }

    fn write_gemma(&self, json: &mut Value) {
        json["hidden_activation"] = json!("gelu_pytorch_tanh");
        json["query_pre_attn_scalar"] =
            json!(self.query_pre_attn_scalar.unwrap_or(self.head_dim()));
        // An absent list means a window in five of six layers.
        if self.sliding_window.is_none() {
            json["layer_types"] = json!(vec![LayerType::FullAttention; self.num_hidden_layers]);
        }
        if let Some(keys) = json.as_object_mut() {
            keys.remove("hidden_act");
        }
    }

    fn write_window(&self, json: &mut Value) {
        let all = || vec![LayerType::SlidingAttention; self.num_hidden_layers];
        let types = self.layer_types.clone().unwrap_or_else(all);
        let full = types.iter().take_while(|kind| **kind == LayerType::FullAttention).count();
        json["use_sliding_window"] = json!(true);
        json["sliding_window"] = json!(self.sliding_window);
        json["layer_types"] = json!(types);
        // What transformers looked at before there was a list.
        json["max_window_layers"] = json!(full);
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
        let ids = hf.special_ids().map_err(|cause| in_file(file, cause))?;
        let read = hf.into_model_config(family, rope, ids);
        read.map_err(|(feature, mend)| refuse(file, feature, mend.into()))
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

fn refuse(file: &Path, feature: String, mend: String) -> ModelConfigError {
    ModelConfigError::Unsupported { file: file.into(), feature, mend }
}
