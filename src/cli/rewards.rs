//! `wgrpo rewards`: what the rewards of a configuration say, without training.

mod given;
mod init;
mod sampled;
mod table;
mod test;

use clap::{Args, Subcommand};

/// Arguments of `wgrpo rewards`.
#[derive(Debug, Args)]
pub(super) struct RewardsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Score completions by the rewards of a configuration, and show why
    Test(test::TestArgs),
    /// Write a reward in Python that works, to be changed into your own
    Init(init::InitArgs),
}

impl RewardsArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Test(args) => args.run(),
            Command::Init(args) => args.run(),
        }
    }
}
