//! What a run takes of memory, reckoned before it starts from its sizes alone.
//!
//! Some of it is held from the first to the last step: weights, reference, the optimiser's moments. What comes on top is that of the
//! fullest moment: of a generation, or of the pass of an update over its largest micro-batch.

mod held;
mod layer;
mod phases;

use crate::model::{Base, LoraConfig, ModelConfig};

use super::buffers::RunSizes;

/// A run whose memory is asked for.
#[derive(Debug, Clone, Copy)]
pub struct MemoryOf<'a> {
    /// The model.
    pub model: &'a ModelConfig,
    /// What the run does with it.
    pub run: RunSizes<'a>,
    /// The adapter that is trained in its place, and how the model is stored then.
    pub adapter: Option<(&'a LoraConfig, Base)>,
    /// Whether tensors lie in this process, as a CPU's do.
    pub is_host: bool,
}

/// What a run takes of memory, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estimate {
    /// When it takes most.
    pub when: &'static str,
    /// What it then consists of.
    pub parts: Vec<(&'static str, u64)>,
}

impl Estimate {
    /// What an allocator holds beside what it was asked for: gaps that are too small for the next tensor. Measured on
    /// a CPU.
    fn with_gaps(mut self) -> Self {
        const PERCENT: u64 = 5;
        let gaps = self.bytes() / 100 * PERCENT;
        self.parts.push(("gaps between tensors", gaps));
        self
    }

    /// All of it.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes))
    }
}

/// What a run takes at its fullest moment.
pub fn estimate(of: MemoryOf) -> Estimate {
    let held = of.held();
    let fullest = of.phases().into_iter().max_by_key(Estimate::bytes);
    let Some(Estimate { when, parts }) = fullest else {
        unreachable!("a run generates and updates")
    };
    let parts = held.into_iter().chain(parts).filter(|(_, bytes)| *bytes > 0).collect();
    Estimate { when, parts }.with_gaps()
}
