//! The cache, in the layout of the Python tools, so that a file is downloaded once for all of them.
//!
//! ```text
//! models--owner--name/blobs/TAG                   the contents
//! models--owner--name/refs/REVISION               the commit that a branch or a tag was last
//! models--owner--name/snapshots/COMMIT/FILE       links to the contents
//! models--owner--name/.no_exist/COMMIT/FILE       empty: the commit has no such file
//! .locks/models--owner--name/TAG.lock             held while a content is downloaded
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::address::plural;
use super::lock;
use super::tags::is_commit;
use crate::files::{read_text, write_atomically};
use crate::hub::{HubError, HubId};

/// The cache of one repository.
#[derive(Debug)]
pub(super) struct RepoCache {
    folder: PathBuf,
    locks: PathBuf,
}

impl RepoCache {
    pub(super) fn new(cache: &Path, id: &HubId) -> Self {
        let name = format!("{}--{}", plural(id.kind()), id.repo().replace('/', "--"));
        Self { folder: cache.join(&name), locks: cache.join(".locks").join(name) }
    }

    /// The commit that a revision was when it was last looked up, or that it is by its name.
    pub(super) fn commit_of(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let text = read_text(&self.reference(revision), 100).ok()?;
        Some(text.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    /// Remembers the commit that a revision is.
    pub(super) fn set_commit(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if self.commit_of(revision).is_some_and(|known| known == commit) {
            return Ok(());
        }
        self.write(&self.reference(revision), commit)
    }

    /// The folder with the files of a commit.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// Where a file of a commit is, or would be.
    pub(super) fn file(&self, commit: &str, file: &str) -> PathBuf {
        self.snapshot(commit).join(file)
    }

    /// The paths of all files of a commit that are here.
    pub(super) fn files(&self, commit: &str) -> Vec<String> {
        let root = self.snapshot(commit);
        let (mut files, mut open) = (Vec::new(), vec![String::new()]);
        while let Some(below) = open.pop() {
            let entries = fs::read_dir(root.join(&below)).into_iter().flatten().flatten();
            for entry in entries {
                let Ok(name) = entry.file_name().into_string() else { continue };
                let path = if below.is_empty() { name } else { format!("{below}/{name}") };
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if is_folder { open.push(path) } else { files.push(path) }
            }
        }
        files.retain(|file| self.has(commit, file));
        files.sort();
        files
    }

    /// Whether a file of a commit is here.
    pub(super) fn has(&self, commit: &str, file: &str) -> bool {
        self.file(commit, file).is_file()
    }

    /// Whether it is known that the commit has no such file.
    pub(super) fn lacks(&self, commit: &str, file: &str) -> bool {
        self.lacking(commit, file).is_file()
    }

    /// Remembers that the commit has no such file.
    pub(super) fn set_lacks(&self, commit: &str, file: &str) -> Result<(), HubError> {
        let path = self.lacking(commit, file);
        if path.is_file() {
            return Ok(());
        }
        self.write(&path, "")
    }

    /// Where a content is, or would be.
    pub(super) fn blob(&self, tag: &str) -> PathBuf {
        self.folder.join("blobs").join(tag)
    }

    /// Where a content is while it is not whole.
    pub(super) fn partial(&self, tag: &str) -> PathBuf {
        self.folder.join("blobs").join(format!("{tag}.incomplete"))
    }

    /// The file to lock while a content is downloaded.
    pub(super) fn lock(&self, tag: &str) -> PathBuf {
        self.locks.join(format!("{tag}.lock"))
    }

    /// Makes a content a file of a commit.
    ///
    /// # Errors
    /// Any error of the disk.
    pub(super) fn link(&self, tag: &str, commit: &str, file: &str) -> Result<(), HubError> {
        let (blob, path) = (self.blob(tag), self.file(commit, file));
        let linked = create_parent(&path).and_then(|()| remove_dangling(&path)).and_then(|()| {
            let up = "../".repeat(file.split('/').count() + 1);
            link_or_move(&Path::new(&up).join("blobs").join(tag), &blob, &path)
        });
        linked.map_err(|error| HubError::disk(path, error))
    }

    /// Writes what is remembered. Two programs that do so at once would take each other's for left behind.
    fn write(&self, path: &Path, text: &str) -> Result<(), HubError> {
        let _lock = lock::hold(&self.lock("remembered"), || Ok(()))?;
        write_atomically(path, text.as_bytes()).map_err(|error| HubError::disk(path, error))
    }

    fn reference(&self, revision: &str) -> PathBuf {
        self.folder.join("refs").join(revision)
    }

    fn lacking(&self, commit: &str, file: &str) -> PathBuf {
        self.folder.join(".no_exist").join(commit).join(file)
    }
}

/// Creates the folder that a file is to lie in.
pub(super) fn create_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

/// A link whose content was deleted is in the way of the new one.
fn remove_dangling(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(_) if !path.exists() => fs::remove_file(path),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn link_or_move(relative: &Path, _blob: &Path, path: &Path) -> io::Result<()> {
    match std::os::unix::fs::symlink(relative, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

/// Where nobody may make links, the content itself is moved, as the Python tools do.
#[cfg(windows)]
fn link_or_move(relative: &Path, blob: &Path, path: &Path) -> io::Result<()> {
    let relative: PathBuf = relative.components().collect();
    match std::os::windows::fs::symlink_file(relative, path) {
        Err(_) if path.exists() => Ok(()),
        Err(_) => fs::rename(blob, path),
        linked => linked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn cache(folder: &Path) -> RepoCache {
        RepoCache::new(folder, &HubId::parse("hf://datasets/a/b@refs/pr/1").unwrap())
    }

    #[test]
    fn a_revision_is_remembered_and_a_file_that_holds_no_commit_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path());
        assert_eq!(cache.commit_of("refs/pr/1"), None);
        cache.set_commit("refs/pr/1", COMMIT).unwrap();
        assert_eq!(cache.commit_of("refs/pr/1").unwrap(), COMMIT);
        let path = folder.path().join("datasets--a--b/refs/refs/pr/1");
        assert_eq!(fs::read_to_string(&path).unwrap(), COMMIT);
        fs::write(&path, "../../../etc").unwrap();
        assert_eq!(cache.commit_of("refs/pr/1"), None);
        assert_eq!(cache.commit_of(COMMIT).unwrap(), COMMIT);
    }

    #[test]
    fn a_file_leads_to_its_content_and_a_link_to_nothing_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path());
        let blob = cache.blob("tag2");
        create_parent(&blob).unwrap();
        cache.link("tag1", COMMIT, "x/y.jsonl").unwrap();
        assert!(!cache.has(COMMIT, "x/y.jsonl"));
        fs::write(&blob, "content").unwrap();
        cache.link("tag2", COMMIT, "x/y.jsonl").unwrap();
        cache.link("tag2", COMMIT, "x/y.jsonl").unwrap();
        assert!(cache.has(COMMIT, "x/y.jsonl"));
        assert_eq!(fs::read(cache.file(COMMIT, "x/y.jsonl")).unwrap(), b"content");
    }

    #[test]
    fn what_a_commit_lacks_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path());
        assert!(!cache.lacks(COMMIT, "f"));
        cache.set_lacks(COMMIT, "f").unwrap();
        cache.set_lacks(COMMIT, "f").unwrap();
        assert!(cache.lacks(COMMIT, "f") && !cache.has(COMMIT, "f"));
    }
}
