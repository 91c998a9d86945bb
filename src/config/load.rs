//! Reading a run's YAML, with overrides from the command line and errors that point at lines.
//!
//! ```text
//! text ─▶ tree ─▶ TRL's names ─▶ --set ─▶ ranges of numbers ─▶ RunConfig ─▶ contradictions
//! ```
//!
//! The way is the same with and without `--set`, so that no override changes how a file is read.

use std::path::Path;

use serde_json::{Map, Value};

use super::explain::line_of;
use super::tree::Tree;
use super::typed::typed;
use super::{ConfigError, RunConfig, trl};
use crate::files::read_text;
use crate::quote::{passage, shown};

/// Bytes of the longest configuration that is read: the longest that is known has 4 kB, and looking for the
/// line of a mistake takes time with the length.
pub const LONGEST_CONFIG: u64 = 1 << 20;

impl RunConfig {
    /// Reads a configuration and applies `key.path=value` overrides to it.
    ///
    /// # Errors
    /// A file that cannot be read; YAML, keys or values that are not understood, with their line
    /// and the nearest valid key; settings that contradict each other.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, ConfigError> {
        let text = read_text(path, LONGEST_CONFIG)
            .map_err(|source| ConfigError::Read { path: path.into(), source })?;
        Self::parse(path, &text, overrides)
    }

    /// Reads a configuration from `text`; `path` is only named in errors.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(path: &Path, text: &str, overrides: &[String]) -> Result<Self, ConfigError> {
        let in_file = |misfit: Misfit| ConfigError::Invalid {
            path: path.into(),
            line: misfit.line.or_else(|| line_of(&misfit.keys, text)),
            problem: passage(&misfit.problem).into_owned(),
        };
        check_length(text).map_err(in_file)?;
        let file = file_tree(text).map_err(in_file)?;
        let assignments =
            overrides.iter().map(|text| Assignment::read(text)).collect::<Result<Vec<_>, _>>()?;
        let mut tree = file.clone();
        for assignment in &assignments {
            assignment.apply(&mut tree)?;
        }
        let mut config = typed(tree).map_err(|misfit| match typed(file) {
            Err(alone) if assignments.is_empty() || alone == misfit => in_file(alone),
            _ => blamed(&assignments, misfit),
        })?;
        config.validate()?;
        // The one default that depends on other keys is written out as all others are.
        config.loss_agg_mode = Some(config.objective()?.loss_agg_mode);
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

/// Text that did not come from a file has the same limit.
pub(super) fn check_length(text: &str) -> Result<(), Misfit> {
    if text.len() as u64 <= LONGEST_CONFIG {
        return Ok(());
    }
    let problem = format!("it has {} bytes, and at most {LONGEST_CONFIG} are read", text.len());
    Err(Misfit { line: Some(1), problem, ..Misfit::default() })
}

const EMPTY: &str = "the file is empty; a run needs at least model, data and rewards";

/// What does not fit: the way to it, and what would be right there.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Misfit {
    /// The keys on the way; a place of a list is `[0]`.
    pub(super) keys: Vec<String>,
    /// The line, where it is known otherwise than by the keys.
    pub(super) line: Option<u64>,
    /// What is wrong and how to mend it.
    pub(super) problem: String,
}

/// The tree of a file, with TRL's names turned into ours.
fn file_tree(text: &str) -> Result<Value, Misfit> {
    let mut tree = Tree::read(text).map_err(|error| syntax(&error))?;
    match &mut tree {
        Value::Null => return Err(Misfit { problem: EMPTY.into(), ..Misfit::default() }),
        Value::Object(keys) => trl::rename(keys)?,
        _ => {}
    }
    Ok(tree)
}

/// Why text is no YAML.
pub(super) fn syntax(error: &serde_saphyr::Error) -> Misfit {
    let message = error.without_snippet().to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    let problem = match message.strip_prefix("duplicate mapping key: ") {
        Some(rest) => {
            let key = rest.split(',').next().unwrap_or_default();
            format!("the key `{}` stands here a second time; keep one of them", shown(key))
        }
        None if message == "unexpected end of input" => EMPTY.into(),
        None => format!("this is no YAML: {message}"),
    };
    let line = error.location().map(|location| location.line());
    Misfit { keys: Vec::new(), line, problem }
}

/// An override, `key.path=value`.
struct Assignment<'a> {
    text: &'a str,
    keys: Vec<String>,
    values: Map<String, Value>,
}

impl<'a> Assignment<'a> {
    /// Reads the value as YAML, and the first key by TRL's names too.
    fn read(text: &'a str) -> Result<Self, ConfigError> {
        let (way, value) =
            text.split_once('=').ok_or_else(|| refused(text, "needs the form key.path=value"))?;
        let value = Tree::read(value)
            .map_err(|_| refused(text, "the value is no YAML; put quotes around text"))?;
        let mut keys = way.split('.').map(str::to_owned);
        let first = keys.next().unwrap_or_default();
        let mut values = Map::from_iter([(first, value)]);
        trl::rename(&mut values).map_err(|misfit| refused(text, &misfit.problem))?;
        Ok(Self { text, keys: keys.collect(), values })
    }

    /// Puts the value at its place of the tree, making blocks on the way; a number indexes a list.
    fn apply(&self, tree: &mut Value) -> Result<(), ConfigError> {
        for (first, value) in &self.values {
            let mut place = self.inside(tree, first)?;
            for key in &self.keys {
                place = self.inside(place, key)?;
            }
            *place = value.clone();
        }
        Ok(())
    }

    fn inside<'t>(&self, place: &'t mut Value, key: &str) -> Result<&'t mut Value, ConfigError> {
        if let Value::Array(items) = place {
            let item = key.parse::<usize>().ok().and_then(|index| items.get_mut(index));
            let problem = format!("`{}` is no place of the list", shown(key));
            return item.ok_or_else(|| refused(self.text, &problem));
        }
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        match place {
            Value::Object(map) => Ok(map.entry(key).or_insert(Value::Null)),
            _ => unreachable!("it was just made a block"),
        }
    }
}

fn refused(assignment: &str, problem: &str) -> ConfigError {
    let (assignment, problem) = (shown(assignment), passage(problem));
    ConfigError::Override { assignment: assignment.into(), problem: problem.into() }
}

/// The error of the overrides that speak of what does not fit, of all where none does.
fn blamed(assignments: &[Assignment], misfit: Misfit) -> ConfigError {
    let speaks = |assignment: &&Assignment| {
        misfit.keys.first().is_some_and(|key| assignment.values.contains_key(key))
    };
    let text = |assignment: &Assignment| assignment.text.to_owned();
    let mut texts: Vec<String> = assignments.iter().filter(speaks).map(text).collect();
    if texts.is_empty() {
        texts = assignments.iter().map(text).collect();
    }
    refused(&texts.join(" --set "), &misfit.problem)
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
    fn malformed_yaml_is_refused_with_its_line() {
        let message = message(&format!("{MINIMAL}max_steps: [1\n"), &[]);
        assert!(message.starts_with("run.yaml:"), "{message}");
    }

    #[test]
    fn overrides_change_values_lists_and_blocks() {
        let overrides = ["optimizer.learning_rate=0.5", "rewards.0.weight=2", "seed=7"];
        let config = parse(MINIMAL, &overrides).unwrap();
        assert_eq!((config.training.optimizer.learning_rate, config.training.seed), (0.5, 7));
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
