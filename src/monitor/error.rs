//! Why a run folder cannot be used, and how to mend that.

use std::io;
use std::path::{Path, PathBuf};

use crate::files::write_atomically;

/// Why a run folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RunFolderError {
    /// The folder holds a run already.
    #[error(
        "{} already holds a run: choose another folder with --output-dir, go on with that run with \
         --resume, or replace it with --overwrite",
        path.display()
    )]
    HoldsRun {
        /// The run folder.
        path: PathBuf,
    },
    /// There is no run to go on with.
    #[error("{} holds no run to resume: check output_dir, or start without resume", path.display())]
    NothingToResume {
        /// The run folder.
        path: PathBuf,
    },
    /// Another run is at work there.
    #[error(
        "another run is under way in {}: wait until it has ended, or end it, or choose another folder \
         with --output-dir",
        path.display()
    )]
    UnderWay {
        /// The run folder.
        path: PathBuf,
    },
    /// Neither the old run nor a new one.
    #[error(
        "replacing the run in {} was cut short, and what is left of it is not whole: start anew with \
         --overwrite",
        path.display()
    )]
    HalfOverwritten {
        /// The run folder.
        path: PathBuf,
    },
    /// The operating system refused a file.
    #[error("cannot {action} {}: {reason}: {}", path.display(), mend(reason.kind()))]
    Io {
        /// What was tried, as in "append to".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said; not a `source`, since the message tells it already.
        reason: io::Error,
    },
    /// A whole file could not be written; the reason names it.
    #[error("{reason}: {}", mend(reason.kind()))]
    Write {
        /// What went wrong with which file.
        reason: io::Error,
    },
}

pub(super) fn write_whole(path: &Path, text: &str) -> Result<(), RunFolderError> {
    write_atomically(path, text.as_bytes()).map_err(|reason| RunFolderError::Write { reason })
}

pub(super) fn failed(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> RunFolderError {
    let path = path.to_owned();
    move |reason| RunFolderError::Io { action, path, reason }
}

fn mend(kind: io::ErrorKind) -> &'static str {
    use io::ErrorKind::*;
    match kind {
        StorageFull | QuotaExceeded | FileTooLarge => {
            "free some space there, then resume the run; or choose an output_dir on another disk"
        }
        ReadOnlyFilesystem | PermissionDenied => "choose an output_dir that you may write to",
        NotADirectory | IsADirectory | AlreadyExists => {
            "something else has that name: choose another output_dir, or move it away"
        }
        InvalidData => "mend or remove that line, or begin the run anew with overwrite",
        _ => "check that output_dir is a folder that you can write to",
    }
}
