//! The tensors of a decoder under Hugging Face's names.

use super::ModelConfig;

impl ModelConfig {
    /// Every parameter under its Hugging Face name with its shape (`[out, in]` for projections), in the
    /// order of the decoder: what [`Decoder::parameters`] will say, before anything is allocated.
    ///
    /// [`Decoder::parameters`]: crate::model::Decoder::parameters
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = vec![self.embedding()];
        for layer in 0..self.num_hidden_layers {
            let prefix = format!("model.layers.{layer}.");
            let named = |(name, shape): (&str, Vec<usize>)| (format!("{prefix}{name}"), shape);
            list.extend(self.layer_parameters().into_iter().map(named));
        }
        list.push(("model.norm.weight".into(), vec![self.hidden_size]));
        if !self.tie_word_embeddings {
            list.push(("lm_head.weight".into(), vec![self.vocab_size, self.hidden_size]));
        }
        list
    }

    /// How many numbers the model has; a tied head counts once.
    pub fn parameter_count(&self) -> usize {
        self.parameters().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    fn embedding(&self) -> (String, Vec<usize>) {
        ("model.embed_tokens.weight".into(), vec![self.vocab_size, self.hidden_size])
    }

    fn layer_parameters(&self) -> Vec<(&'static str, Vec<usize>)> {
        let width = self.hidden_size;
        let (inputs, outputs) = (self.norms_inputs(), self.norms_outputs());
        let norm = |name, is_there: bool| is_there.then(|| (name, vec![width]));
        let mut list: Vec<_> = norm("input_layernorm.weight", inputs).into_iter().collect();
        list.extend(self.attention_parameters());
        list.extend(norm("post_attention_layernorm.weight", true));
        list.extend(norm("pre_feedforward_layernorm.weight", inputs && outputs));
        list.extend(self.mlp_parameters());
        list.extend(norm("post_feedforward_layernorm.weight", outputs));
        list
    }

    fn mlp_parameters(&self) -> Vec<(&'static str, Vec<usize>)> {
        let (width, inner) = (self.hidden_size, self.intermediate_size);
        let mut list = Vec::new();
        for (weight, bias, shape) in [
            ("mlp.gate_proj.weight", "mlp.gate_proj.bias", [inner, width]),
            ("mlp.up_proj.weight", "mlp.up_proj.bias", [inner, width]),
            ("mlp.down_proj.weight", "mlp.down_proj.bias", [width, inner]),
        ] {
            list.push((weight, shape.to_vec()));
            if self.mlp_bias {
                list.push((bias, vec![shape[0]]));
            }
        }
        list
    }

    fn attention_parameters(&self) -> Vec<(&'static str, Vec<usize>)> {
        let (width, head_dim) = (self.hidden_size, self.head_dim());
        let (q, kv) = (self.num_attention_heads * head_dim, self.num_key_value_heads() * head_dim);
        let mut list = Vec::new();
        for (weight, bias, out) in [
            ("self_attn.q_proj.weight", "self_attn.q_proj.bias", q),
            ("self_attn.k_proj.weight", "self_attn.k_proj.bias", kv),
            ("self_attn.v_proj.weight", "self_attn.v_proj.bias", kv),
        ] {
            list.push((weight, vec![out, width]));
            if self.has_qkv_bias() {
                list.push((bias, vec![out]));
            }
        }
        if let Some([q, k]) = self.qk_norm_widths() {
            list.push(("self_attn.q_norm.weight", vec![q]));
            list.push(("self_attn.k_norm.weight", vec![k]));
        }
        list.push(("self_attn.o_proj.weight", vec![width, q]));
        if self.has_output_bias() {
            list.push(("self_attn.o_proj.bias", vec![width]));
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::super::Family;
    use super::*;

    fn tiny() -> ModelConfig {
        let text = r#"{"vocab_size": 64, "hidden_size": 128, "intermediate_size": 352,
            "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
            "tie_word_embeddings": true, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_benchmark_model_has_746624_parameters() {
        assert_eq!(tiny().parameter_count(), 746_624);
    }

    #[test]
    fn smollm2_has_134515008_parameters() {
        let config = ModelConfig {
            vocab_size: 49_152,
            hidden_size: 576,
            intermediate_size: 1536,
            num_hidden_layers: 30,
            num_attention_heads: 9,
            num_key_value_heads: Some(3),
            ..tiny()
        };
        assert_eq!(config.parameter_count(), 134_515_008);
    }

    #[test]
    fn a_free_head_is_one_more_parameter_at_the_end() {
        let free = ModelConfig { tie_word_embeddings: false, ..tiny() };
        let (name, shape) = free.parameters().pop().unwrap();
        assert_eq!((name.as_str(), shape), ("lm_head.weight", vec![64, 128]));
        assert_eq!(tiny().parameters().pop().unwrap().0, "model.norm.weight");
    }

    #[test]
    fn qwen2_has_biases_on_q_k_v_alone_and_qwen3_has_norms() {
        let names = |family| {
            let config = ModelConfig { model_type: family, num_hidden_layers: 1, ..tiny() };
            let short = |name: String| name.split("self_attn.").nth(1).map(str::to_owned);
            config.parameters().into_iter().filter_map(|(name, _)| short(name)).collect::<Vec<_>>()
        };
        let qwen2 = [
            "q_proj.weight",
            "q_proj.bias",
            "k_proj.weight",
            "k_proj.bias",
            "v_proj.weight",
            "v_proj.bias",
            "o_proj.weight",
        ];
        let qwen3 = [
            "q_proj.weight",
            "k_proj.weight",
            "v_proj.weight",
            "q_norm.weight",
            "k_norm.weight",
            "o_proj.weight",
        ];
        assert_eq!(names(Family::Qwen2), qwen2);
        assert_eq!(names(Family::Qwen3), qwen3);
    }

    #[test]
    fn a_head_may_be_wider_than_its_share_of_the_residual_stream() {
        let config = ModelConfig { head_dim: Some(64), ..tiny() };
        let shapes: std::collections::HashMap<_, _> = config.parameters().into_iter().collect();
        assert_eq!(shapes["model.layers.3.self_attn.q_proj.weight"], [256, 128]);
        assert_eq!(shapes["model.layers.3.self_attn.k_proj.weight"], [128, 128]);
        assert_eq!(shapes["model.layers.3.self_attn.o_proj.weight"], [128, 256]);
    }

    #[test]
    fn olmo2_has_norms_after_its_blocks_and_over_all_heads() {
        let config = ModelConfig { model_type: Family::Olmo2, num_hidden_layers: 1, ..tiny() };
        let named = |(name, shape): (String, Vec<usize>)| {
            Some((name.split("0.").nth(1)?.to_owned(), shape))
        };
        let norms = config.parameters().into_iter().filter_map(named);
        let norms: Vec<_> = norms.filter(|(name, _)| name.contains("norm")).collect();
        let expected = [
            ("self_attn.q_norm.weight", 128),
            ("self_attn.k_norm.weight", 64),
            ("post_attention_layernorm.weight", 128),
            ("post_feedforward_layernorm.weight", 128),
        ];
        assert_eq!(norms, expected.map(|(name, width)| (name.to_owned(), vec![width])));
    }

    #[test]
    fn biases_of_the_feed_forward_part_are_there_where_they_are_asked_for() {
        let count = ModelConfig { mlp_bias: true, ..tiny() }.parameter_count();
        assert_eq!(count, tiny().parameter_count() + 4 * (352 + 352 + 128));
    }
}
