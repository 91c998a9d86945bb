//! An honest look at a run before the long wait: a few problems are tried as training tries them, and one step is done.

mod facts;
mod findings;
mod odds;

use burn::module::AutodiffModule;
use serde::Serialize;

pub use facts::Facts;
pub use findings::Finding;

use super::RunError;
use super::open::{Opened, in_its_precision};
use crate::config::RunConfig;
use crate::device::Limits;
use crate::kernel::Kernels;
use crate::model::ModelConfig;
use crate::reward::{Rewards, UniformReward};
use crate::text::Tokenizer;
use crate::train::{Estimate, PreparedProblems, ScoredGroup, Trainer, Trial, try_out};

/// Prompts that are shown.
const SHOWN: usize = 3;

/// How much to try.
#[derive(Debug, Clone, Copy)]
pub struct CheckOptions {
    /// Problems, at least one.
    pub problems: usize,
    /// Completions of each; as many as the run draws of a prompt where it is 0.
    pub samples: usize,
    /// Whether a training step is done and timed; it changes nothing on disk.
    pub times_a_step: bool,
}

/// A problem as the model sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seen {
    /// The prompt, special tokens included.
    pub prompt: String,
    /// What the model wrote, special tokens included.
    pub completion: String,
    /// The answer that the data has.
    pub answer: Option<String>,
    /// Its total reward; none where no reward applies.
    pub reward: Option<f64>,
}

/// How long the run takes, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Duration {
    /// A step, the first one.
    pub step_s: f64,
    /// Its generation.
    pub rollout_s: f64,
    /// Its update.
    pub update_s: f64,
    /// All steps and evaluations; a warm start comes on top.
    pub run_s: f64,
}

/// What there is to know of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// Three problems.
    pub seen: Vec<Seen>,
    /// What a trial showed.
    pub facts: Facts,
    /// The memory that it takes, in bytes.
    #[serde(serialize_with = "bytes")]
    pub memory: Estimate,
    /// How long it takes, where a step was done.
    pub time: Option<Duration>,
    /// What was found wrong, and what to change.
    pub findings: Vec<Finding>,
    /// Whether the model is shown answers before its first step, so that what it does now says little.
    pub before_warm_start: bool,
    /// What to know of problems and prompts, a sentence each.
    pub notes: Vec<String>,
}

impl Checked {
    /// Whether nothing can be learned as it is.
    pub fn cannot_learn(&self) -> bool {
        self.findings.iter().any(|finding| finding.is_fatal)
    }
}

fn bytes<S: serde::Serializer>(memory: &Estimate, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(memory.bytes())
}

/// Opens all that a run needs and tries it.
///
/// # Errors
/// Whatever keeps the run from beginning, or ends its first step.
pub fn check<B: Kernels>(
    config: &RunConfig,
    device: &B::Device,
    limits: &Limits,
    options: CheckOptions,
) -> Result<Checked, RunError> {
    let config = in_its_precision::<B>(config.clone(), device)?;
    let opened = Opened::<B>::open(&config, device, limits)?;
    opened.rewards.start()?;
    let problems = some_of(&opened.problems.train, options.problems);
    let trial = tried(&config, &opened, &problems, options)?;
    let tokenizer = &opened.model.tokenizer;
    let names = opened.rewards.names().map(str::to_owned).collect();
    let facts = Facts::of(&trial, &opened.problems.train, names, sizes(&config));
    let seen = trial.groups.iter().take(SHOWN);
    let seen = seen.map(|group| seen_by_model(group, tokenizer, &problems)).collect();
    let positions = opened.model.config.max_position_embeddings;
    let findings =
        findings::findings(&findings::Case { facts: &facts, config: &config, positions });
    let (memory, notes) = (opened.memory.clone(), opened.problems.notes());
    let before_warm_start = config.warm_start.is_some();
    let time = match options.times_a_step {
        true => Some(timed(&config, opened, &trial)?),
        false => None,
    };
    Ok(Checked { seen, facts, memory, time, findings, before_warm_start, notes })
}

/// What a few completions of the policy say of a run, before its first step and after its warm start.
///
/// # Errors
/// Whatever ends a step.
pub(super) fn before_training<B: Kernels>(
    config: &RunConfig,
    model: &ModelConfig,
    trainer: &Trainer<B>,
) -> Result<Vec<Finding>, RunError> {
    let problems = some_of(trainer.problems(), SHOWN);
    let trial = trainer.try_out(&problems)?;
    let names = trainer.rewards().names().map(str::to_owned).collect();
    let facts = Facts::of(&trial, trainer.problems(), names, sizes(config));
    // What the model does now is what it begins with.
    let config = &RunConfig { warm_start: None, ..config.clone() };
    let positions = model.max_position_embeddings;
    Ok(findings::findings(&findings::Case { facts: &facts, config, positions }))
}

fn sizes(config: &RunConfig) -> [usize; 3] {
    let group = config.training.num_return_sequences_in_group;
    [config.prompt_length, config.response_length, group]
}

/// Some problems, spread over all of them: data is often sorted.
fn some_of(problems: &PreparedProblems, count: usize) -> PreparedProblems {
    let count = count.clamp(1, problems.len());
    problems.select(&(0..count).map(|at| at * problems.len() / count).collect::<Vec<_>>())
}

/// Completions of these problems.
fn tried<B: Kernels>(
    config: &RunConfig,
    opened: &Opened<B>,
    problems: &PreparedProblems,
    options: CheckOptions,
) -> Result<Trial, RunError> {
    let samples = match options.samples {
        0 => config.training.num_return_sequences_in_group,
        samples => samples,
    };
    let tokenizer = &opened.model.tokenizer;
    let generator = config.eval_options(tokenizer.eos_ids()).generator;
    let policy = opened.model.decoder.valid();
    let by = [config.training.seed, samples as u64];
    Ok(try_out(&policy, tokenizer, problems, &opened.rewards, &generator, by)?)
}

fn seen_by_model(group: &ScoredGroup, tokenizer: &Tokenizer, problems: &PreparedProblems) -> Seen {
    let (completion, scored) = (&group.rollout.completions[0], &group.scores[0]);
    Seen {
        prompt: tokenizer.decode_all(&group.rollout.prompt.ids),
        completion: tokenizer.decode_all(&completion.ids),
        answer: problems.problem(group.rollout.prompt.problem as usize).answer.clone(),
        reward: scored.score.total,
    }
}

/// Does a step, which nothing is kept of. Every row of it is trained: where rewards are equal, a step costs less than it
/// will once they are not.
fn timed<B: Kernels>(
    config: &RunConfig,
    mut opened: Opened<B>,
    trial: &Trial,
) -> Result<Duration, RunError> {
    let held_out = opened.problems.held_out.as_ref().map_or(0, PreparedProblems::len);
    opened.rewards = Rewards::only(Box::new(UniformReward::new(config.training.seed)));
    let mut trainer = opened.trainer(config)?;
    let report = trainer.step()?;
    let metrics = report.metrics();
    let tried: usize = trial.groups.iter().map(|group| group.scores.len()).sum();
    let of_one = |secs: f64| secs / tried.max(1) as f64;
    let drawn: usize = report.rollouts().map(|group| group.completions.len()).sum();
    let step_s = metrics.step_secs + of_one(trial.reward_secs) * drawn as f64;
    let evaluated = (held_out * (1 + config.eval.samples)) as f64;
    let evaluation_s = of_one(trial.rollout_secs + trial.reward_secs) * evaluated;
    let steps = config.training.max_steps;
    let evaluations = match (held_out, config.eval.every_steps) {
        (0, _) => 0,
        // Before the first step and after the last one.
        (_, 0) => 2,
        (_, every) => 2 + steps.saturating_sub(1) / every,
    };
    Ok(Duration {
        step_s,
        rollout_s: metrics.rollout_secs,
        update_s: metrics.update_secs,
        run_s: steps as f64 * step_s + evaluations as f64 * evaluation_s,
    })
}
