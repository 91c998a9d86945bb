//! A file of llama.cpp's.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use wgrpo_fuzz::open;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

fuzz_target!(|input: &[u8]| {
    let path = FOLDER.path().join("model.gguf");
    fs::write(&path, input).expect("a file of a temporary folder");
    open(&path);
});
