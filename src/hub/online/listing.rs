//! Which files a revision has, by the hub.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::address::{self, place};
use super::client::Client;
use super::refusal;
use super::tags::is_commit;
use crate::hub::names::is_file;
use crate::hub::{HubError, HubId};
use crate::quote::shown;

/// Bytes of the longest list that is read. A model has some hundreds of files; a name takes some fifty bytes.
const LONGEST: u64 = 32 << 20;

/// The commit that a revision is, and the names of its files.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) commit: String,
    pub(super) files: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Told {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

/// Asks the hub. Names that would lead out of a folder are left out.
pub(super) fn ask(client: &Client, id: &HubId) -> Result<Listing, HubError> {
    let address = address::listing(&client.settings().endpoint, id);
    let bytes = client.patiently(|| {
        let answer = client.short(&address)?;
        match answer.status() {
            200 => answer.into_bytes(LONGEST),
            _ => Err(refusal::of(&answer, id, None, client.settings())),
        }
    })?;
    let wrong = |problem: &str| HubError::answer(place(&address), problem);
    let told: Told = serde_json::from_slice(&bytes)
        .map_err(|error| wrong(&format!("is no list of files: {}", shown(&error.to_string()))))?;
    if !is_commit(&told.sha) {
        return Err(wrong("names no commit"));
    }
    let files = told.siblings.into_iter().map(|sibling| sibling.rfilename);
    Ok(Listing { commit: told.sha, files: files.filter(|file| is_file(file)).collect() })
}
