//! What it costs in accuracy to keep a frozen model in few bits.

use super::RunError;
use super::compared::{Apart, Written};
use super::open::{Problems, model_config};
use crate::config::RunConfig;
use crate::kernel::Kernels;
use crate::model::{Adapter, Base, LoadedModel};

/// Prompts that are looked at.
const PROMPTS: usize = 4;

/// How far the log-probabilities of a model that is stored as `lora.base` says are from those of 16 bits, on what it
/// writes to the first training problems in 16 bits; none where it is stored in no fewer.
///
/// The model is loaded twice, one form after the other. Where 16 bits are more than `budget` bytes, there is none
/// either.
///
/// # Errors
/// A model or problems that cannot be read, or a device that failed.
pub fn loss_of_accuracy<B: Kernels>(
    config: &RunConfig,
    device: &B::Device,
    budget: Option<u64>,
) -> Result<Option<Apart>, RunError> {
    let (Some(folder), Some(lora)) = (&config.model.path, &config.lora) else { return Ok(None) };
    if !lora.base.is_few() {
        return Ok(None);
    }
    let parameters = model_config(config)?.parameters();
    let in_16_bits: u64 =
        parameters.iter().map(|(name, shape)| Base::Auto.bytes(name, shape)).sum();
    if budget.is_some_and(|budget| in_16_bits > budget) {
        return Ok(None);
    }
    let merged = lora.merged().map(Adapter::open).transpose()?;
    let open = |base| LoadedModel::<B>::open_frozen(folder, base, merged.as_ref(), device);
    let written = {
        let model = open(Base::Auto)?;
        let problems = Problems::load(config, &model.tokenizer)?.train;
        let count = PROMPTS.min(problems.len());
        let prompts = (0..count).map(|index| problems.prompt(index, 1).ids.to_vec());
        Written::by(&model.decoder, &model.config, prompts.collect())?
    };
    written.apart(&open(lora.base)?.decoder).map(Some)
}
