//! Lines of data, as each kind of file, with a template.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use tempfile::TempDir;
use wgrpo::data::DataConfig;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

fuzz_target!(|input: &[u8]| {
    let Some((choice, input)) = input.split_first() else { return };
    let name = ["a.jsonl", "a.json", "a.csv", "a.tsv", "a.parquet"][usize::from(choice % 5)];
    let kind = ["file", "gsm8k", "math", "roll", "trl", "verl", "openr1"][usize::from(choice / 5 % 7)];
    let path = FOLDER.path().join(name);
    fs::write(&path, input).expect("a file of a temporary folder");
    let data = json!({"kind": kind, "path": path, "on_bad_row": "skip"});
    let data = serde_json::from_value::<DataConfig>(data).or_else(|_| {
        serde_json::from_value(json!({"kind": kind, "path": path}))
    });
    if let Ok(data) = data {
        let _ = data.load(0);
    }
});
