//! Batched generation: each prompt is computed once, then one token a step for all rows under way, and the
//! place of a row that ended is taken by the next.

use std::collections::HashMap;

use burn::tensor::Tensor;

use super::footprint::{PREFILL_TOKENS, Wanted};
use super::schedule::{Room, Schedule};
use super::{Completion, FinishReason, Noise, Prompt, RolloutGroup, Sampling};
use crate::kernel::{self, Kernels, PAGE};
use crate::model::{Decoder, KvCache, NextTokens, Packed};
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
    /// Most tokens whose keys and values are held at once, but for the longest prompt and one completion
    /// of it, which always are; other completions wait.
    pub cache_tokens: usize,
    /// Most completions under way at once; at least one is.
    pub rows_at_once: usize,
}

impl Generator {
    /// Completions under way at once where nothing speaks for another number.
    pub const ROWS_AT_ONCE: usize = 512;

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
        self.generate_watched(decoder, prompts, noise, &mut |_| Ok(()))
    }

    /// The same, with the number of completions that are there told to `watch` whenever there are more.
    ///
    /// # Errors
    /// As [`Self::generate`], and those of `watch`, which end the generation.
    pub fn generate_watched<B: Kernels, E: From<GenerationError>>(
        &self,
        decoder: &Decoder<B>,
        prompts: &[Prompt],
        noise: Noise,
        watch: &mut dyn FnMut(usize) -> Result<(), E>,
    ) -> Result<Vec<RolloutGroup>, E> {
        let decoder = &decoder.for_inference();
        let mut generation = Generation::new(self, decoder, prompts, noise);
        let mut told = 0;
        while generation.step()? {
            if generation.ended > told {
                told = generation.ended;
                watch(told)?;
            }
        }
        Ok(generation.groups()?)
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

/// What was drawn of a completion.
struct Row {
    group: usize,
    /// Its number among the completions of its problem.
    sample: u32,
    ids: Vec<u32>,
    logps: Vec<f32>,
    finish: FinishReason,
}

/// Generation of some prompts.
struct Generation<'a, B: Kernels> {
    generator: &'a Generator,
    decoder: &'a Decoder<B>,
    prompts: &'a [Prompt],
    noise: Noise,
    schedule: Schedule,
    cache: KvCache<B>,
    /// All rows, by their number in the schedule.
    rows: Vec<Row>,
    /// How many have ended.
    ended: usize,
    /// Hidden state `[1, d]` that the first tokens of the group whose prompt was the last to be computed
    /// follow from: some of its rows may open later.
    begins: Option<Tensor<B, 2>>,
}

impl<'a, B: Kernels> Generation<'a, B> {
    fn new(
        generator: &'a Generator,
        decoder: &'a Decoder<B>,
        prompts: &'a [Prompt],
        noise: Noise,
    ) -> Self {
        let footprint = generator.footprint(Wanted::of(prompts));
        let pages = footprint.slots / PAGE;
        let room = Room { pages, rows: footprint.rows, of_row: generator.pages_of_row() };
        let groups = prompts.iter().map(|prompt| (prompt.ids.len(), prompt.samples));
        let first_samples = first_samples(prompts);
        let rows = prompts.iter().enumerate().flat_map(|(group, prompt)| {
            let first = first_samples[group];
            (first..first + prompt.samples as u32).map(move |sample| Row::new(group, sample))
        });
        Self {
            generator,
            decoder,
            prompts,
            noise,
            schedule: Schedule::new(room, groups),
            cache: KvCache::new(decoder, pages),
            rows: rows.collect(),
            ended: 0,
            begins: None,
        }
    }

    /// Draws a token for every row of a step; false where none was left.
    fn step(&mut self) -> Result<bool, GenerationError> {
        let step = self.schedule.step();
        let mut hidden = Vec::new();
        if !step.advancing.is_empty() {
            hidden.push(self.advance(&step.advancing));
        }
        hidden.extend(self.open(&step.opened, &step.prompts));
        let rows = [step.advancing, step.opened].concat();
        if rows.is_empty() {
            return Ok(false);
        }
        let logits = self.decoder.logits(&stacked(hidden));
        self.draw(&rows, &logits)?;
        rows.into_iter().for_each(|row| self.close_if_ended(row));
        Ok(true)
    }

    /// Runs the newest token of some rows through the decoder: hidden states `[rows, d]`.
    fn advance(&mut self, rows: &[usize]) -> Tensor<B, 2> {
        let mut next = NextTokens::default();
        for row in rows {
            let [prompt, own] = self.schedule.keys(*row);
            next.push(self.rows[*row].ids[own.tokens - 1], prompt, own);
        }
        self.decoder.decode(&next, &mut self.cache)
    }

    /// Hidden states that the first tokens of some rows follow from, in their order, after the prompts
    /// that are yet to be computed.
    fn open(&mut self, mut rows: &[usize], prompts: &[usize]) -> Vec<Tensor<B, 2>> {
        let mut hidden = Vec::new();
        let first = prompts.first().copied().unwrap_or(usize::MAX);
        let of_before = self.rows_before(&mut rows, first);
        if let Some(begins) = self.begins.as_ref().filter(|_| !of_before.is_empty()) {
            hidden.push(kernel::gather_rows(begins, &vec![0; of_before.len()]));
        }
        for pass in passes(prompts, |group| self.prompts[*group].ids.len()) {
            let (states, last) = self.prefill(pass);
            let of_pass = self.rows_before(&mut rows, pass[pass.len() - 1] + 1);
            let place = |row: &usize| pass.partition_point(|group| *group < self.rows[*row].group);
            let last_of_row: Vec<u32> = of_pass.iter().map(|row| last[place(row)]).collect();
            hidden.push(kernel::gather_rows(&states, &last_of_row));
            self.begins = Some(kernel::gather_rows(&states, &last[last.len() - 1..]));
        }
        hidden
    }

    /// Takes off the rows whose group comes before `group`.
    fn rows_before<'r>(&self, rows: &mut &'r [usize], group: usize) -> &'r [usize] {
        let (before, rest) =
            rows.split_at(rows.partition_point(|row| self.rows[*row].group < group));
        *rows = rest;
        before
    }

    /// Computes the prompts of some groups: hidden states of their tokens, and which is the last of each.
    fn prefill(&mut self, groups: &[usize]) -> (Tensor<B, 2>, Vec<u32>) {
        let ids: Vec<&[u32]> = groups.iter().map(|group| &*self.prompts[*group].ids).collect();
        let packed = Packed::sequences(&ids);
        let slots_of = |group: &usize| {
            let prompt = self.schedule.prompt(*group);
            (0..prompt.tokens).map(move |token| prompt.slot(token) as u32)
        };
        let slots: Vec<u32> = groups.iter().flat_map(slots_of).collect();
        let last = packed.spans.iter().map(|span| span.own.end as u32 - 1).collect();
        (self.decoder.prefill(&packed, &slots, &mut self.cache), last)
    }

    /// Appends one token to some rows: the one readback that a token costs.
    fn draw(&mut self, rows: &[usize], logits: &Tensor<B, 2>) -> Result<(), DeviceFailed> {
        let uniform = |row: &usize| {
            let row = &self.rows[*row];
            let problem = self.prompts[row.group].problem;
            self.noise.uniform(problem, row.sample, row.ids.len() as u32)
        };
        let uniforms: Vec<f32> = rows.iter().map(uniform).collect();
        let drawn = readback::read(kernel::sample(logits, &uniforms, self.generator.sampling))?;
        let mut drawn = drawn.iter::<f32>();
        for row in rows {
            let row = &mut self.rows[*row];
            row.ids.extend(drawn.next().map(|id| id as u32));
            row.logps.extend(drawn.next());
        }
        Ok(())
    }

    /// Takes out a row that ended; it is never computed again.
    fn close_if_ended(&mut self, number: usize) {
        let row = &mut self.rows[number];
        let is_eos = row.ids.last().is_some_and(|last| self.generator.eos_ids.contains(last));
        if is_eos || row.ids.len() >= self.generator.response_length {
            row.finish = if is_eos { FinishReason::Eos } else { FinishReason::Length };
            self.schedule.close(number);
            self.ended += 1;
        }
    }

    /// The rows by group, in the order of their sample index.
    fn groups(self) -> Result<Vec<RolloutGroup>, GenerationError> {
        let empty = |prompt: &Prompt| RolloutGroup { prompt: prompt.clone(), completions: vec![] };
        let mut groups: Vec<RolloutGroup> = self.prompts.iter().map(empty).collect();
        for Row { group, ids, logps, finish, .. } in self.rows {
            let group = &mut groups[group];
            if logps.iter().any(|logp| !logp.is_finite()) {
                return Err(GenerationError::NotFinite { problem: group.prompt.problem });
            }
            group.completions.push(Completion { ids, logps, finish });
        }
        Ok(groups)
    }
}

impl Row {
    /// Nothing drawn yet.
    fn new(group: usize, sample: u32) -> Self {
        let (ids, logps) = (Vec::new(), Vec::new());
        Self { group, sample, ids, logps, finish: FinishReason::Length }
    }
}

/// Cuts groups into passes of at most [`PREFILL_TOKENS`], or one group.
fn passes(groups: &[usize], tokens: impl Fn(&usize) -> usize) -> Vec<&[usize]> {
    let (mut passes, mut rest) = (Vec::new(), groups);
    while !rest.is_empty() {
        let mut sum = 0;
        let fits = rest.iter().take_while(|group| {
            sum += tokens(group);
            sum <= PREFILL_TOKENS
        });
        let (pass, later) = rest.split_at(fits.count().max(1));
        passes.push(pass);
        rest = later;
    }
    passes
}

/// All rows of some tensors, one after another.
fn stacked<B: Kernels>(mut parts: Vec<Tensor<B, 2>>) -> Tensor<B, 2> {
    match parts.len() {
        1 => parts.remove(0),
        _ => Tensor::cat(parts, 0),
    }
}
