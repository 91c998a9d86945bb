//! The index of a model whose weights are in several files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use crate::files::read_text;
use crate::hub::names::is_file;
use crate::quote::shown;

/// Bytes of the longest index, as for the reader of weights.
pub(super) const LONGEST_INDEX: u64 = 16 << 20;
/// Most files that the weights of one model are in; published ones are in some hundreds.
const MOST_SHARDS: usize = 2_000;

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The names of the files that an index names.
///
/// # Errors
/// What is wrong with the index, for a sentence about its repository.
pub(super) fn of(index: &Path) -> Result<Vec<String>, String> {
    let wrong = |problem: &str| format!("has an index of weights that {problem}");
    let text =
        read_text(index, LONGEST_INDEX).map_err(|e| wrong(&format!("cannot be read: {e}")))?;
    let index: Index = serde_json::from_str(&text)
        .map_err(|e| wrong(&format!("is none: {}", shown(&e.to_string()))))?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    let is_shard =
        |name: &str| is_file(name) && !name.contains('/') && name.ends_with(".safetensors");
    match names.iter().find(|name| !is_shard(name)) {
        Some(name) => {
            Err(wrong(&format!("names {:?}, which is no file of weights beside it", shown(name))))
        }
        None if names.is_empty() => Err(wrong("names no file")),
        None if names.len() > MOST_SHARDS => Err(wrong(&format!("names {} files", names.len()))),
        None => Ok(names.into_iter().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shards(text: &str) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.json");
        std::fs::write(&path, text).unwrap();
        of(&path)
    }

    #[test]
    fn each_file_is_named_once() {
        let text = r#"{"metadata": {}, "weight_map": {"a": "2.safetensors", "b": "1.safetensors", "c": "2.safetensors"}}"#;
        assert_eq!(shards(text).unwrap(), ["1.safetensors", "2.safetensors"]);
    }

    #[test]
    fn an_index_leads_nowhere_else() {
        for name in [
            "../x.safetensors",
            "/x.safetensors",
            "a/x.safetensors",
            "x.bin",
            "",
            "c:\\x.safetensors",
        ] {
            let error =
                shards(&serde_json::json!({"weight_map": {"a": name}}).to_string()).unwrap_err();
            assert!(error.contains("no file of weights beside it"), "{error}");
        }
        for text in ["", "[]", "{}", r#"{"weight_map": {}}"#, r#"{"weight_map": {"a": 1}}"#] {
            assert!(shards(text).is_err(), "{text}");
        }
    }
}
