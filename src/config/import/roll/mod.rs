//! A pipeline of ROLL, read key by key.

mod table;
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
    /// It has no meaning here, for this reason.
    Ignored(String),
}

impl Imported {
    /// A line for each key, those that were left out last.
    pub fn report(&self) -> String {
        let mut text = String::new();
        for ImportedKey { key, fate } in &self.keys {
            let line = match fate {
                Fate::Used => format!("used      {key}"),
                Fate::Renamed(to) => format!("renamed   {key} -> {to}"),
                Fate::Defaulted(value) => format!("default   {key}: {value}, which is ROLL's"),
                Fate::Ignored(reason) => format!("ignored   {key}: {reason}"),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

/// Turns a ROLL pipeline into a configuration, and says what became of each key.
///
/// # Errors
/// A file that is no YAML.
pub fn import_roll(path: &Path, text: &str) -> Result<Imported, ConfigError> {
    let invalid = |problem: String| ConfigError::Invalid { path: path.into(), line: None, problem };
    let pipeline: Value =
        serde_saphyr::from_str(text).map_err(|error| invalid(error.to_string()))?;
    let mut import = Import { pipeline: pipeline.clone(), run: Map::new(), keys: Vec::new() };
    import.walk("", &pipeline);
    import.complete();
    let yaml = serde_saphyr::to_string(&import.run).map_err(|error| invalid(error.to_string()))?;
    Ok(Imported { yaml, keys: import.keys })
}

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
            (None, _) => self.say(path, Fate::Ignored("not known here".into())),
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
            Rule::Ignored(reason) => self.say(path, Fate::Ignored(reason.into())),
            Rule::Unless(unset, reason) => {
                let is_unset = value.is_null() || value == unset.value();
                let reason = if is_unset { "off, as it always is here" } else { reason };
                self.say(path, Fate::Ignored(reason.into()));
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

    /// A value with `${key}` replaced by what stands there.
    fn resolved(&self, value: &Value) -> Value {
        let Value::String(text) = value else { return value.clone() };
        let inside = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        if let Some(found) = inside.filter(|key| !key.contains('$')).map(|key| self.pointed(key)) {
            return found.unwrap_or(Value::Null);
        }
        Value::String(text.clone())
    }

    /// What a reference points at; a reference to itself points at nothing.
    fn pointed(&self, key: &str) -> Option<Value> {
        let value = self.pipeline.pointer(&format!("/{}", key.trim().replace('.', "/")))?;
        match value {
            Value::String(text) if text.starts_with("${") => None,
            value => Some(value.clone()),
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
        translate::data_and_rewards(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;

    const PIPELINE: &str = "\
exp_name: ${pretrain}-run
seed: 42
num_gpus_per_node: 8
max_steps: 100
save_steps: 50
rollout_batch_size: 64
num_return_sequences_in_group: 8
prompt_length: 512
sequence_length: 1536
adv_estimator: grpo
reward_norm: null
norm_mean_type: ~
dual_clip_loss: true
use_pg_clip_range: false
pg_clip: 0.2
pg_clip_low: 0.3
value_clip: 0.5
whiten_rewards: false
max_len_mask: true
pretrain: Qwen/Qwen2.5-0.5B
actor_train:
  training_args: {learning_rate: 1.0e-6, lr_scheduler_type: cosine, gradient_accumulation_steps: 8}
  data_args: {file_name: [data/math.jsonl], messages: messages}
  strategy_args: {strategy_name: deepspeed_train}
  device_mapping: list(range(0,8))
actor_infer:
  generating_args: {temperature: 0.99, top_p: 0.99, num_return_sequences: '${num_return_sequences_in_group}'}
rewards:
  math_rule:
    worker_cls: roll.pipeline.rlvr.rewards.math_rule_reward_worker.MathRuleRewardWorker
    world_size: 8
    query_filter_config: {type: mean_filter, filter_args: {threshold_up: 0.9, threshold_down: 0.1}}
is_use_additional_prompts: true
";

    fn imported() -> Imported {
        import_roll(Path::new("roll.yaml"), PIPELINE).unwrap()
    }

    fn fate(imported: &Imported, key: &str) -> Fate {
        let found = imported.keys.iter().find(|imported| imported.key == key);
        found.unwrap_or_else(|| panic!("nothing is said of {key}")).fate.clone()
    }

    #[test]
    fn a_pipeline_becomes_a_run_that_is_valid() {
        let imported = imported();
        let config = RunConfig::parse(Path::new("roll.yaml"), &imported.yaml, &[]).unwrap();
        assert_eq!((config.rollout_batch_size, config.response_length), (64, 1024));
        assert_eq!((config.optimizer.learning_rate, config.sampling.top_k), (1e-6, 50));
        assert_eq!((config.pg_clip, config.pg_clip_low), (Some(0.2), None));
        assert_eq!(config.rewards.len(), 1);
        assert!(config.dynamic_sampling.is_some());
    }

    #[test]
    fn every_key_has_a_fate() {
        let imported = imported();
        assert_eq!(fate(&imported, "rollout_batch_size"), Fate::Used);
        assert_eq!(fate(&imported, "pretrain"), Fate::Renamed("model.path".into()));
        assert_eq!(fate(&imported, "save_steps"), Fate::Renamed("checkpoint.save_steps".into()));
        for key in [
            "exp_name",
            "num_gpus_per_node",
            "value_clip",
            "whiten_rewards",
            "pg_clip_low",
            "actor_train.strategy_args",
            "actor_train.device_mapping",
            "actor_infer.generating_args.num_return_sequences",
            "rewards.math_rule.world_size",
        ] {
            assert!(matches!(fate(&imported, key), Fate::Ignored(_)), "{key}");
        }
        let default = fate(&imported, "loss_agg_mode");
        assert_eq!(default, Fate::Defaulted("\"seq-mean-token-mean\"".into()));
        assert_eq!(imported.report().lines().count(), imported.keys.len());
    }

    #[test]
    fn a_critic_is_said_to_be_missing() {
        let text = PIPELINE.replace("adv_estimator: grpo", "adv_estimator: gae\ngibberish: 1");
        let imported = import_roll(Path::new("roll.yaml"), &text).unwrap();
        assert!(imported.report().contains("ignored   adv_estimator: gae needs a critic"));
        assert!(imported.report().contains("ignored   gibberish: not known here"));
    }
}
