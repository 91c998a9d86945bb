//! A pipeline of ROLL, read key by key.

mod table;
#[cfg(test)]
mod tests;
mod translate;

use std::fmt::Write;
use std::path::Path;

use serde_json::{Map, Value};

use crate::config::ConfigError;
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
                let line = match fate {
                    Fate::Used => format!("  {key}"),
                    Fate::Renamed(to) => format!("  {key} -> {to}"),
                    Fate::Defaulted(value) => format!("  {key}: {value}, ROLL's default"),
                    Fate::Harmless(reason) | Fate::Changes(reason) => format!("  {key}: {reason}"),
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
/// A file that is no YAML, and a pipeline that is no reinforcement learning from rules.
pub fn import_roll(path: &Path, text: &str) -> Result<Imported, ConfigError> {
    let invalid = |problem: String| ConfigError::Invalid { path: path.into(), line: None, problem };
    let pipeline: Value =
        serde_saphyr::from_str(text).map_err(|error| invalid(error.to_string()))?;
    if let Some((kind, key)) = table::other_pipeline(&pipeline) {
        return Err(invalid(format!(
            "this is {kind} (it has `{key}`), and only ROLL's RLVR pipelines have a counterpart here"
        )));
    }
    let mut import = Import { pipeline: pipeline.clone(), run: Map::new(), keys: Vec::new() };
    import.walk("", &pipeline);
    import.complete();
    let yaml = serde_saphyr::to_string(&import.run).map_err(|error| invalid(error.to_string()))?;
    Ok(Imported { yaml, keys: import.keys })
}

/// Longest chain of references that is followed.
const MOST_REFERENCES: usize = 8;

struct Import {
    pipeline: Value,
    run: Map<String, Value>,
    keys: Vec<ImportedKey>,
}

impl Import {
    /// Follows blocks down to the keys that a rule speaks of.
    fn walk(&mut self, path: &str, value: &Value) {
        match (rule(path), value) {
            (Some(rule), _) => self.apply(path, rule, value),
            (None, Value::Object(block)) => {
                for (key, value) in block {
                    let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    self.walk(&inner, value);
                }
            }
            (None, _) => {
                self.say(path, Fate::Changes("not known here; look what it does in ROLL".into()))
            }
        }
    }

    fn apply(&mut self, path: &str, rule: Rule, value: &Value) {
        let value = self.resolved(value);
        match rule {
            Rule::Same => {
                self.put(path, value);
                self.say(path, Fate::Used);
            }
            Rule::Renamed(to) => {
                self.put(to, value);
                self.say(path, Fate::Renamed(to.into()));
            }
            Rule::Harmless(reason) => self.say(path, Fate::Harmless(reason.into())),
            Rule::Changes(reason) => self.say(path, Fate::Changes(reason.into())),
            Rule::Unless(unset, reason) => {
                let off = Fate::Harmless("off, as it always is here".into());
                let is_unset = value.is_null() || unset.is(&value);
                self.say(path, if is_unset { off } else { Fate::Changes(reason.into()) });
            }
            Rule::Translated(translate) => translate(self, path, &value),
        }
    }

    fn say(&mut self, key: &str, fate: Fate) {
        self.keys.push(ImportedKey { key: key.into(), fate });
    }

    /// Puts a value at a path of the configuration; null is what is not there.
    fn put(&mut self, path: &str, value: Value) {
        if value.is_null() {
            return;
        }
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
        let pointer = format!("/{}", path.replace('.', "/"));
        Value::Object(self.run.clone()).pointer(&pointer).is_some()
    }

    /// A value of the pipeline by its path.
    fn look_up(&self, path: &str) -> Option<Value> {
        let value = self.pipeline.pointer(&format!("/{}", path.trim().replace('.', "/")))?;
        Some(self.resolved(value))
    }

    /// A value with each `${key}` replaced by what stands there; a whole reference keeps its type.
    fn resolved(&self, value: &Value) -> Value {
        self.resolved_within(value, MOST_REFERENCES)
    }

    /// The same through so many references at most, since they can run in a circle.
    fn resolved_within(&self, value: &Value, depth: usize) -> Value {
        let Value::String(text) = value else { return value.clone() };
        let inside = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        if let Some(key) = inside.filter(|key| !key.contains('$')) {
            return self.pointed(key, depth).unwrap_or(Value::Null);
        }
        let pieces = text.split("${").enumerate().map(|(at, piece)| match piece.split_once('}') {
            Some((key, rest)) if at > 0 => match self.pointed(key, depth) {
                Some(Value::String(found)) => found + rest,
                Some(found) if !found.is_null() => format!("{found}{rest}"),
                _ => format!("${{{piece}"),
            },
            _ => piece.to_owned(),
        });
        Value::String(pieces.collect())
    }

    /// What a reference points at; nothing where it points at itself or out of the file.
    fn pointed(&self, key: &str, depth: usize) -> Option<Value> {
        let value = self.pipeline.pointer(&format!("/{}", key.trim().replace('.', "/")))?;
        let is_reference = value.as_str().is_some_and(|text| text.contains("${"));
        match depth {
            0 if is_reference => None,
            depth => Some(self.resolved_within(value, depth.saturating_sub(1))),
        }
    }

    /// Writes out ROLL's defaults where ours differ.
    fn complete(&mut self) {
        for (path, value) in table::defaults() {
            if !self.has(path) {
                self.say(path, Fate::Defaulted(value.to_string()));
                self.put(path, value);
            }
        }
        translate::left_out(self);
        translate::data_and_rewards(self);
    }
}
