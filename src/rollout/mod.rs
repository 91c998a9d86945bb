//! From prompts to completions: batched generation with a cache that a group shares.
//!
//! What is drawn for a completion depends on (seed, purpose, step, problem, sample, position) and on
//! nothing else: not on the rows beside it, nor on when it was computed. Where a problem comes twice,
//! the samples of its second prompt are numbered after those of its first.

mod footprint;
mod generate;
mod noise;
mod schedule;

use std::sync::Arc;

pub use crate::kernel::Sampling;
pub use footprint::{Footprint, Wanted};
pub use generate::{GenerationError, Generator};
pub use noise::{Noise, Purpose};

/// A prompt and how many completions of it are wanted.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// Number of the problem, which names its random numbers.
    pub problem: u32,
    /// Tokens; at least one.
    pub ids: Arc<[u32]>,
    /// Number of completions.
    pub samples: usize,
}

/// Why a completion ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FinishReason {
    /// It ended itself with one of the EOS tokens, which is its last token.
    Eos,
    /// It reached the longest length allowed.
    Length,
}

impl FinishReason {
    /// The word that logs use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Eos => "eos",
            Self::Length => "length",
        }
    }
}

/// One sampled completion.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// Sampled tokens, with the EOS token where there is one and never a pad.
    pub ids: Vec<u32>,
    /// Log-probability of each token when it was drawn, in nats.
    pub logps: Vec<f32>,
    /// Why it ended.
    pub finish: FinishReason,
}

/// All completions of one prompt: the rows that are compared with each other.
#[derive(Debug, Clone)]
pub struct RolloutGroup {
    /// The prompt they continue.
    pub prompt: Prompt,
    /// Completions in the order of their sample index.
    pub completions: Vec<Completion>,
}

/// What the host has read of the completions under way.
#[derive(Debug, Clone, Copy)]
pub struct News<'a> {
    /// Tokens that it had not seen before; those of one completion in their order.
    pub tokens: &'a [DrawnToken],
    /// How many completions have ended by now.
    pub ended: usize,
    /// Groups all of whose completions ended just now, each with the number of its prompt.
    pub groups: &'a [(usize, RolloutGroup)],
}

/// A token as it was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrawnToken {
    /// The number of its completion among all, in the order of prompts and samples.
    pub completion: usize,
    /// The token.
    pub id: u32,
}
