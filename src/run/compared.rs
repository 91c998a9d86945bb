//! Two forms of one model held against each other, by the log-probabilities of what one of them writes.

use serde::Serialize;

use super::RunError;
use crate::kernel::Kernels;
use crate::model::{Decoder, ModelConfig, PackedCompletions, PromptGroup};
use crate::readback;
use crate::rollout::{Generator, Noise, Prompt, Purpose, RolloutGroup, Sampling};
use crate::train::TrainError;

/// Completions of a prompt, and the most tokens of each.
const SAMPLES: usize = 4;
const LENGTH: usize = 32;

/// How far apart two forms of a model are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Apart {
    /// Tokens that were compared.
    pub tokens: usize,
    /// The mean difference of their log-probabilities, in nats.
    pub mean: f64,
    /// The largest.
    pub largest: f64,
}

/// What a model wrote, and how likely it found that.
pub(super) struct Written {
    packing: PackedCompletions,
    logps: Vec<f32>,
}

impl Written {
    /// Sampled completions of some prompts.
    pub(super) fn by<B: Kernels>(
        decoder: &Decoder<B>,
        model: &ModelConfig,
        prompts: Vec<Vec<u32>>,
    ) -> Result<Self, RunError> {
        let longest = prompts.iter().map(Vec::len).max().unwrap_or(1);
        let length = LENGTH.min(model.max_position_embeddings.saturating_sub(longest)).max(1);
        let generator = Generator {
            sampling: Sampling::default(),
            response_length: length,
            eos_ids: model.eos_token_id.clone(),
            cache_tokens: prompts.len() * (longest + SAMPLES * (length + 16) + 16),
            rows_at_once: Generator::ROWS_AT_ONCE,
            tokens_a_readback: None,
        };
        let prompt = |(problem, ids): (usize, Vec<u32>)| Prompt {
            problem: problem as u32,
            ids: ids.into(),
            samples: SAMPLES,
        };
        let prompts: Vec<Prompt> = prompts.into_iter().enumerate().map(prompt).collect();
        let groups = generator
            .generate(decoder, &prompts, Noise::new(0, Purpose::Reading, 0))
            .map_err(TrainError::from)?;
        let packing = packed(&groups);
        let logps = readback::floats(decoder.completion_logps(&packing, 1.0).logps)?;
        Ok(Self { packing, logps })
    }

    /// How far apart another form of the model finds it.
    pub(super) fn apart<B: Kernels>(&self, other: &Decoder<B>) -> Result<Apart, RunError> {
        let theirs = readback::floats(other.completion_logps(&self.packing, 1.0).logps)?;
        let apart = || self.logps.iter().zip(&theirs).map(|(a, b)| f64::from((a - b).abs()));
        let tokens = theirs.len();
        let mean = apart().sum::<f64>() / tokens.max(1) as f64;
        // A number that is none is as far as can be.
        let largest = apart().fold(0.0, |a: f64, b| if b >= a || b.is_nan() { b } else { a });
        Ok(Apart { tokens, mean, largest })
    }
}

fn packed(groups: &[RolloutGroup]) -> PackedCompletions {
    PackedCompletions::new(&groups.iter().map(prompt_group).collect::<Vec<_>>())
}

fn prompt_group(group: &RolloutGroup) -> PromptGroup<'_> {
    let completions = group.completions.iter().map(|completion| completion.ids.as_slice());
    PromptGroup { prompt: &group.prompt.ids, completions: completions.collect() }
}
