//! Going on with a run: from which checkpoint, and whether it is still the same run.

use super::checkpoints::{self, Found};
use super::frame::Setup;
use super::inputs::Inputs;
use super::open::in_its_precision;
use super::options::Options;
use super::{Run, RunError, changes, is_due};
use crate::config::RunConfig;
use crate::kernel::Kernels;
use crate::monitor::{Event, RunFolder, RunFolderError};

/// All that a run goes on from, of which nothing has been changed yet.
struct Ready {
    folder: RunFolder,
    found: Found,
    inputs: Inputs,
    /// What a person should know of it, a sentence each.
    notes: Vec<String>,
}

impl Ready {
    /// Takes the folder of a run, and finds the checkpoint that `config` may go on from: that of a step, or the newest.
    fn check(
        config: &RunConfig,
        step: Option<u64>,
        accepts_changes: bool,
    ) -> Result<Self, RunError> {
        let folder = RunFolder::reopen(&config.output_dir).map_err(no_run)?;
        let mut found = match step {
            Some(step) => checkpoints::of_step(folder.paths(), step, accepts_changes)?,
            None => checkpoints::newest(folder.paths(), accepts_changes)?,
        };
        let inputs = Inputs::of(config)?;
        let before = changes::Made { config: &found.config, inputs: &found.manifest.inputs };
        let now = changes::Made { config, inputs: &inputs };
        let (root, step) = (folder.paths().root(), found.state.step);
        let changed = changes::check(root, [&before, &now], step, accepts_changes)?;
        let most = config.training.max_steps;
        let complete = (step >= most).then(|| {
            format!("complete   all {most} steps are done; for more, --set max_steps={}", 2 * most)
        });
        let gap = found.gap.iter().map(|gap| format!("lines of the logs are missing: {gap}"));
        let gap: Vec<String> = gap.collect();
        let notes = std::mem::take(&mut found.notes).into_iter().chain(gap).chain(changed);
        let notes = notes.chain(complete);
        Ok(Self { notes: notes.collect(), folder, found, inputs })
    }
}

impl<B: Kernels> Run<B> {
    /// Goes on from the newest whole checkpoint of the folder, as if the run had never stopped; or from that of
    /// [`Options::resume_from`], with what came after it put aside.
    ///
    /// # Errors
    /// A folder that another run is at work in; one without a whole checkpoint; a configuration, data or
    /// a model that would make it another run; a checkpoint that does not fit. Nothing has been changed
    /// then.
    pub fn resume(
        config: RunConfig,
        device: &B::Device,
        options: Options,
    ) -> Result<Self, RunError> {
        let config = in_its_precision::<B>(config, device)?;
        let (step, allows) = (options.resume_from, options.allow_changes);
        let Ready { folder, found, inputs, mut notes } = Ready::check(&config, step, allows)?;
        let (setup, opened) = Setup::open::<B>(config, device, options)?;
        // A checkpoint that does not fit must be known before the folder's logs are cut.
        let mut trainer = opened.trainer(&setup.config)?;
        trainer.restore(&found.folder, &found.state)?;
        let mut aside = None;
        let mut frame = setup.enter(inputs, || {
            if step.is_some() {
                aside = folder.put_aside_after(found.state.step)?;
            }
            found.cut_logs(&folder).map(|()| folder)
        })?;
        notes.extend(
            aside.map(|aside| format!("kept       what came after it is in {}", aside.display())),
        );
        frame.recall()?;
        trainer.rewards().keep_in(&frame.folder.paths().rewards());
        let (step, checkpoint) = (found.state.step, found.folder.as_path());
        frame.tell(&Event::Resumed { checkpoint, step })?;
        notes.iter().try_for_each(|note| frame.tell(&Event::Message(note)))?;
        let evaluated = frame.folder.evaluations()?.pop();
        let mut run = Self {
            frame,
            trainer,
            before: found.state.accuracy_before,
            saved: Some(step),
            evaluated: evaluated.map(|found| (found.step, found.accuracy)),
        };
        run.catch_up()?;
        run.begin_training()
    }

    /// Makes up for an evaluation that was due when the run was asked to stop.
    fn catch_up(&mut self) -> Result<(), RunError> {
        let (step, config) = (self.steps_done(), &self.frame.setup.config);
        let is_due = is_due(step, config.eval.every_steps) && step < config.training.max_steps;
        let is_missing = self.evaluated.is_none_or(|(evaluated, _)| evaluated != step);
        if is_missing && (step == 0 || is_due) {
            let found = self.evaluate()?;
            self.before = if step == 0 { found } else { self.before };
        }
        Ok(())
    }
}

impl Found {
    /// Cuts the logs back to what they were at this checkpoint.
    fn cut_logs(&self, folder: &RunFolder) -> Result<(), RunFolderError> {
        if self.gap.is_some() {
            return folder.cut_logs(self.state.step);
        }
        let lengths = self.manifest.log_lengths(folder.paths());
        lengths.iter().try_for_each(|(log, bytes)| RunFolder::cut_log(log, *bytes))
    }
}

fn no_run(error: RunFolderError) -> RunError {
    match error {
        RunFolderError::NothingToResume { path } => {
            RunError::NoCheckpoint { folder: path, holds_run: false }
        }
        error => error.into(),
    }
}
