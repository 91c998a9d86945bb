//! What a configuration takes of memory, told without its weights.

use std::path::Path;

use super::{Sizes, budget, settled};
use crate::config::RunConfig;
use crate::device::Limits;
use crate::model::{ModelConfig, ModelError};
use crate::run::RunError;
use crate::run::open::{Problems, fresh_config};
use crate::text::Tokenizer;
use crate::train::{Estimate, PreparedProblems};

/// What a run would take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// Parameters of its model.
    pub parameters: usize,
    /// The memory that it takes.
    pub memory: Estimate,
    /// Whether each layer is computed once more in an update.
    pub has_checkpoints: bool,
    /// Whether prompts were looked at; else each has `prompt_length` tokens.
    pub knows_prompts: bool,
}

/// What a configuration takes. Of a model's folder only `config.json` has to be there; with `tokenizer.json` the
/// prompts are looked at, too.
///
/// # Errors
/// A model or problems that cannot be read; a run that does not fit, with what to change.
pub fn outlook(config: &RunConfig, limits: &Limits, is_host: bool) -> Result<Outlook, RunError> {
    let (model, tokenizer) = model(config)?;
    let problems =
        tokenizer.as_ref().map(|tokenizer| Problems::load(config, tokenizer)).transpose()?;
    let sizes = Sizes { is_host, ..sizes(config, &model, problems.as_ref()) };
    let (settled, memory) = settled(config.clone(), sizes, budget(config, limits))?;
    Ok(Outlook {
        parameters: model.parameter_count(),
        memory,
        has_checkpoints: settled.training.gradient_checkpointing.is_on(),
        knows_prompts: problems.is_some(),
    })
}

/// The model's configuration, and its tokenizer where there is one.
fn model(config: &RunConfig) -> Result<(ModelConfig, Option<Tokenizer>), RunError> {
    let block = &config.model;
    match (&block.path, &block.alphabet, &block.architecture) {
        (Some(folder), ..) => {
            let model = ModelConfig::from_folder(folder).map_err(ModelError::from)?;
            Ok((model, tokenizer(folder)?))
        }
        (None, Some(alphabet), Some(architecture)) => {
            let (model, tokenizer) = fresh_config(alphabet, architecture)?;
            Ok((model, Some(tokenizer)))
        }
        _ => Err(RunError::NoModel),
    }
}

fn tokenizer(folder: &Path) -> Result<Option<Tokenizer>, RunError> {
    let is_there = folder.join("tokenizer.json").exists();
    Ok(is_there.then(|| Tokenizer::from_folder(folder)).transpose()?)
}

fn sizes<'a>(config: &RunConfig, model: &'a ModelConfig, problems: Option<&Problems>) -> Sizes<'a> {
    // More than is tried at once.
    const MANY: usize = 1 << 16;
    let most = match config.eval.problems {
        0 => MANY,
        count => count,
    };
    let least = Sizes::least(model, true);
    match problems {
        None => {
            let prompt = config.prompt_length;
            Sizes { longest_prompt: prompt, mean_prompt: prompt, held_out: most, ..least }
        }
        Some(problems) => {
            let held_out = problems.held_out.as_ref().map_or(0, PreparedProblems::len).min(most);
            let (longest_prompt, mean_prompt) =
                (problems.longest_prompt(), problems.train.mean_prompt());
            Sizes { longest_prompt, mean_prompt, held_out, ..least }
        }
    }
}
