//! One file of a repository.

use super::client::Client;
use super::fetch::Fetch;
use super::file_info::FileInfo;
use super::tags::is_commit;
use super::{address, file_info};
use crate::hub::{Found, HubError, HubId, Watch};

/// The file of `id` that is called `file`: from the cache where it is known to be the one that is meant, else from
/// the hub.
pub(super) fn get(
    client: &Client,
    id: &HubId,
    file: &str,
    watch: &mut Watch<'_>,
) -> Result<Found, HubError> {
    let mut fetch = Fetch::new(client, id, watch);
    let kept = fetch.cache.commit_of(id.revision()).filter(|commit| fetch.cache.has(commit, file));
    let is_offline = client.settings().is_offline;
    match kept {
        Some(commit) if is_offline || is_commit(id.revision()) => {
            return Ok(fetch.known(&commit, Some(file), None));
        }
        None if is_offline => return Err(fetch.offline("it")),
        _ => {}
    }
    match (file_info::ask(client, id, id.revision(), file), kept) {
        (Ok(info), _) => download(&mut fetch, file, &info),
        (Err(error), Some(commit)) if error.is_no_answer() => {
            Ok(fetch.known(&commit, Some(file), Some(error.to_string())))
        }
        (Err(error), _) => Err(error),
    }
}

fn download(fetch: &mut Fetch, file: &str, info: &FileInfo) -> Result<Found, HubError> {
    let named = Some(fetch.id.revision()).filter(|revision| is_commit(revision));
    let commit = info.commit.as_deref().or(named).ok_or_else(|| {
        let place = address::place(&info.address);
        HubError::answer(place, "does not say of which commit the file is (X-Repo-Commit)")
    })?;
    if !fetch.cache.has(commit, file) {
        fetch.content(commit, file, info)?;
    }
    fetch.found(commit, Some(file))
}
