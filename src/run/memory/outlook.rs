//! What a configuration takes of memory, told without its weights.

use super::{Sizes, budget, fits, refusal, settled};
use crate::config::RunConfig;
use crate::device::Limits;
use crate::model::{ModelConfig, ModelError, describe, find_model, is_gguf};
use crate::run::RunError;
use crate::run::open::{Problems, adapter_shape, model_config};
use crate::text::Tokenizer;
use crate::train::Estimate;

/// What a run would take.
#[derive(Debug)]
pub struct Outlook {
    /// Parameters of its model.
    pub parameters: usize,
    /// The memory that it takes.
    pub memory: Estimate,
    /// Whether each layer is computed once more in an update.
    pub has_checkpoints: bool,
    /// Whether prompts were looked at; else each has `prompt_length` tokens.
    pub knows_prompts: bool,
    /// Why it does not fit, and what to change, where it does not.
    pub refusal: Option<RunError>,
}

/// What a configuration takes. Of a model's folder only `config.json` has to be there; with `tokenizer.json` the
/// prompts are looked at, too.
///
/// # Errors
/// A model, an adapter or problems that cannot be read.
pub fn outlook(config: &RunConfig, limits: &Limits, is_host: bool) -> Result<Outlook, RunError> {
    let (model, problems) = described(config)?;
    let adapter = adapter_shape(config)?;
    let sizes = match &problems {
        Some(problems) => Sizes::of(&model, problems, is_host),
        None => Sizes::most(&model, config, is_host),
    };
    let (sizes, budget) = (Sizes { lora: adapter.as_ref(), ..sizes }, budget(config, limits));
    let (settled, memory) = settled(config.clone(), sizes, budget)?;
    let too_much = budget.filter(|_| !fits(&memory, budget));
    Ok(Outlook {
        parameters: model.parameter_count(),
        has_checkpoints: settled.training.gradient_checkpointing.is_on(),
        knows_prompts: problems.is_some(),
        refusal: too_much.map(|budget| refusal(&settled, sizes, &memory, budget)).transpose()?,
        memory,
    })
}

/// The model's configuration, and the problems where there is a tokenizer to read them with.
fn described(config: &RunConfig) -> Result<(ModelConfig, Option<Problems>), RunError> {
    let (model, tokenizer) = match &config.model.path {
        Some(path) => {
            let path = find_model(path).map_err(ModelError::from)?;
            match is_gguf(&path) || path.join("tokenizer.json").exists() {
                true => {
                    let (model, tokenizer) = describe(&path)?;
                    (model, Some(tokenizer))
                }
                false => (ModelConfig::from_folder(&path).map_err(ModelError::from)?, None),
            }
        }
        None => (model_config(config)?, alphabet(config)?),
    };
    let load = |tokenizer| {
        let problems = Problems::load(config, &tokenizer)?;
        Ok::<_, RunError>(problems.with_at_most(config.eval.problems))
    };
    Ok((model, tokenizer.map(load).transpose()?))
}

fn alphabet(config: &RunConfig) -> Result<Option<Tokenizer>, RunError> {
    Ok(config.model.alphabet.as_deref().map(Tokenizer::characters).transpose()?)
}
