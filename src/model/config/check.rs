//! Whether a description of a model can be one: each number has its range, and sizes fit each other.

use super::{ModelConfig, ModelConfigError};

type Size = fn(&ModelConfig) -> usize;
type Number = fn(&ModelConfig) -> f64;

/// Largest sizes, each far above any published decoder. No product of two of them overflows.
const SIZES: [(&str, Size, usize); 10] = [
    ("vocab_size", |config| config.vocab_size, 1 << 24),
    ("hidden_size", |config| config.hidden_size, 1 << 20),
    ("intermediate_size", |config| config.intermediate_size, 1 << 22),
    ("num_hidden_layers", |config| config.num_hidden_layers, 1 << 10),
    ("num_attention_heads", |config| config.num_attention_heads, 1 << 14),
    ("num_key_value_heads", ModelConfig::num_key_value_heads, 1 << 14),
    ("max_position_embeddings", |config| config.max_position_embeddings, 1 << 31),
    ("head_dim", |config| config.head_dim.unwrap_or(1), 1 << 14),
    ("query_pre_attn_scalar", |config| config.query_pre_attn_scalar.unwrap_or(1), 1 << 20),
    ("sliding_window", |config| config.sliding_window.unwrap_or(1), 1 << 31),
];

/// The ranges of the other numbers: what f32 computes with, and some more than anybody publishes.
const NUMBERS: [(&str, Number, f64, f64); 8] = [
    ("rms_norm_eps", |config| config.rms_norm_eps, 1e-12, 1.0),
    ("rope_theta", |config| config.rope_theta, 1.0, 1e12),
    ("rope_local_base_freq", |config| config.rope_local_base_freq.unwrap_or(1.0), 1.0, 1e12),
    ("initializer_range", |config| config.initializer_range, 1e-12, 100.0),
    ("embedding_multiplier", |config| config.embedding_multiplier.unwrap_or(1.0), 1e-6, 1e6),
    ("attention_multiplier", |config| config.attention_multiplier.unwrap_or(1.0), 1e-6, 1e6),
    ("residual_multiplier", |config| config.residual_multiplier.unwrap_or(1.0), 1e-6, 1e6),
    ("logits_scaling", |config| config.logits_scaling.unwrap_or(1.0), 1e-6, 1e6),
];

/// Most parameters of a model: 256 GiB in f32.
const MOST_PARAMETERS: u64 = 1 << 36;

impl ModelConfig {
    /// Checks that every number is in its range and that the sizes fit each other. It takes no memory
    /// to speak of, whatever the sizes.
    ///
    /// # Errors
    /// [`ModelConfigError::Invalid`] names the first key that does not fit, and why.
    pub fn validate(&self) -> Result<(), ModelConfigError> {
        self.check_sizes()?;
        self.check_heads()?;
        self.check_numbers()?;
        self.check_pieces()?;
        self.check_layers()?;
        self.check_token_ids()?;
        self.check_total()
    }

    fn check_sizes(&self) -> Result<(), ModelConfigError> {
        for (key, size, most) in SIZES {
            let size = size(self);
            ensure((1..=most).contains(&size), key, || {
                format!("is {size}; give a whole number from 1 to {most}")
            })?;
        }
        Ok(())
    }

    fn check_heads(&self) -> Result<(), ModelConfigError> {
        let (width, heads, kv) =
            (self.hidden_size, self.num_attention_heads, self.num_key_value_heads());
        ensure(self.head_dim.is_some() || width.is_multiple_of(heads), "hidden_size", || {
            format!(
                "is {width}, not a multiple of num_attention_heads ({heads}); change one of them or give head_dim"
            )
        })?;
        ensure(heads.is_multiple_of(kv), "num_key_value_heads", || {
            format!(
                "is {kv}, which does not divide num_attention_heads ({heads}); choose a divisor"
            )
        })?;
        let head_dim = self.head_dim();
        ensure(head_dim > 0 && head_dim.is_multiple_of(2), "head_dim", || {
            format!(
                "is {head_dim}, but rotary positions turn pairs: choose an even width of 2 or more"
            )
        })
    }

    fn check_numbers(&self) -> Result<(), ModelConfigError> {
        for (key, value, least, most) in NUMBERS {
            let value = value(self);
            ensure((least..=most).contains(&value), key, || {
                format!("is {value}; give a number from {least} to {most}")
            })?;
        }
        Ok(())
    }

    fn check_token_ids(&self) -> Result<(), ModelConfigError> {
        let ids = (self.bos_token_id.iter().map(|id| ("bos_token_id", *id)))
            .chain(self.eos_token_id.iter().map(|id| ("eos_token_id", *id)))
            .chain(self.pad_token_id.iter().map(|id| ("pad_token_id", *id)));
        for (key, id) in ids {
            ensure((id as usize) < self.vocab_size, key, || {
                format!("is {id}, outside the vocabulary of {} tokens", self.vocab_size)
            })?;
        }
        Ok(())
    }

    /// Sizes that are possible one by one may together make a model that no machine holds.
    fn check_total(&self) -> Result<(), ModelConfigError> {
        let count = |shape: &[usize]| {
            shape.iter().try_fold(1u64, |count, size| count.checked_mul(*size as u64))
        };
        let parameters = self.parameters();
        let total = parameters
            .iter()
            .try_fold(0u64, |total, (_, shape)| total.checked_add(count(shape)?))
            .unwrap_or(u64::MAX);
        ensure(total <= MOST_PARAMETERS, "hidden_size", || {
            format!(
                "is {}, which with the other sizes makes {total} parameters, more than the {MOST_PARAMETERS} there may be; lower the sizes",
                self.hidden_size
            )
        })
    }
}

pub(super) fn ensure(
    holds: bool,
    key: &'static str,
    problem: impl FnOnce() -> String,
) -> Result<(), ModelConfigError> {
    if holds { Ok(()) } else { Err(ModelConfigError::Invalid { key, problem: problem() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> ModelConfig {
        let text = r#"{"vocab_size": 64, "hidden_size": 128, "intermediate_size": 352,
            "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
            "tie_word_embeddings": true, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}"#;
        serde_json::from_str(text).unwrap()
    }

    fn message(config: ModelConfig) -> String {
        config.validate().unwrap_err().to_string()
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused_by_name() {
        assert!(message(ModelConfig { vocab_size: 0, ..tiny() }).contains("vocab_size is 0"));
        assert!(message(ModelConfig { hidden_size: 130, ..tiny() }).contains("hidden_size is 130"));
        assert!(message(ModelConfig { head_dim: Some(7), ..tiny() }).contains("head_dim is 7"));
        assert!(message(ModelConfig { rope_theta: f64::NAN, ..tiny() }).contains("rope_theta"));
        let three = ModelConfig { num_key_value_heads: Some(3), ..tiny() };
        assert!(message(three).contains("does not divide num_attention_heads (4)"));
        let far = ModelConfig { eos_token_id: vec![2, 64], ..tiny() };
        assert!(message(far).contains("eos_token_id is 64"));
    }

    /// `tiny` with one size changed.
    fn sized(key: &str, size: usize) -> ModelConfig {
        let mut json = serde_json::to_value(tiny()).unwrap();
        json[key] = size.into();
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn sizes_that_no_model_has_are_refused_by_name() {
        for (key, ..) in SIZES {
            for size in [0, 1 << 40, 1 << 63, usize::MAX] {
                let message = message(sized(key, size));
                assert!(message.starts_with(&format!("model {key} is {size}")), "{message}");
            }
        }
    }

    #[test]
    fn numbers_that_are_no_numbers_or_out_of_range_are_refused_by_name() {
        for value in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e-300, 1e300] {
            let told = |key: &str, config| {
                let message = message(config);
                assert!(message.starts_with(&format!("model {key} is {value}")), "{message}");
            };
            told("rope_theta", ModelConfig { rope_theta: value, ..tiny() });
            told("rms_norm_eps", ModelConfig { rms_norm_eps: value, ..tiny() });
            told("initializer_range", ModelConfig { initializer_range: value, ..tiny() });
        }
    }

    #[test]
    fn sizes_that_together_make_more_than_a_machine_holds_are_refused() {
        let wide = ModelConfig {
            hidden_size: 1 << 20,
            intermediate_size: 1 << 22,
            num_hidden_layers: 1 << 10,
            ..tiny()
        };
        // Per layer 2 norms, 3 matrices of the feed-forward part, q and o, k and v at half the width.
        let (d, i) = (1u64 << 20, 1u64 << 22);
        let total = 64 * d + d + 1024 * (2 * d + 3 * d * i + 3 * d * d);
        let message = message(wide);
        assert!(message.contains(&format!("{total} parameters")), "{message}");
    }
}
