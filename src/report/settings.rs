//! The configuration of a run as dotted keys, and the keys in which runs differ.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;
use serde_json::Value;
use serde_saphyr::NonFiniteFloatPolicy;

use crate::files::read_text;

/// Bytes of the longest configuration that is read, as `config` has it.
const LONGEST: u64 = 1 << 20;

/// The place of a run, which tells nothing about it.
const PLACE: &str = "output_dir";

/// Values by their dotted keys, as in `optimizer.learning_rate`.
pub(super) type Settings = BTreeMap<String, String>;

/// A key that differs among runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Difference {
    /// The dotted key.
    pub key: String,
    /// Its value in each run; none where a run does not have it.
    pub values: Vec<Option<String>>,
}

/// The configuration of a run's folder; none where it is missing or cannot be read.
pub(super) fn read(path: &Path) -> Option<Settings> {
    let text = read_text(path, LONGEST).ok()?;
    let options = serde_saphyr::options! {
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
    };
    let tree = serde_saphyr::from_str_with_options::<Value>(&text, options).ok()?;
    Some(flattened(&tree))
}

/// A tree of values by dotted keys. Blocks in a list are numbered; a list of plain values is one value.
pub(super) fn flattened(tree: &Value) -> Settings {
    let mut settings = Settings::new();
    flatten(String::new(), tree, &mut settings);
    settings
}

fn flatten(key: String, value: &Value, into: &mut Settings) {
    let below = |name: &str| match key.is_empty() {
        true => name.to_owned(),
        false => format!("{key}.{name}"),
    };
    match value {
        Value::Object(block) if !block.is_empty() => {
            block.iter().for_each(|(name, value)| flatten(below(name), value, into));
        }
        Value::Array(list) if list.iter().any(|item| item.is_object() || item.is_array()) => {
            let numbered = list.iter().enumerate();
            numbered.for_each(|(at, value)| flatten(below(&at.to_string()), value, into));
        }
        Value::String(text) => drop(into.insert(key, text.clone())),
        other => drop(into.insert(key, other.to_string())),
    }
}

/// The keys that differ among runs.
pub(super) fn differences(runs: &[Settings]) -> Vec<Difference> {
    let keys: BTreeSet<&String> = runs.iter().flat_map(BTreeMap::keys).collect();
    let of = |key: &String| Difference {
        key: key.clone(),
        values: runs.iter().map(|run| run.get(key).cloned()).collect(),
    };
    let all = keys.into_iter().filter(|key| *key != PLACE).map(of);
    all.filter(|found| found.values.windows(2).any(|pair| pair[0] != pair[1])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(yaml: &str) -> Settings {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        std::fs::write(&path, yaml).unwrap();
        read(&path).unwrap()
    }

    #[test]
    fn blocks_and_lists_of_blocks_become_dotted_keys() {
        let found = settings(
            "seed: 2\noptimizer: {learning_rate: 1e-4, betas: [0.9, 0.95]}\nkl: null\n\
             rewards:\n  - {kind: exact}\n  - {kind: number, weight: .inf}\n",
        );
        let expected = [
            ("kl", "null"),
            ("optimizer.betas", "[0.9,0.95]"),
            ("optimizer.learning_rate", "0.0001"),
            ("rewards.0.kind", "exact"),
            ("rewards.1.kind", "number"),
            ("rewards.1.weight", ".inf"),
            ("seed", "2"),
        ];
        let found: Vec<(&str, &str)> = found.iter().map(|(k, v)| (&**k, &**v)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn keys_that_differ_are_found_with_those_that_a_run_lacks_and_the_place_is_left_out() {
        let runs = [
            settings("seed: 1\nmax_steps: 9\noutput_dir: a\n"),
            settings("seed: 2\nmax_steps: 9\noutput_dir: b\npg_clip: 0.1\n"),
        ];
        let expected = [
            Difference { key: "pg_clip".into(), values: vec![None, Some("0.1".into())] },
            Difference { key: "seed".into(), values: vec![Some("1".into()), Some("2".into())] },
        ];
        assert_eq!(differences(&runs), expected);
        assert_eq!(differences(&runs[..1]), []);
    }

    #[test]
    fn what_is_no_configuration_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        assert_eq!(read(&path), None);
        for text in ["a: [", "&a [*a]", "\u{0}", "{a: {a: {a"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path), None, "{text}");
        }
    }
}
