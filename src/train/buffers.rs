//! The largest tensors of a run, known before it starts, so that a device that cannot hold them is
//! refused instead of failing half-way.
//!
//! Sizes are reckoned from the longest prompt there is and the longest completion allowed. Logits of
//! log-probabilities are missing: they are made in blocks that fit.

use super::evaluate::EvalOptions;
use super::settings::TrainSettings;
use super::sft::{JUDGED, WarmStart};
use crate::advantage::AdvantageEstimator;
use crate::device::{Buffer, Mend};
use crate::kernel::PAGE;
use crate::model::{ModelConfig, PackedCompletions};
use crate::rollout::{Footprint, Generator, Wanted};

const FLOAT: u64 = 4;

/// What to change where one sequence is too much.
const SHORTER: &str = "lower prompt_length or response_length";

/// A call of [`Generator::generate`] that is to come; without prompts or samples there is none.
#[derive(Debug, Clone, Copy)]
pub struct Generation<'a> {
    /// What generates.
    pub generator: &'a Generator,
    /// Number of prompts.
    pub prompts: usize,
    /// Tokens of the longest of them.
    pub longest_prompt: usize,
    /// Completions of each.
    pub samples: usize,
    /// What to change where even one prompt with one completion is too much.
    pub otherwise: &'static str,
}

/// A training run that is to come.
#[derive(Debug, Clone, Copy)]
pub struct RunSizes<'a> {
    /// What the trainer works by.
    pub settings: &'a TrainSettings,
    /// How held-out problems are tried.
    pub eval: &'a EvalOptions,
    /// Learning from answers before the first step.
    pub warm_start: Option<&'a WarmStart>,
    /// Number of held-out problems.
    pub held_out: usize,
    /// Tokens of the longest prompt.
    pub longest_prompt: usize,
    /// Tokens of a prompt on average.
    pub mean_prompt: usize,
    /// Most tokens of an answer on average, as a warm start shows them.
    pub mean_answer: usize,
}

/// Every parameter; its gradient, moments and copies are as large.
pub fn model_buffers(model: &ModelConfig) -> Vec<Buffer> {
    let buffer = |(name, shape): (String, Vec<usize>)| Buffer {
        what: format!("the parameter {name} {shape:?}"),
        bytes: bytes(&shape),
        mend: Mend::AnotherDevice,
    };
    model.parameters().into_iter().map(buffer).collect()
}

/// Cache, widest activation and logits of the fullest step of a generation.
pub fn generation_buffers(model: &ModelConfig, of: Generation) -> Vec<Buffer> {
    let Generation { generator, prompts, longest_prompt, samples, otherwise } = of;
    if prompts == 0 || samples == 0 {
        return Vec::new();
    }
    let rows = prompts.saturating_mul(samples);
    let Footprint { slots, least_slots, rows, prefill_tokens, .. } =
        generator.footprint(Wanted { prompts, longest_prompt, rows });
    // Lowering `cache_tokens` by `step` takes a row off the tensor.
    let buffer = |what: &str, [rows, width]: [usize; 2], step: usize| Buffer {
        what: format!("{what} [{rows}, {width}]"),
        bytes: bytes(&[rows, width]),
        mend: Mend::Lower {
            key: "device.cache_tokens",
            value: generator.cache_tokens as u64,
            least: least_slots as u64,
            step: step as u64,
            bytes_per_step: bytes(&[width]),
            otherwise,
        },
    };
    let tokens = prefill_tokens.max(rows);
    vec![
        buffer("the cache of keys of a layer", [slots, kv_width(model)], 1),
        buffer("the widest activation of a generation", [tokens, widest(model)], 1),
        // An open completion holds a page of the cache at least.
        buffer("the logits of a draw", [rows, model.vocab_size], PAGE),
    ]
}

/// Those of an evaluation of `prompts` problems.
pub fn evaluation_buffers(
    model: &ModelConfig,
    eval: &EvalOptions,
    prompts: usize,
    longest_prompt: usize,
) -> Vec<Buffer> {
    let generator = &eval.generator;
    let of = |samples| {
        let sizes = Generation { generator, prompts, longest_prompt, samples, otherwise: SHORTER };
        generation_buffers(model, sizes)
    };
    [of(1), of(eval.samples)].concat()
}

/// All tensors of a training run.
pub fn run_buffers(model: &ModelConfig, run: RunSizes) -> Vec<Buffer> {
    let judged = if run.warm_start.is_some() { JUDGED } else { 0 };
    let mut buffers = run.rollouts(model);
    buffers.extend(evaluation_buffers(
        model,
        run.eval,
        run.held_out.max(judged),
        run.longest_prompt,
    ));
    buffers.extend(run.micro_batch(model));
    buffers.extend(run.warm_start.map(|settings| run.lesson(model, settings)));
    buffers
}

impl RunSizes<'_> {
    /// Those of the groups and of the diagnostics' oracle.
    fn rollouts(&self, model: &ModelConfig) -> Vec<Buffer> {
        let (settings, training) = (self.settings, &self.settings.training);
        let diagnostics = &training.diagnostics;
        let group = settings.estimator.rollouts_per_prompt(training.num_return_sequences_in_group);
        let of = |prompts, samples| {
            let (generator, longest_prompt) = (&settings.generator, self.longest_prompt);
            let otherwise = SHORTER;
            let sizes = Generation { generator, prompts, longest_prompt, samples, otherwise };
            generation_buffers(model, sizes)
        };
        let oracle = of(diagnostics.prompts, diagnostics.oracle_rollouts);
        [of(training.rollout_batch_size, group), oracle].concat()
    }

    /// What one forward and backward pass holds.
    fn micro_batch(&self, model: &ModelConfig) -> Vec<Buffer> {
        let (settings, response) = (self.settings, self.settings.generator.response_length);
        let training = &settings.training;
        let (p, g) = (training.rollout_batch_size, training.num_return_sequences_in_group);
        let row = PackedCompletions::tokens_of(self.longest_prompt, [response].into_iter());
        let group = self.longest_prompt + g * response.saturating_sub(1);
        let n = settings.micro_batch_tokens.min(p * group).max(row);
        let width = widest(model);
        let mut buffers = vec![
            self.of_micro_batch(format!("an activation [{n}, {width}]"), n, row, width),
            self.table(n.min(p * g)),
        ];
        if settings.objective.needs_exact_kls() {
            // A group whose prompt is shorter than it has rows predicts more tokens than it computes.
            let predicted = n * g.div_ceil(self.longest_prompt.max(1));
            let what = format!(
                "the whole distributions of kl_loss_type full [{predicted}, {}]",
                model.vocab_size
            );
            let width = model.vocab_size * (predicted / n);
            buffers.push(self.of_micro_batch(what, n, row, width));
        }
        buffers
    }

    fn of_micro_batch(&self, what: String, n: usize, row: usize, width: usize) -> Buffer {
        Buffer {
            what: format!("{what} of a micro-batch"),
            bytes: bytes(&[n, width]),
            mend: Mend::Lower {
                key: "device.micro_batch_tokens",
                value: self.settings.micro_batch_tokens as u64,
                least: row as u64,
                step: 1,
                bytes_per_step: bytes(&[width]),
                otherwise: SHORTER,
            },
        }
    }

    /// The padded `[b, t]` tensors of the loss.
    fn table(&self, rows: usize) -> Buffer {
        let shape = [rows, self.settings.generator.response_length];
        Buffer {
            what: format!("the padded rows {shape:?} of a micro-batch"),
            bytes: bytes(&shape),
            mend: Mend::Change("lower rollout_batch_size, response_length or micro_batch_tokens"),
        }
    }

    /// A step of the warm start, which is one forward and backward pass.
    fn lesson(&self, model: &ModelConfig, settings: &WarmStart) -> Buffer {
        let response = self.settings.generator.response_length;
        let row = PackedCompletions::tokens_of(self.longest_prompt, [response].into_iter());
        let shape = [settings.batch_size * row, widest(model)];
        Buffer {
            what: format!("an activation {shape:?} of the warm start"),
            bytes: bytes(&shape),
            mend: Mend::Lower {
                key: "warm_start.batch_size",
                value: settings.batch_size as u64,
                least: 1,
                step: 1,
                bytes_per_step: bytes(&[row, widest(model)]),
                otherwise: SHORTER,
            },
        }
    }
}

/// Bytes of a tensor of f32.
pub(super) fn bytes(shape: &[usize]) -> u64 {
    shape.iter().fold(FLOAT, |bytes, size| bytes.saturating_mul(*size as u64))
}

fn kv_width(model: &ModelConfig) -> usize {
    model.num_key_value_heads() * model.head_dim()
}

/// The widest activation of a token.
fn widest(model: &ModelConfig) -> usize {
    let heads = model.num_attention_heads * model.head_dim();
    model.intermediate_size.max(heads).max(model.hidden_size)
}
