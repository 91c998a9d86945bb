//! `wgrpo check`: an honest look at a run before the long wait.

mod text;

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::{ConfigFile, fetch, output};
use crate::config::RunConfig;
use crate::device::{self, Limits, OnDevice};
use crate::kernel::Kernels;
use crate::monitor::peak_rss_mib;
use crate::run::{Apart, CheckOptions, Checked, Stop, budget, check, loss_of_accuracy};

/// Arguments of `wgrpo check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    file: ConfigFile,
    /// Problems to try
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=4096))]
    problems: u16,
    /// Completions of each [default: as many as the run draws of a prompt]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=4096))]
    samples: Option<u16>,
    /// Do no training step, which is what the time is measured by
    #[arg(long)]
    no_step: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl CheckArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut config = self.file.load()?;
        fetch::fetch_all(&mut config, &Stop::default())?;
        let device = device::find(&config.device.name)?;
        device.compute_on_this_thread();
        let options = CheckOptions {
            problems: self.problems.into(),
            samples: self.samples.unwrap_or(0).into(),
            times_a_step: !self.no_step,
        };
        let found = device.run(Checking { config, limits: device.limits(), options })??;
        match self.json {
            true => output::print_json(&found)?,
            false => output::print(&text::text(&found))?,
        }
        Ok(if found.run.cannot_learn() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// What a run was found to be, and what its base in few bits costs.
#[derive(Serialize)]
struct Found {
    #[serde(flatten)]
    run: Checked,
    #[serde(skip)]
    config: RunConfig,
    memory_budget: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<Loss>,
    /// The most memory that opening the model and the problems took, and all that followed.
    peak_rss_mib: Option<f64>,
}

/// What a base in few bits costs.
#[derive(Serialize)]
struct Loss {
    name: &'static str,
    /// None where in 16 bits the model does not fit the memory.
    apart: Option<Apart>,
}

struct Checking {
    config: RunConfig,
    limits: Limits,
    options: CheckOptions,
}

impl OnDevice for Checking {
    type Output = anyhow::Result<Found>;

    fn run<B: Kernels>(self, device: B::Device) -> anyhow::Result<Found> {
        let Self { config, limits, options } = self;
        let memory_budget = budget(&config, &limits);
        // What was opened is closed before the model is opened again.
        let run = check::<B>(&config, &device, &limits, options)?;
        let base = match config.lora.as_ref().map(|lora| lora.base).filter(|base| base.is_few()) {
            Some(base) => {
                let apart = loss_of_accuracy::<B>(&config, &device, memory_budget)?;
                Some(Loss { name: base.name(), apart })
            }
            None => None,
        };
        Ok(Found { run, config, memory_budget, base, peak_rss_mib: peak_rss_mib() })
    }
}
