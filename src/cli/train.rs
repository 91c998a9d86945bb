//! `wgrpo train`: a run from its configuration to its report.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::ensure;
use clap::Args;

use super::fetch::fetch_all;
use super::{Changes, interrupt, output};
use crate::config::RunConfig;
use crate::device::{self, OnDevice};
use crate::kernel::Kernels;
use crate::monitor::{Doing, Progress, RunPaths, Screen};
use crate::run::{Options, Outcome, Run, RunError};

/// Arguments of `wgrpo train`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("going_on").args(["resume", "resume_from"]).multiple(true)))]
pub(super) struct TrainArgs {
    /// The run's YAML file; with --resume a run's folder will do
    config: PathBuf,
    #[command(flatten)]
    changes: Changes,
    /// Write to this folder instead of the configuration's output_dir
    #[arg(long, value_name = "FOLDER")]
    output_dir: Option<PathBuf>,
    /// Start anew in a folder that already holds a run, removing that run's files
    #[arg(long, conflicts_with = "going_on")]
    overwrite: bool,
    /// Go on from the newest whole checkpoint of the folder
    #[arg(long)]
    resume: bool,
    /// Go on from the checkpoint of this step; what came after it is put aside
    #[arg(long, value_name = "STEP")]
    resume_from: Option<u64>,
    /// Go on though the configuration, the data or the model has changed, or lines of the logs are missing
    #[arg(long, requires = "going_on", alias = "accept-changes")]
    allow_changes: bool,
    /// Do not try a few completions before the first step; --quiet tries none either
    #[arg(long)]
    skip_check: bool,
    /// Print nothing but warnings and the closing report
    #[arg(long)]
    quiet: bool,
}

impl TrainArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let progress = Progress::new(self.quiet);
        let doing = Doing::default();
        let interrupt = interrupt::watch(&progress, &doing)?;
        let mut config = self.load()?;
        let device = device::find(&config.device.name)?;
        fetch_all(&mut config, &interrupt.stop)?;
        device.compute_on_this_thread();
        if let Some(folder) = &config.model.path {
            output::note_left_out(folder);
        }
        let options = Options {
            overwrite: self.overwrite,
            allow_changes: self.allow_changes,
            resume_from: self.resume_from,
            tries_first: !(self.skip_check || self.quiet),
            stop: interrupt.stop.clone(),
            ..Options::on(&device)
        };
        let options = options.monitor(doing).monitor(Screen::new(progress));
        let resume = self.resumes();
        let outcome = device.run(Training { config, options, resume })?;
        ended(outcome, interrupt.exit_code())
    }

    fn resumes(&self) -> bool {
        self.resume || self.resume_from.is_some()
    }

    /// The configuration of a file, or of a run that goes on in its own folder.
    fn load(&self) -> anyhow::Result<RunConfig> {
        let given = &self.config;
        if !given.is_dir() {
            let mut config = self.changes.load(given)?;
            if let Some(folder) = &self.output_dir {
                config.output_dir.clone_from(folder);
            }
            return Ok(config);
        }
        let (shown, paths) = (given.display(), RunPaths::new(given));
        ensure!(
            paths.config().exists(),
            "{shown} is a folder without a run; give a configuration, or the folder of a run with --resume"
        );
        ensure!(
            self.resumes(),
            "{shown} holds a run; `wgrpo train {shown} --resume` goes on with it, and a configuration begins another"
        );
        ensure!(
            self.output_dir.is_none(),
            "--output-dir names another folder than {shown}; copy the run there, and name that folder alone"
        );
        let mut config = self.changes.load(&paths.config())?;
        config.output_dir.clone_from(given);
        Ok(config)
    }
}

/// Prints what a run came to; its exit status, which is that of the signal that ended it, if any did.
fn ended(outcome: Result<Outcome, RunError>, signalled: Option<u8>) -> anyhow::Result<ExitCode> {
    match (outcome, signalled) {
        (Err(error @ RunError::StoppedBeforeItBegan), Some(code)) => {
            output::say(&error.to_string());
            Ok(code.into())
        }
        (outcome, None) => output::print(&outcome?.report).map(|()| ExitCode::SUCCESS),
        (outcome, Some(code)) => {
            // The terminal may be what went away; the report is in the run's folder, too.
            output::print(&outcome?.report).or_else(|error| {
                output::say(&error.to_string());
                anyhow::Ok(())
            })?;
            Ok(code.into())
        }
    }
}

/// A run on its way to a device.
struct Training {
    config: RunConfig,
    options: Options,
    resume: bool,
}

impl OnDevice for Training {
    type Output = Result<Outcome, RunError>;

    fn run<B: Kernels>(self, device: B::Device) -> Self::Output {
        let Self { config, options, resume } = self;
        let mut run = match resume {
            true => Run::<B>::resume(config, &device, options)?,
            false => Run::<B>::begin(config, &device, options)?,
        };
        while !run.is_over() {
            run.step()?;
        }
        run.finish()
    }
}
