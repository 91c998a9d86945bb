//! Batched generation: each prompt is computed once, then one token a pass for all rows under way, and the
//! place of a row that ended is taken by the next. A GPU draws several tokens of each row before the host
//! reads them.

use std::collections::HashMap;

use burn::tensor::Tensor;

use super::footprint::{PREFILL_TOKENS, Wanted};
use super::schedule::{Room, Schedule};
use super::{Completion, DrawnToken, FinishReason, News, Noise, Prompt, RolloutGroup, Sampling};
use crate::kernel::{self, Kernels, PAGE};
use crate::model::{Decoder, KvCache, Newest, NextTokens, Packed};
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
    /// Most tokens of a completion that are drawn before the host reads them and sees whether it ended; what
    /// is drawn stays the same, on a GPU up to rounding. `None` is as the device gains by it: 1 on a CPU, where reading costs nothing;
    /// on a GPU more, the longer completions are, up to [`Self::TOKENS_A_READBACK`].
    pub tokens_a_readback: Option<usize>,
}

impl Generator {
    /// Completions under way at once where nothing speaks for another number.
    pub const ROWS_AT_ONCE: usize = 512;

    /// Most tokens of a completion between two readbacks from a GPU.
    pub const TOKENS_A_READBACK: usize = 8;

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

    /// The same, with what was drawn told to `watch` whenever the host has read it.
    ///
    /// # Errors
    /// As [`Self::generate`], and those of `watch`, which end the generation.
    pub fn generate_watched<B: Kernels, E: From<GenerationError>>(
        &self,
        decoder: &Decoder<B>,
        prompts: &[Prompt],
        noise: Noise,
        watch: &mut dyn FnMut(News<'_>) -> Result<(), E>,
    ) -> Result<Vec<RolloutGroup>, E> {
        let decoder = &decoder.for_inference();
        let mut generation = Generation::new(self, decoder, prompts, noise);
        while generation.step()? {
            let groups = &generation.done[generation.told..];
            watch(News { tokens: &generation.fresh, ended: generation.ended, groups })?;
            generation.told = generation.done.len();
        }
        generation.done.sort_by_key(|(at, _)| *at);
        Ok(generation.done.into_iter().map(|(_, group)| group).collect())
    }
}

/// Groups of prompts of which no completion is wanted, with their numbers.
fn prompts_without_samples(prompts: &[Prompt]) -> impl Iterator<Item = (usize, RolloutGroup)> {
    let none = prompts.iter().enumerate().filter(|(_, prompt)| prompt.samples == 0);
    none.map(|(at, prompt)| (at, RolloutGroup { prompt: prompt.clone(), completions: vec![] }))
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
    /// None until it ends.
    finish: Option<FinishReason>,
}

/// Tokens that a device drew and the host has not read: of each pass the rows, and `[rows, 2]` of them.
type Unread<B> = Vec<(Vec<usize>, Tensor<B, 2>)>;

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
    /// What the last step read.
    fresh: Vec<DrawnToken>,
    /// How many have ended.
    ended: usize,
    /// How many of each group have not.
    open_of_group: Vec<usize>,
    /// Groups that are whole, in the order in which they ended,
    done: Vec<(usize, RolloutGroup)>,
    /// and how many of them the watcher has seen.
    told: usize,
    /// Tokens of all of them.
    drawn: usize,
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
            fresh: Vec::new(),
            ended: 0,
            open_of_group: prompts.iter().map(|prompt| prompt.samples).collect(),
            done: prompts_without_samples(prompts).collect(),
            told: 0,
            drawn: 0,
            begins: None,
        }
    }

    /// Draws a token or several for every row of a step; false where no row was left.
    fn step(&mut self) -> Result<bool, GenerationError> {
        let step = self.schedule.step();
        let mut hidden = Vec::new();
        if !step.advancing.is_empty() {
            let of_row = |row: &usize| self.rows[*row].ids.last().copied();
            let ids = step.advancing.iter().filter_map(of_row).collect();
            hidden.push(self.advance(Newest::Known(ids), &step.advancing));
        }
        hidden.extend(self.open(&step.opened, &step.prompts));
        let rows = [step.advancing, step.opened].concat();
        if rows.is_empty() {
            return Ok(false);
        }
        let drawn = self.draw(&rows, &stacked(hidden), 0);
        let unread = self.draw_on((rows, drawn));
        self.read(unread)?;
        Ok(true)
    }

    /// Runs the newest token of some rows through the decoder: hidden states `[rows, d]`.
    fn advance(&mut self, newest: Newest<B>, rows: &[usize]) -> Tensor<B, 2> {
        let keys = rows.iter().map(|row| self.schedule.keys(*row)).collect();
        self.decoder.decode(&NextTokens { newest, keys }, &mut self.cache)
    }

    /// Draws more tokens of the same rows without a look at them, as far as there are pages; a row that comes
    /// to its longest length stays behind.
    fn draw_on(&mut self, first: (Vec<usize>, Tensor<B, 2>)) -> Unread<B> {
        let (most, mut unread) = (self.tokens_a_readback(), vec![first]);
        while unread.len() < most {
            let (before, drawn) = &unread[unread.len() - 1];
            let length = |row: usize| self.rows[row].ids.len() + unread.len();
            let goes_on = |row: usize| length(row) < self.generator.response_length;
            let index = (0..before.len()).filter(|at| goes_on(before[*at]));
            let index: Vec<u32> = index.map(|at| at as u32).collect();
            let rows: Vec<usize> = index.iter().map(|at| before[*at as usize]).collect();
            if rows.is_empty() || !self.schedule.go_on(&rows) {
                break;
            }
            let hidden = self.advance(Newest::Drawn { drawn, index }, &rows);
            let drawn = self.draw(&rows, &hidden, unread.len());
            unread.push((rows, drawn));
        }
        unread
    }

    /// How many tokens of each row are drawn before the host looks at them. A row that ends meanwhile is
    /// computed on for nothing: about a sixteenth of all that is drawn.
    fn tokens_a_readback(&self) -> usize {
        const TOKENS_FOR_EACH_MORE: usize = 8;
        let mean_length = self.drawn / self.schedule.opened().max(1);
        match self.generator.tokens_a_readback {
            Some(tokens) => tokens.max(1),
            None if B::IS_HOST => 1,
            None if self.generator.eos_ids.is_empty() => Generator::TOKENS_A_READBACK,
            None => (1 + mean_length / TOKENS_FOR_EACH_MORE).min(Generator::TOKENS_A_READBACK),
        }
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

    /// The next token of some rows, of which so many are unread, from their hidden states: `[rows, 2]`.
    fn draw(&self, rows: &[usize], hidden: &Tensor<B, 2>, unread: usize) -> Tensor<B, 2> {
        let uniform = |row: &usize| {
            let row = &self.rows[*row];
            let problem = self.prompts[row.group].problem;
            self.noise.uniform(problem, row.sample, (row.ids.len() + unread) as u32)
        };
        let uniforms: Vec<f32> = rows.iter().map(uniform).collect();
        kernel::sample(&self.decoder.logits(hidden), &uniforms, self.generator.sampling)
    }

    /// Appends to each row what was drawn, up to its end, and takes out the rows that ended; they are never
    /// computed again.
    fn read(&mut self, unread: Unread<B>) -> Result<(), GenerationError> {
        let (rows, drawn): (Vec<_>, Vec<_>) = unread.into_iter().unzip();
        let drawn = readback::read(stacked(drawn))?;
        let mut drawn = drawn.iter::<f32>();
        self.fresh.clear();
        for row in rows.iter().flatten() {
            if let (Some(id), Some(logp)) = (drawn.next(), drawn.next()) {
                self.append(*row, id as u32, logp)?;
            }
        }
        for row in rows.into_iter().next().unwrap_or_default() {
            if self.rows[row].finish.is_some() {
                self.schedule.close(row);
                self.end(row);
            }
        }
        Ok(())
    }

    /// Appends a token to a row that has not ended.
    fn append(&mut self, completion: usize, id: u32, logp: f32) -> Result<(), GenerationError> {
        let row = &mut self.rows[completion];
        if row.finish.is_some() {
            return Ok(());
        }
        if !logp.is_finite() {
            return Err(GenerationError::NotFinite { problem: self.prompts[row.group].problem });
        }
        row.ids.push(id);
        row.logps.push(logp);
        self.fresh.push(DrawnToken { completion, id });
        self.drawn += 1;
        if self.generator.eos_ids.contains(&id) {
            row.finish = Some(FinishReason::Eos);
        } else if row.ids.len() >= self.generator.response_length {
            row.finish = Some(FinishReason::Length);
        }
        Ok(())
    }

    /// Counts a row that ended, and takes its group out where it was the last one.
    fn end(&mut self, row: usize) {
        self.ended += 1;
        let group = self.rows[row].group;
        self.open_of_group[group] -= 1;
        if self.open_of_group[group] > 0 {
            return;
        }
        let prompt = self.prompts[group].clone();
        let first = self.rows.partition_point(|row| row.group < group);
        let rows = &mut self.rows[first..first + prompt.samples];
        // Their tokens are needed no more.
        let completions = rows.iter_mut().map(Row::take).collect();
        self.done.push((group, RolloutGroup { prompt, completions }));
    }
}

impl Row {
    /// Nothing drawn yet.
    fn new(group: usize, sample: u32) -> Self {
        Self { group, sample, ids: Vec::new(), logps: Vec::new(), finish: None }
    }

    /// What was drawn, which leaves the row empty.
    fn take(&mut self) -> Completion {
        Completion {
            ids: std::mem::take(&mut self.ids),
            logps: std::mem::take(&mut self.logps),
            finish: self.finish.unwrap_or(FinishReason::Length),
        }
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

/// All rows of some tensors, at least one, one after another.
fn stacked<B: Kernels>(mut parts: Vec<Tensor<B, 2>>) -> Tensor<B, 2> {
    match parts.len() {
        1 => parts.remove(0),
        _ => Tensor::cat(parts, 0),
    }
}
