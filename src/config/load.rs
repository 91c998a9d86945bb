//! Reading a run's YAML, with overrides from the command line and errors that point at lines.

use std::path::Path;

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

fn from_text<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    serde_saphyr::from_str(text).map_err(|error| {
        let message = error.without_snippet().to_string();
        let problem = explain(&message);
        // What is inside a block with a `kind` is buffered by serde, which forgets its place.
        let line = line_of_unknown_key(&message, text)
            .or_else(|| error.location().map(|location| location.line()));
        ConfigError::Invalid { path: path.into(), line, problem }
    })
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

/// Serde's message with the nearest valid name instead of a long list of them.
fn explain(message: &str) -> String {
    let is_field = message.contains("unknown field");
    let is_unknown = is_field || message.contains("unknown variant");
    let Some(unknown) = quoted(message).filter(|_| is_unknown) else {
        return message.trim().to_owned();
    };
    let (what, valid) = (if is_field { "key" } else { "value" }, expected(message));
    let likeness = |name: &&str| strsim::jaro_winkler(unknown, name);
    let nearest = valid.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest {
        Some(nearest) if valid.len() > LONGEST_LIST => {
            format!("unknown {what} `{unknown}`; did you mean `{nearest}`?")
        }
        Some(nearest) => {
            let valid = valid.join(", ");
            format!("unknown {what} `{unknown}`; did you mean `{nearest}`? valid are: {valid}")
        }
        None => format!("unknown {what} `{unknown}`; none is expected here"),
    }
}

/// Names that are worth listing all.
const LONGEST_LIST: usize = 16;

/// The first name in backquotes.
fn quoted(message: &str) -> Option<&str> {
    message.split('`').nth(1)
}

/// The names after "expected"; serde_json puts them in backquotes and the YAML reader does not.
fn expected(message: &str) -> Vec<&str> {
    let Some((_, names)) = message.split_once("expected ") else { return Vec::new() };
    let names = names.split(" at line ").next().unwrap_or_default();
    let names = names.trim_start_matches("one of ").split([',', ' ']);
    names.map(|name| name.trim_matches('`')).filter(|name| !["", "or"].contains(name)).collect()
}

/// The only line that has the unknown key of `message`, if there is exactly one.
fn line_of_unknown_key(message: &str, text: &str) -> Option<u64> {
    let key = message.contains("unknown field").then(|| quoted(message))??;
    let is_of_key = |line: &str| {
        let entry = line.trim_start().trim_start_matches("- ");
        entry.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(':'))
            || line.contains(&format!("{{{key}:"))
            || line.contains(&format!(" {key}:"))
    };
    let mut lines = text.lines().enumerate().filter(|(_, line)| is_of_key(line));
    let (index, _) = lines.next()?;
    lines.next().is_none().then_some(index as u64 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_wrong_type_is_refused_with_its_line() {
        let message = message(&format!("{MINIMAL}max_steps: many\n"), &[]);
        assert!(message.starts_with("run.yaml:5: "), "{message}");
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
    fn an_estimator_is_a_name_or_a_block() {
        let named = parse(&format!("{MINIMAL}adv_estimator: mc_grpo\n"), &[]).unwrap();
        let block = parse(&format!("{MINIMAL}adv_estimator: {{kind: mc_grpo}}\n"), &[]).unwrap();
        assert_eq!(named, block);
    }
}
