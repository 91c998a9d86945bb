//! What is saved, opened again by transformers: `WGRPO_TRANSFORMERS=PYTHON cargo test transformers`, with the Python
//! of an environment that has torch and transformers.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use wgrpo::model::Packed;

use crate::support::{
    Cpu, FIXTURES, assert_close, fixture, floats, golden, ids_of, numbers_of, open, skipped,
};

/// What transformers computes after the last of some tokens, by the script beside the fixtures.
fn read_back(python: &str, folder: &Path, ids: &[u32]) -> Value {
    let script = fixture("read_back.py");
    let mut command = Command::new(python);
    command.arg(script).arg(folder).args(ids.iter().map(u32::to_string));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", folder.display());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_saved_model_of_any_family_has_the_same_logits_in_transformers() {
    let Ok(python) = std::env::var("WGRPO_TRANSFORMERS") else {
        return skipped("set WGRPO_TRANSFORMERS to a Python with transformers to run this test");
    };
    for name in FIXTURES {
        let (config, decoder) = open::<Cpu>(name);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.json"), config.to_hf_json().to_string()).unwrap();
        decoder.save(&folder.path().join("model.safetensors")).unwrap();
        let ids = ids_of(&golden(name)["sequences"][1]["ids"]);
        let theirs = numbers_of(&read_back(&python, folder.path(), &ids)["logits"]);
        let hidden = decoder.forward(&Packed::sequences(&[&ids]));
        let last = hidden.narrow(0, ids.len() - 1, 1);
        assert_close(&floats(decoder.logits(&last)), &theirs, 1e-4, 2e-5);
    }
}
