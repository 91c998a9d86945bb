//! Tiny models of every family, whose tensors llama.cpp's own tables named and its rule reordered.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{json_fixture, model, value};
use crate::model::gguf::Architecture;

fn shapes(config: &Value) -> Vec<(String, Vec<usize>)> {
    serde_json::from_value::<serde_json::Map<_, _>>(config["shapes"].clone())
        .unwrap()
        .into_iter()
        .map(|(name, shape)| (name, serde_json::from_value(shape).unwrap()))
        .collect()
}

#[test]
fn every_family_has_the_config_that_it_was_made_of() {
    for (family, expected) in json_fixture("families.json").as_object().unwrap() {
        let config = model(family).config_json().unwrap();
        for (key, expected) in expected.as_object().unwrap() {
            let same = match (config[key].as_f64(), expected.as_f64()) {
                (Some(found), Some(expected)) => found == expected,
                _ => config[key] == *expected,
            };
            assert!(same || key == "shapes", "{family}: {key} is {} for {expected}", config[key]);
        }
        let scaled = expected.get("rope_scaling").is_some();
        assert_eq!(config.get("rope_scaling").is_some(), scaled, "{family}");
    }
}

#[test]
fn every_tensor_has_hugging_faces_name_shape_and_order() {
    for (family, config) in json_fixture("families.json").as_object().unwrap() {
        let model = model(family);
        let shapes = shapes(config);
        let names: BTreeSet<&str> = shapes.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(model.names().collect::<BTreeSet<_>>(), names, "{family}");
        for (name, shape) in &shapes {
            assert_eq!(model.get(name, shape).unwrap(), value(name, shape), "{family}: {name}");
        }
    }
}

#[test]
fn rows_are_those_of_the_whole_tensor() {
    let (model, name) = (model("llama"), "model.layers.0.self_attn.q_proj.weight");
    let whole = model.get(name, &[16, 16]).unwrap();
    assert_eq!(model.rows(name, 3..11).unwrap(), whole[3 * 16..11 * 16]);
    assert_eq!(model.family(), Architecture::Llama);
}

#[test]
fn a_tensor_of_another_shape_or_none_is_told() {
    let model = model("qwen2");
    let error = |name: &str, shape: &[usize]| model.get(name, shape).unwrap_err().to_string();
    let message = error("model.norm.weight", &[17]);
    assert!(message.contains("model.norm.weight has shape [16], expected [17]"), "{message}");
    let message = error("norm.weight", &[16]);
    assert!(message.contains("the nearest there is model.norm.weight"), "{message}");
}
