//! What a run tells while it goes, and what listens to it.

use std::error::Error;
use std::path::Path;

use super::diagnosis::Finding;
use super::metrics::{EvalMetrics, SampleLine, StepMetrics};
use super::progress::Phase;
use super::summary::RunFacts;

/// Something that happened in a run; the events of a run come in the order of its life.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// The folder is open and the model loaded; nothing is computed yet.
    Started(&'a RunPlan),
    /// The run goes on from a checkpoint.
    Resumed {
        /// The checkpoint's folder.
        checkpoint: &'a Path,
        /// Training steps that were done by then.
        step: u64,
    },
    /// A phase begins, of which some units may have been done before.
    PhaseBegan {
        /// Which.
        phase: Phase,
        /// Units done before.
        done: u64,
        /// Units in all.
        total: u64,
    },
    /// The phase that began last is over.
    PhaseEnded,
    /// A supervised step of the warm start.
    WarmStartStep {
        /// Steps so far.
        steps: u64,
        /// Mean negative log-probability of an answer token, in nats.
        loss: f64,
        /// Share of unseen problems solved, when it was last measured.
        accuracy: f64,
    },
    /// The warm start is over.
    WarmStarted {
        /// Steps that it took.
        steps: u64,
        /// Share of unseen problems solved at its end.
        accuracy: f64,
    },
    /// A training step.
    Step(StepEvent<'a>),
    /// Held-out problems are being tried, more than at once: told before the first completion and whenever
    /// there are more.
    Evaluating {
        /// Training steps done.
        step: u64,
        /// Problems.
        problems: u64,
        /// Completions so far.
        done: u64,
        /// Completions in all.
        total: u64,
    },
    /// Held-out problems were tried.
    Evaluated(&'a EvalMetrics),
    /// A checkpoint is about to be written, which must never be ahead of what records it: what was
    /// told before must be on disk when this event has been taken.
    CheckpointBegins {
        /// Training steps done.
        step: u64,
    },
    /// A checkpoint is whole and on disk.
    CheckpointSaved {
        /// Training steps done.
        step: u64,
        /// Its folder.
        folder: &'a Path,
    },
    /// The run is over and its model saved.
    Finished {
        /// What it reached and took.
        facts: &'a RunFacts,
        /// The closing report.
        report: &'a str,
    },
    /// Why nothing may be learned, each cause once for a run: told after the step or the evaluation that it was
    /// found by.
    Finding(&'a Finding),
    /// Something that a person should know.
    Message(&'a str),
}

/// A training step as it is told.
#[derive(Debug, Clone, Copy)]
pub struct StepEvent<'a> {
    /// Its metrics.
    pub metrics: &'a StepMetrics,
    /// Completions for the log; none in a step that keeps none.
    pub samples: &'a [SampleLine],
    /// A completion to look at, in a step that shows one.
    pub shown: Option<&'a SampleLine>,
}

/// What a run is about to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunPlan {
    /// Parameters of the model.
    pub parameters: usize,
    /// The device's name.
    pub device: String,
    /// How much memory it takes about, when most, and for what.
    pub memory: String,
    /// Problems to train on.
    pub problems: usize,
    /// Problems held out.
    pub held_out: usize,
    /// Problems left out because their prompt is too long.
    pub left_out: usize,
    /// What to know about problems that rewards cannot judge and settings that have a price, a sentence
    /// each.
    pub notes: Vec<String>,
    /// Longest prompt in tokens.
    pub prompt_length: usize,
    /// Training steps.
    pub max_steps: u64,
    /// Prompts of a step.
    pub prompts: usize,
    /// Completions of a prompt.
    pub completions: usize,
    /// The type that the reference's weights were to be stored in, and the one they are; none where
    /// nothing was asked for.
    pub reference_storage: Option<(&'static str, &'static str)>,
}

/// Why a monitor could not take an event; its text is all that a person reads.
pub type MonitorError = Box<dyn Error + Send + Sync>;

/// Something that listens to a run: a file, a screen.
///
/// It is called on the thread that drives the device, between steps, so it should be quick.
/// [`Monitors`](super::Monitors) says what becomes of one that fails or is slow.
pub trait Monitor {
    /// What it is called in messages.
    fn name(&self) -> &'static str;

    /// Whether the run is worth nothing without it. A failure then ends the run; any other monitor
    /// that fails is left out from then on, and the run goes on.
    fn is_record(&self) -> bool {
        false
    }

    /// Takes note of an event.
    ///
    /// # Errors
    /// Whatever keeps it from doing that.
    fn take(&mut self, event: &Event<'_>) -> Result<(), MonitorError>;
}
