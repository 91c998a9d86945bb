//! The files that make a model, and no others of its repository.

use super::client::Client;
use super::fetch::Fetch;
use super::listing::{self, Listing};
use super::shards;
use super::tags::is_commit;
use crate::hub::{Found, HubError, HubId, Watch};

pub(super) const CONFIG: &str = "config.json";
pub(super) const WEIGHTS: &str = "model.safetensors";
pub(super) const INDEX: &str = "model.safetensors.index.json";

/// What is taken where it is there. Whether a model can do without is for the reader to say.
const BESIDE: [&str; 6] = [
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
];

/// Bytes of the longest file that is no weights: the limit of the reader for a `tokenizer.json`.
const LONGEST_BESIDE: u64 = 128 << 20;

/// The folder with the files of a model: from the cache where they are known to be the ones that are meant, else
/// from the hub.
pub(super) fn get(client: &Client, id: &HubId, watch: &mut Watch<'_>) -> Result<Found, HubError> {
    let mut fetch = Fetch::new(client, id, watch);
    let commit = fetch.cache.commit_of(id.revision());
    let missing = commit.as_deref().map(|commit| missing(&fetch, commit));
    let kept = commit.filter(|_| missing == Some(None));
    if client.settings().is_offline {
        let what = missing.flatten().unwrap_or_else(|| "any file".into());
        return kept
            .map(|commit| fetch.known(&commit, None, None))
            .ok_or_else(|| fetch.offline(&what));
    }
    if let Some(commit) =
        kept.as_ref().filter(|commit| is_commit(id.revision()) && is_all(&fetch, commit))
    {
        return Ok(fetch.known(commit, None, None));
    }
    match (listing::ask(client, id), kept) {
        (Ok(listing), _) => download(&mut fetch, &listing),
        (Err(error), Some(commit)) if error.is_no_answer() => {
            Ok(fetch.known(&commit, None, Some(error.to_string())))
        }
        (Err(error), _) => Err(error),
    }
}

/// What a model cannot do without and the cache does not have.
fn missing(fetch: &Fetch, commit: &str) -> Option<String> {
    let has = |file: &str| fetch.cache.has(commit, file);
    if !has(CONFIG) {
        return Some(CONFIG.into());
    }
    if has(WEIGHTS) {
        return None;
    }
    if !has(INDEX) {
        return Some(WEIGHTS.into());
    }
    let shards = shards::of(&fetch.cache.file(commit, INDEX)).unwrap_or_default();
    match shards.is_empty() {
        true => Some("a readable index of the weights".into()),
        false => shards.into_iter().find(|shard| !has(shard)),
    }
}

/// Whether of each file that stands beside the weights it is known that it is here or that there is none.
fn is_all(fetch: &Fetch, commit: &str) -> bool {
    BESIDE.iter().all(|file| fetch.cache.has(commit, file) || fetch.cache.lacks(commit, file))
}

fn download(fetch: &mut Fetch, listing: &Listing) -> Result<Found, HubError> {
    let (commit, has) = (&listing.commit, |file: &str| listing.files.contains(file));
    check(fetch.id, listing)?;
    for file in [CONFIG].into_iter().chain(BESIDE) {
        match has(file) {
            true => fetch.file(commit, file, LONGEST_BESIDE)?,
            false => fetch.cache.set_lacks(commit, file)?,
        }
    }
    if has(WEIGHTS) {
        fetch.file(commit, WEIGHTS, u64::MAX)?;
    } else {
        fetch.file(commit, INDEX, shards::LONGEST_INDEX)?;
        for shard in shards(fetch, listing)? {
            fetch.file(commit, &shard, u64::MAX)?;
        }
    }
    fetch.found(commit, None)
}

/// The shards that the index names, which must all be there before the first is downloaded.
fn shards(fetch: &Fetch, listing: &Listing) -> Result<Vec<String>, HubError> {
    let wrong = |problem: String| HubError::NoModel {
        id: fetch.id.repo().into(),
        problem,
        mend: "tell its owner, or name another revision of it".into(),
    };
    let names = shards::of(&fetch.cache.file(&listing.commit, INDEX)).map_err(wrong)?;
    match names.iter().find(|name| !listing.files.contains(*name)) {
        Some(name) => Err(wrong(format!("has no file {name}, which its {INDEX} names"))),
        None => Ok(names),
    }
}

/// Refuses a repository that is no model of the kind that is read here, before anything is downloaded.
fn check(id: &HubId, listing: &Listing) -> Result<(), HubError> {
    let ends = |ending: &str| listing.files.iter().find(|file| file.ends_with(ending));
    let refused = |problem: &str, mend: String| {
        Err(HubError::NoModel { id: id.repo().into(), problem: problem.into(), mend })
    };
    let no_gguf = "name the repository that it was made from".to_owned();
    let gguf = ends(".gguf")
        .map_or(no_gguf, |file| format!("name one of its files, as {}/{file}", id.repo()));
    if !listing.files.contains(CONFIG) {
        return refused("has no config.json, so it is no model of transformers", gguf);
    }
    if listing.files.contains(WEIGHTS) || listing.files.contains(INDEX) {
        return Ok(());
    }
    match (ends(".safetensors"), ends(".bin").or(ends(".pt")).or(ends(".pth"))) {
        (Some(file), _) if file.starts_with("adapter_") => refused(
            "holds an adapter, not a whole model",
            "merge it into its model and save that".into(),
        ),
        (_, Some(file)) => {
            let problem = format!(
                "has its weights only as pickled files ({file}), which can run any program"
            );
            let mend = "name a revision or a copy of it with model.safetensors, or open it in transformers and \
                        call save_pretrained";
            refused(&problem, mend.into())
        }
        _ => refused("has neither model.safetensors nor model.safetensors.index.json", gguf),
    }
}
