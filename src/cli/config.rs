//! `wgrpo config`: the resolved run.

use clap::Args;

use super::{ConfigFile, output};

/// Arguments of `wgrpo config`.
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    #[command(flatten)]
    file: ConfigFile,
}

impl ConfigArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        output::print(&self.file.load()?.to_yaml()?)
    }
}
