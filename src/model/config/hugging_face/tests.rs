//! `config.json` of the families, and what is refused in one.

use super::*;

/// `extra` replaces or adds keys of a small config.json.
fn read_with(model_type: &str, extra: Value) -> Result<ModelConfig, ModelConfigError> {
    let mut json = json!({
        "model_type": model_type, "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 128, "sliding_window": null,
    });
    for (key, value) in extra.as_object().unwrap() {
        json[key] = value.clone();
    }
    ModelConfig::from_hf_json(&json.to_string(), Path::new("config.json"))
}

fn refusal(model_type: &str, extra: Value) -> String {
    read_with(model_type, extra).unwrap_err().to_string()
}

#[test]
fn rope_theta_is_found_where_transformers_4_and_5_put_it() {
    let old = read_with("llama", json!({"rope_theta": 5e5, "rope_scaling": null})).unwrap();
    let rope = json!({"rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}});
    assert_eq!(old.rope_theta, 5e5);
    assert_eq!(read_with("llama", rope).unwrap().rope_theta, 1e6);
    assert_eq!(read_with("llama", json!({})).unwrap().rope_theta, 1e4);
}

#[test]
fn end_of_text_is_one_id_or_several() {
    assert_eq!(read_with("llama", json!({"eos_token_id": 2})).unwrap().eos_token_id, [2]);
    let several = read_with("llama", json!({"eos_token_id": [2, 5]})).unwrap();
    assert_eq!(several.eos_token_id, [2, 5]);
    let none = json!({"eos_token_id": null, "pad_token_id": -1});
    let none = read_with("llama", none).unwrap();
    assert_eq!((none.eos_token_id, none.pad_token_id), (vec![], None));
}

#[test]
fn what_is_written_is_read_back() {
    let llama3 = json!({"rope_type": "llama3", "factor": 8, "low_freq_factor": 1,
        "high_freq_factor": 4, "original_max_position_embeddings": 64});
    let scalings = [
        json!(null),
        json!({"type": "linear", "factor": 2}),
        json!({"rope_type": "dynamic", "factor": 2.5}),
        llama3,
    ];
    for (family, ..) in Family::ALL {
        for scaling in &scalings {
            let extra = json!({"head_dim": 16, "rope_theta": 5e5, "eos_token_id": [3, 4],
                "rms_norm_eps": 1e-5, "tie_word_embeddings": true, "bos_token_id": 1,
                "rope_scaling": scaling, "sliding_window": 32, "use_sliding_window": true,
                "max_window_layers": 1, "no_rope_layers": [0, 1], "residual_multiplier": 0.5});
            let [name, _] = family.hugging_face_names();
            let config = read_with(name, extra).unwrap();
            config.validate().unwrap();
            let again = ModelConfig::from_hf_json(&config.to_hf_json().to_string(), Path::new("x"));
            assert_eq!(again.unwrap(), config);
        }
    }
}

#[test]
fn an_unknown_family_is_refused_with_the_known_ones() {
    let message = refusal("qwen3_moe", json!({}));
    assert!(
        message.contains("model_type \"qwen3_moe\"") && message.contains("olmo2 and gemma3_text")
    );
}

#[test]
fn features_the_decoder_lacks_are_refused_by_name() {
    let llama = |extra| refusal("llama", extra);
    assert!(llama(json!({"rope_scaling": {"type": "longrope"}})).contains("\"longrope\""));
    let yarn = json!({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}});
    assert!(llama(yarn).contains("rope_parameters.rope_type \"yarn\""));
    assert!(llama(json!({"hidden_act": "gelu"})).contains("hidden_act \"gelu\""));
    assert!(llama(json!({"partial_rotary_factor": 0.5})).contains("partial_rotary_factor 0.5"));
    assert!(refusal("qwen2", json!({"mlp_bias": true})).contains("mlp_bias"));
    assert!(llama(json!({"quantization_config": {}})).contains("quantization_config"));
}

#[test]
fn a_window_is_kept_only_where_it_is_in_use() {
    let window = |family: &str, extra| read_with(family, extra).unwrap().sliding_window;
    assert_eq!(window("mistral", json!({"sliding_window": 64})), Some(64));
    assert_eq!(window("mistral", json!({})), None);
    assert_eq!(window("llama", json!({"sliding_window": 64})), None);
    let qwen = |used, from| json!({"sliding_window": 16, "use_sliding_window": used, "max_window_layers": from});
    assert_eq!(window("qwen2", qwen(false, 0)), None);
    assert_eq!(window("qwen2", qwen(true, 2)), None);
    let second = read_with("qwen2", qwen(true, 1)).unwrap();
    let types = [LayerType::FullAttention, LayerType::SlidingAttention];
    assert_eq!((second.sliding_window, second.layer_types), (Some(16), Some(types.to_vec())));
    // The layers without rotary positions are those with the window, where a SmolLM3 has one.
    let smollm3 =
        json!({"sliding_window": 16, "use_sliding_window": true, "no_rope_layers": [1, 0]});
    let smollm3 = read_with("smollm3", smollm3).unwrap();
    assert_eq!((smollm3.sliding_window, smollm3.layer_types), (Some(16), Some(types.to_vec())));
}

#[test]
fn kinds_of_layers_that_a_family_does_not_have_are_refused_by_name() {
    let types = |kind: &str| json!({"layer_types": ["full_attention", kind]});
    let sliding = || types("sliding_attention");
    for family in ["llama", "qwen3", "smollm3", "olmo2", "granite"] {
        assert!(refusal(family, sliding()).contains("\"sliding_attention\""), "{family}");
        assert!(refusal(family, types("chunked_attention")).contains("\"chunked_attention\""));
    }
}

#[test]
fn what_a_file_leaves_out_is_what_transformers_takes_for_its_family() {
    let of = |family| read_with(family, json!({})).unwrap();
    let smollm3 = of("smollm3");
    assert!(smollm3.tie_word_embeddings && !of("llama").tie_word_embeddings);
    assert_eq!((smollm3.rope_theta, smollm3.no_rope_layers), (2e6, Some(vec![1, 1])));
    let every = json!({"no_rope_layer_interval": 2, "num_hidden_layers": 4});
    let every = read_with("smollm3", every).unwrap();
    assert_eq!(every.no_rope_layers, Some(vec![1, 0, 1, 0]));
    assert!(refusal("smollm3", json!({"no_rope_layer_interval": 0})).contains("interval 0"));
    assert_eq!((of("olmo2").rms_norm_eps, of("llama").rms_norm_eps), (1e-5, 1e-6));
    assert_eq!(
        (of("granite").attention_multiplier, of("llama").attention_multiplier),
        (Some(1.0), None)
    );
}

#[test]
fn a_gemma_has_two_bases_wherever_transformers_4_and_5_put_them() {
    let old = json!({"rope_theta": 5e5, "rope_local_base_freq": 2e4, "sliding_window": 16,
        "rope_scaling": {"rope_type": "linear", "factor": 8.0}, "sliding_window_pattern": 2});
    let new = json!({"sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"],
        "rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 5e5},
            "sliding_attention": {"rope_type": "default", "rope_theta": 2e4}}});
    let [old, new] = [old, new].map(|keys| read_with("gemma3_text", keys).unwrap());
    assert_eq!(old, new);
    assert_eq!((new.rope_theta, new.rope_local_base_freq), (5e5, Some(2e4)));
    let types = [LayerType::SlidingAttention, LayerType::FullAttention];
    assert_eq!(new.layer_types.as_deref(), Some(&types[..]));
    let left_out = read_with("gemma3_text", json!({"sliding_window": 16})).unwrap();
    assert_eq!((left_out.rope_theta, left_out.rope_local_base_freq), (1e6, Some(1e4)));
    assert_eq!((left_out.head_dim, left_out.query_pre_attn_scalar), (Some(256), Some(256)));
}

#[test]
fn what_a_gemma_may_have_and_is_not_here_is_refused_by_name() {
    let gemma = |extra: Value| {
        let mut keys = extra;
        keys["sliding_window"] = json!(16);
        refusal("gemma3_text", keys)
    };
    for (key, value) in [
        ("hidden_activation", json!("silu")),
        ("attn_logit_softcapping", json!(50.0)),
        ("final_logit_softcapping", json!(30.0)),
        ("use_bidirectional_attention", json!(true)),
    ] {
        assert!(gemma(json!({ key: value })).contains(key), "{key}");
    }
    let scaled =
        json!({"rope_parameters": {"sliding_attention": {"rope_type": "linear", "factor": 2}}});
    assert!(gemma(scaled).contains("layers with a window"));
    let flat = json!({"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}});
    assert!(gemma(flat).contains("rope_parameters for all layers"));
    let two = json!({"rope_local_base_freq": 1e4,
        "rope_parameters": {"sliding_attention": {"rope_theta": 2e4}}});
    assert!(gemma(two).contains("20000 beside"));
    // Without a window the list of its layers has no meaning.
    assert!(refusal("gemma3_text", json!({})).contains("without a window in use"));
}

#[test]
fn a_missing_key_and_a_wrong_type_say_where() {
    let message = refusal("llama", json!({"hidden_size": "wide"}));
    assert!(message.contains("config.json") && message.contains("line 1"), "{message}");
    let error = ModelConfig::from_hf_json(r#"{"model_type": "llama"}"#, Path::new("a.json"));
    assert!(error.unwrap_err().to_string().contains("missing field `vocab_size`"));
}

#[test]
fn the_generation_config_has_the_last_word_on_where_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let config = read_with("llama", json!({"eos_token_id": 2})).unwrap();
    let write = |name, json: Value| {
        std::fs::write(folder.path().join(name), json.to_string()).unwrap();
    };
    write("config.json", config.to_hf_json());
    assert_eq!(ModelConfig::from_folder(folder.path()).unwrap().eos_token_id, [2]);
    write("generation_config.json", json!({"eos_token_id": [7, 2], "top_p": 0.9}));
    assert_eq!(ModelConfig::from_folder(folder.path()).unwrap().eos_token_id, [7, 2]);
}

#[test]
fn a_token_id_that_is_none_is_refused_by_name() {
    for (key, id) in [("bos_token_id", json!(1u64 << 40)), ("pad_token_id", json!(-2))] {
        let message = refusal("llama", json!({ key: id }));
        assert!(message.contains(&format!("{key} is {id}")), "{message}");
    }
}

#[test]
fn a_number_out_of_its_range_is_refused_with_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let told = |key: &str, value: Value| {
        let mut json = read_with("llama", json!({})).unwrap().to_hf_json();
        json[key] = value;
        std::fs::write(folder.path().join(CONFIG_FILE), json.to_string()).unwrap();
        ModelConfig::from_folder(folder.path()).unwrap_err().to_string()
    };
    for (key, value) in [
        ("num_attention_heads", json!(0)),
        ("hidden_size", json!(1u64 << 40)),
        ("intermediate_size", json!(1u64 << 63)),
        ("num_hidden_layers", json!(1_000_000_000)),
        ("num_hidden_layers", json!(1u64 << 31)),
        ("head_dim", json!(0)),
        ("vocab_size", json!(u64::MAX)),
        ("rms_norm_eps", json!(-1e-6)),
    ] {
        let message = told(key, value.clone());
        let said = format!("model {key} is {}", value.to_string().replace("-1e-6", "-0.000001"));
        assert!(message.contains(CONFIG_FILE) && message.contains(&said), "{message}");
    }
    let theta = told("rope_parameters", json!({"rope_theta": -1e4}));
    assert!(theta.contains("rope_parameters.rope_theta -10000 beside rope_theta"), "{theta}");
}

#[test]
fn what_is_no_config_json_is_refused_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(CONFIG_FILE);
    std::fs::create_dir(&file).unwrap();
    let message = || ModelConfig::from_folder(folder.path()).unwrap_err().to_string();
    assert!(message().contains("it is a folder, not a file"));
    std::fs::remove_dir(&file).unwrap();
    // A terabyte, on paper.
    std::fs::File::create(&file).unwrap().set_len(1 << 40).unwrap();
    assert!(message().contains("longer than the"), "{}", message());
}

#[test]
fn a_folder_without_config_json_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let error = ModelConfig::from_folder(folder.path()).unwrap_err();
    assert!(error.to_string().contains("config.json"));
}
