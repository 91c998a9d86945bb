//! Configurations, and one key set on a command line.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use wgrpo::config::RunConfig;
use wgrpo_fuzz::parts;

fuzz_target!(|input: &[u8]| {
    let [text, set] = parts(input);
    let set = if set.is_empty() { vec![] } else { vec![set] };
    if let Ok(config) = RunConfig::parse(Path::new("fuzz.yaml"), &text, &set) {
        let _ = config.settings(&[0]);
    }
});
