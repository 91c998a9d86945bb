//! Batched generation: prefill every prompt once, then one token a step for all rows still open.

use std::collections::HashMap;
use std::ops::Range;

use burn::tensor::Tensor;

use super::{Completion, FinishReason, Noise, Prompt, RolloutGroup, Sampling};
use crate::kernel::{self, Kernels, Span};
use crate::model::{Decoder, KvCache, Packed};
use crate::readback::{self, DeviceFailed};

/// Why a generation came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum GenerationError {
    /// A device that failed, so that its tokens mean nothing.
    #[error(transparent)]
    Device(#[from] DeviceFailed),
    /// NaN or infinity in a row's logits.
    #[error(
        "the model's logits for problem {problem} are not finite: its weights have diverged; \
         lower optimizer.learning_rate or optimizer.max_grad_norm, or resume from an earlier checkpoint"
    )]
    NotFinite {
        /// The problem whose row it was.
        problem: u32,
    },
}

/// Everything generation needs besides prompts.
#[derive(Debug, Clone)]
pub struct Generator {
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Most tokens of a completion.
    pub response_length: usize,
    /// Any of these ends a completion.
    pub eos_ids: Vec<u32>,
    /// Most tokens whose keys and values are held at once; more prompts wait for the next batch.
    pub cache_tokens: usize,
}

impl Generator {
    /// Completions of every prompt, in the order of the prompts.
    ///
    /// A problem that comes again draws other completions: its samples are numbered through.
    ///
    /// # Errors
    /// Logits that are not finite, or a device that failed.
    pub fn generate<B: Kernels>(
        &self,
        decoder: &Decoder<B>,
        prompts: &[Prompt],
        noise: Noise,
    ) -> Result<Vec<RolloutGroup>, GenerationError> {
        let decoder = &decoder.for_inference();
        let mut groups = Vec::with_capacity(prompts.len());
        let first_samples = first_samples(prompts);
        for batch in self.batches(prompts) {
            let first_samples = &first_samples[groups.len()..][..batch.len()];
            groups.extend(Batch::new(self, decoder, batch, first_samples, noise).run()?);
        }
        Ok(groups)
    }

    /// Cuts the prompts so that a batch's cache stays within `cache_tokens`, or holds one prompt.
    pub fn batches<'a>(&self, mut rest: &'a [Prompt]) -> Vec<&'a [Prompt]> {
        let mut batches = Vec::new();
        while !rest.is_empty() {
            let mut tokens = 0;
            let fits = rest.iter().take_while(|prompt| {
                tokens += prompt.ids.len() + prompt.samples * self.response_length;
                tokens <= self.cache_tokens
            });
            let (batch, later) = rest.split_at(fits.count().max(1));
            batches.push(batch);
            rest = later;
        }
        batches
    }
}

/// The number of each prompt's first sample: how many of its problem come before it.
fn first_samples(prompts: &[Prompt]) -> Vec<u32> {
    let mut drawn: HashMap<u32, u32> = HashMap::new();
    let first = |prompt: &Prompt| {
        let count = drawn.entry(prompt.problem).or_default();
        let first = *count;
        *count += prompt.samples as u32;
        first
    };
    prompts.iter().map(first).collect()
}

/// A completion under way.
struct Row {
    group: usize,
    sample: usize,
    /// Cache slots of its prompt, shared with its group.
    prompt: Range<usize>,
    /// First of its own cache slots.
    slot: usize,
    ids: Vec<u32>,
    logps: Vec<f32>,
}

/// Generation of one batch of prompts.
struct Batch<'a, B: Kernels> {
    generator: &'a Generator,
    decoder: &'a Decoder<B>,
    prompts: &'a [Prompt],
    /// The number of each prompt's first sample among all of its problem.
    first_samples: &'a [u32],
    noise: Noise,
    cache: KvCache<B>,
    finished: Vec<(Row, FinishReason)>,
}

impl<'a, B: Kernels> Batch<'a, B> {
    fn new(
        generator: &'a Generator,
        decoder: &'a Decoder<B>,
        prompts: &'a [Prompt],
        first_samples: &'a [u32],
        noise: Noise,
    ) -> Self {
        let slots = |prompt: &Prompt| prompt.ids.len() + prompt.samples * generator.response_length;
        let cache = KvCache::new(decoder, prompts.iter().map(slots).sum());
        Self { generator, decoder, prompts, first_samples, noise, cache, finished: Vec::new() }
    }

    fn run(mut self) -> Result<Vec<RolloutGroup>, GenerationError> {
        let (mut open, mut logits) = self.prefill();
        while !open.is_empty() {
            self.draw(&mut open, &logits)?;
            open = self.close_finished(open);
            if !open.is_empty() {
                logits = self.advance(&open);
            }
        }
        self.groups()
    }

    /// Computes each prompt once; gives its rows the logits of their first token.
    fn prefill(&mut self) -> (Vec<Row>, Tensor<B, 2>) {
        let sequences: Vec<&[u32]> = self.prompts.iter().map(|prompt| &*prompt.ids).collect();
        let mut packed = Packed::sequences(&sequences);
        packed.slots = (0..packed.ids.len() as u32).collect();
        let hidden = self.decoder.forward(&packed, Some(&mut self.cache));
        let last: Vec<u32> = packed.spans.iter().map(|span| span.own.end as u32 - 1).collect();
        let logits = self.decoder.logits(&kernel::gather_rows(&hidden, &last));
        let rows = self.rows(&packed.spans);
        let group_of_row: Vec<u32> = rows.iter().map(|row| row.group as u32).collect();
        (rows, kernel::gather_rows(&logits, &group_of_row))
    }

    fn rows(&self, prompts: &[Span]) -> Vec<Row> {
        let mut slot = prompts.last().map_or(0, |span| span.own.end);
        let mut rows = Vec::new();
        for (group, (prompt, span)) in self.prompts.iter().zip(prompts).enumerate() {
            for sample in 0..prompt.samples {
                let (ids, logps) = (Vec::new(), Vec::new());
                rows.push(Row { group, sample, prompt: span.own.clone(), slot, ids, logps });
                slot += self.generator.response_length;
            }
        }
        rows
    }

    /// Appends one token to every open row: the one readback that a token costs.
    fn draw(&self, open: &mut [Row], logits: &Tensor<B, 2>) -> Result<(), DeviceFailed> {
        let uniform = |row: &Row| {
            let problem = self.prompts[row.group].problem;
            let sample = self.first_samples[row.group] + row.sample as u32;
            self.noise.uniform(problem, sample, row.ids.len() as u32)
        };
        let uniforms: Vec<f32> = open.iter().map(uniform).collect();
        let drawn = readback::read(kernel::sample(logits, &uniforms, self.generator.sampling))?;
        let mut drawn = drawn.iter::<f32>();
        for row in open {
            row.ids.extend(drawn.next().map(|id| id as u32));
            row.logps.extend(drawn.next());
        }
        Ok(())
    }

    /// Takes out the rows that ended; they are never computed again.
    fn close_finished(&mut self, open: Vec<Row>) -> Vec<Row> {
        let mut still_open = Vec::with_capacity(open.len());
        for row in open {
            match self.finish_of(&row) {
                Some(finish) => self.finished.push((row, finish)),
                None => still_open.push(row),
            }
        }
        still_open
    }

    fn finish_of(&self, row: &Row) -> Option<FinishReason> {
        if row.ids.last().is_some_and(|last| self.generator.eos_ids.contains(last)) {
            return Some(FinishReason::Eos);
        }
        (row.ids.len() >= self.generator.response_length).then_some(FinishReason::Length)
    }

    /// Runs the newest token of every open row through the decoder; logits of the next one.
    fn advance(&mut self, open: &[Row]) -> Tensor<B, 2> {
        let mut packed = Packed::default();
        for (query, row) in open.iter().enumerate() {
            let own = row.slot..row.slot + row.ids.len();
            packed.ids.extend(row.ids.last());
            packed.positions.push((row.prompt.len() + row.ids.len() - 1) as u32);
            packed.slots.push(own.end as u32 - 1);
            packed.spans.push(Span { queries: query..query + 1, prefix: row.prompt.clone(), own });
        }
        let hidden = self.decoder.forward(&packed, Some(&mut self.cache));
        self.decoder.logits(&hidden)
    }

    /// The finished rows, by group and in the order of their sample index.
    fn groups(mut self) -> Result<Vec<RolloutGroup>, GenerationError> {
        self.finished.sort_by_key(|(row, _)| (row.group, row.sample));
        let empty = |prompt: &Prompt| RolloutGroup { prompt: prompt.clone(), completions: vec![] };
        let mut groups: Vec<RolloutGroup> = self.prompts.iter().map(empty).collect();
        for (row, finish) in self.finished {
            let group = &mut groups[row.group];
            if row.logps.iter().any(|logp| !logp.is_finite()) {
                return Err(GenerationError::NotFinite { problem: group.prompt.problem });
            }
            group.completions.push(Completion { ids: row.ids, logps: row.logps, finish });
        }
        Ok(groups)
    }
}
