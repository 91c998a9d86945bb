//! Why there is no report, and how to mend that.

use std::io;
use std::path::PathBuf;

/// Why runs cannot be reported on.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The folder is not there, or is none.
    #[error("{} is no folder: name the output_dir of a run, as in runs/quickstart", path.display())]
    NoFolder {
        /// What was named.
        path: PathBuf,
    },
    /// The folder has no metrics.
    #[error(
        "{} holds no metrics.jsonl, which a run writes as it begins: name the output_dir of a run; `wgrpo runs \
         FOLDER` lists the runs below a folder",
        path.display()
    )]
    NoMetrics {
        /// The folder.
        path: PathBuf,
    },
    /// There are metrics, and none that can be read.
    #[error(
        "{} holds no line of a run's metrics: restore the file, or leave this run out",
        path.display()
    )]
    NotMetrics {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused a file.
    #[error("cannot read {}: {reason}: check that it is a file that you may read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said; not a `source`, since the message tells it already.
        reason: io::Error,
    },
    /// More runs than a page holds.
    #[error("{count} runs are more than the {most} that one page holds: name fewer")]
    TooMany {
        /// Runs that were named.
        count: usize,
        /// Runs that fit.
        most: usize,
    },
}
