//! The keys of a `config.json` that matter to a decoder, and what they make of it.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Refusal;
use super::rope::RopeKeys;
use crate::model::config::{self, Family, LayerType, ModelConfig, ModelConfigError, one_or_many};
use crate::quote::shown;

/// Most layers of which lists are made before the sizes are checked, which refuses more.
const MOST_LAYERS: usize = 1 << 10;

/// The window that transformers assumes where the key is absent.
const DEFAULT_WINDOW: usize = 4096;

/// The keys of `config.json` that matter to a decoder; the others are left alone.
#[derive(Deserialize)]
pub(super) struct HfConfig {
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
    hidden_activation: Option<String>,
    attn_logit_softcapping: Option<f64>,
    final_logit_softcapping: Option<f64>,
    #[serde(default)]
    use_bidirectional_attention: Option<bool>,
    query_pre_attn_scalar: Option<usize>,
    sliding_window_pattern: Option<usize>,
    tie_word_embeddings: Option<bool>,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    embedding_multiplier: Option<f64>,
    attention_multiplier: Option<f64>,
    residual_multiplier: Option<f64>,
    logits_scaling: Option<f64>,
    no_rope_layers: Option<Vec<u8>>,
    no_rope_layer_interval: Option<usize>,
    #[serde(default)]
    use_sliding_window: bool,
    #[serde(default, deserialize_with = "present")]
    sliding_window: Option<Option<usize>>,
    max_window_layers: Option<usize>,
    layer_types: Option<Vec<String>>,
    quantization_config: Option<IgnoredAny>,
    bos_token_id: Option<i64>,
    #[serde(default, deserialize_with = "one_or_many")]
    eos_token_id: Vec<u32>,
    pad_token_id: Option<i64>,
}

/// A window and the layers that have it, all where none are named.
type Window = (Option<usize>, Option<Vec<LayerType>>);

impl HfConfig {
    /// The ids of BOS and pad.
    ///
    /// # Errors
    /// A number that cannot be an id.
    pub(super) fn special_ids(&self) -> Result<[Option<u32>; 2], ModelConfigError> {
        let bos = token_id("bos_token_id", self.bos_token_id)?;
        Ok([bos, token_id("pad_token_id", self.pad_token_id)?])
    }

    /// The model of these keys, those about rotary positions and these ids.
    ///
    /// # Errors
    /// A feature that the decoder does not have.
    pub(super) fn into_model_config(
        self,
        family: Family,
        rope: RopeKeys,
        [bos_token_id, pad_token_id]: [Option<u32>; 2],
    ) -> Result<ModelConfig, Refusal> {
        self.check_features(family)?;
        let is_gemma = family == Family::Gemma3Text;
        let (rope, local_base) = match is_gemma {
            true => rope.by_kind_of_layer()?,
            false => (rope, None),
        };
        let (sliding_window, layer_types) = self.window(family)?;
        // Granite's factors are 1 where a file has none; in other families the keys mean nothing.
        let factor = |key: Option<f64>| (family == Family::Granite).then(|| key.unwrap_or(1.0));
        let [rope_theta, rms_norm_eps] =
            [family.default_rope_theta(), family.default_rms_norm_eps()];
        Ok(ModelConfig {
            model_type: family,
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            num_key_value_heads: self.num_key_value_heads.or(is_gemma.then_some(4)),
            head_dim: self.head_dim.or(family.default_head_dim()),
            rms_norm_eps: self.rms_norm_eps.unwrap_or(rms_norm_eps),
            rope_theta: rope.theta()?.unwrap_or(rope_theta),
            rope_scaling: rope.scaling()?,
            rope_local_base_freq: is_gemma.then(|| local_base.unwrap_or(10_000.0)),
            no_rope_layers: (family == Family::SmolLm3).then(|| self.rotating()).transpose()?,
            max_position_embeddings: self
                .max_position_embeddings
                .unwrap_or(config::default_max_position_embeddings()),
            sliding_window,
            layer_types,
            tie_word_embeddings: self.tie_word_embeddings.unwrap_or(family.ties_by_default()),
            attention_bias: self.attention_bias,
            mlp_bias: self.mlp_bias,
            embedding_multiplier: factor(self.embedding_multiplier),
            attention_multiplier: factor(self.attention_multiplier),
            query_pre_attn_scalar: is_gemma.then(|| self.query_pre_attn_scalar.unwrap_or(256)),
            residual_multiplier: factor(self.residual_multiplier),
            logits_scaling: factor(self.logits_scaling),
            initializer_range: self
                .initializer_range
                .unwrap_or(config::default_initializer_range()),
            bos_token_id,
            eos_token_id: self.eos_token_id,
            pad_token_id,
        })
    }

    fn check_features(&self, family: Family) -> Result<(), Refusal> {
        self.check_activation(family)?;
        if self.mlp_bias && !family.takes_mlp_bias() {
            return Err(("mlp_bias true".into(), "models of this family have none: remove it"));
        }
        if family == Family::Gemma3Text {
            self.check_gemma()?;
        }
        if self.quantization_config.is_some() {
            return Err((
                "quantization_config".into(),
                "take the model's f32, f16 or bf16 weights: quantised ones cannot be trained",
            ));
        }
        Ok(())
    }

    fn check_activation(&self, family: Family) -> Result<(), Refusal> {
        let (key, given, known, mend) = match family {
            Family::Gemma3Text => (
                "hidden_activation",
                &self.hidden_activation,
                ["gelu_pytorch_tanh"; 2],
                "the gate of the feed-forward part is gelu_pytorch_tanh in this family",
            ),
            _ => (
                "hidden_act",
                &self.hidden_act,
                ["silu", "swish"],
                "the feed-forward part is SwiGLU (silu)",
            ),
        };
        match given.as_deref().filter(|given| !known.contains(given)) {
            Some(other) => Err((format!("{key} {:?}", shown(other)), mend)),
            None => Ok(()),
        }
    }

    /// What a Gemma may have that is left out here.
    fn check_gemma(&self) -> Result<(), Refusal> {
        const MEND: &str = "take a model without it";
        for (key, capping) in [
            ("attn_logit_softcapping", self.attn_logit_softcapping),
            ("final_logit_softcapping", self.final_logit_softcapping),
        ] {
            if let Some(capping) = capping {
                return Err((format!("{key} {capping}"), MEND));
            }
        }
        match self.use_bidirectional_attention {
            Some(true) => Err(("use_bidirectional_attention true".into(), MEND)),
            _ => Ok(()),
        }
    }

    /// For each layer of a SmolLM3, 1 where it has rotary positions.
    fn rotating(&self) -> Result<Vec<u8>, Refusal> {
        let layers = self.num_hidden_layers.min(MOST_LAYERS);
        if let Some(listed) = &self.no_rope_layers {
            // transformers does not look at more items than there are layers.
            return Ok(listed.iter().take(layers).copied().collect());
        }
        match self.no_rope_layer_interval.unwrap_or(4) {
            0 => Err(("no_rope_layer_interval 0".into(), "give a whole number from 1 on")),
            interval => Ok((1..=layers).map(|layer| u8::from(layer % interval != 0)).collect()),
        }
    }

    fn window(&self, family: Family) -> Result<Window, Refusal> {
        let types = self.layer_types()?;
        let slides = |types: &[LayerType]| types.contains(&LayerType::SlidingAttention);
        let named = "layer_types \"sliding_attention\"";
        match family {
            // It looks at no list of layers.
            Family::Mistral => Ok((self.sliding_window.unwrap_or(Some(DEFAULT_WINDOW)), None)),
            family if family.takes_layer_types() => {
                let window = self.window_in_use(family);
                let types = types.unwrap_or_else(|| self.types_by_default(family, window));
                match (slides(&types), window) {
                    (false, _) => Ok((None, None)),
                    (true, Some(window)) => Ok((Some(window), Some(types))),
                    (true, None) => Err((
                        format!("{named} without a window in use"),
                        "give sliding_window, with use_sliding_window true",
                    )),
                }
            }
            _ if types.is_some_and(|types| slides(&types)) => {
                Err((named.into(), "layers of this family attend to the whole sequence"))
            }
            _ => Ok((None, None)),
        }
    }

    fn layer_types(&self) -> Result<Option<Vec<LayerType>>, Refusal> {
        let one = |kind: &String| match kind.as_str() {
            "full_attention" => Ok(LayerType::FullAttention),
            "sliding_attention" => Ok(LayerType::SlidingAttention),
            other => Err((
                format!("layer_types {:?}", shown(other)),
                "layers have full or sliding attention",
            )),
        };
        self.layer_types.as_ref().map(|types| types.iter().map(one).collect()).transpose()
    }

    fn window_in_use(&self, family: Family) -> Option<usize> {
        let by_default = (family != Family::SmolLm3).then_some(DEFAULT_WINDOW);
        let in_use = self.use_sliding_window || family == Family::Gemma3Text;
        self.sliding_window.unwrap_or(by_default).filter(|_| in_use)
    }

    /// Which layers have the window where a file does not say.
    fn types_by_default(&self, family: Family, window: Option<usize>) -> Vec<LayerType> {
        let first = self.max_window_layers.unwrap_or(28);
        let rotating = self.rotating().unwrap_or_default();
        let pattern = self.sliding_window_pattern.unwrap_or(6).max(1);
        let slides = |layer: usize| match family {
            // The kind of a layer decides on its rotation, too, so it does not depend on the window.
            Family::Gemma3Text => !(layer + 1).is_multiple_of(pattern),
            Family::SmolLm3 => window.is_some() && rotating.get(layer) == Some(&0),
            _ => window.is_some() && layer >= first,
        };
        let kind = |layer| match slides(layer) {
            true => LayerType::SlidingAttention,
            false => LayerType::FullAttention,
        };
        (0..self.num_hidden_layers.min(MOST_LAYERS)).map(kind).collect()
    }
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

fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<usize>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
