//! Rotary positions: how far each pair of a head turns from one position to the next.

use std::f64::consts::TAU;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Family, ModelConfig};
use crate::kernel;

/// How the frequencies of rotary positions differ from the powers of `rope_theta`, in a model that was made
/// for longer sequences than it began with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "rope_type", rename_all = "lowercase", deny_unknown_fields)]
pub enum RopeScaling {
    /// Every frequency is divided by the factor.
    Linear {
        /// The factor.
        factor: f64,
    },
    /// Plain up to `max_position_embeddings`. Beyond, where no row may be here, transformers changes all
    /// positions with the length of the longest row beside them.
    Dynamic {
        /// How much further positions reach there.
        factor: f64,
    },
    /// Llama 3.1's: high frequencies stay, low ones are divided by the factor, those between are mixed.
    ///
    /// ```text
    /// t = f · original / 2π,   s = clamp((t − low) / (high − low), 0, 1)
    /// f' = s · f + (1 − s) · f / factor
    /// ```
    Llama3 {
        /// What low frequencies are divided by.
        factor: f64,
        /// Turns over the original length up to which a frequency is low.
        low_freq_factor: f64,
        /// Turns over the original length from which a frequency is high.
        high_freq_factor: f64,
        /// The original length, in tokens.
        original_max_position_embeddings: usize,
    },
}

impl RopeScaling {
    fn of(&self, frequency: f64) -> f64 {
        match *self {
            Self::Linear { factor } => frequency / factor,
            Self::Dynamic { .. } => frequency,
            Self::Llama3 {
                factor,
                low_freq_factor: low,
                high_freq_factor: high,
                original_max_position_embeddings: original,
            } => {
                let turns = original as f64 * frequency / TAU;
                let stays = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                stays * frequency + (1.0 - stays) * frequency / factor
            }
        }
    }
}

/// A rotation of heads by positions, which layers have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotation {
    /// Angle of each pair of a head from one position to the next `[head_dim / 2]`.
    pub frequencies: Vec<f64>,
    /// What the rotated head is multiplied by; of queries and keys both, so their products have its square.
    pub factor: f64,
}

impl ModelConfig {
    /// The rotations of the model, of which each layer has one.
    pub(in crate::model) fn rotations(&self) -> Vec<Rotation> {
        let factor = self.rotation_factor();
        let of_base = |theta| kernel::rope_frequencies(self.head_dim(), theta);
        let plain = of_base(self.rope_theta);
        let scaled =
            |frequency| self.rope_scaling.map_or(frequency, |scaling| scaling.of(frequency));
        let turning: Vec<f64> = plain.into_iter().map(scaled).collect();
        let other = match self.model_type {
            // To rotate nothing is to rotate by frequencies of 0.
            Family::SmolLm3 => Some(vec![0.0; turning.len()]),
            Family::Gemma3Text => Some(of_base(self.rope_local_base_freq())),
            _ => None,
        };
        [Some(turning), other]
            .into_iter()
            .flatten()
            .map(|frequencies| Rotation { frequencies, factor })
            .collect()
    }

    /// Which of the rotations a layer has.
    pub(in crate::model) fn rotation_of(&self, layer: usize) -> usize {
        usize::from(match self.model_type {
            Family::Gemma3Text => self.layer_slides(layer),
            _ => !self.layer_rotates(layer),
        })
    }

    /// Attention divides the products of queries and keys by √head_dim. Where another multiplier belongs
    /// there, the rest of it comes in equal parts from both sides.
    fn rotation_factor(&self) -> f64 {
        let width = self.head_dim() as f64;
        let by_scalar = self.query_pre_attn_scalar.map(|scalar| 1.0 / (scalar as f64).sqrt());
        let multiplier = self.attention_multiplier.or(by_scalar);
        multiplier.map_or(1.0, |multiplier| (multiplier * width.sqrt()).sqrt())
    }

    /// The base of the frequencies in the layers with a window, where these have one of their own.
    pub(super) fn rope_local_base_freq(&self) -> f64 {
        self.rope_local_base_freq.unwrap_or(10_000.0)
    }

    pub(super) fn layer_rotates(&self, layer: usize) -> bool {
        match &self.no_rope_layers {
            Some(rotates) => rotates.get(layer) != Some(&0),
            // Every fourth layer of a SmolLM3 that does not say.
            None => self.model_type != Family::SmolLm3 || !(layer + 1).is_multiple_of(4),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn model(keys: Value) -> ModelConfig {
        let mut model = json!({"vocab_size": 64, "hidden_size": 2048, "intermediate_size": 48,
            "num_hidden_layers": 8, "num_attention_heads": 32, "rope_theta": 5e5});
        for (key, value) in keys.as_object().unwrap() {
            model[key] = value.clone();
        }
        serde_json::from_value(model).unwrap()
    }

    #[test]
    fn frequencies_of_llama_3_2_are_those_of_transformers() {
        let scaling = json!({"rope_type": "llama3", "factor": 32, "low_freq_factor": 1,
            "high_freq_factor": 4, "original_max_position_embeddings": 8192});
        let rotations = model(json!({ "rope_scaling": scaling })).rotations();
        let [Rotation { frequencies, factor }] = rotations.as_slice() else { panic!() };
        // What ROPE_INIT_FUNCTIONS["llama3"] of transformers 5.24 gives, in f32.
        for (at, expected) in [
            (0, 1.0),
            (10, 0.016560440883040428),
            (14, 0.0032114461064338684),
            (15, 0.0012905480107292533),
            (16, 0.000429556705057621),
            (17, 9.708286233944818e-5),
            (18, 1.9461638657958247e-5),
            (31, 9.418306490260875e-8),
        ] {
            let apart: f64 = frequencies[at] / expected - 1.0;
            assert!(apart.abs() < 2e-6, "{at}: {} against {expected}", frequencies[at]);
        }
        assert_eq!(*factor, 1.0);
    }

    #[test]
    fn linear_scaling_divides_and_dynamic_changes_nothing() {
        let frequencies = |scaling: Value| {
            let rotations = model(json!({ "rope_scaling": scaling })).rotations();
            rotations[0].frequencies.clone()
        };
        let plain = frequencies(Value::Null);
        let halved: Vec<f64> = plain.iter().map(|frequency| frequency / 2.0).collect();
        assert_eq!(frequencies(json!({"rope_type": "linear", "factor": 2})), halved);
        assert_eq!(frequencies(json!({"rope_type": "dynamic", "factor": 2})), plain);
    }

    #[test]
    fn layers_of_smollm3_without_rope_turn_by_nothing() {
        let smollm3 = model(json!({"model_type": "smollm3"}));
        let of_layer = |layer| smollm3.rotations()[smollm3.rotation_of(layer)].frequencies[0];
        assert_eq!([0, 1, 2, 3, 4, 7].map(of_layer), [1.0, 1.0, 1.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn an_attention_multiplier_comes_in_equal_parts_from_queries_and_keys() {
        // Granite 3.1 2B: 1/64 where 1/√64 would be plain.
        let keys = json!({"model_type": "granite", "attention_multiplier": 0.015625});
        let factor = model(keys).rotations()[0].factor;
        assert!((factor * factor / 8.0 - 0.015625).abs() < 1e-15);
        assert_eq!(model(json!({"model_type": "granite"})).rotations()[0].factor, 1.0);
    }
}
