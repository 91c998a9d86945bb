//! A model from its name to its folder.

use std::fs;
use std::ops::ControlFlow;

use super::repository::{COMMIT, Repository, SIGNATURE, TestHub, weights};
use super::*;
use crate::hub::Token;

const TAKEN: [&str; 4] =
    ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];

#[test]
fn a_model_is_downloaded_without_the_rest_of_its_repository() {
    let (hub, cache) = (TestHub::new(Repository::model()), tempfile::tempdir().unwrap());
    let found = model(&hub.settings(cache.path()), "a/b").unwrap();
    let folder = cache.path().join("models--a--b/snapshots").join(COMMIT);
    assert_eq!((&found.path, found.commit.as_str(), found.unchecked), (&folder, COMMIT, None));
    assert_eq!(names_in(&folder), TAKEN);
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), weights(1));
    assert_eq!(fs::read(folder.join("tokenizer.json")).unwrap(), b"{\"model\": 1}");
    let reference = cache.path().join("models--a--b/refs/main");
    assert_eq!(fs::read_to_string(reference).unwrap(), COMMIT);
}

#[test]
fn a_second_time_only_the_commit_is_asked_for() {
    let (hub, cache) = (TestHub::new(Repository::model()), tempfile::tempdir().unwrap());
    let first = model(&hub.settings(cache.path()), "a/b").unwrap();
    hub.asked();
    assert_eq!(model(&hub.settings(cache.path()), "a/b").unwrap(), first);
    assert_eq!(hub.asked(), ["GET /api/models/a/b/revision/main"]);
}

#[test]
fn a_whole_commit_that_is_here_needs_no_network() {
    let (hub, cache) = (TestHub::new(Repository::model()), tempfile::tempdir().unwrap());
    let id = format!("a/b@{COMMIT}");
    let first = model(&hub.settings(cache.path()), &id).unwrap();
    hub.asked();
    assert_eq!(model(&hub.settings(cache.path()), &id).unwrap(), first);
    assert_eq!(hub.asked(), [""; 0]);
}

#[test]
fn a_content_that_two_commits_share_is_downloaded_once() {
    let cache = tempfile::tempdir().unwrap();
    let hub = TestHub::new(Repository::model());
    model(&hub.settings(cache.path()), "a/b").unwrap();
    let next = "f".repeat(40);
    let mut repository = Repository::model().file("config.json", b"{\"x\": 1}");
    repository.commit = next.clone();
    repository.revisions.push(next.clone());
    let hub = TestHub::new(repository);
    let found = model(&hub.settings(cache.path()), "a/b").unwrap();
    assert_eq!(found.commit, next);
    assert_eq!(fs::read(found.path.join("config.json")).unwrap(), b"{\"x\": 1}");
    assert_eq!(fs::read(found.path.join("model.safetensors")).unwrap(), weights(1));
    assert!(hub.store.asked().is_empty());
}

#[test]
fn a_revision_is_asked_for_by_its_name() {
    let cache = tempfile::tempdir().unwrap();
    let mut repository = Repository::model();
    repository.revisions = vec!["refs/pr/1".into(), COMMIT.into()];
    let hub = TestHub::new(repository);
    model(&hub.settings(cache.path()), "a/b@refs/pr/1").unwrap();
    assert_eq!(hub.hub.asked()[0], "GET /api/models/a/b/revision/refs%2Fpr%2F1");
    let reference = cache.path().join("models--a--b/refs/refs/pr/1");
    assert_eq!(fs::read_to_string(reference).unwrap(), COMMIT);
}

#[test]
fn shards_are_those_that_the_index_names() {
    let cache = tempfile::tempdir().unwrap();
    let index = br#"{"weight_map": {"x": "m-1.safetensors", "y": "m-2.safetensors", "z": "m-1.safetensors"}}"#;
    let repository = Repository::model()
        .without("model.safetensors")
        .file("model.safetensors.index.json", index)
        .file("m-1.safetensors", &weights(1))
        .file("m-2.safetensors", &weights(2))
        .file("other.safetensors", &weights(3));
    let hub = TestHub::new(repository);
    let found = model(&hub.settings(cache.path()), "a/b").unwrap();
    let mut expected = TAKEN.map(str::to_owned).to_vec();
    expected[1] = "m-1.safetensors".into();
    expected.insert(2, "m-2.safetensors".into());
    expected.insert(3, "model.safetensors.index.json".into());
    assert_eq!(names_in(&found.path), expected);
    assert_eq!(fs::read(found.path.join("m-2.safetensors")).unwrap(), weights(2));
}

#[test]
fn the_token_goes_to_the_hub_and_to_nobody_else() {
    let (hub, cache) = (TestHub::new(Repository::model()), tempfile::tempdir().unwrap());
    let settings = Settings { token: Token::new("hf_secret"), ..hub.settings(cache.path()) };
    model(&settings, "a/b").unwrap();
    let (own, other) = (hub.hub.requests(), hub.store.requests());
    assert!(own.iter().all(|request| request.header("authorization") == Some("Bearer hf_secret")));
    assert!(other.iter().all(|request| request.header("authorization").is_none()));
    assert!(!own.is_empty() && other.len() == 1 && other[0].path.contains(SIGNATURE));
}

#[test]
fn the_progress_of_each_file_ends_with_the_whole() {
    let (hub, cache) = (TestHub::new(Repository::model()), tempfile::tempdir().unwrap());
    let mut ends = Vec::new();
    let mut watch = |progress: Progress| {
        if progress.done_bytes == progress.total_bytes {
            ends.push((progress.file.to_owned(), progress.total_bytes));
        }
        ControlFlow::Continue(())
    };
    let hub_client = Hub::new(&hub.settings(cache.path())).unwrap();
    hub_client.model(&HubId::parse("a/b").unwrap(), &mut watch).unwrap();
    ends.sort();
    let expected = TAKEN.into_iter().zip([2, 300_000, 12, 21]);
    assert_eq!(ends, expected.map(|(name, bytes)| (name.to_owned(), bytes)).collect::<Vec<_>>());
}
