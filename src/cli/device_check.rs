//! `wgrpo devices --check`: whether a device computes what the CPU does.
//!
//! Every kernel, forwards and backwards, and whole training steps run on both from the same numbers.

use std::fmt::Write;
use std::path::Path;

use burn::module::AutodiffModule;

use super::output;
use crate::config::RunConfig;
use crate::device::{self, Limits, OnDevice};
use crate::kernel::Kernels;
use crate::kernel::check::{Difference, Outcome, differences, outcomes};
use crate::kernel::stored::Storage;
use crate::loss::LossMetrics;
use crate::model::{LoadedModel, LoraConfig, TARGETS};
use crate::rollout::{Noise, Prompt, Purpose, RolloutGroup, Sampling};
use crate::run::Opened;
use crate::train::{Checkpointing, StepReport, Trainer};

/// A difference above this is not rounding; every figure is relative to the CPU's largest number.
const TOLERANCE: f32 = 1e-3;

/// Small, with everything that a run has: a reference, whitening, several micro-batches and passes.
const RUN: &str = r#"
seed: 5
max_steps: 2
rollout_batch_size: 12
num_return_sequences_in_group: 6
prompt_length: 8
response_length: 6
adv_estimator: grpo
whiten_advantages: true
use_kl_loss: true
kl_loss_coef: 0.1
ppo_epochs: 2
model:
  alphabet: "0123456789+-*/=() "
  architecture:
    hidden_size: 64
    intermediate_size: 160
    num_hidden_layers: 2
    num_attention_heads: 4
    num_key_value_heads: 2
    tie_word_embeddings: true
data: {kind: arithmetic, operations: [add], digits: 2, held_out: 20}
rewards: [{kind: number, partial: digits}, {kind: length, target: 4}]
optimizer: {learning_rate: 1e-3}
device: {micro_batch_tokens: 256}
"#;

/// Runs the check of the device called `name`, or of the best one there is, and prints what it found.
pub(super) fn run(name: Option<&str>) -> anyhow::Result<()> {
    let device = device::find(name.unwrap_or(best()))?;
    output::print(&format!("{device} against {}\n\n", device::find("cpu")?))?;
    let reference = device::run_on("cpu", Everything { limits: Limits::none("cpu") })??;
    let found = device.run(Everything { limits: device.limits() })??;
    let differences = differences(&found, &reference);
    output::print(&table(&differences))?;
    let wrong: Vec<&str> = differences
        .iter()
        .filter(|difference| difference.largest > TOLERANCE)
        .map(|difference| difference.operation)
        .collect();
    anyhow::ensure!(
        wrong.is_empty(),
        "{device} computes something else than the CPU in: {}; do not train on it, and report this \
         table with what `wgrpo devices` prints",
        wrong.join(", ")
    );
    output::print(&format!("\n{device} computes what the CPU computes\n"))
}

/// What a machine's owner most likely means.
fn best() -> &'static str {
    ["wgpu", "cuda"].into_iter().find(|name| device::backend(name).is_ok()).unwrap_or("cpu")
}

fn table(differences: &[Difference]) -> String {
    let mut table = format!("{:<26} largest difference\n", "operation");
    for Difference { operation, largest } in differences {
        let verdict = if *largest > TOLERANCE { "  WRONG" } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(table, "{operation:<26} {largest:.1e}{verdict}");
    }
    table
}

struct Everything {
    limits: Limits,
}

impl OnDevice for Everything {
    type Output = anyhow::Result<Vec<Outcome>>;

    fn run<B: Kernels>(self, device: B::Device) -> Self::Output {
        let mut all = outcomes::<B>(&device);
        all.extend(training_steps::<B>(&device, &self.limits)?);
        all.extend(adapter_steps::<B>(&device, &self.limits)?);
        Ok(all)
    }
}

/// Greedy completions of a fresh model, then whole steps: what was drawn, earned and learned.
fn training_steps<B: Kernels>(device: &B::Device, limits: &Limits) -> anyhow::Result<Vec<Outcome>> {
    let config = RunConfig::parse(Path::new("the check's own run"), RUN, &[])?;
    let Opened { model, problems, rewards, .. } = Opened::<B>::open(&config, device, limits)?;
    let (LoadedModel { decoder, tokenizer, .. }, problems) = (model, problems.train);
    let mut settings = config.settings(tokenizer.eos_ids())?;
    settings.generator.sampling = Sampling::greedy();
    settings.generator.tokens_a_readback = Some(3);
    let prompts: Vec<Prompt> = (0..40).map(|index| problems.prompt(index, 1)).collect();
    let noise = Noise::new(config.training.seed, Purpose::Reading, 0);
    let greedy = settings.generator.generate(&decoder.valid(), &prompts, noise)?;
    settings.generator.sampling = Sampling::default();
    settings.generator.tokens_a_readback = None;
    let mut trainer = Trainer::new(settings, decoder, tokenizer, problems, rewards);
    let steps = [trainer.step()?, trainer.step()?];
    let all = |numbers: fn(&StepReport) -> Vec<f32>| steps.iter().flat_map(numbers).collect();
    Ok(vec![
        ("greedy completions", ids(&greedy)),
        ("sampled completions", all(|step| ids(step.rollouts()))),
        ("their log-probabilities", all(|step| logps(step.rollouts()))),
        ("advantages", all(advantages)),
        ("losses of two steps", all(|step| metrics(step, |m| m.loss))),
        ("KLs to the reference", all(|step| metrics(step, |m| m.kl))),
        ("entropies", all(|step| metrics(step, |m| m.entropy))),
        ("gradient norms", all(gradient_norms)),
    ])
}

/// Steps of adapters on models in few bits, with checkpoints of layers.
fn adapter_steps<B: Kernels>(device: &B::Device, limits: &Limits) -> anyhow::Result<Vec<Outcome>> {
    let config = RunConfig::parse(Path::new("the check's own run"), RUN, &[])?;
    let lora = LoraConfig {
        rank: 4,
        alpha: 8.0,
        targets: TARGETS.map(str::to_owned).into(),
        dropout: 0.25,
        ..LoraConfig::default()
    };
    let titles = [
        ("losses of an adapter on f16", "its gradient norms on f16"),
        ("losses of an adapter on q4_0", "its gradient norms on q4_0"),
    ];
    let mut found = Vec::new();
    for (storage, (losses, norms)) in [Storage::F16, Storage::Q4_0].into_iter().zip(titles) {
        let Opened { model, problems, rewards, .. } = Opened::<B>::open(&config, device, limits)?;
        let LoadedModel { decoder, tokenizer, .. } = model;
        let policy = decoder.stored_in(storage)?.with_fresh_adapter(&lora, config.training.seed)?;
        let mut settings = config.settings(tokenizer.eos_ids())?;
        settings.reference_is_base = true;
        settings.training.gradient_checkpointing = Checkpointing::On;
        let mut trainer = Trainer::new(settings, policy, tokenizer, problems.train, rewards);
        let steps = [trainer.step()?, trainer.step()?];
        let all = |numbers: fn(&StepReport) -> Vec<f32>| steps.iter().flat_map(numbers).collect();
        found.push((losses, all(|step| metrics(step, |m| m.loss))));
        found.push((norms, all(gradient_norms)));
    }
    Ok(found)
}

fn ids<'a>(groups: impl IntoIterator<Item = &'a RolloutGroup>) -> Vec<f32> {
    let completions = groups.into_iter().flat_map(|group| &group.completions);
    completions.flat_map(|completion| &completion.ids).map(|id| *id as f32).collect()
}

fn logps<'a>(groups: impl IntoIterator<Item = &'a RolloutGroup>) -> Vec<f32> {
    let completions = groups.into_iter().flat_map(|group| &group.completions);
    completions.flat_map(|completion| completion.logps.clone()).collect()
}

fn advantages(step: &StepReport) -> Vec<f32> {
    let groups = step.groups().map(|group| &group.advantages);
    groups.flat_map(|group| &group.advantages).map(|advantage| *advantage as f32).collect()
}

fn metrics(step: &StepReport, which: fn(&LossMetrics) -> f64) -> Vec<f32> {
    step.update.outcomes.iter().map(|(metrics, _)| which(metrics) as f32).collect()
}

fn gradient_norms(step: &StepReport) -> Vec<f32> {
    step.update.outcomes.iter().map(|(_, outcome)| outcome.grad_norm as f32).collect()
}
