//! From a tree to the configuration, in two parts: the keys that training reads as they were written,
//! and all others.
//!
//! Serde cannot refuse unknown keys where one struct is flattened into another, so the tree is divided
//! before either part is read.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::explain::{explain, quoted};
use super::load::Misfit;
use super::{RunConfig, numbers};
use crate::train::TrainConfig;

/// The configuration that a tree describes.
pub(super) fn typed(mut tree: Value) -> Result<RunConfig, Misfit> {
    numbers::check(&mut tree)?;
    let keys = training_keys();
    let training = part(&taken(&mut tree, &keys), &[])?;
    let others: RunConfig = part(&tree, &keys)?;
    Ok(RunConfig { training, ..others })
}

/// The names of the keys of [`TrainConfig`], which all stand in its default.
fn training_keys() -> Vec<String> {
    match serde_json::to_value(TrainConfig::default()) {
        Ok(Value::Object(keys)) => keys.into_iter().map(|(key, _)| key).collect(),
        _ => Vec::new(),
    }
}

/// Takes these keys out of a tree.
fn taken(tree: &mut Value, keys: &[String]) -> Value {
    let Value::Object(all) = tree else { return Map::new().into() };
    let (taken, others) = std::mem::take(all).into_iter().partition(|(key, _)| keys.contains(key));
    *all = others;
    Value::Object(taken)
}

/// One part of the configuration; `beside` are the keys that are valid beside its own.
fn part<T: DeserializeOwned>(tree: &Value, beside: &[String]) -> Result<T, Misfit> {
    serde_path_to_error::deserialize(tree).map_err(|error| {
        let message = error.inner().to_string();
        let mut keys: Vec<String> =
            error.path().iter().map(|segment| segment.to_string()).collect();
        let names = quoted(&message);
        let unknown = names.first().filter(|_| message.contains("unknown field"));
        // What is inside a block with a `kind` is buffered by serde, which forgets the way to it.
        keys.extend(
            unknown.filter(|key| keys.last().is_none_or(|last| last != *key)).map(|k| (*k).into()),
        );
        let place = match error.path().to_string().as_str() {
            "." => String::new(),
            _ if unknown.is_some() => String::new(),
            path => format!("{path}: "),
        };
        let beside = if keys.len() == 1 { beside } else { &[] };
        Misfit { keys, line: None, problem: format!("{place}{}", explain(&message, beside)) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_key_of_training_is_known_to_be_one() {
        let message =
            serde_json::from_value::<TrainConfig>(json!({"": 0})).unwrap_err().to_string();
        assert_eq!(training_keys(), quoted(&message)[1..], "{message}");
        assert!(training_keys().contains(&"max_steps".to_owned()));
    }

    #[test]
    fn the_nearest_key_is_looked_for_in_both_parts() {
        let problem = |key: &str| typed(json!({key: 0})).unwrap_err().problem;
        assert_eq!(problem("max_step"), "unknown key `max_step`; did you mean `max_steps`?");
        assert_eq!(problem("output_dirs"), "unknown key `output_dirs`; did you mean `output_dir`?");
    }

    #[test]
    fn the_part_of_training_is_no_block_of_a_file() {
        let message = typed(json!({"training": {"seed": 1}})).unwrap_err().problem;
        assert!(message.starts_with("unknown key `training`"), "{message}");
    }
}
