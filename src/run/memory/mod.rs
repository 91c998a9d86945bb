//! Whether a run fits the memory there is, and what to change where it does not.

mod mend;
mod outlook;

pub use outlook::{Outlook, outlook};

use self::mend::mend;
use super::RunError;
use super::open::Problems;
use crate::config::{LoraBlock, RunConfig};
use crate::device::{Limits, mib};
use crate::model::{LoraConfig, ModelConfig};
use crate::train::{Checkpointing, Estimate, MemoryOf, PreparedProblems, RunSizes, estimate};

/// What decides how much memory a configuration takes.
#[derive(Debug, Clone, Copy)]
pub struct Sizes<'a> {
    /// The model.
    pub model: &'a ModelConfig,
    /// The adapter that is trained, where it is not as the configuration says but was opened.
    pub lora: Option<&'a LoraConfig>,
    /// Tokens of the longest prompt.
    pub longest_prompt: usize,
    /// Tokens of a prompt on average.
    pub mean_prompt: usize,
    /// Most tokens of an answer on average, as a warm start shows them.
    pub mean_answer: usize,
    /// Held-out problems that are tried.
    pub held_out: usize,
    /// Whether tensors lie in this process.
    pub is_host: bool,
}

impl<'a> Sizes<'a> {
    /// The smallest there could be.
    pub fn least(model: &'a ModelConfig, is_host: bool) -> Self {
        Self {
            model,
            lora: None,
            longest_prompt: 1,
            mean_prompt: 1,
            mean_answer: 1,
            held_out: 0,
            is_host,
        }
    }

    /// The largest there could be: as long as a configuration lets them be, and more than are tried at once.
    pub fn most(model: &'a ModelConfig, config: &RunConfig, is_host: bool) -> Self {
        const MANY: usize = 1 << 16;
        let held_out = if config.eval.problems == 0 { MANY } else { config.eval.problems };
        Self {
            longest_prompt: config.prompt_length,
            mean_prompt: config.prompt_length,
            mean_answer: config.response_length,
            held_out,
            ..Self::least(model, is_host)
        }
    }

    /// Those of problems that are known.
    pub fn of(model: &'a ModelConfig, problems: &Problems, is_host: bool) -> Self {
        Self {
            longest_prompt: problems.longest_prompt(),
            mean_prompt: problems.train.mean_prompt(),
            mean_answer: problems.train.mean_answer(),
            held_out: problems.held_out.as_ref().map_or(0, PreparedProblems::len),
            ..Self::least(model, is_host)
        }
    }

    /// What a configuration takes; `auto` counts as no checkpoints.
    ///
    /// # Errors
    /// Settings that contradict each other; none in a configuration that was loaded.
    pub fn estimate(&self, config: &RunConfig) -> Result<Estimate, RunError> {
        let eos = &self.model.eos_token_id;
        let (settings, eval) = (config.settings(eos)?, config.eval_options(eos));
        let fresh = config.lora.as_ref().map(LoraBlock::shape);
        let adapter = self.lora.or(fresh.as_ref()).zip(config.lora.as_ref());
        let run = RunSizes {
            settings: &settings,
            eval: &eval,
            warm_start: config.warm_start.as_ref(),
            held_out: self.held_out,
            longest_prompt: self.longest_prompt,
            mean_prompt: self.mean_prompt,
            mean_answer: self.mean_answer,
        };
        Ok(estimate(MemoryOf {
            model: self.model,
            run,
            adapter: adapter.map(|(lora, block)| (lora, block.base)),
            is_host: self.is_host,
        }))
    }
}

/// The memory that a run may take, in bytes, where that is known.
pub fn budget(config: &RunConfig, limits: &Limits) -> Option<u64> {
    config.device.memory_mib.map(|mib| mib << 20).or(limits.memory)
}

/// The configuration with `gradient_checkpointing: auto` settled, on where the run does not fit a budget without, and
/// what it takes then.
///
/// # Errors
/// Settings that contradict each other; none in a configuration that was loaded.
pub fn settled(
    mut config: RunConfig,
    sizes: Sizes,
    budget: Option<u64>,
) -> Result<(RunConfig, Estimate), RunError> {
    let is_open = config.training.gradient_checkpointing == Checkpointing::Auto;
    if is_open {
        config.training.gradient_checkpointing = Checkpointing::Off;
    }
    let mut found = sizes.estimate(&config)?;
    if is_open && !fits(&found, budget) {
        config.training.gradient_checkpointing = Checkpointing::On;
        found = sizes.estimate(&config)?;
    }
    Ok((config, found))
}

/// The same of a run that fits.
///
/// # Errors
/// A run that does not fit, with what to change of it.
pub fn fitting(
    config: RunConfig,
    sizes: Sizes,
    budget: Option<u64>,
) -> Result<(RunConfig, Estimate), RunError> {
    let (config, found) = settled(config, sizes, budget)?;
    match budget.filter(|_| !fits(&found, budget)) {
        None => Ok((config, found)),
        Some(budget) => Err(refusal(&config, sizes, &found, budget)?),
    }
}

/// Whether an estimate is within a budget, where one is known.
pub fn fits(estimate: &Estimate, budget: Option<u64>) -> bool {
    budget.is_none_or(|budget| estimate.bytes() <= budget)
}

/// What an estimate consists of, the largest first, without what is less than a hundredth of it.
pub fn text(estimate: &Estimate) -> String {
    let mut parts = estimate.parts.clone();
    parts.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let told = parts.iter().filter(|(_, bytes)| *bytes >= estimate.bytes() / 100);
    let parts: Vec<String> = told.map(|(what, bytes)| format!("{what} {}", mib(*bytes))).collect();
    format!("about {} during {}: {}", mib(estimate.bytes()), estimate.when, parts.join(", "))
}

fn refusal(
    config: &RunConfig,
    sizes: Sizes,
    found: &Estimate,
    budget: u64,
) -> Result<RunError, RunError> {
    Ok(RunError::TooMuchMemory {
        needs: text(found),
        has: mib(budget),
        mend: mend(config, sizes, budget)?,
    })
}
