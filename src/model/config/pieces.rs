//! Whether a family has a place for the pieces that a description of a model names.

use super::check::ensure;
use super::{Family, ModelConfig, ModelConfigError, RopeScaling};

impl ModelConfig {
    /// What a family has no place for would change nothing, so it is no part of what was meant.
    pub(super) fn check_pieces(&self) -> Result<(), ModelConfigError> {
        let family = self.model_type;
        let [name, _] = family.hugging_face_names();
        let (is_granite, is_gemma) = (family == Family::Granite, family == Family::Gemma3Text);
        for (key, given, has) in [
            ("attention_bias", self.attention_bias, family != Family::Mistral),
            ("mlp_bias", self.mlp_bias, family.takes_mlp_bias()),
            ("sliding_window", self.sliding_window.is_some(), family.takes_window()),
            ("layer_types", self.layer_types.is_some(), family.takes_layer_types()),
            ("no_rope_layers", self.no_rope_layers.is_some(), family == Family::SmolLm3),
            ("embedding_multiplier", self.embedding_multiplier.is_some(), is_granite),
            ("attention_multiplier", self.attention_multiplier.is_some(), is_granite),
            ("residual_multiplier", self.residual_multiplier.is_some(), is_granite),
            ("query_pre_attn_scalar", self.query_pre_attn_scalar.is_some(), is_gemma),
            ("rope_local_base_freq", self.rope_local_base_freq.is_some(), is_gemma),
            ("logits_scaling", self.logits_scaling.is_some(), is_granite),
        ] {
            ensure(!given || has, key, || {
                format!(
                    "is set, which model_type {name} has no place for; remove it or change model_type"
                )
            })?;
        }
        self.rope_scaling.map_or(Ok(()), |scaling| check_scaling(&scaling))
    }

    /// Lists over layers have an item for each.
    pub(super) fn check_layers(&self) -> Result<(), ModelConfigError> {
        let layers = self.num_hidden_layers;
        let types = self.layer_types.as_ref().map(Vec::len);
        let rotating = self.no_rope_layers.as_ref().map(Vec::len);
        for (key, length) in [("layer_types", types), ("no_rope_layers", rotating)] {
            ensure(length.is_none_or(|length| length == layers), key, || {
                format!("has {} items for {layers} layers; give one for each", length.unwrap_or(0))
            })?;
        }
        ensure(self.layer_types.is_none() || self.sliding_window.is_some(), "layer_types", || {
            "says which layers have a window, but there is no sliding_window; give one or remove it"
                .into()
        })
    }
}

fn check_scaling(scaling: &RopeScaling) -> Result<(), ModelConfigError> {
    let (RopeScaling::Linear { factor }
    | RopeScaling::Dynamic { factor }
    | RopeScaling::Llama3 { factor, .. }) = *scaling;
    ensure((1.0..=1e6).contains(&factor), "rope_scaling.factor", || {
        format!("is {factor}; give a number from 1 to 1e6")
    })?;
    let RopeScaling::Llama3 {
        low_freq_factor: low,
        high_freq_factor: high,
        original_max_position_embeddings: original,
        ..
    } = *scaling
    else {
        return Ok(());
    };
    ensure(low > 0.0 && low < high && high <= 1e6, "rope_scaling.low_freq_factor", || {
        format!("is {low} beside high_freq_factor {high}; give numbers above 0, the lower first")
    })?;
    ensure(
        (1..=1 << 31).contains(&original),
        "rope_scaling.original_max_position_embeddings",
        || format!("is {original}; give the tokens of the longest row before the scaling"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn message(keys: Value) -> String {
        let mut model = json!({"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48,
            "num_hidden_layers": 2, "num_attention_heads": 4});
        for (key, value) in keys.as_object().unwrap() {
            model[key] = value.clone();
        }
        let model: ModelConfig = serde_json::from_value(model).unwrap();
        model.validate().map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn a_piece_that_a_family_has_no_place_for_is_refused_by_name() {
        for (family, key, value) in [
            ("mistral", "attention_bias", json!(true)),
            ("qwen2", "mlp_bias", json!(true)),
            ("olmo2", "mlp_bias", json!(true)),
            ("llama", "sliding_window", json!(8)),
            ("llama", "no_rope_layers", json!([1, 0])),
            ("smollm3", "residual_multiplier", json!(0.5)),
            ("mistral", "logits_scaling", json!(8)),
        ] {
            let told = message(json!({"model_type": family, key: value}));
            let said = format!("model {key} is set, which model_type {family} has no place for");
            assert!(told.starts_with(&said), "{told}");
        }
        assert_eq!(message(json!({"model_type": "granite", "mlp_bias": true})), "");
        assert_eq!(message(json!({"model_type": "olmo2", "attention_bias": true})), "");
    }

    #[test]
    fn a_list_over_layers_has_an_item_for_each() {
        let smollm3 =
            |rotates: Value| message(json!({"model_type": "smollm3", "no_rope_layers": rotates}));
        assert_eq!(smollm3(json!([1, 0])), "");
        assert!(smollm3(json!([1])).contains("no_rope_layers has 1 items for 2 layers"));
        let types =
            json!({"model_type": "qwen2", "layer_types": ["full_attention", "full_attention"]});
        assert!(message(types).contains("there is no sliding_window"));
    }

    #[test]
    fn numbers_of_a_rope_scaling_have_their_ranges() {
        let scaled = |scaling: Value| message(json!({ "rope_scaling": scaling }));
        let llama3 = |low: f64, high: f64, original: u64| {
            scaled(json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": low,
                "high_freq_factor": high, "original_max_position_embeddings": original}))
        };
        assert_eq!(llama3(1.0, 4.0, 8192), "");
        assert!(llama3(4.0, 4.0, 8192).contains("rope_scaling.low_freq_factor is 4 beside"));
        assert!(llama3(1.0, 4.0, 0).contains("rope_scaling.original_max_position_embeddings is 0"));
        for kind in ["linear", "dynamic"] {
            let told = scaled(json!({"rope_type": kind, "factor": 0.5}));
            assert!(told.contains("rope_scaling.factor is 0.5"), "{told}");
        }
    }
}
