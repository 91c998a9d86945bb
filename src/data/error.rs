//! What can be wrong with the problems of a run.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::quote::passage;

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
    /// One row of a file is not what it should be.
    #[error("{}{place}: {problem}; {expected}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Where it stands.
        place: Place,
        /// What is wrong with it.
        problem: String,
        /// What should stand there.
        expected: String,
    },
    /// A path that names something else than a file of problems.
    #[error(
        "{} is {format}, and JSON lines (one object a line), a JSON array, CSV or parquet are read; {mend}",
        path.display()
    )]
    Format {
        /// The path.
        path: PathBuf,
        /// What is there.
        format: &'static str,
        /// What to do with it.
        mend: &'static str,
    },
    /// A file is broken as a whole.
    #[error("{} is no whole {format} file: {problem}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What it should be.
        format: &'static str,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A file holds nothing.
    #[error("the data file {} has no lines; it needs one problem a line or row", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A folder is no data set, or not clear about what to read.
    #[error("{}: {problem}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is wrong, and how to mend it.
        problem: String,
    },
    /// No row of the files is left.
    #[error("data.{key}: no row is left to use: {reasons}")]
    NoneLeft {
        /// The key that names the files.
        key: &'static str,
        /// Why each was left out.
        reasons: String,
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

/// Where a row of a file stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It begins on this line of text, counted from 1.
    Line(usize),
    /// It is this row of a file without lines, counted from 1.
    Row(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(formatter, ":{line}"),
            Self::Row(row) => write!(formatter, ", row {row}"),
        }
    }
}

impl DataError {
    pub(super) fn row(
        path: &Path,
        place: Place,
        problem: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        // It may quote names of columns, which come from the file.
        let problem: String = problem.into();
        let problem = passage(&problem).into_owned();
        Self::Row { path: path.into(), place, problem, expected: expected.into() }
    }

    pub(super) fn format(path: &Path, format: &'static str, mend: &'static str) -> Self {
        Self::Format { path: path.into(), format, mend }
    }

    pub(super) fn broken(path: &Path, format: &'static str, problem: impl Into<String>) -> Self {
        Self::Broken { path: path.into(), format, problem: problem.into() }
    }

    pub(super) fn setting(key: &'static str, problem: impl Into<String>) -> Self {
        let problem: String = problem.into();
        Self::Setting { key, problem: passage(&problem).into_owned() }
    }

    pub(super) fn unreadable(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Read { path: path.into(), source }
    }
}
