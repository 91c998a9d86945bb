//! What every command needs before it can begin: a model, problems and rewards.

use std::path::Path;

use burn::tensor::backend::Backend;

use crate::config::{ModelBlock, RunConfig};
use crate::data::Dataset;
use crate::device::Limits;
use crate::model::{Decoder, LoadedModel, ModelConfig};
use crate::monitor::RunPaths;
use crate::reward::Rewards;
use crate::text::Tokenizer;
use crate::train::{PreparedProblems, RunSizes, model_buffers, run_buffers};

/// Loads or makes the model that a configuration names, if a device of these limits can hold it.
pub(super) fn model<B: Backend>(
    config: &RunConfig,
    device: &B::Device,
    limits: &Limits,
) -> anyhow::Result<LoadedModel<B>> {
    match &config.model {
        ModelBlock { path: Some(folder), .. } => open(folder, device, limits),
        ModelBlock { alphabet: Some(alphabet), architecture: Some(architecture), .. } => {
            let tokenizer = Tokenizer::characters(alphabet)?;
            let architecture = architecture.clone().for_tokenizer(
                tokenizer.vocab_size().max(architecture.vocab_size),
                tokenizer.bos_id(),
                tokenizer.eos_ids().to_vec(),
                Some(tokenizer.pad_id()),
            );
            limits.check(&model_buffers(&architecture))?;
            let decoder = Decoder::initialise(&architecture, config.seed, device)?;
            Ok(LoadedModel { config: architecture, decoder, tokenizer })
        }
        _ => anyhow::bail!("the model block names neither a path nor a new model"),
    }
}

/// The problems of a run, as tokens.
pub(super) struct Problems {
    pub train: PreparedProblems,
    pub held_out: Option<PreparedProblems>,
}

impl Problems {
    /// Loads the data; `eval.problems` limits the held-out part.
    pub(super) fn load(config: &RunConfig, tokenizer: &Tokenizer) -> anyhow::Result<Self> {
        let Dataset { train, held_out } = config.data.load(config.seed)?;
        let limit = config.prompt_length;
        let train = PreparedProblems::new("training", train, tokenizer, limit)?;
        let held_out = match held_out.is_empty() {
            true => None,
            false => Some(PreparedProblems::new("held-out", held_out, tokenizer, limit)?),
        };
        let held_out = held_out.map(|problems| match config.eval.problems {
            0 => problems,
            count => problems.first(count),
        });
        Ok(Self { train, held_out })
    }

    /// Problems left out because their prompt is too long.
    pub(super) fn left_out(&self) -> usize {
        self.train.left_out() + self.held_out.as_ref().map_or(0, PreparedProblems::left_out)
    }

    /// Tokens of the longest prompt.
    pub(super) fn longest_prompt(&self) -> usize {
        let held_out = self.held_out.as_ref().map_or(0, PreparedProblems::longest_prompt);
        self.train.longest_prompt().max(held_out)
    }
}

/// Refuses a run whose tensors a device of these limits could not hold.
pub(super) fn check_sizes(
    limits: &Limits,
    config: &RunConfig,
    model: &ModelConfig,
    problems: &Problems,
) -> anyhow::Result<()> {
    let (settings, eval) =
        (config.settings(&model.eos_token_id)?, config.eval_options(&model.eos_token_id));
    let run = RunSizes {
        settings: &settings,
        eval: &eval,
        warm_start: config.warm_start.as_ref(),
        held_out: problems.held_out.as_ref().map_or(0, PreparedProblems::len),
        longest_prompt: problems.longest_prompt(),
    };
    Ok(limits.check(&run_buffers(model, run))?)
}

/// The rewards of a configuration.
pub(super) fn rewards(config: &RunConfig) -> anyhow::Result<Rewards> {
    Ok(Rewards::new(&config.rewards)?)
}

/// Opens a saved model, if a device of these limits can hold it, or says what kind of folder was
/// expected.
pub(super) fn saved_model<B: Backend>(
    folder: &Path,
    device: &B::Device,
    limits: &Limits,
) -> anyhow::Result<LoadedModel<B>> {
    let inner = folder.join("model");
    let is_saved = inner.join("config.json").exists();
    anyhow::ensure!(
        is_saved || !RunPaths::new(folder).holds_run(),
        "{} holds a run that has saved no model yet; let it end, or interrupt it and look again",
        folder.display()
    );
    let folder = if is_saved { &inner } else { folder };
    open(folder, device, limits)
}

fn open<B: Backend>(
    folder: &Path,
    device: &B::Device,
    limits: &Limits,
) -> anyhow::Result<LoadedModel<B>> {
    limits.check(&model_buffers(&ModelConfig::from_folder(folder)?))?;
    Ok(LoadedModel::open(folder, device)?)
}
