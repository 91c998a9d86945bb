//! What to change of a run that does not fit.

use super::Sizes;
use crate::config::{LoraBlock, RunConfig};
use crate::device::mib;
use crate::model::Base;
use crate::run::RunError;
use crate::train::{Checkpointing, MomentStorage};

/// A change of a configuration that takes memory off its run.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Change {
    Checkpoints,
    MicroBatch(usize),
    Cache(usize),
    WarmStart(usize),
    Moments,
    Adapter,
    Base(Base),
}

use Change::{Adapter, Cache, Checkpoints, MicroBatch, Moments, WarmStart};

/// What brings a configuration under a budget: as few changes as are needed, those that change least of a run before
/// others, and no number lower than it has to be.
pub(super) fn mend(config: &RunConfig, sizes: Sizes, budget: u64) -> Result<String, RunError> {
    let search = Search { config, sizes, budget };
    let Some(changes) = search.enough()? else {
        return Ok("take a smaller model, or a machine with more memory".into());
    };
    let mut changes = search.needed(changes)?;
    for at in 0..changes.len() {
        changes[at] = search.relaxed(&changes, at)?;
    }
    let told: Vec<String> = changes.iter().map(|change| change.text(config)).collect();
    let bytes = sizes.estimate(&applied(config, &changes))?.bytes();
    Ok(format!("{}: that takes {}", told.join(", and "), mib(bytes)))
}

struct Search<'a> {
    config: &'a RunConfig,
    sizes: Sizes<'a>,
    budget: u64,
}

impl Search<'_> {
    fn fits(&self, changes: &[Change]) -> Result<bool, RunError> {
        Ok(self.sizes.estimate(&applied(self.config, changes))?.bytes() <= self.budget)
    }

    /// The first few of all changes, each as far as it goes, that are enough together; none where all are not.
    fn enough(&self) -> Result<Option<Vec<Change>>, RunError> {
        let least = self.sizes.longest_prompt + self.config.response_length;
        let all = [
            Checkpoints,
            MicroBatch(least),
            Cache(least),
            WarmStart(1),
            Moments,
            Adapter,
            Change::Base(Base::Q8_0),
            Change::Base(Base::Q4_0),
        ];
        let mut taken = Vec::new();
        for change in all {
            if !change.has_place(&applied(self.config, &taken)) {
                continue;
            }
            taken.push(change);
            if self.fits(&taken)? {
                return Ok(Some(taken));
            }
        }
        Ok(None)
    }

    /// Those of them without which the others are not enough; what changes most of a run is dropped first.
    fn needed(&self, mut changes: Vec<Change>) -> Result<Vec<Change>, RunError> {
        for at in (0..changes.len()).rev() {
            let mut others = changes.clone();
            others.remove(at);
            if self.is_allowed(&others) && self.fits(&others)? {
                changes = others;
            }
        }
        Ok(changes)
    }

    fn is_allowed(&self, changes: &[Change]) -> bool {
        applied(self.config, changes).validate().is_ok()
    }

    /// A change with the largest number that is still enough beside the others.
    fn relaxed(&self, changes: &[Change], at: usize) -> Result<Change, RunError> {
        let Some((mut low, mut high)) = changes[at].numbers(self.config) else {
            return Ok(changes[at]);
        };
        let with = |number: usize| {
            let mut changes = changes.to_vec();
            changes[at] = changes[at].with(number);
            changes
        };
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            match self.fits(&with(middle))? {
                true => low = middle,
                false => high = middle - 1,
            }
        }
        Ok(changes[at].with(low))
    }
}

/// A configuration with some changes, in their order.
fn applied(config: &RunConfig, changes: &[Change]) -> RunConfig {
    let mut config = config.clone();
    changes.iter().for_each(|change| change.apply(&mut config));
    config
}

impl Change {
    fn apply(self, config: &mut RunConfig) {
        match self {
            Checkpoints => config.training.gradient_checkpointing = Checkpointing::On,
            MicroBatch(tokens) => config.device.micro_batch_tokens = tokens,
            Cache(tokens) => config.device.cache_tokens = tokens,
            WarmStart(answers) => {
                config.warm_start.iter_mut().for_each(|settings| settings.batch_size = answers);
            }
            Moments => config.training.optimizer.moments = MomentStorage::Q8,
            Adapter => config.lora = Some(LoraBlock::default()),
            Self::Base(base) => config.lora.iter_mut().for_each(|lora| lora.base = base),
        }
    }

    /// Whether it changes a configuration, to one that is allowed.
    fn has_place(self, config: &RunConfig) -> bool {
        let has_room = match self {
            Adapter => config.lora.is_none(),
            Self::Base(Base::Q8_0) => {
                config.lora.as_ref().is_some_and(|lora| lora.base != Base::Q4_0)
            }
            _ => self.numbers(config).is_none_or(|(least, now)| least < now),
        };
        let changed = applied(config, &[self]);
        has_room && changed != *config && changed.validate().is_ok()
    }

    /// The number of this change, and that of a configuration.
    fn numbers(self, config: &RunConfig) -> Option<(usize, usize)> {
        match self {
            MicroBatch(tokens) => Some((tokens, config.device.micro_batch_tokens)),
            Cache(tokens) => Some((tokens, config.device.cache_tokens)),
            WarmStart(answers) => {
                config.warm_start.as_ref().map(|settings| (answers, settings.batch_size))
            }
            Checkpoints | Moments | Adapter | Self::Base(_) => None,
        }
    }

    fn with(self, number: usize) -> Self {
        match self {
            MicroBatch(_) => MicroBatch(number),
            Cache(_) => Cache(number),
            WarmStart(_) => WarmStart(number),
            other => other,
        }
    }

    fn text(self, config: &RunConfig) -> String {
        let lower = |key: &str| {
            let (to, from) = self.numbers(config).unwrap_or_default();
            format!("lower {key} from {from} to {to}")
        };
        match self {
            Checkpoints => "set gradient_checkpointing to true".into(),
            MicroBatch(_) => lower("device.micro_batch_tokens"),
            Cache(_) => lower("device.cache_tokens"),
            WarmStart(_) => lower("warm_start.batch_size"),
            Moments => "set optimizer.moments to q8".into(),
            Adapter => "train an adapter in the place of the model (lora: {})".into(),
            Self::Base(base) => format!("set lora.base to {}", base.name()),
        }
    }
}
