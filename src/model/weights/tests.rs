//! Folders of tensors: which are read, which are refused and how each is named.

use std::fs;

use super::*;

fn config(tied: bool) -> ModelConfig {
    let json = serde_json::json!({"vocab_size": 3, "hidden_size": 2, "intermediate_size": 2,
        "num_hidden_layers": 1, "num_attention_heads": 1, "tie_word_embeddings": tied});
    serde_json::from_value(json).unwrap()
}

/// Every tensor of the model, each filled with its place in the list.
fn tensors(config: &ModelConfig) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let filled = |(at, (name, shape)): (usize, (String, Vec<usize>))| {
        let values = vec![at as f32; shape.iter().product()];
        (name, shape, values)
    };
    config.parameters().into_iter().enumerate().map(filled).collect()
}

fn folder_with(tensors: &[(String, Vec<usize>, Vec<f32>)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    save(&folder.path().join(MODEL_FILE), tensors);
    folder
}

fn save(path: &Path, tensors: &[(String, Vec<usize>, Vec<f32>)]) {
    let layout = tensors.iter().map(|(name, shape, _)| (name.clone(), shape.clone()));
    let layout: Vec<_> = layout.collect();
    let values = tensors.iter().map(|(.., values)| values.clone());
    save_tensors(path, &layout, &[], values).unwrap();
}

#[test]
fn a_saved_model_is_whole() {
    let all = tensors(&config(false));
    let folder = folder_with(&all);
    let weights = Weights::open(folder.path()).unwrap();
    assert_eq!(weights.check(&config(false)).unwrap(), Vec::<&str>::new());
    for (name, shape, values) in &all {
        assert_eq!(&weights.get(name, shape).unwrap(), values);
    }
}

#[test]
fn a_missing_tensor_is_named_with_the_nearest_one() {
    let mut all = tensors(&config(true));
    all.retain(|(name, ..)| name != "model.norm.weight");
    all.push(("norm.weight".into(), vec![2], vec![0.0; 2]));
    let folder = folder_with(&all);
    let error = Weights::open(folder.path()).unwrap().check(&config(true)).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("model.norm.weight"), "{message}");
    assert!(message.contains("nearest there is norm.weight"), "{message}");
}

#[test]
fn a_misshapen_tensor_is_named_with_both_shapes() {
    let folder = folder_with(&tensors(&config(true)));
    let wider = ModelConfig { vocab_size: 4, ..config(true) };
    let error = Weights::open(folder.path()).unwrap().check(&wider).unwrap_err();
    let message = error.to_string();
    for part in [MODEL_FILE, EMBEDDING, "[3, 2]", "[4, 2]"] {
        assert!(message.contains(part), "{message} lacks {part}");
    }
}

#[test]
fn unexpected_tensors_are_listed() {
    let mut all = tensors(&config(true));
    all.push(("value_head.weight".into(), vec![1], vec![0.0]));
    let inv_freq = "model.layers.0.self_attn.rotary_emb.inv_freq";
    all.push((inv_freq.into(), vec![1], vec![0.0]));
    let folder = folder_with(&all);
    let weights = Weights::open(folder.path()).unwrap();
    assert_eq!(weights.check(&config(true)).unwrap(), [inv_freq, "value_head.weight"]);
    assert_eq!(weights.unused(["value_head.weight", EMBEDDING]).len(), all.len() - 2);
}

#[test]
fn a_tied_head_may_be_stored_if_it_equals_the_embedding() {
    let mut all = tensors(&config(true));
    let embedding = all[0].clone();
    all.push((HEAD.into(), embedding.1, embedding.2));
    let folder = folder_with(&all);
    let weights = Weights::open(folder.path()).unwrap();
    assert_eq!(weights.check(&config(true)).unwrap(), Vec::<&str>::new());
    drop(weights);
    all.last_mut().unwrap().2[0] = 9.0;
    let folder = folder_with(&all);
    let error = Weights::open(folder.path()).unwrap().check(&config(true)).unwrap_err();
    assert!(matches!(error, WeightsError::HeadNotTied { .. }));
}

#[test]
fn a_missing_free_head_points_to_the_tie() {
    let folder = folder_with(&tensors(&config(true)));
    let error = Weights::open(folder.path()).unwrap().check(&config(false)).unwrap_err();
    assert!(error.to_string().contains("tie_word_embeddings"));
}

#[test]
fn shards_are_found_through_their_index() {
    let all = tensors(&config(false));
    let folder = tempfile::tempdir().unwrap();
    let mut map = BTreeMap::new();
    for (shard, part) in [("a.safetensors", &all[..4]), ("b.safetensors", &all[4..])] {
        save(&folder.path().join(shard), part);
        map.extend(part.iter().map(|(name, ..)| (name.clone(), shard)));
    }
    let index = folder.path().join(INDEX_FILE);
    let write = |map: &BTreeMap<String, &str>| {
        fs::write(&index, serde_json::json!({"weight_map": map}).to_string())
    };
    write(&map).unwrap();
    let weights = Weights::open(folder.path()).unwrap();
    assert_eq!(weights.check(&config(false)).unwrap(), Vec::<&str>::new());
    assert_eq!(weights.get(HEAD, &[3, 2]).unwrap(), all.last().unwrap().2);

    map.insert(HEAD.into(), "a.safetensors");
    write(&map).unwrap();
    let message = Weights::open(folder.path()).unwrap_err().to_string();
    assert!(message.contains("lm_head.weight in a.safetensors"), "{message}");
    map.insert(HEAD.into(), "c.safetensors");
    write(&map).unwrap();
    assert!(Weights::open(folder.path()).unwrap_err().to_string().contains("c.safetensors"));
}

#[test]
fn a_folder_without_weights_says_what_it_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let message = Weights::open(folder.path()).unwrap_err().to_string();
    assert!(message.contains(MODEL_FILE), "{message}");
}

/// What a checkpoint with one more tensor is told.
fn refusal_with(name: &str, values: Vec<f32>) -> Option<String> {
    let mut all = tensors(&config(true));
    all.push((name.into(), vec![values.len()], values));
    let folder = folder_with(&all);
    let checked = Weights::open(folder.path()).unwrap();
    checked.check(&config(true)).map(|_| ()).err().map(|error| error.to_string())
}

#[test]
fn a_tensor_that_would_change_the_result_is_refused_by_name() {
    for name in [
        "model.layers.0.self_attn.q_proj.bias",
        "model.layers.0.self_attn.o_proj.bias",
        "model.layers.0.mlp.up_proj.bias",
        "model.layers.0.self_attn.q_norm.weight",
        "model.layers.0.pre_feedforward_layernorm.weight",
        "model.layers.0.self_attn.q_proj.lora_A.weight",
        "base_model.model.model.layers.0.mlp.up_proj.lora_B.default.weight",
        "model.layers.0.mlp.up_proj.weight_scale",
        "model.layers.1.mlp.up_proj.weight",
        "model.embed_positions.weight",
        "layers.1.mlp.up_proj.weight",
        "lm_head.bias",
    ] {
        let message = refusal_with(name, vec![50.0]).unwrap_or_else(|| panic!("{name} passed"));
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn what_changes_nothing_is_left_out() {
    for name in [
        "model.layers.0.self_attn.rotary_emb.inv_freq",
        "model.rotary_emb.inv_freq",
        "model.layers.0.self_attn.rotary_emb.cos_cached",
        "v_head.summary.bias",
        "score.weight",
        "optimizer.state.model.layers.1.mlp.up_proj.weight",
        "model.norm.weight.exp_avg",
    ] {
        assert_eq!(refusal_with(name, vec![50.0]), None, "{name}");
    }
    assert_eq!(refusal_with("model.layers.0.self_attn.q_proj.bias", vec![0.0; 2]), None);
}

#[test]
fn layers_beyond_the_configured_number_are_counted() {
    let message = refusal_with("model.layers.2.mlp.up_proj.weight", vec![0.0]).unwrap();
    assert!(message.contains("num_hidden_layers is 1") && message.contains("3"), "{message}");
}

#[test]
fn values_that_are_no_numbers_are_counted() {
    let mut all = tensors(&config(true));
    all[0].2[..4].copy_from_slice(&[f32::NAN, f32::INFINITY, 1.0, f32::NAN]);
    let folder = folder_with(&all);
    let error = Weights::open(folder.path()).unwrap().get(EMBEDDING, &[3, 2]).unwrap_err();
    let message = error.to_string();
    for part in [MODEL_FILE, EMBEDDING, "3 of the 6 values", "2 of them NaN"] {
        assert!(message.contains(part), "{message} lacks {part}");
    }
}

/// What an index with this map is told, beside shards `a` and `b` that both have the norm.
fn index_refusal(map: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (shard, value) in [("a", 1.0), ("b", 2.0)] {
        let norm = ("model.norm.weight".to_owned(), vec![1], vec![value]);
        save(&folder.path().join(shard), &[norm]);
    }
    let map: BTreeMap<_, _> = map.iter().copied().collect();
    let index = serde_json::json!({ "weight_map": map }).to_string();
    fs::write(folder.path().join(INDEX_FILE), index).unwrap();
    Weights::open(folder.path()).unwrap_err().to_string()
}

#[test]
fn an_index_names_files_of_its_own_folder_only() {
    for shard in ["a\u{7f}.safetensors", "../a", "/etc/passwd", "sub/a", "..", ".", ""] {
        let message = index_refusal(&[("model.norm.weight", shard)]);
        assert!(message.contains(INDEX_FILE) && message.contains("own folder"), "{message}");
    }
    assert!(index_refusal(&[]).contains("names no file"));
}

#[test]
fn a_tensor_in_two_shards_is_refused_where_they_differ() {
    let message = index_refusal(&[("model.norm.weight", "a"), ("x", "b")]);
    assert!(message.contains("looks for x in b"), "{message}");
    let folder = tempfile::tempdir().unwrap();
    let shards = [("a", "u", 1.0), ("b", "v", 2.0)];
    for (shard, own, value) in shards {
        let tensor = |name: &str| (name.to_owned(), vec![1], vec![value]);
        save(&folder.path().join(shard), &[tensor("model.norm.weight"), tensor(own)]);
    }
    let index = r#"{"weight_map": {"model.norm.weight": "a", "u": "a", "v": "b"}}"#;
    fs::write(folder.path().join(INDEX_FILE), index).unwrap();
    let message = Weights::open(folder.path()).unwrap_err().to_string();
    assert!(message.contains("model.norm.weight is in a and, different, in b"), "{message}");
}
