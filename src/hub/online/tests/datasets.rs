//! The files of a data set.

use std::fs;
use std::ops::ControlFlow;

use super::repository::{COMMIT, Repository, TestHub};
use crate::hub::{Found, Hub, HubError, HubId, Settings};

const ID: &str = "hf://datasets/o/d";

fn repository() -> Repository {
    Repository::new(
        "datasets/o/d",
        &[
            ("README.md", b"---\nconfigs: []\n---\n"),
            ("data/train.jsonl", b"{\"prompt\": \"1\"}\n"),
            ("data/test.jsonl", b"{\"prompt\": \"2\"}\n"),
            ("large.bin", b"not asked for"),
        ],
    )
}

/// Gets what a name ends with.
fn ending(settings: &Settings, ending: &str) -> Result<Found, HubError> {
    let mut choose = |files: &[String], card: Option<&str>| {
        assert!(card.is_some_and(|card| card.contains("configs")), "{card:?}");
        match files.iter().filter(|file| file.ends_with(ending)).cloned().collect::<Vec<_>>() {
            chosen if chosen.is_empty() => Err(format!("there is no {ending}")),
            chosen => Ok(chosen),
        }
    };
    let id = HubId::parse(ID).unwrap();
    Hub::new(settings)?.dataset(&id, &mut choose, &mut |_| ControlFlow::Continue(()))
}

#[test]
fn the_files_that_are_chosen_are_fetched_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let hub = TestHub::new(repository());
    let found = ending(&hub.settings(folder.path()), "train.jsonl").unwrap();
    assert_eq!(found.commit, COMMIT);
    let text = fs::read_to_string(found.path.join("data/train.jsonl")).unwrap();
    assert_eq!(text, "{\"prompt\": \"1\"}\n");
    assert!(found.path.join("README.md").exists());
    assert!(!found.path.join("data/test.jsonl").exists() && !found.path.join("large.bin").exists());
}

#[test]
fn what_is_here_needs_no_network_and_another_split_does() {
    let folder = tempfile::tempdir().unwrap();
    let hub = TestHub::new(repository());
    let settings = hub.settings(folder.path());
    ending(&settings, "train.jsonl").unwrap();
    let offline = Settings { is_offline: true, ..settings };
    assert!(ending(&offline, "train.jsonl").is_ok());
    assert!(matches!(ending(&offline, "test.jsonl"), Err(HubError::Offline { .. })));
}

#[test]
fn a_choice_that_finds_nothing_is_told_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let hub = TestHub::new(repository());
    let error = ending(&hub.settings(folder.path()), "dev.jsonl").unwrap_err().to_string();
    assert!(error.contains("o/d") && error.contains("there is no dev.jsonl"), "{error}");
}
