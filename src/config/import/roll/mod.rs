//! A pipeline of ROLL, read key by key.

mod left_out;
mod length;
mod pipeline;
mod ratio;
mod references;
mod table;
#[cfg(test)]
mod tests;
mod translate;

use std::fmt::Write;
use std::path::Path;

use serde_json::{Map, Value};

use crate::config::ConfigError;
use crate::config::load::{Misfit, check_length, syntax};
use crate::config::tree::Tree;
use crate::quote::{passage, shown};
use table::{Rule, rule};

/// A pipeline as a configuration of ours.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The configuration.
    pub yaml: String,
    /// What became of every key.
    pub keys: Vec<ImportedKey>,
}

/// What became of one key of the pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedKey {
    /// Its path in the pipeline.
    pub key: String,
    /// What became of it.
    pub fate: Fate,
}

/// What becomes of a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    /// It means the same here.
    Used,
    /// It is called otherwise here.
    Renamed(String),
    /// It was left out of the pipeline, and ROLL's default is not ours.
    Defaulted(String),
    /// It is left out here for this reason, and the run is the same without it.
    Harmless(String),
    /// The run is another one than ROLL's, for this reason.
    Changes(String),
}

impl Fate {
    fn group(&self) -> &'static str {
        match self {
            Self::Used | Self::Renamed(_) | Self::Defaulted(_) => "used",
            Self::Harmless(_) => "harmless",
            Self::Changes(_) => "changes your run",
        }
    }
}

impl Imported {
    /// A line for each key, in three groups; what changes the run comes last, to be read first.
    pub fn report(&self) -> String {
        let mut text = String::new();
        for group in ["used", "harmless", "changes your run"] {
            let keys: Vec<_> = self.keys.iter().filter(|key| key.fate.group() == group).collect();
            if !keys.is_empty() {
                text += group;
                text.push('\n');
            }
            for ImportedKey { key, fate } in keys {
                let key = passage(key);
                let line = match fate {
                    Fate::Used => format!("  {key}"),
                    Fate::Renamed(to) => format!("  {key} -> {to}"),
                    Fate::Defaulted(value) => format!("  {key}: {value}, ROLL's default"),
                    Fate::Harmless(reason) | Fate::Changes(reason) => {
                        format!("  {key}: {}", passage(reason))
                    }
                };
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{line}");
            }
        }
        text
    }
}

/// Turns a ROLL pipeline into a configuration, and says what became of each key.
///
/// # Errors
/// A file that is no YAML, a pipeline that is no reinforcement learning from rules, and references that
/// come to more than a pipeline's do.
pub fn import_roll(path: &Path, text: &str) -> Result<Imported, ConfigError> {
    let invalid = |misfit: Misfit| ConfigError::Invalid {
        path: path.into(),
        line: misfit.line,
        problem: passage(&misfit.problem).into_owned(),
    };
    let refused = |problem| invalid(Misfit { problem, ..Misfit::default() });
    check_length(text).map_err(invalid)?;
    let file = Tree::read(text).map_err(|error| invalid(syntax(&error)))?;
    let resolved = references::resolve(&file).map_err(refused)?;
    pipeline::check(&resolved).map_err(refused)?;
    let mut import = Import { pipeline: resolved.clone(), run: Map::new(), keys: Vec::new() };
    import.walk("", &file, &resolved);
    left_out::complete(&mut import);
    let yaml = serde_saphyr::to_string(&import.run).map_err(|error| refused(error.to_string()))?;
    Ok(Imported { yaml, keys: import.keys })
}

/// What becomes of a key that no rule speaks of, and of a block that is none.
fn unruled(path: &str, raw: &Value, value: &Value) -> Fate {
    match references::lost(raw, value) {
        _ if !table::leads_on(path) => {
            Fate::Changes("not known here; look what it does in ROLL".into())
        }
        Some(problem) => Fate::Changes(format!("{problem}; it counts as left out")),
        None if value.is_null() => Fate::Harmless(NULL.into()),
        None => Fate::Changes("is no block of keys, and counts as left out".into()),
    }
}

const NULL: &str = "null, which is as if it were left out";

struct Import {
    pipeline: Value,
    run: Map<String, Value>,
    keys: Vec<ImportedKey>,
}

impl Import {
    /// Follows blocks down to the keys that a rule speaks of; `raw` still has the references in it.
    fn walk(&mut self, path: &str, raw: &Value, value: &Value) {
        match (rule(path), value) {
            (Some(rule), _) => self.apply(path, rule, raw, value),
            (None, Value::Object(block)) if table::leads_on(path) => {
                for (key, value) in block {
                    let name = shown(key);
                    let inner =
                        if path.is_empty() { name.into() } else { format!("{path}.{name}") };
                    self.walk(&inner, raw.get(key).unwrap_or(&Value::Null), value);
                }
            }
            (None, _) => self.say(path, unruled(path, raw, value)),
        }
    }

    fn apply(&mut self, path: &str, rule: Rule, raw: &Value, value: &Value) {
        let fate = match (rule, references::lost(raw, value)) {
            (Rule::Harmless(reason), Some(problem)) if raw.is_string() => {
                Fate::Harmless(format!("{reason}; {problem}"))
            }
            (Rule::Harmless(reason), _) => Fate::Harmless(reason.into()),
            (Rule::Changes(reason), _) => Fate::Changes(reason.into()),
            (rule, Some(problem)) => return self.without(path, rule, value, &problem),
            _ if value.is_null() => Fate::Harmless(NULL.into()),
            (Rule::Same, _) => {
                self.put(path, value.clone());
                Fate::Used
            }
            (Rule::Renamed(to), _) => {
                self.put(to, value.clone());
                Fate::Renamed(to.into())
            }
            (Rule::Unless(unset, _), _) if unset.is(value) => {
                Fate::Harmless("off, as it always is here".into())
            }
            (Rule::Unless(_, reason), _) => Fate::Changes(reason.into()),
            (Rule::Translated(translate), _) => return translate(self, path, value),
        };
        self.say(path, fate);
    }

    /// A key whose value is lost to a reference. What else its text says is kept, to be mended there.
    fn without(&mut self, path: &str, rule: Rule, value: &Value, problem: &str) {
        let text = value.as_str().is_some_and(|text| references::whole(text).is_none());
        let kept = match rule {
            Rule::Same if text => Some(path),
            Rule::Renamed(to) if text => Some(to),
            _ => None,
        };
        if let Some(to) = kept {
            self.put(to, value.clone());
        }
        let mend = if text { "write it out" } else { "it counts as left out; write its value out" };
        self.say(path, Fate::Changes(format!("{problem}; {mend}")));
    }

    fn say(&mut self, key: &str, fate: Fate) {
        self.keys.push(ImportedKey { key: key.into(), fate });
    }

    /// Puts a value at a path of the configuration.
    fn put(&mut self, path: &str, value: Value) {
        let mut block = &mut self.run;
        let mut keys = path.split('.').peekable();
        while let Some(key) = keys.next() {
            if keys.peek().is_none() {
                block.insert(key.into(), value);
                return;
            }
            let inner = block.entry(key).or_insert_with(|| Value::Object(Map::new()));
            match inner {
                Value::Object(map) => block = map,
                _ => return,
            }
        }
    }

    /// Whether the configuration has something at a path.
    fn has(&self, path: &str) -> bool {
        let mut keys = path.split('.');
        let first = keys.next().and_then(|key| self.run.get(key));
        keys.fold(first, |block, key| block?.get(key)).is_some()
    }

    /// A value of the pipeline by its path; none where it is null or lost to a reference.
    fn look_up(&self, path: &str) -> Option<&Value> {
        let value = self.pipeline.pointer(&format!("/{}", path.replace('.', "/")))?;
        (!value.is_null() && !references::is_left_in(value)).then_some(value)
    }
}
