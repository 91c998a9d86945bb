//! What the hub says of a file before it is downloaded.

use super::address::{is_same_server, place};
use super::client::{Answer, Client};
use super::tags::{is_commit, is_tag};
use super::{address, refusal};
use crate::hub::{HubError, HubId};

/// Most redirects inside the hub, as from the old name of a repository to the new one.
const MOST_REDIRECTS: usize = 8;

/// What the hub says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileInfo {
    /// Where it is.
    pub(super) address: String,
    /// The commit that it was looked up in.
    pub(super) commit: Option<String>,
    /// What its content is known by.
    pub(super) tag: String,
    /// Its length.
    pub(super) bytes: u64,
}

/// What the headers have told so far.
#[derive(Default)]
struct Told {
    commit: Option<String>,
    tag: Option<String>,
    bytes: Option<u64>,
}

/// Asks what the hub says of a file.
///
/// # Errors
/// Those of asking; no such file; an answer that does not say what is needed.
pub(super) fn ask(
    client: &Client,
    id: &HubId,
    revision: &str,
    file: &str,
) -> Result<FileInfo, HubError> {
    let address = address::file(&client.settings().endpoint, id, revision, file);
    let (told, last) = client.patiently(|| follow(client, id, &address, file))?;
    let missing = |what| HubError::answer(place(&last), format!("does not say {what}"));
    let tag =
        told.tag.filter(|tag| is_tag(tag)).ok_or_else(|| missing("what the file is (ETag)"))?;
    let bytes = told.bytes.ok_or_else(|| missing("how long the file is"))?;
    let commit = told.commit.filter(|commit| is_commit(commit));
    if is_commit(revision) && commit.as_deref().is_some_and(|commit| commit != revision) {
        return Err(HubError::answer(place(&last), "answers for another commit"));
    }
    Ok(FileInfo { address, commit, tag, bytes })
}

/// Gathers headers along redirects inside the hub. Where they lead out of it, no more can be learnt.
fn follow(
    client: &Client,
    id: &HubId,
    address: &str,
    file: &str,
) -> Result<(Told, String), HubError> {
    let mut told = Told::default();
    let mut address = address.to_owned();
    for _ in 0..MOST_REDIRECTS {
        let answer = client.head(&address)?;
        let next = answer.redirect()?;
        if next.is_none() && answer.status() != 200 {
            return Err(refusal::of(&answer, id, Some(file), client.settings()));
        }
        told.hear(&answer, next.is_none());
        match next {
            Some(next) if !told.is_all() && is_same_server(&next, &address) => address = next,
            _ => return Ok((told, address)),
        }
    }
    Err(HubError::answer(place(&address), "leads from one redirect to the next"))
}

impl Told {
    /// What was told first stands. The length and the tag of a redirect's own body are not those of the file.
    fn hear(&mut self, answer: &Answer, is_file: bool) {
        let own = |name: &str| answer.header(name).filter(|_| is_file);
        let number = |text: &str| text.trim().parse().ok();
        let tag = answer.header("x-linked-etag").or_else(|| own("etag")).map(bare);
        let bytes =
            answer.header("x-linked-size").or_else(|| own("content-length")).and_then(number);
        self.commit =
            self.commit.take().or_else(|| answer.header("x-repo-commit").map(str::to_owned));
        self.tag = self.tag.take().or(tag);
        self.bytes = self.bytes.or(bytes);
    }

    fn is_all(&self) -> bool {
        self.commit.is_some() && self.tag.is_some() && self.bytes.is_some()
    }
}

/// A tag without its quotes, weak or not.
fn bare(tag: &str) -> String {
    tag.trim().trim_start_matches("W/").trim_matches('"').to_owned()
}
