//! `wgrpo import-roll`: a ROLL pipeline as a configuration of ours.

use std::path::PathBuf;

use clap::Args;

use super::output::{print, say};
use crate::config::{LONGEST_CONFIG, RunConfig, import_roll};
use crate::files::read_text;

/// Arguments of `wgrpo import-roll`.
#[derive(Debug, Args)]
pub(super) struct ImportRollArgs {
    /// The YAML file of a ROLL pipeline
    file: PathBuf,
}

impl ImportRollArgs {
    /// The configuration goes to standard output, what became of each key to standard error.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let path = self.file.display();
        let text = read_text(&self.file, LONGEST_CONFIG)
            .map_err(|error| anyhow::anyhow!("{path}: cannot be read: {error}; check the path"))?;
        let imported = import_roll(&self.file, &text)?;
        say(imported.report().trim_end());
        print(&imported.yaml)?;
        if let Err(error) = RunConfig::parse(&self.file, &imported.yaml, &[]) {
            say(&format!("before it runs, mend this: {error}"));
        }
        Ok(())
    }
}
