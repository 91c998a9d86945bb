//! What to change of a run that does not fit.

use std::fmt::Write;

use super::Sizes;
use crate::config::{LoraBlock, RunConfig};
use crate::device::mib;
use crate::model::Base;
use crate::run::RunError;
use crate::train::{Checkpointing, MomentStorage};

/// What brings a configuration under a budget: the first change that is enough, or the first few together.
pub(super) fn mend(config: &RunConfig, sizes: Sizes, budget: u64) -> Result<String, RunError> {
    let fits = |config: &RunConfig| Ok::<_, RunError>(sizes.estimate(config)?.bytes() <= budget);
    let (mut together, mut said) = (config.clone(), String::new());
    for change in CHANGES {
        if let Some((changed, text)) = change(config, sizes, budget)?
            && fits(&changed)?
        {
            return Ok(format!("{text}: that takes {}", mib(sizes.estimate(&changed)?.bytes())));
        }
    }
    for change in CHANGES {
        let Some((changed, text)) = change(&together, sizes, budget)? else { continue };
        let (before, after) = (sizes.estimate(&together)?, sizes.estimate(&changed)?);
        if after.bytes() >= before.bytes() {
            continue;
        }
        together = changed;
        // Writing to a String cannot fail.
        let _ = write!(said, "{}{text}", if said.is_empty() { "" } else { ", and " });
        if fits(&together)? {
            return Ok(format!("{said}: that takes {}", mib(after.bytes())));
        }
    }
    Ok("take a smaller model, or a machine with more memory".into())
}

/// A configuration that takes less, and what was changed; none where the change has no place.
type Change = fn(&RunConfig, Sizes, u64) -> Result<Option<(RunConfig, String)>, RunError>;

/// What changes least of a run comes first.
const CHANGES: [Change; 7] =
    [checkpoints, micro_batches, cache, moments, adapter, eight_bits, four_bits];

fn checkpoints(
    config: &RunConfig,
    _: Sizes,
    _: u64,
) -> Result<Option<(RunConfig, String)>, RunError> {
    let mut changed = config.clone();
    changed.training.gradient_checkpointing = Checkpointing::On;
    Ok(Some((changed, "set gradient_checkpointing to true".into()))
        .filter(|_| !config.training.gradient_checkpointing.is_on()))
}

fn micro_batches(
    config: &RunConfig,
    sizes: Sizes,
    budget: u64,
) -> Result<Option<(RunConfig, String)>, RunError> {
    let least = sizes.longest_prompt + config.response_length;
    lowered(config, sizes, budget, ("device.micro_batch_tokens", least), |config| {
        &mut config.device.micro_batch_tokens
    })
}

fn cache(
    config: &RunConfig,
    sizes: Sizes,
    budget: u64,
) -> Result<Option<(RunConfig, String)>, RunError> {
    let least = sizes.longest_prompt + config.response_length;
    lowered(config, sizes, budget, ("device.cache_tokens", least), |config| {
        &mut config.device.cache_tokens
    })
}

/// A number lowered as far as it has to be, or to where it has no effect any more.
fn lowered(
    config: &RunConfig,
    sizes: Sizes,
    budget: u64,
    (key, least): (&str, usize),
    number: fn(&mut RunConfig) -> &mut usize,
) -> Result<Option<(RunConfig, String)>, RunError> {
    let with = |value: usize| {
        let mut changed = config.clone();
        *number(&mut changed) = value;
        changed
    };
    let value = *number(&mut config.clone());
    let (mut low, mut high) = (least.min(value), value);
    while low < high {
        let middle = (low + high).div_ceil(2);
        match sizes.estimate(&with(middle))?.bytes() <= budget {
            true => low = middle,
            false => high = middle - 1,
        }
    }
    let changed = (with(low), format!("lower {key} from {value} to {low}"));
    Ok((low < value).then_some(changed))
}

fn moments(config: &RunConfig, _: Sizes, _: u64) -> Result<Option<(RunConfig, String)>, RunError> {
    let mut changed = config.clone();
    changed.training.optimizer.moments = MomentStorage::Q8;
    let is_open = config.training.optimizer.moments == MomentStorage::F32;
    Ok(is_open.then(|| (changed, "set optimizer.moments to q8".into())))
}

fn adapter(config: &RunConfig, _: Sizes, _: u64) -> Result<Option<(RunConfig, String)>, RunError> {
    // An adapter belongs to a model in a folder.
    if config.lora.is_some() || config.model.path.is_none() {
        return Ok(None);
    }
    let changed = RunConfig { lora: Some(LoraBlock::default()), ..config.clone() };
    Ok(Some((changed, "train an adapter in the place of the model (lora: {})".into())))
}

fn eight_bits(
    config: &RunConfig,
    _: Sizes,
    _: u64,
) -> Result<Option<(RunConfig, String)>, RunError> {
    Ok(with_base(config, Base::Q8_0, [Base::F32, Base::Auto, Base::Bf16, Base::F16].as_slice()))
}

fn four_bits(
    config: &RunConfig,
    _: Sizes,
    _: u64,
) -> Result<Option<(RunConfig, String)>, RunError> {
    let larger = [Base::F32, Base::Auto, Base::Bf16, Base::F16, Base::Q8_0];
    Ok(with_base(config, Base::Q4_0, &larger))
}

fn with_base(config: &RunConfig, base: Base, larger: &[Base]) -> Option<(RunConfig, String)> {
    let lora = config.lora.as_ref().filter(|lora| larger.contains(&lora.base))?;
    let lora = LoraBlock { base, ..lora.clone() };
    let changed = RunConfig { lora: Some(lora), ..config.clone() };
    Some((changed, format!("set lora.base to {}", base.name())))
}
