//! `wgrpo train`: a run from its configuration to its report.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::fetch::fetch_all;
use super::{ConfigFile, interrupt, output};
use crate::config::RunConfig;
use crate::device::{self, OnDevice};
use crate::kernel::Kernels;
use crate::monitor::{Progress, Screen};
use crate::run::{Options, Outcome, Run, RunError};

/// Arguments of `wgrpo train`.
#[derive(Debug, Args)]
pub(super) struct TrainArgs {
    #[command(flatten)]
    file: ConfigFile,
    /// Write to this folder instead of the configuration's output_dir
    #[arg(long, value_name = "FOLDER")]
    output_dir: Option<PathBuf>,
    /// Start anew in a folder that already holds a run, removing that run's files
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,
    /// Go on from the newest whole checkpoint of the folder
    #[arg(long)]
    resume: bool,
    /// Go on though the configuration, the data or the model has changed, or lines of the logs are missing
    #[arg(long, requires = "resume")]
    accept_changes: bool,
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
        let interrupt = interrupt::watch(&progress)?;
        let mut config = self.file.load()?;
        if let Some(folder) = &self.output_dir {
            config.output_dir.clone_from(folder);
        }
        let device = device::find(&config.device.name)?;
        fetch_all(&mut config, &interrupt.stop)?;
        device.compute_on_this_thread();
        if let Some(folder) = &config.model.path {
            output::note_left_out(folder);
        }
        let options = Options {
            overwrite: self.overwrite,
            accept_changes: self.accept_changes,
            tries_first: !(self.skip_check || self.quiet),
            stop: interrupt.stop.clone(),
            ..Options::on(&device)
        };
        let options = options.monitor(Screen::new(progress));
        let outcome = device.run(Training { config, options, resume: self.resume })?;
        ended(outcome, interrupt.exit_code())
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
