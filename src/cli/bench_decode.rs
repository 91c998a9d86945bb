//! `wgrpo bench --decode`: tokens a second of generation, for several numbers of rows.

use std::time::Instant;

use burn::module::AutodiffModule;
use serde::Serialize;

use super::bench::{median, rounded};
use super::output;
use crate::config::RunConfig;
use crate::device::{Device, Limits, OnDevice};
use crate::kernel::{self, ComputeDtype, Kernels};
use crate::model::{Decoder, ModelConfig};
use crate::readback;
use crate::rollout::{Generator, Noise, Prompt, Purpose};
use crate::run::{Opened, in_its_precision};

/// Most rows that are decoded at once: more would only show how large the cache may be.
pub(super) const MOST_ROWS: u64 = 4096;

/// What is to be timed.
pub(super) struct DecodeBench {
    pub config: RunConfig,
    pub device: Device,
    /// Numbers of rows, each timed by itself.
    pub rows: Vec<u64>,
    /// How often each is timed.
    pub repeats: u64,
}

/// The figures of one number of rows; seconds are medians.
#[derive(Debug, Serialize)]
struct Decoded {
    rows: u64,
    /// Of each row.
    tokens: usize,
    /// After the first token of each row.
    tokens_per_s: f64,
    /// Until each row has its first token.
    prompts_s: f64,
    /// Bytes of the weights, times the passes of a second.
    weights_gb_per_s: f64,
    /// Of what this machine reads from its memory; none on a GPU, whose memory is not timed.
    share_of_read_bandwidth: Option<f64>,
}

/// All figures.
#[derive(Debug, Serialize)]
struct Figures {
    parameters: usize,
    device: String,
    /// What all threads together read from memory.
    read_gb_per_s: Option<f64>,
    decode: Vec<Decoded>,
}

impl OnDevice for DecodeBench {
    type Output = anyhow::Result<()>;

    fn run<B: Kernels>(mut self, device: B::Device) -> anyhow::Result<()> {
        self.config = in_its_precision::<B>(self.config, &device)?;
        // Nothing is updated, so what an update takes is not asked for.
        let limits = Limits { memory: None, ..self.device.limits() };
        let opened = Opened::<B>::open(&self.config, &device, &limits)?;
        // No token ends a row, so that all rows run to the end together.
        let generator = self.config.eval_options(&[]).generator;
        anyhow::ensure!(generator.response_length > 1, "response_length must be at least 2");
        // The memory that a GPU reports is its own, and is not timed.
        let read_gb_per_s = B::IS_HOST.then(|| kernel::read_bandwidth() / 1e9);
        let problems = &opened.problems.train;
        let prompt = |row: u64| problems.prompt(row as usize % problems.len(), 1);
        let timing = Timing {
            decoder: &opened.model.decoder.valid(),
            generator,
            repeats: self.repeats,
            weights: bytes_of_a_pass(&opened.model.config, self.config.device.compute_dtype),
            read_gb_per_s,
        };
        let mut decode = Vec::new();
        for rows in self.rows {
            let figures = timing.figures(&(0..rows).map(prompt).collect::<Vec<_>>())?;
            output::say(&format!("{rows} rows: {:.1} tokens/s", figures.tokens_per_s));
            decode.push(figures);
        }
        readback::sync_and_check::<B>(&device)?;
        output::print_json(&Figures {
            parameters: opened.model.config.parameter_count(),
            device: self.device.to_string(),
            read_gb_per_s: read_gb_per_s.map(rounded),
            decode,
        })
    }
}

/// What each number of rows is timed with.
struct Timing<'a, B: Kernels> {
    decoder: &'a Decoder<B>,
    generator: Generator,
    repeats: u64,
    /// Bytes of weights that a pass reads.
    weights: f64,
    read_gb_per_s: Option<f64>,
}

impl<B: Kernels> Timing<'_, B> {
    fn figures(&self, prompts: &[Prompt]) -> anyhow::Result<Decoded> {
        let tokens = self.generator.response_length;
        let mut passes_per_s = Vec::new();
        let mut prompts_s = Vec::new();
        // The first round warms up and is not counted.
        for round in 0..=self.repeats {
            let first = self.seconds(prompts, 1)?;
            let all = self.seconds(prompts, tokens)?;
            if round > 0 {
                prompts_s.push(first);
                // On a machine that does something else the shorter one can take longer.
                let rest = if all > first { all - first } else { all };
                passes_per_s.push((tokens - 1) as f64 / rest.max(f64::MIN_POSITIVE));
            }
        }
        passes_per_s.sort_by(f64::total_cmp);
        prompts_s.sort_by(f64::total_cmp);
        let passes_per_s = median(&passes_per_s);
        let weights_gb_per_s = self.weights * passes_per_s / 1e9;
        Ok(Decoded {
            rows: prompts.len() as u64,
            tokens,
            tokens_per_s: rounded(prompts.len() as f64 * passes_per_s),
            prompts_s: rounded(median(&prompts_s)),
            weights_gb_per_s: rounded(weights_gb_per_s),
            share_of_read_bandwidth: self.read_gb_per_s.map(|gb| rounded(weights_gb_per_s / gb)),
        })
    }

    /// How long rows of so many tokens take, prompts and all.
    fn seconds(&self, prompts: &[Prompt], tokens: usize) -> anyhow::Result<f64> {
        let (response_length, rows_at_once) = (tokens, prompts.len());
        let generator = Generator { response_length, rows_at_once, ..self.generator.clone() };
        let began = Instant::now();
        generator.generate(self.decoder, prompts, Noise::new(0, Purpose::Reading, 0))?;
        Ok(began.elapsed().as_secs_f64())
    }
}

/// Bytes of the weights that a token passes: all but an embedding that is not the head as well, of which it
/// takes one row.
fn bytes_of_a_pass(model: &ModelConfig, dtype: ComputeDtype) -> f64 {
    let embedding =
        if model.tie_word_embeddings { 0 } else { model.vocab_size * model.hidden_size };
    // Weights that are packed for products of bf16 are half as large.
    let bytes = if dtype == ComputeDtype::Bf16 { 2 } else { 4 };
    ((model.parameter_count() - embedding) * bytes) as f64
}
