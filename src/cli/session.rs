//! What every command needs before it can begin: a model, problems and rewards.

use std::path::Path;

use burn::tensor::backend::Backend;

use crate::config::{ModelBlock, RunConfig};
use crate::data::Dataset;
use crate::model::{Decoder, LoadedModel};
use crate::reward::Rewards;
use crate::text::Tokenizer;
use crate::track::RunPaths;
use crate::train::PreparedProblems;

/// Loads or makes the model that a configuration names.
pub(super) fn model<B: Backend>(
    config: &RunConfig,
    device: &B::Device,
) -> anyhow::Result<LoadedModel<B>> {
    match &config.model {
        ModelBlock { path: Some(folder), .. } => Ok(LoadedModel::open(folder, device)?),
        ModelBlock { alphabet: Some(alphabet), architecture: Some(architecture), .. } => {
            let tokenizer = Tokenizer::characters(alphabet)?;
            let architecture = architecture.clone().for_tokenizer(
                tokenizer.vocab_size().max(architecture.vocab_size),
                tokenizer.bos_id(),
                tokenizer.eos_ids().to_vec(),
                Some(tokenizer.pad_id()),
            );
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
}

/// The rewards of a configuration.
pub(super) fn rewards(config: &RunConfig) -> anyhow::Result<Rewards> {
    Ok(Rewards::new(&config.rewards)?)
}

/// Opens a saved model, or says what kind of folder was expected.
pub(super) fn saved_model<B: Backend>(
    folder: &Path,
    device: &B::Device,
) -> anyhow::Result<LoadedModel<B>> {
    let inner = folder.join("model");
    let is_saved = inner.join("config.json").exists();
    anyhow::ensure!(
        is_saved || !RunPaths::new(folder).holds_run(),
        "{} holds a run that has saved no model yet; let it end, or interrupt it and look again",
        folder.display()
    );
    let folder = if is_saved { &inner } else { folder };
    Ok(LoadedModel::open(folder, device)?)
}
