//! The files of a data set that somebody chooses among, and its README.md.

use super::client::Client;
use super::fetch::Fetch;
use super::listing;
use super::tags::is_commit;
use crate::hub::{Choose, Found, HubError, HubId, Watch};

const CARD: &str = "README.md";
/// Bytes of the longest README.md that is fetched.
const LONGEST_CARD: u64 = 4 << 20;

/// The folder with the chosen files: from the cache where they are known to be the ones that are meant, else from the
/// hub.
pub(super) fn get(
    client: &Client,
    id: &HubId,
    choose: &mut Choose<'_>,
    watch: &mut Watch<'_>,
) -> Result<Found, HubError> {
    let mut fetch = Fetch::new(client, id, watch);
    let kept =
        fetch.cache.commit_of(id.revision()).filter(|commit| is_here(&fetch, commit, choose));
    match kept {
        Some(commit) if client.settings().is_offline || is_commit(id.revision()) => {
            return Ok(fetch.known(&commit, None, None));
        }
        None if client.settings().is_offline => return Err(fetch.offline("its files")),
        _ => {}
    }
    match (listing::ask(client, id), kept) {
        (Ok(listing), _) => {
            let files: Vec<String> = listing.files.into_iter().collect();
            download(&mut fetch, &listing.commit, &files, choose)
        }
        (Err(error), Some(commit)) if error.is_no_answer() => {
            Ok(fetch.known(&commit, None, Some(error.to_string())))
        }
        (Err(error), _) => Err(error),
    }
}

fn download(
    fetch: &mut Fetch,
    commit: &str,
    files: &[String],
    choose: &mut Choose<'_>,
) -> Result<Found, HubError> {
    if files.iter().any(|file| file == CARD) {
        fetch.file(commit, CARD, LONGEST_CARD)?;
    }
    let card = card(fetch, commit);
    let chosen = choose(files, card.as_deref())
        .map_err(|problem| HubError::NoData { id: fetch.id.to_string(), problem })?;
    for file in chosen {
        fetch.file(commit, &file, u64::MAX)?;
    }
    fetch.found(commit, None)
}

fn card(fetch: &Fetch, commit: &str) -> Option<String> {
    crate::files::read_text(&fetch.cache.file(commit, CARD), LONGEST_CARD).ok()
}

/// Whether the cache has what is chosen among its own files, and no shard of it is missing.
fn is_here(fetch: &Fetch, commit: &str, choose: &mut Choose<'_>) -> bool {
    let files = fetch.cache.files(commit);
    let chosen = choose(&files, card(fetch, commit).as_deref());
    chosen
        .is_ok_and(|chosen| !chosen.is_empty() && chosen.iter().all(|file| is_whole(file, &chosen)))
}

/// Whether of a file that is called `...-00000-of-00003...` all others are there.
fn is_whole(file: &str, files: &[String]) -> bool {
    let Some((before, after)) = file.rsplit_once("-of-") else { return true };
    let (Some((begin, _)), Some(total)) = (before.rsplit_once('-'), after.get(..5)) else {
        return true;
    };
    let Ok(total) = total.parse::<usize>() else { return true };
    let is_shard = |other: &&String| {
        other.starts_with(&format!("{begin}-")) && other.ends_with(&format!("-of-{after}"))
    };
    files.iter().filter(is_shard).count() == total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_that_is_missing_is_missed() {
        let files =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let two = files(&["d/train-00000-of-00002.parquet", "d/train-00001-of-00002.parquet"]);
        assert!(is_whole(&two[0], &two) && !is_whole(&two[0], &two[..1]));
        assert!(is_whole("train.jsonl", &files(&["train.jsonl"])));
    }
}
