//! `wgrpo rewards init`: a reward of a person's own to begin with.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use crate::cli::output;
use crate::reward::EXAMPLE;

/// Arguments of `wgrpo rewards init`.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The file to write; one that is there is left alone
    file: PathBuf,
}

impl InitArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let path = self.file.display();
        write_new(&self.file)?;
        output::print(&format!(
            "{path} is a reward: its function gives a number for each completion.\nName it in a configuration:\n\n\
             rewards:\n  - {{kind: python, path: {path:?}, function: reward}}\n\n\
             or run it as a program of its own, which may be in any language:\n\n\
             rewards:\n  - {{kind: command, command: [python3, {path:?}]}}\n"
        ))
    }
}

fn write_new(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            anyhow::bail!("{shown} is there already and is left as it is; name another file")
        }
        Err(error) => anyhow::bail!(
            "cannot write {shown}: {error}; name a file in a folder that you may write to"
        ),
        Ok(file) => file,
    };
    file.write_all(EXAMPLE.as_bytes()).with_context(|| format!("cannot write {shown}"))
}
