//! What to say of an answer that is a refusal.

use super::address::{is_same_server, page, place};
use super::client::Answer;
use crate::hub::{HubError, HubId, RepoKind, Settings};

const GET_TOKEN: &str = "set HF_TOKEN to a token of an account that may see it (https://huggingface.co/settings/tokens)";
const OTHER_TOKEN: &str = "the account of the token may not see it: set HF_TOKEN to a token of one that may, and that \
                           has not expired";
const TOO_OFTEN: &str =
    "it was asked too often; wait some minutes, or set HF_TOKEN, which may ask more often";
const TROUBLE: &str = "the hub has a trouble of its own; try again later";
const STORE: &str =
    "the host that keeps the files of the hub refuses one; start again a little later";
const UNKNOWN: &str = "that is no answer of the hub to such a question; check HF_ENDPOINT";

/// The error of an answer that is neither what was asked for nor a redirect; `file` is what was asked for.
pub(super) fn of(answer: &Answer, id: &HubId, file: Option<&str>, settings: &Settings) -> HubError {
    let status = answer.status();
    if !is_same_server(&answer.address, &settings.endpoint) {
        return HubError::Status { place: place(&answer.address), status, mend: STORE };
    }
    match (status, answer.header("x-error-code")) {
        (401 | 403 | 404, Some("GatedRepo")) => gated(answer, id, settings),
        // Without a token, the hub does not say whether a repository is private or is not there.
        (401 | 404, Some("RepoNotFound")) => no_repo(id, settings),
        (_, Some("RevisionNotFound")) => no_revision(id),
        (404, Some("EntryNotFound")) => no_file(id, file, settings),
        (401, _) => no_repo(id, settings),
        (403, _) => gated(answer, id, settings),
        // Mirrors leave out the code. A revision that is listed was found before its files are asked for.
        (404, _) if file.is_some() => no_file(id, file, settings),
        (404, _) => no_repo(id, settings),
        (status, _) => {
            let mend = match status {
                429 => TOO_OFTEN,
                500..=599 => TROUBLE,
                _ => UNKNOWN,
            };
            HubError::Status { place: place(&answer.address), status, mend }
        }
    }
}

fn gated(answer: &Answer, id: &HubId, settings: &Settings) -> HubError {
    let page = page(&settings.endpoint, id);
    let then = match settings.token {
        Some(_) => {
            "with the account of the token, which must be allowed to read gated repositories"
        }
        None => {
            "and set HF_TOKEN to a token of the account that did (https://huggingface.co/settings/tokens)"
        }
    };
    let mend = format!("accept its licence at {page} {then}");
    HubError::Denied { id: id.repo().into(), status: answer.status(), mend }
}

fn no_repo(id: &HubId, settings: &Settings) -> HubError {
    let noun = match id.kind() {
        RepoKind::Model => "model",
        RepoKind::Dataset => "data set",
    };
    let mend = if settings.token.is_some() { OTHER_TOKEN } else { GET_TOKEN };
    HubError::NoRepo { noun, id: id.repo().into(), mend }
}

fn no_revision(id: &HubId) -> HubError {
    HubError::NoRevision { id: id.repo().into(), revision: id.revision().into() }
}

fn no_file(id: &HubId, file: Option<&str>, settings: &Settings) -> HubError {
    HubError::NoFile {
        id: id.repo().into(),
        file: file.unwrap_or_default().into(),
        revision: id.revision().into(),
        page: format!("{}/tree/{}", page(&settings.endpoint, id), id.revision()),
    }
}
