//! The command line: one file for each command.

mod advantages;
mod bench;
mod bench_counts;
mod bench_decode;
mod check;
mod config;
mod device_check;
mod devices;
mod eval;
mod explain;
mod export;
mod fetch;
mod generate;
mod import_roll;
mod init;
mod interrupt;
mod memory;
mod output;
mod report;
mod rewards;
mod runs;
mod schema;
mod signal;
mod train;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

pub use output::say;

use crate::config::RunConfig;

/// Teaches small language models verifiable skills, on any machine.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a configuration to begin with
    Init(init::InitArgs),
    /// Train a model as a configuration says
    Train(train::TrainArgs),
    /// Measure accuracy on held-out problems, for a run or a model folder
    Eval(eval::EvalArgs),
    /// Write what was trained for other programs: transformers, PEFT, llama.cpp
    Export(export::ExportArgs),
    /// Sample from a saved model
    Generate(generate::GenerateArgs),
    /// Time whole training steps, or generation alone
    Bench(bench::BenchArgs),
    /// Try a run before the long wait: what the model sees and does, what can be learned, how long it takes
    Check(check::CheckArgs),
    /// Tell how much memory a run takes, without its weights
    Memory(memory::MemoryArgs),
    /// Write a page about runs: curves, completions, findings, what differs
    Report(report::ReportArgs),
    /// List the runs below a folder: state, steps, accuracy, what differs
    Runs(runs::RunsArgs),
    /// Print what an estimator makes of given rewards
    Advantages(advantages::AdvantagesArgs),
    /// Tell how often groups of a given size get the sign of an advantage wrong
    Signal(signal::SignalArgs),
    /// Score completions by the rewards of a configuration
    Rewards(rewards::RewardsArgs),
    /// Turn a ROLL pipeline into a configuration
    ImportRoll(import_roll::ImportRollArgs),
    /// Say what a key of a configuration means, and what it takes
    Explain(explain::ExplainArgs),
    /// Print the JSON schema of a configuration, by which editors complete it
    Schema,
    /// Print the resolved run, every default written out
    Config(config::ConfigArgs),
    /// List the backends and adapters that this program can use
    Devices(devices::DevicesArgs),
}

impl Cli {
    /// Runs the command; the exit status that it asks for.
    ///
    /// # Errors
    /// Whatever the person should read.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Train(args) => return args.run(),
            Command::Check(args) => return args.run(),
            Command::Init(args) => args.run(),
            Command::Eval(args) => args.run(),
            Command::Export(args) => args.run(),
            Command::Generate(args) => args.run(),
            Command::Bench(args) => args.run(),
            Command::Memory(args) => args.run(),
            Command::Report(args) => args.run(),
            Command::Runs(args) => args.run(),
            Command::Advantages(args) => args.run(),
            Command::Signal(args) => args.run(),
            Command::Rewards(args) => args.run(),
            Command::ImportRoll(args) => args.run(),
            Command::Explain(args) => args.run(),
            Command::Schema => schema::run(),
            Command::Config(args) => args.run(),
            Command::Devices(args) => args.run(),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A configuration file and what the command line changes of it.
#[derive(Debug, Clone, Args)]
struct ConfigFile {
    /// The run's YAML file
    config: PathBuf,
    #[command(flatten)]
    changes: Changes,
}

/// What the command line changes of a configuration.
#[derive(Debug, Clone, Args)]
struct Changes {
    /// Change a value, as in `--set optimizer.learning_rate=1e-5`; can be repeated
    #[arg(long, value_name = "KEY.PATH=VALUE")]
    set: Vec<String>,
    /// Run on this device, such as cpu, gpu or vulkan:1, instead of the configuration's
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
}

impl ConfigFile {
    fn load(&self) -> anyhow::Result<RunConfig> {
        self.changes.load(&self.config)
    }
}

impl Changes {
    fn load(&self, path: &std::path::Path) -> anyhow::Result<RunConfig> {
        let mut config = RunConfig::load(path, &self.set)?;
        if let Some(device) = &self.device {
            config.device.name.clone_from(device);
        }
        Ok(config)
    }
}
