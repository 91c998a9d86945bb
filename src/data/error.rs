//! What can be wrong with the problems of a run.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why no [`Dataset`](super::Dataset) could be made.
#[derive(Debug, Error)]
pub enum DataError {
    /// A file could not be opened or read.
    #[error("cannot read the data file {}: {source}; check data.path", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// One line of a file is not what it should be.
    #[error("{}:{line}: {problem}; {expected}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
        /// What should stand there.
        expected: String,
    },
    /// A path that names something else than a file of JSON lines.
    #[error("{} is {format}, and JSON lines are expected: one object a line; {mend}", path.display())]
    Format {
        /// The path.
        path: PathBuf,
        /// What is there.
        format: &'static str,
        /// What to do with it.
        mend: &'static str,
    },
    /// A file holds nothing.
    #[error("the data file {} has no lines; it needs one JSON object a line", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A setting has a value that cannot be used.
    #[error("data.{key}: {problem}")]
    Setting {
        /// The key below `data`.
        key: &'static str,
        /// What is wrong, and how to mend it.
        problem: String,
    },
}

impl DataError {
    pub(super) fn line(
        path: &Path,
        line: usize,
        problem: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self::Line { path: path.into(), line, problem: problem.into(), expected: expected.into() }
    }

    pub(super) fn format(path: &Path, format: &'static str, mend: &'static str) -> Self {
        Self::Format { path: path.into(), format, mend }
    }

    pub(super) fn setting(key: &'static str, problem: impl Into<String>) -> Self {
        Self::Setting { key, problem: problem.into() }
    }
}
