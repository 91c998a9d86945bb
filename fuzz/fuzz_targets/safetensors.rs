//! A file of weights.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use wgrpo_fuzz::{model, open_with};

static MODEL: LazyLock<TempDir> = LazyLock::new(model);

fuzz_target!(|input: &[u8]| open_with(MODEL.path(), "model.safetensors", input));
