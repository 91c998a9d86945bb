//! The largest tensors of a run, known before it starts, so that a device that cannot hold them is
//! refused instead of failing half-way.
//!
//! Sizes are reckoned from the longest prompt there is and the longest completion allowed, and where
//! short prompts make more rows, from prompts of one token. Logits of log-probabilities are missing:
//! they are made in blocks that fit.

use super::evaluate::EvalOptions;
use super::settings::TrainSettings;
use super::sft::{JUDGED, WarmStart};
use crate::advantage::AdvantageEstimator;
use crate::device::{Buffer, Mend};
use crate::model::{ModelConfig, PackedCompletions};
use crate::rollout::Generator;

const FLOAT: u64 = 4;

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
    /// What to change where even one prompt with its completions is too much.
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

/// Cache, activations of the prompts and logits of the fullest batch of a generation.
pub fn generation_buffers(model: &ModelConfig, of: Generation) -> Vec<Buffer> {
    let Generation { generator, prompts, longest_prompt, samples, otherwise } = of;
    if prompts == 0 || samples == 0 {
        return Vec::new();
    }
    let slots_of = |prompt: usize| prompt + samples * generator.response_length;
    let (kv, width) = (kv_width(model), widest(model));
    let buffer = |what: &str, prompt: usize, rows_of_prompt: usize, width: usize| {
        let slots = slots_of(prompt).max(1);
        let batch = (generator.cache_tokens / slots).clamp(1, prompts);
        Buffer {
            what: format!("{what} [{}, {width}]", batch * rows_of_prompt),
            bytes: bytes(&[batch, rows_of_prompt, width]),
            mend: Mend::Lower {
                key: "device.cache_tokens",
                value: generator.cache_tokens as u64,
                least: slots as u64,
                step: slots as u64,
                bytes_per_step: bytes(&[rows_of_prompt, width]),
                otherwise,
            },
        }
    };
    vec![
        buffer("the cache of keys of a layer", longest_prompt, slots_of(longest_prompt), kv),
        buffer("the widest activation of the prompts", longest_prompt, longest_prompt, width),
        buffer("the logits of a draw", 1, samples, model.vocab_size),
    ]
}

/// Those of an evaluation of `prompts` problems.
pub fn evaluation_buffers(
    model: &ModelConfig,
    eval: &EvalOptions,
    prompts: usize,
    longest_prompt: usize,
) -> Vec<Buffer> {
    let of = |samples, otherwise| Generation {
        generator: &eval.generator,
        prompts,
        longest_prompt,
        samples,
        otherwise,
    };
    let greedy = generation_buffers(model, of(1, "lower response_length"));
    let sampled = of(eval.samples, "take fewer samples of a problem or lower response_length");
    [greedy, generation_buffers(model, sampled)].concat()
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
        const GROUP: &str = "lower num_return_sequences_in_group or response_length";
        const ORACLE: &str = "lower diagnostics.oracle_rollouts or response_length";
        let (settings, training) = (self.settings, &self.settings.training);
        let diagnostics = &training.diagnostics;
        let group = settings.estimator.rollouts_per_prompt(training.num_return_sequences_in_group);
        let of = |prompts, samples, otherwise| Generation {
            generator: &settings.generator,
            prompts,
            longest_prompt: self.longest_prompt,
            samples,
            otherwise,
        };
        let oracle = of(diagnostics.prompts, diagnostics.oracle_rollouts, ORACLE);
        let groups = generation_buffers(model, of(training.rollout_batch_size, group, GROUP));
        [groups, generation_buffers(model, oracle)].concat()
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
                otherwise: "lower prompt_length or response_length",
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
                otherwise: "lower prompt_length or response_length",
            },
        }
    }
}

fn bytes(shape: &[usize]) -> u64 {
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
