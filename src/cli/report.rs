//! `wgrpo report`: one page about one or several runs.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;

use super::output;
use crate::files::{other_than_file, write_atomically};
use crate::report::{MARK, page};

/// Arguments of `wgrpo report`.
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// The output_dir of each run
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The page to write, which a browser opens without a network
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,
}

impl ReportArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        refuse_to_replace(&self.output)?;
        let page = page(&self.runs)?;
        page.notes.iter().for_each(|note| output::note(note));
        write_atomically(&self.output, page.html.as_bytes())?;
        let kilobytes = page.html.len().div_ceil(1000);
        output::print(&format!("{} ({kilobytes} kB)\n", self.output.display()))
    }
}

/// A report may be replaced by a newer one, and nothing else: a log that was named by mistake is lost.
fn refuse_to_replace(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    match other_than_file(path) {
        // What keeps it from being written is said when it is.
        Err(_) => Ok(()),
        Ok(Some(kind)) => {
            anyhow::bail!("{shown} is {kind}: name a file with -o, as in -o report.html")
        }
        Ok(None) => {
            let is_ours = is_report(path);
            anyhow::ensure!(
                is_ours,
                "{shown} is there already and is no report: name another file with -o, or move it away"
            );
            Ok(())
        }
    }
}

fn is_report(path: &Path) -> bool {
    let mut beginning = vec![0; MARK.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut beginning));
    read.is_ok() && beginning == MARK.as_bytes()
}
