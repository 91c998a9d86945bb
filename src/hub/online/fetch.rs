//! One question to the hub from its beginning to its end: which commit it is, and its files one by one.

use super::cache::RepoCache;
use super::client::Client;
use super::file_info::{self, FileInfo};
use super::meter::Meter;
use super::transfer::Transfer;
use crate::hub::{Found, HubError, HubId, Watch};
use crate::quote::shown;

/// What is being asked for, and what it is asked with.
pub(super) struct Fetch<'a, 'w> {
    pub(super) client: &'a Client,
    pub(super) id: &'a HubId,
    pub(super) cache: RepoCache,
    meter: Meter<'a, 'w>,
}

impl<'a, 'w> Fetch<'a, 'w> {
    pub(super) fn new(client: &'a Client, id: &'a HubId, watch: &'a mut Watch<'w>) -> Self {
        let cache = RepoCache::new(&client.settings().cache, id);
        Self { client, id, cache, meter: Meter::new(watch) }
    }

    /// Sees to it that a file of a commit is here.
    ///
    /// # Errors
    /// Those of asking and downloading; a file of more than `most` bytes.
    pub(super) fn file(&mut self, commit: &str, file: &str, most: u64) -> Result<(), HubError> {
        if self.cache.has(commit, file) {
            return Ok(());
        }
        let info = file_info::ask(self.client, self.id, commit, file)?;
        if info.bytes > most {
            let problem =
                format!("is said to have {} bytes; such a file has at most {most}", info.bytes);
            return Err(HubError::answer(shown(file), problem));
        }
        self.content(commit, file, &info)
    }

    /// Sees to it that the content of a file is here, and makes it a file of a commit.
    pub(super) fn content(
        &mut self,
        commit: &str,
        file: &str,
        info: &FileInfo,
    ) -> Result<(), HubError> {
        if !self.cache.blob(&info.tag).exists() {
            let (client, id, cache, meter) = (self.client, self.id, &self.cache, &mut self.meter);
            Transfer { client, id, cache, file, info, meter }.run()?;
        }
        self.cache.link(&info.tag, commit, file)
    }

    /// The error of a cache that is to do without a network and lacks something.
    pub(super) fn offline(&self, missing: &str) -> HubError {
        let cache = self.client.settings().cache.clone();
        HubError::Offline { id: self.id.to_string(), missing: missing.into(), cache }
    }

    /// What was found, and remembered as what the revision is.
    pub(super) fn found(&self, commit: &str, file: Option<&str>) -> Result<Found, HubError> {
        self.cache.set_commit(self.id.revision(), commit)?;
        Ok(self.known(commit, file, None))
    }

    /// What the cache has, where the hub was not asked or did not answer.
    pub(super) fn known(
        &self,
        commit: &str,
        file: Option<&str>,
        unchecked: Option<String>,
    ) -> Found {
        let snapshot = self.cache.snapshot(commit);
        let path = file.map_or_else(|| snapshot.clone(), |file| snapshot.join(file));
        Found { path, commit: commit.to_owned(), unchecked }
    }
}
