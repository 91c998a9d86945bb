//! Small whole runs from configurations: what the modules about methods share.

use std::path::Path;

use wgrpo::config::RunConfig;
use wgrpo::device::Limits;
use wgrpo::run::Opened;
use wgrpo::train::{CheckpointState, StepReport, Trainer};

use crate::support::{Cpu, device};

/// A run that takes milliseconds a step, and whose fresh policy earns mixed rewards.
pub const SMALL: &str = "\
seed: 3
rollout_batch_size: 4
num_return_sequences_in_group: 4
prompt_length: 8
response_length: 6
model:
  alphabet: '0123456789+='
  architecture: {hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1, num_attention_heads: 2, tie_word_embeddings: true}
data: {kind: arithmetic, operations: [add], digits: 1, held_out: 10}
rewards:
  - {kind: length, max: 3}
optimizer: {learning_rate: 3e-3}
";

/// A configuration of [`SMALL`] and more keys, which take the place of those it has.
pub fn small(keys: &str) -> RunConfig {
    small_with(keys, &[])
}

/// The same with overrides as `--set` takes them.
pub fn small_with(keys: &str, set: &[&str]) -> RunConfig {
    config(&with_keys(keys), set)
}

fn with_keys(keys: &str) -> String {
    let name = |line: &str| line.split(':').next().unwrap_or_default().to_owned();
    let given: Vec<String> = keys.lines().map(name).collect();
    let mut text = String::new();
    let mut keeps = true;
    for line in SMALL.lines() {
        // What is indented belongs to the key above it.
        keeps = if line.starts_with(' ') { keeps } else { !given.contains(&name(line)) };
        text += &if keeps { format!("{line}\n") } else { String::new() };
    }
    text + keys
}

/// A configuration from its text.
pub fn config(text: &str, set: &[&str]) -> RunConfig {
    let set: Vec<String> = set.iter().map(|key| (*key).to_owned()).collect();
    RunConfig::parse(Path::new("test.yaml"), text, &set).unwrap()
}

/// What is wrong with a configuration.
pub fn refusal(keys: &str) -> String {
    let parsed = RunConfig::parse(Path::new("test.yaml"), &with_keys(keys), &[]);
    parsed.map(|_| ()).expect_err(keys).to_string()
}

/// The file of a shipped configuration.
pub fn shipped(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configs").join(name)
}

/// The model, problems and rewards of a run.
fn opened(config: &RunConfig) -> Opened<Cpu> {
    Opened::open(config, &device(), &Limits::none("the CPU")).unwrap()
}

/// A trainer on a fresh policy.
pub fn trainer(config: &RunConfig) -> Trainer<Cpu> {
    opened(config).trainer(config).unwrap()
}

/// The first steps of a run.
pub fn steps(trainer: &mut Trainer<Cpu>, count: usize) -> Vec<StepReport> {
    (0..count).map(|_| trainer.step().unwrap()).collect()
}

/// A trainer that goes on where another was saved.
pub fn saved_and_restored(config: &RunConfig, trainer: &Trainer<Cpu>) -> Trainer<Cpu> {
    let folder = tempfile::tempdir().unwrap();
    trainer.save(folder.path(), None).unwrap();
    let state = CheckpointState::read(folder.path()).unwrap().unwrap();
    let mut restored = self::trainer(config);
    restored.restore(folder.path(), &state).unwrap();
    restored
}
