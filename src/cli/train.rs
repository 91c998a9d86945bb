//! `wgrpo train`: a run from its configuration to its report.

use std::path::PathBuf;

use clap::Args;

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
    /// Go on from the newest checkpoint of the folder
    #[arg(long)]
    resume: bool,
    /// Print nothing but the closing report
    #[arg(long)]
    quiet: bool,
}

impl TrainArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut config = self.file.load()?;
        if let Some(folder) = &self.output_dir {
            config.output_dir.clone_from(folder);
        }
        let device = device::find(&config.device.name)?;
        if let Some(folder) = config.model.path.as_ref().filter(|_| !self.quiet) {
            output::note_left_out(folder);
        }
        let progress = Progress::new(self.quiet);
        let stop = interrupt::watch(&progress)?;
        let options = Options { overwrite: self.overwrite, stop, ..Options::on(&device) };
        let options = options.monitor(Screen::new(progress));
        let outcome = device.run(Training { config, options, resume: self.resume })??;
        output::print(&outcome.report)
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
