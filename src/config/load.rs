//! Reading a run's YAML, with overrides from the command line and errors that point at lines.

use std::path::Path;

use regex::Regex;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{ConfigError, RunConfig};

impl RunConfig {
    /// Reads a configuration and applies `key.path=value` overrides to it.
    ///
    /// # Errors
    /// A file that cannot be read; YAML, keys or values that are not understood, with their line
    /// and the nearest valid key; settings that contradict each other.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.into(), source })?;
        Self::parse(path, &text, overrides)
    }

    /// Reads a configuration from `text`; `path` is only named in errors.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(path: &Path, text: &str, overrides: &[String]) -> Result<Self, ConfigError> {
        let config = match overrides {
            [] => from_text(path, text)?,
            _ => from_text_and_overrides(path, text, overrides)?,
        };
        config.validate()?;
        Ok(config)
    }

    /// The configuration as YAML, every default written out.
    ///
    /// # Errors
    /// A value that YAML has no form for.
    pub fn to_yaml(&self) -> Result<String, ConfigError> {
        serde_saphyr::to_string(self).map_err(|error| ConfigError::Invalid {
            path: "the resolved run".into(),
            line: None,
            problem: error.to_string(),
        })
    }
}

const EMPTY: &str = "the file is empty; a run needs at least model, data and rewards";

fn from_text<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    serde_saphyr::from_str(text).map_err(|error| {
        let (line, problem) = match serde_saphyr::from_str::<Value>(text) {
            Ok(Value::Null) => (None, EMPTY.into()),
            Ok(tree) => misfit::<T>(&tree, text).unwrap_or_else(|| syntax(&error)),
            Err(error) => syntax(&error),
        };
        ConfigError::Invalid { path: path.into(), line, problem }
    })
}

/// Why a tree that is YAML is no `T`: the line and the key, and what would be right there.
fn misfit<T: DeserializeOwned>(tree: &Value, text: &str) -> Option<(Option<u64>, String)> {
    let error = serde_path_to_error::deserialize::<_, T>(tree).err()?;
    let message = error.inner().to_string();
    let mut keys: Vec<String> = error.path().iter().map(|segment| segment.to_string()).collect();
    let unknown = quoted(&message).first().filter(|_| message.contains("unknown field")).copied();
    // What is inside a block with a `kind` is buffered by serde, which forgets the way to it.
    keys.extend(
        unknown.filter(|key| keys.last().is_none_or(|last| last != key)).map(str::to_owned),
    );
    let place = match error.path().to_string().as_str() {
        "." => String::new(),
        _ if unknown.is_some() => String::new(),
        path => format!("{path}: "),
    };
    Some((line_of(&keys, text), format!("{place}{}", explain(&message))))
}

/// Why text is no YAML.
fn syntax(error: &serde_saphyr::Error) -> (Option<u64>, String) {
    let message = error.without_snippet().to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    let problem = match message.strip_prefix("duplicate mapping key: ") {
        Some(rest) => {
            let key = rest.split(',').next().unwrap_or_default();
            format!("the key `{key}` stands here a second time; keep one of them")
        }
        None if message == "unexpected end of input" => EMPTY.into(),
        None => format!("this is no YAML: {message}"),
    };
    (error.location().map(|location| location.line()), problem)
}

fn from_text_and_overrides(
    path: &Path,
    text: &str,
    overrides: &[String],
) -> Result<RunConfig, ConfigError> {
    let mut tree: Value = from_text(path, text)?;
    for assignment in overrides {
        set(&mut tree, assignment)?;
    }
    serde_path_to_error::deserialize(&tree).map_err(|error| {
        // If the file alone is already wrong, its own error names the line.
        if let Err(in_file) = from_text::<RunConfig>(path, text) {
            let known = explain(&error.inner().to_string());
            if in_file.to_string().contains(&known) {
                return in_file;
            }
        }
        let problem = format!("{}: {}", error.path(), explain(&error.inner().to_string()));
        ConfigError::Override { assignment: overrides.join(" --set "), problem }
    })
}

/// Puts `value` at `key.path` of the tree, making blocks on the way; a number indexes a list.
fn set(tree: &mut Value, assignment: &str) -> Result<(), ConfigError> {
    let refuse = |problem: &str| ConfigError::Override {
        assignment: assignment.into(),
        problem: problem.into(),
    };
    let Some((keys, value)) = assignment.split_once('=') else {
        return Err(refuse("needs the form key.path=value"));
    };
    let value: Value = serde_saphyr::from_str(value)
        .map_err(|_| refuse("the value is no YAML; put quotes around text"))?;
    let mut place = tree;
    for key in keys.split('.') {
        place = match place {
            Value::Array(items) => key
                .parse::<usize>()
                .ok()
                .and_then(|index| items.get_mut(index))
                .ok_or_else(|| refuse(&format!("`{key}` is no place of the list")))?,
            block => {
                if !block.is_object() {
                    *block = Value::Object(Map::new());
                }
                match block {
                    Value::Object(map) => map.entry(key).or_insert(Value::Null),
                    _ => unreachable!("it was just made a block"),
                }
            }
        };
    }
    *place = value;
    Ok(())
}

/// Serde's message in plain words, with the nearest valid name where one is not known.
fn explain(message: &str) -> String {
    // A regular expression's error spans lines; a message is one paragraph.
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let is_unknown = message.contains("unknown field") || message.contains("unknown variant");
    let names = quoted(&message);
    let Some((unknown, valid)) = names.split_first().filter(|_| is_unknown) else {
        return plain_types(&message);
    };
    let what = if message.contains("unknown field") { "key" } else { "value" };
    let likeness = |name: &str| strsim::jaro_winkler(unknown, name);
    let nearest = valid.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest {
        None => format!("unknown {what} `{unknown}`; none is expected here"),
        Some(nearest) if likeness(nearest) > 0.9 => {
            format!("unknown {what} `{unknown}`; did you mean `{nearest}`?")
        }
        Some(nearest) => format!(
            "unknown {what} `{unknown}`; did you mean `{nearest}`? valid are: {}",
            valid.join(", ")
        ),
    }
}

/// `invalid type: string "x", expected u64` with the words of a person for what was expected.
fn plain_types(message: &str) -> String {
    const WORDS: [(&str, &str); 8] = [
        ("u64", "a whole number of at least 0"),
        ("u32", "a whole number of at least 0"),
        ("usize", "a whole number of at least 0"),
        ("i64", "a whole number"),
        ("f64", "a number"),
        ("f32", "a number"),
        ("a sequence", "a list"),
        ("a boolean", "true or false"),
    ];
    let (found, expected) = message.rsplit_once(", expected ").unwrap_or((message, ""));
    match WORDS.iter().find(|(name, _)| *name == expected) {
        Some((_, words)) => format!("{found}, expected {words}"),
        None => message.to_owned(),
    }
}

/// The names in backquotes.
fn quoted(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

/// The line of a key, found by looking for each key of the way to it behind the one before; of the
/// last key that is found where not all are.
fn line_of(keys: &[String], text: &str) -> Option<u64> {
    let mut at = None;
    for key in keys {
        // A key of the top level stands at the margin; others follow a blank, a brace or a comma.
        let before = if at.is_none() { "^" } else { r"[\s{,-]" };
        let begin = at.unwrap_or(0);
        let index = key.strip_prefix('[').and_then(|key| key.strip_suffix(']'));
        let end = match index.map(str::parse) {
            Some(index) => end_of(r"^\s*-\s", &text[begin..], index.ok()?),
            None => end_of(&format!(r"{before}{}\s*:", regex::escape(key)), &text[begin..], 0),
        };
        let Some(end) = end else { break };
        at = Some(begin + end);
    }
    at.map(|at| text[..at].lines().count() as u64)
}

/// Where the match of a pattern with this index ends.
fn end_of(pattern: &str, text: &str, index: usize) -> Option<usize> {
    let pattern = Regex::new(&format!("(?m){pattern}")).ok()?;
    pattern.find_iter(text).nth(index).map(|found| found.end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::{ClippedSurrogate, ImportanceSampling, PolicyLoss};

    const MINIMAL: &str = "\
model: {alphabet: '0123456789+=', architecture: {hidden_size: 8, intermediate_size: 8, num_hidden_layers: 1, num_attention_heads: 1}}
data: {kind: arithmetic, digits: 1, held_out: 10}
rewards:
  - kind: exact
";

    fn parse(text: &str, overrides: &[&str]) -> Result<RunConfig, ConfigError> {
        let overrides: Vec<String> = overrides.iter().map(|o| o.to_string()).collect();
        RunConfig::parse(Path::new("run.yaml"), text, &overrides)
    }

    fn message(text: &str, overrides: &[&str]) -> String {
        parse(text, overrides).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn a_resolved_run_reads_back_as_itself() {
        let config = parse(MINIMAL, &[]).unwrap();
        assert_eq!(parse(&config.to_yaml().unwrap(), &[]).unwrap(), config);
    }

    #[test]
    fn a_misspelt_key_is_refused_with_file_line_and_the_nearest_key() {
        let text = format!("{MINIMAL}rolout_batch_size: 3\n");
        let message = message(&text, &[]);
        assert!(message.starts_with("run.yaml:5: unknown key `rolout_batch_size`"), "{message}");
        assert!(message.contains("did you mean `rollout_batch_size`?"), "{message}");
    }

    #[test]
    fn a_misspelt_key_inside_a_tagged_block_has_its_line_too() {
        let text = MINIMAL.replace("- kind: exact", "- kind: exact\n    wieght: 2");
        let message = message(&text, &[]);
        assert!(message.starts_with("run.yaml:5: unknown key `wieght`"), "{message}");
        assert!(message.contains("`weight`"), "{message}");
    }

    #[test]
    fn a_wrong_type_is_refused_with_its_line_and_key() {
        let wrong = message(&format!("{MINIMAL}max_steps: many\n"), &[]);
        let expected = "max_steps: invalid type: string \"many\", expected a whole number";
        assert!(wrong.starts_with(&format!("run.yaml:5: {expected}")), "{wrong}");
        let in_list = message(&MINIMAL.replace("exact", "exact\n    weight: x"), &[]);
        assert!(in_list.starts_with("run.yaml:4: rewards[0]: "), "{in_list}");
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_with_its_line() {
        let message = message(&format!("{MINIMAL}seed: 1\nseed: 2\n"), &[]);
        assert!(message.starts_with("run.yaml:6: the key `seed`"), "{message}");
    }

    #[test]
    fn keys_are_found_on_the_way_to_them_in_either_style() {
        let text = "a:\n  b: 1\nb: {a: 1, c: 2}\nd:\n  - k: x\n  - k: y\n    a: 2\n";
        let line =
            |way: &[&str]| line_of(&way.iter().map(|k| k.to_string()).collect::<Vec<_>>(), text);
        assert_eq!(line(&["b"]), Some(3));
        assert_eq!(line(&["a", "b"]), Some(2));
        assert_eq!(line(&["b", "c"]), Some(3));
        assert_eq!(line(&["d", "[1]", "a"]), Some(7));
        assert_eq!(line(&["d", "[1]", "no"]), Some(6));
        assert_eq!(line(&["no"]), None);
    }

    #[test]
    fn malformed_yaml_is_refused_with_its_line() {
        let message = message(&format!("{MINIMAL}max_steps: [1\n"), &[]);
        assert!(message.starts_with("run.yaml:"), "{message}");
    }

    #[test]
    fn overrides_change_values_lists_and_blocks() {
        let overrides = ["optimizer.learning_rate=0.5", "rewards.0.weight=2", "seed=7"];
        let config = parse(MINIMAL, &overrides).unwrap();
        assert_eq!((config.optimizer.learning_rate, config.seed), (0.5, 7));
        assert_eq!(config.rewards[0].weight(), 2.0);
    }

    #[test]
    fn a_bad_override_is_named() {
        let message = message(MINIMAL, &["optimizer.lerning_rate=1"]);
        assert!(message.starts_with("--set optimizer.lerning_rate=1: "), "{message}");
        assert!(message.contains("did you mean `learning_rate`?"), "{message}");
    }

    #[test]
    fn the_top_level_changes_a_loss_only_where_it_says_something() {
        let block = "policy_loss: {kind: clipped_surrogate, importance_sampling: sequence}";
        let loss = |more: &str| {
            let config = parse(&format!("{MINIMAL}{block}\n{more}"), &[]).unwrap();
            config.settings(&[]).unwrap().objective.policy_loss
        };
        let over = |importance_sampling| {
            let settings = ClippedSurrogate { importance_sampling, ..Default::default() };
            PolicyLoss::ClippedSurrogate(settings)
        };
        assert_eq!(loss(""), over(ImportanceSampling::Seq));
        assert_eq!(loss("importance_sampling: token\n"), over(ImportanceSampling::Token));
    }

    #[test]
    fn an_estimator_is_a_name_or_a_block() {
        let named = parse(&format!("{MINIMAL}adv_estimator: mc_grpo\n"), &[]).unwrap();
        let block = parse(&format!("{MINIMAL}adv_estimator: {{kind: mc_grpo}}\n"), &[]).unwrap();
        assert_eq!(named, block);
    }
}
