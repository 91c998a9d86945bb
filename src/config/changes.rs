//! Which keys differ between two configurations.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::tree::Tree;
use super::{ConfigError, RunConfig};

/// Characters of a value that are shown.
const SHOWN: usize = 60;

/// A key whose value is another than it was, as in `seed 5 → 6`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedKey {
    /// The key with the blocks it is in, as `--set` takes it.
    pub key: String,
    /// Its value before; none where it was left out.
    pub old: Option<String>,
    /// Its value now; none where it is left out.
    pub new: Option<String>,
}

impl fmt::Display for ChangedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| match value {
            Some(value) if value.chars().count() > SHOWN => {
                value.chars().take(SHOWN).chain("…".chars()).collect()
            }
            Some(value) => value.clone(),
            None => "nothing".to_owned(),
        };
        write!(formatter, "{} {} → {}", self.key, shown(&self.old), shown(&self.new))
    }
}

impl RunConfig {
    /// The keys whose values differ from those of `before`, defaults included, in alphabetical order.
    ///
    /// # Errors
    /// A value that YAML has no form for.
    pub fn changed_keys(&self, before: &Self) -> Result<Vec<ChangedKey>, ConfigError> {
        let (old, new) = (before.leaves()?, self.leaves()?);
        let keys = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key)));
        let text = |value: &Value| value.to_string();
        let changed = keys.filter(|key| old.get(*key) != new.get(*key)).map(|key| ChangedKey {
            key: key.clone(),
            old: old.get(key).map(text),
            new: new.get(key).map(text),
        });
        let mut changed: Vec<ChangedKey> = changed.collect();
        changed.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(changed)
    }

    fn leaves(&self) -> Result<BTreeMap<String, Value>, ConfigError> {
        // Of the text, in which a number is as short as it was written.
        let tree = Tree::read(&self.to_yaml()?).map_err(|error| ConfigError::Invalid {
            path: "the resolved run".into(),
            line: None,
            problem: error.to_string(),
        })?;
        let mut leaves = BTreeMap::new();
        gather(String::new(), tree, &mut leaves);
        Ok(leaves)
    }
}

fn gather(key: String, value: Value, leaves: &mut BTreeMap<String, Value>) {
    let inside = |name: &str| match key.as_str() {
        "" => name.to_owned(),
        key => format!("{key}.{name}"),
    };
    match value {
        Value::Object(map) if !map.is_empty() => {
            map.into_iter().for_each(|(name, value)| gather(inside(&name), value, leaves));
        }
        Value::Array(items) if !items.is_empty() => {
            let items = items.into_iter().enumerate();
            items.for_each(|(at, value)| gather(inside(&at.to_string()), value, leaves));
        }
        leaf => {
            leaves.insert(key, leaf);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const RUN: &str = "\
model: {alphabet: '01+=', architecture: {hidden_size: 8, intermediate_size: 8, num_hidden_layers: 2, num_attention_heads: 1}}
data: {kind: arithmetic, digits: 1, held_out: 10}
rewards: [{kind: exact}, {kind: number, partial: digits}]
";

    fn changed(set: &[&str]) -> Vec<String> {
        let set: Vec<String> = set.iter().map(|key| (*key).to_owned()).collect();
        let run = |set| RunConfig::parse(Path::new("run.yaml"), RUN, set).unwrap();
        let changed = run(&set).changed_keys(&run(&[])).unwrap();
        changed.iter().map(ChangedKey::to_string).collect()
    }

    #[test]
    fn keys_that_differ_are_told_with_both_values_and_no_others() {
        assert_eq!(changed(&[]), Vec::<String>::new());
        assert_eq!(changed(&["seed=6"]), ["seed 0 → 6"]);
        assert_eq!(changed(&["sampling.top_p=0.9"]), ["sampling.top_p 1.0 → 0.9"]);
        assert_eq!(
            changed(&["model.architecture.num_hidden_layers=1", "rewards.1.weight=2"]),
            ["model.architecture.num_hidden_layers 2 → 1", "rewards.1.weight 1.0 → 2.0"]
        );
        assert_eq!(changed(&["model.alphabet='10+='"]), ["model.alphabet \"01+=\" → \"10+=\""]);
        assert_eq!(changed(&["reward_clip=5"]), ["reward_clip nothing → 5.0"]);
    }
}
