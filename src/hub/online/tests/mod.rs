//! The hub's paths, spoken by a server of the test's own.

mod datasets;
mod hostile;
mod models;
mod offline;
mod refusals;
mod repository;
mod server;
mod single;
mod transfers;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use crate::hub::{Found, Hub, HubError, HubId, Progress, Settings};

/// Gets a model without looking at the progress.
fn model(settings: &Settings, id: &str) -> Result<Found, HubError> {
    Hub::new(settings)?.model(&HubId::parse(id).unwrap(), &mut |_| ControlFlow::Continue(()))
}

/// Gets a file without looking at the progress.
fn file(settings: &Settings, id: &str) -> Result<Found, HubError> {
    Hub::new(settings)?.file(&HubId::parse(id).unwrap(), &mut |_| ControlFlow::Continue(()))
}

/// The paths of all files below a folder, links and empty folders left out, in order.
fn files_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap().flatten() {
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => open.push(entry.path()),
                kind if kind.is_file() => {
                    let path = entry.path();
                    found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
                }
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// The names of the files that can be read in a folder, in order.
fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().flatten().filter(|entry| entry.path().is_file());
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
