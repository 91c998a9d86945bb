//! The room held against files that others made: `fixtures/make_gguf.py` says how.

mod built;
mod encodings;
mod families;
mod features;
mod header;
mod hostile;
mod tokenizers;
mod written;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::GgufModel;

/// Where the files of `make_gguf.py` lie.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf").join(name)
}

fn json_fixture(name: &str) -> Value {
    serde_json::from_slice(&fs::read(fixture(name)).unwrap()).unwrap()
}

/// The numbers of a file that has nothing else.
fn numbers_of(name: &str) -> Vec<f32> {
    let bytes = fs::read(fixture(name)).unwrap();
    bytes.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
}

/// A file of its own with these bytes.
fn on_disk(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.gguf");
    fs::write(&file, bytes).unwrap();
    (folder, file)
}

fn model(family: &str) -> GgufModel {
    GgufModel::open(&fixture(&format!("{family}.gguf"))).unwrap()
}

/// What a tensor of a tiny model holds under its Hugging Face name, as in `make_gguf.py`.
fn value(name: &str, shape: &[usize]) -> Vec<f32> {
    let start: usize = name.bytes().map(usize::from).sum();
    let count: usize = shape.iter().product();
    (0..count).map(|at| ((at * 7 + start) % 251) as f32 / 8.0 - 15.0).collect()
}
