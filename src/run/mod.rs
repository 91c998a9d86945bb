//! A run as a library: begun or resumed, stepped, and finished with a model and a report.
//!
//! ```no_run
//! use burn::backend::NdArray;
//! use wgrpo::{config::RunConfig, run::{Options, Run}};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = RunConfig::load("configs/quickstart.yaml".as_ref(), &[])?;
//! let mut run = Run::<NdArray>::begin(config, &Default::default(), Options::default())?;
//! while !run.is_over() {
//!     run.step()?;
//! }
//! print!("{}", run.finish()?.report);
//! # Ok(())
//! # }
//! ```
//!
//! A run opens its model and its problems, refuses what the device cannot hold, owns its folder, and
//! tells [events](crate::monitor::Event) to the monitors that it was given. On a GPU it belongs inside
//! [`Device::run`](crate::device::Device::run), which opens the device and ends with its first failure.

mod best;
mod card;
mod changes;
mod check;
mod checkpoints;
mod compared;
mod error;
mod export;
mod few_bits;
mod fingerprint;
mod finish;
mod frame;
mod inputs;
mod manifest;
mod memory;
mod open;
mod options;
mod resume;
mod setting;

use burn::backend::Autodiff;

pub use check::{CheckOptions, Checked, Duration, Facts, Finding, Seen, check};
pub use compared::Apart;
pub use error::RunError;
pub use export::{Exported, Form, export};
pub use few_bits::loss_of_accuracy;
pub use finish::Outcome;
pub use memory::{Outlook, Sizes, budget, outlook, text as memory_text};
pub use open::{Opened, Problems, in_its_precision, saved_model};
pub use options::{Options, Stop};

use frame::{Frame, Setup};
use inputs::Inputs;

use crate::config::RunConfig;
use crate::kernel::{ComputeDtype, Kernels};
use crate::model::Decoder;
use crate::monitor::{Event, Existing, Phase, RunFolder, StepEvent};
use crate::reward::Rewards;
use crate::train::{
    PreparedProblems, StepReport, TrainError, Trainer, WarmStartOutcome, warm_start,
};

/// A run under way.
pub struct Run<B: Kernels> {
    frame: Frame,
    trainer: Trainer<B>,
    /// Held-out accuracy before the first step.
    before: Option<f64>,
    /// The step whose checkpoint is the newest whole one.
    saved: Option<u64>,
    /// The last evaluation: after which step, and its accuracy.
    evaluated: Option<(u64, f64)>,
}

impl<B: Kernels> Run<B> {
    /// Begins a run in a folder that holds none: warm start, first evaluation, first checkpoint.
    ///
    /// # Errors
    /// A model or problems that cannot be had, sizes beyond the device, a folder that holds a run
    /// already or cannot be written: nothing has been changed then. Whatever ends a warm start or an
    /// evaluation.
    pub fn begin(
        config: RunConfig,
        device: &B::Device,
        options: Options,
    ) -> Result<Self, RunError> {
        let config = open::in_its_precision::<B>(config, device)?;
        let existing = if options.overwrite { Existing::Overwrite } else { Existing::Refuse };
        let (setup, opened) = Setup::open::<B>(config, device, options)?;
        let (inputs, folder) = (Inputs::of(&setup.config)?, setup.config.output_dir.clone());
        let mut frame = setup.enter(inputs, || RunFolder::open(&folder, existing))?;
        let Opened { model, problems, rewards, .. } = opened;
        rewards.keep_in(&frame.folder.paths().rewards());
        let policy = frame.warm_start(model.decoder, &problems.train, &rewards)?;
        let is_cut_short = frame.is_stopped();
        let trainer = frame.trainer(policy, problems.train, rewards)?;
        let mut run = Self { frame, trainer, before: None, saved: None, evaluated: None };
        if !is_cut_short {
            run.tell_findings()?;
            run.before = run.evaluate()?;
            if run.keeps_its_start() {
                run.save()?;
            }
        }
        run.begin_training()
    }

    /// Whether nothing is left to do but [`finish`](Self::finish): all steps are done, or the run was
    /// asked to stop.
    pub fn is_over(&self) -> bool {
        self.trainer.steps_done() >= self.frame.setup.config.training.max_steps
            || self.frame.is_stopped()
    }

    /// Tries the policy before it is trained, where that was asked for.
    fn tell_findings(&mut self) -> Result<(), RunError> {
        let setup = &self.frame.setup;
        if !setup.tries_first {
            return Ok(());
        }
        let findings = check::before_training(&setup.config, &setup.model_config, &self.trainer)?;
        let told = findings.iter().map(|finding| format!("check      {finding}"));
        told.collect::<Vec<_>>().iter().try_for_each(|text| self.frame.tell(&Event::Message(text)))
    }

    /// Training steps done, those before a resume included.
    pub fn steps_done(&self) -> u64 {
        self.trainer.steps_done()
    }

    /// The policy as it is now, without gradients.
    pub fn policy(&self) -> Decoder<B> {
        self.trainer.policy()
    }

    /// One training step, and the evaluation and the checkpoint that are due after it.
    ///
    /// # Errors
    /// Whatever ends training, or a file that cannot be written; the run can be resumed from its
    /// last checkpoint.
    pub fn step(&mut self) -> Result<StepReport, RunError> {
        let step = self.trainer.step();
        if let Err(TrainError::NotFinite { batch, .. }) = &step {
            self.frame.folder.keep_batch(batch)?;
        }
        let step = step?;
        self.tell_step(&step)?;
        let (done, config) = (self.trainer.steps_done(), &self.frame.setup.config);
        let saves = is_due(done, config.checkpoint.save_steps);
        if is_due(done, config.eval.every_steps) && done < config.training.max_steps {
            self.evaluate()?;
        }
        if saves {
            self.save()?;
        }
        Ok(step)
    }

    /// Accuracy of the policy as it is now on the held-out problems; none where there are none, or
    /// where the run was asked to stop meanwhile.
    ///
    /// # Errors
    /// Logits that are not finite, a device that failed, a log that cannot be written.
    pub fn evaluate(&mut self) -> Result<Option<f64>, RunError> {
        let step = self.trainer.steps_done();
        let found = self.frame.evaluate(&self.trainer.policy(), self.trainer.rewards(), step)?;
        let Some(found) = found else { return Ok(None) };
        self.evaluated = Some((step, found.accuracy));
        self.keep_if_best(&found)?;
        Ok(Some(found.accuracy))
    }

    /// Writes a checkpoint, then removes the oldest ones beyond `checkpoint.keep`. Where the newest is
    /// of this step already, it only takes note of what was logged since.
    ///
    /// # Errors
    /// A file that cannot be written or removed; older checkpoints are whole.
    pub fn save(&mut self) -> Result<(), RunError> {
        let step = self.trainer.steps_done();
        if self.saved == Some(step) {
            return checkpoints::count_logs_again(&self.frame.kept(step));
        }
        self.frame.tell(&Event::CheckpointBegins { step })?;
        let kept = self.frame.kept(step);
        let folder = checkpoints::write(&kept, |folder| self.trainer.save(folder, self.before))?;
        checkpoints::prune(kept.paths, kept.config.checkpoint.keep, step)?;
        self.saved = Some(step);
        self.frame.tell(&Event::CheckpointSaved { step, folder: &folder })
    }

    /// Whether its start cost enough for a checkpoint of its own.
    fn keeps_its_start(&self) -> bool {
        let config = &self.frame.setup.config;
        config.warm_start.is_some() && config.checkpoint.save_steps > 0
    }

    fn begin_training(mut self) -> Result<Self, RunError> {
        let (done, total) = (self.trainer.steps_done(), self.frame.setup.config.training.max_steps);
        self.frame.tell(&Event::PhaseBegan { phase: Phase::Train, done, total })?;
        Ok(self)
    }

    fn tell_step(&mut self, step: &StepReport) -> Result<(), RunError> {
        let tracking = &self.frame.setup.config.tracking;
        let first = step.step == 1;
        let samples = |due: bool, count: usize| match due {
            true => self.trainer.samples(step, count),
            false => Vec::new(),
        };
        let logged = samples(first || is_due(step.step, tracking.samples_every), tracking.samples);
        let shown = samples(first || is_due(step.step, tracking.show_every), 1);
        let event = StepEvent { metrics: &step.metrics(), samples: &logged, shown: shown.first() };
        self.frame.tell(&Event::Step(event))
    }
}

impl Frame {
    /// A policy that has learned from answers as far as the configuration asks.
    fn warm_start<B: Kernels>(
        &mut self,
        policy: Decoder<Autodiff<B>>,
        problems: &PreparedProblems,
        rewards: &Rewards,
    ) -> Result<Decoder<Autodiff<B>>, RunError> {
        let Some(mut settings) = self.setup.config.warm_start.clone() else { return Ok(policy) };
        let training = open::settled_by(&self.setup.config, self.setup.checkpointing).training;
        settings.update = training.warm_start_pass();
        settings.moments = training.optimizer.moments;
        settings.scales_loss = self.setup.config.device.compute_dtype == ComputeDtype::F16;
        let (phase, total) = (Phase::WarmStart, settings.max_steps);
        self.tell(&Event::PhaseBegan { phase, done: 0, total })?;
        let Self { setup, monitors, .. } = self;
        let mut told = Ok(());
        let watch = |outcome: WarmStartOutcome| {
            let WarmStartOutcome { steps, loss, accuracy } = outcome;
            told = monitors.tell(&Event::WarmStartStep { steps, loss, accuracy });
            told.is_ok() && !setup.stop.is_asked()
        };
        let (tokenizer, options) = (&setup.tokenizer, &setup.eval_options);
        let (policy, outcome) =
            warm_start(&settings, policy, tokenizer, problems, rewards, options, watch)?;
        told?;
        self.tell(&Event::PhaseEnded)?;
        let WarmStartOutcome { steps, accuracy, .. } = outcome;
        self.tell(&Event::WarmStarted { steps, accuracy })?;
        Ok(policy)
    }
}

/// Whether something that happens every `every` steps happens after step `done`; 0 is never.
fn is_due(done: u64, every: u64) -> bool {
    every > 0 && done.is_multiple_of(every)
}
