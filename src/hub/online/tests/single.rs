//! One file of a data set or of a model.

use super::repository::{COMMIT, Repository, TestHub, settings};
use super::server::Reply;
use super::*;

const ID: &str = "hf://datasets/o/d/main/train.jsonl";

fn data_set() -> Repository {
    Repository::new("datasets/o/d", &[("main/train.jsonl", b"{}\n{}\n"), ("other.jsonl", b"x")])
}

#[test]
fn a_file_of_a_data_set_is_downloaded_alone() {
    let (hub, cache) = (TestHub::new(data_set()), tempfile::tempdir().unwrap());
    let found = file(&hub.settings(cache.path()), ID).unwrap();
    let expected = format!("datasets--o--d/snapshots/{COMMIT}/main/train.jsonl");
    assert_eq!((found.path, found.commit.as_str()), (cache.path().join(&expected), COMMIT));
    assert_eq!(fs::read(cache.path().join(expected)).unwrap(), b"{}\n{}\n");
    let asked = hub.asked();
    let at = "/datasets/o/d/resolve/main/main/train.jsonl";
    assert_eq!(asked[..2], [format!("HEAD {at}"), format!("GET {at}")]);
    assert_eq!(asked.len(), 3);
}

#[test]
fn a_second_time_only_the_headers_are_asked_for() {
    let (hub, cache) = (TestHub::new(data_set()), tempfile::tempdir().unwrap());
    let first = file(&hub.settings(cache.path()), ID).unwrap();
    hub.asked();
    assert_eq!(file(&hub.settings(cache.path()), ID).unwrap(), first);
    assert_eq!(hub.asked(), ["HEAD /datasets/o/d/resolve/main/main/train.jsonl"]);
    let offline = Settings { is_offline: true, ..hub.settings(cache.path()) };
    assert_eq!(file(&offline, ID).unwrap(), first);
    let unreachable = file(&settings("http://127.0.0.1:1", cache.path()), ID).unwrap();
    assert!(unreachable.path == first.path && unreachable.unchecked.is_some());
    assert_eq!(hub.asked(), [""; 0]);
}

#[test]
fn a_file_of_a_whole_commit_needs_no_network() {
    let (hub, cache) = (TestHub::new(data_set()), tempfile::tempdir().unwrap());
    let id = format!("hf://datasets/o/d@{COMMIT}/other.jsonl");
    let first = file(&hub.settings(cache.path()), &id).unwrap();
    assert_eq!(file(&settings("http://127.0.0.1:1", cache.path()), &id).unwrap(), first);
}

#[test]
fn a_gguf_file_of_a_model_is_named_beside_it() {
    let repository = Repository::new("a/b", &[("q8 0.gguf", b"GGUF")]);
    let (hub, cache) = (TestHub::new(repository), tempfile::tempdir().unwrap());
    let error = model(&hub.settings(cache.path()), "a/b/q8.gguf").unwrap_err().to_string();
    assert!(error.starts_with("a/b has no file q8.gguf at main; see its files at http"), "{error}");
    assert!(error.ends_with("/a/b/tree/main"), "{error}");
}

#[test]
fn a_file_that_is_missing_offline_is_named() {
    let cache = tempfile::tempdir().unwrap();
    let settings = Settings { is_offline: true, ..settings("http://127.0.0.1:1", cache.path()) };
    let error = file(&settings, ID).unwrap_err().to_string();
    assert!(error.contains("does not have it of o/d/main/train.jsonl"), "{error}");
}

#[test]
fn an_answer_without_a_commit_a_tag_or_a_length_is_not_believed() {
    let cache = tempfile::tempdir().unwrap();
    let whole = || {
        Reply::new(200)
            .with("X-Repo-Commit", COMMIT)
            .with("ETag", "\"0123456789\"")
            .with("Content-Length", 5)
    };
    for (lacks, told) in [("X-Repo-Commit", "X-Repo-Commit"), ("ETag", "ETag")] {
        let hub = TestHub::with(data_set(), move |request| {
            let mut reply = whole();
            reply.headers.retain(|(name, _)| name != lacks);
            (request.method == "HEAD").then_some(reply)
        });
        let error = file(&hub.settings(cache.path()), ID).unwrap_err().to_string();
        assert!(error.contains(told) && error.contains("train.jsonl does not say"), "{error}");
    }
    assert_eq!(files_below(cache.path()), [""; 0]);
}
