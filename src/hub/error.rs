//! What can be wrong on the way from the hub, and what to do.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use thiserror::Error;

/// Why a model or a file is not here.
#[derive(Debug, Error)]
pub enum HubError {
    /// A variable of the environment that cannot be used.
    #[error("{name}: {problem}")]
    Setting {
        /// The variable.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Nobody answers.
    #[error("cannot reach {host}: {problem}; {mend}")]
    Unreachable {
        /// The hub, or the host that it names for its files.
        host: String,
        /// What the system says.
        problem: String,
        /// What to do.
        mend: &'static str,
    },
    /// The connection ended before the answer.
    #[error("the connection to {host} broke: {problem}; try again later")]
    Broken {
        /// The hub, or the host that it names for its files.
        host: String,
        /// What happened.
        problem: String,
    },
    /// The hub does not let this person have it.
    #[error("the hub does not give out {id} ({status}): {mend}")]
    Denied {
        /// What was asked for.
        id: String,
        /// The status of the answer.
        status: u16,
        /// What to do.
        mend: String,
    },
    /// There is no such repository, or none that this person may see.
    #[error(
        "the hub has no {noun} {id}, or only for some: check the spelling; if it is private, {mend}"
    )]
    NoRepo {
        /// `model`, `data set`.
        noun: &'static str,
        /// What was asked for.
        id: String,
        /// What to do about the token.
        mend: &'static str,
    },
    /// The repository has no such branch, tag or commit.
    #[error(
        "{id} has no revision {revision}: name a branch, a tag or a whole commit that it has, or leave out @{revision}"
    )]
    NoRevision {
        /// The repository.
        id: String,
        /// What was asked for.
        revision: String,
    },
    /// The repository has no such file.
    #[error("{id} has no file {file} at {revision}; see its files at {page}")]
    NoFile {
        /// The repository.
        id: String,
        /// What was asked for.
        file: String,
        /// The revision that was looked at.
        revision: String,
        /// The page that lists its files.
        page: String,
    },
    /// A repository that holds no model of the kind that is read here.
    #[error("{id} {problem}; {mend}")]
    NoModel {
        /// The repository.
        id: String,
        /// What it lacks or has in its place.
        problem: String,
        /// What to do.
        mend: String,
    },
    /// A data set of which no file can be chosen.
    #[error("the data set {id}: {problem}")]
    NoData {
        /// The repository.
        id: String,
        /// Why, and what to do.
        problem: String,
    },
    /// An id that does not say enough.
    #[error("{id} {problem}")]
    Id {
        /// What was written.
        id: String,
        /// What is wrong with it, and how to write it.
        problem: &'static str,
    },
    /// The hub has a trouble of its own.
    #[error("{place} answers {status}: {mend}")]
    Status {
        /// The address, without what stands behind a question mark.
        place: String,
        /// The status of the answer.
        status: u16,
        /// What to do.
        mend: &'static str,
    },
    /// An answer that is not believed.
    #[error(
        "{place} {problem}; nothing of it was kept. If HF_ENDPOINT names a mirror or a proxy is on the way, try without; else try again later"
    )]
    Answer {
        /// The address, without what stands behind a question mark.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A transfer that ended before the file did.
    #[error(
        "the download of {file} broke off at {done_bytes} of {total_bytes} bytes: {problem}; start again, and it goes on from there"
    )]
    Interrupted {
        /// The file.
        file: String,
        /// Bytes that are here.
        done_bytes: u64,
        /// Bytes that it has.
        total_bytes: u64,
        /// What happened.
        problem: String,
    },
    /// What came is not what the hub announced.
    #[error(
        "{file} came damaged: its checksum is not the one that the hub gives; it was removed. Start again; if it comes again, something on the way changes files"
    )]
    Damaged {
        /// The file.
        file: String,
    },
    /// The cache cannot be read or written.
    #[error("cannot write {}: {source}; {}", path.display(), mend_of_disk(source))]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No network is wanted, and the cache does not have all of it.
    #[error(
        "HF_HUB_OFFLINE is set, and the cache {} does not have {missing} of {id}; download it once without HF_HUB_OFFLINE, or set HF_HOME to where it is",
        cache.display()
    )]
    Offline {
        /// What was asked for.
        id: String,
        /// What is not there.
        missing: String,
        /// The cache.
        cache: PathBuf,
    },
    /// A build without the feature `hub`.
    #[error(
        "{id} would have to be downloaded, which this build cannot do: build with the feature hub, or get it with `hf download` (of pip's huggingface_hub) and name where it is"
    )]
    NotBuilt {
        /// What was asked for.
        id: String,
    },
    /// The download was to end.
    #[error("the download was stopped; start again, and it goes on from there")]
    Stopped,
}

fn mend_of_disk(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "free some space, or set HF_HOME to a folder on a larger disk, and start again: what is here is kept"
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "set HF_HOME to a folder that you may write to"
        }
        _ => "check the disk, or set HF_HOME to another folder",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_how_to_go_on() {
        let message = |kind: ErrorKind| {
            let (path, source) = ("/cache/blobs/x".into(), kind.into());
            HubError::Disk { path, source }.to_string()
        };
        let full = message(ErrorKind::StorageFull);
        assert!(full.starts_with("cannot write /cache/blobs/x: "), "{full}");
        assert!(full.contains("free some space") && full.contains("HF_HOME"), "{full}");
        assert!(message(ErrorKind::PermissionDenied).contains("may write to"));
    }
}
