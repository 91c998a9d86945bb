//! Rotary positions: how far each pair of a head turns from one position to the next.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};

use super::{Family, ModelConfig};
use crate::kernel;

/// How the frequencies of rotary positions differ from the powers of `rope_theta`, in a model that was made
/// for longer sequences than it began with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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
        let plain = kernel::rope_frequencies(self.head_dim(), self.rope_theta);
        let scaled =
            |frequency| self.rope_scaling.map_or(frequency, |scaling| scaling.of(frequency));
        let turning: Vec<f64> = plain.into_iter().map(scaled).collect();
        // To rotate nothing is to rotate by frequencies of 0.
        let still = vec![0.0; turning.len()];
        let mut rotations = vec![Rotation { frequencies: turning, factor }];
        if self.model_type == Family::SmolLm3 {
            rotations.push(Rotation { frequencies: still, factor });
        }
        rotations
    }

    /// Which of the rotations a layer has.
    pub(in crate::model) fn rotation_of(&self, layer: usize) -> usize {
        usize::from(!self.layer_rotates(layer))
    }

    /// Attention divides the products of queries and keys by √head_dim. Where another multiplier belongs
    /// there, the rest of it comes in equal parts from both sides.
    fn rotation_factor(&self) -> f64 {
        let width = self.head_dim() as f64;
        self.attention_multiplier.map_or(1.0, |multiplier| (multiplier * width.sqrt()).sqrt())
    }

    pub(super) fn layer_rotates(&self, layer: usize) -> bool {
        match &self.no_rope_layers {
            Some(rotates) => rotates.get(layer) != Some(&0),
            // Every fourth layer of a SmolLM3 that does not say.
            None => self.model_type != Family::SmolLm3 || (layer + 1) % 4 != 0,
        }
    }
}
