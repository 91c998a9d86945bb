//! What is done without a network.

use super::repository::{COMMIT, Repository, TestHub, settings};
use super::*;

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:1";

fn offline(cache: &Path) -> Settings {
    Settings { is_offline: true, ..settings(NOWHERE, cache) }
}

#[test]
fn what_was_downloaded_is_found_without_a_network() {
    let (hub, cache) = (TestHub::new(Repository::model()), tempfile::tempdir().unwrap());
    let online = model(&hub.settings(cache.path()), "a/b").unwrap();
    hub.asked();
    let settings = Settings { is_offline: true, ..hub.settings(cache.path()) };
    assert_eq!(model(&settings, "a/b").unwrap(), online);
    assert_eq!(hub.asked(), [""; 0]);
}

#[test]
fn what_is_missing_is_named() {
    let cache = tempfile::tempdir().unwrap();
    let message = || model(&offline(cache.path()), "a/b").unwrap_err().to_string();
    let error = message();
    assert!(error.starts_with("HF_HUB_OFFLINE is set, and the cache "), "{error}");
    assert!(error.contains("does not have any file of a/b; download it once"), "{error}");
    let hub = TestHub::new(Repository::model());
    let found = model(&hub.settings(cache.path()), "a/b").unwrap();
    fs::remove_file(found.path.join("model.safetensors")).unwrap();
    assert!(message().contains("does not have model.safetensors of a/b"), "{}", message());
    let index = r#"{"weight_map": {"x": "m-1.safetensors"}}"#;
    fs::write(found.path.join("model.safetensors.index.json"), index).unwrap();
    assert!(message().contains("does not have m-1.safetensors of a/b"), "{}", message());
    fs::remove_file(found.path.join("config.json")).unwrap();
    assert!(message().contains("does not have config.json of a/b"), "{}", message());
}

#[test]
fn a_hub_that_cannot_be_reached_leaves_what_the_cache_has_and_says_so() {
    let (hub, cache) = (TestHub::new(Repository::model()), tempfile::tempdir().unwrap());
    let online = model(&hub.settings(cache.path()), "a/b").unwrap();
    let found = model(&settings(NOWHERE, cache.path()), "a/b").unwrap();
    assert_eq!((found.path, found.commit), (online.path, online.commit));
    let note = found.unchecked.unwrap();
    assert!(note.starts_with("cannot reach http://127.0.0.1:1"), "{note}");
}

/// As `snapshot_download` of the Python tools leaves it: no marks of what is lacking.
#[test]
fn what_other_tools_downloaded_is_found() {
    let cache = tempfile::tempdir().unwrap();
    let repo = cache.path().join("models--a--b");
    let folder = repo.join("snapshots").join(COMMIT);
    for (path, content) in [
        (repo.join("refs/main"), COMMIT),
        (folder.join("config.json"), "{}"),
        (folder.join("model.safetensors"), "weights"),
    ] {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    assert_eq!(model(&offline(cache.path()), "a/b").unwrap().path, folder);
    let hub = TestHub::new(Repository::model());
    model(&hub.settings(cache.path()), "a/b").unwrap();
    assert!(hub.asked().iter().all(|asked| asked.contains("/api/")
        || asked.contains("tokenizer")
        || asked.contains("inside")));
}
