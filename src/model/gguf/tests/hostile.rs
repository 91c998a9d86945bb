//! Files that were changed at random: each is read or refused, in no time.

use std::fs;
use std::time::{Duration, Instant};

use super::{fixture, on_disk};
use crate::model::gguf::{GgufFile, GgufModel, tokenizer};

/// Changes of each file; `WGRPO_FUZZ_CASES` may ask for more.
const CASES: u64 = 300;

/// Numbers that follow from a seed (Marsaglia's xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// Changes bytes, sizes, lengths; mostly in the header, which ends where the tensors begin.
fn change(bytes: &mut Vec<u8>, header: usize, numbers: &mut Numbers) {
    for _ in 0..1 + numbers.below(4) {
        let reach = if numbers.below(8) == 0 { bytes.len() } else { header.min(bytes.len()) };
        let at = numbers.below(reach.max(1));
        let extreme =
            [0, 1, 0x7fff_ffff, u64::MAX, 1 << 32, 1 << 62, 255, 65_536][numbers.below(8)];
        match numbers.below(4) {
            0 if at < bytes.len() => bytes[at] = numbers.below(256) as u8,
            1 if at + 8 <= bytes.len() => bytes[at..at + 8].copy_from_slice(&extreme.to_le_bytes()),
            2 if at + 4 <= bytes.len() => {
                bytes[at..at + 4].copy_from_slice(&(extreme as u32).to_le_bytes());
            }
            3 if numbers.below(8) == 0 => bytes.truncate(at),
            _ => {}
        }
    }
}

/// Reads everything that there is to read. Errors are allowed, a panic is not.
fn read_all(path: &std::path::Path) -> bool {
    let Ok(file) = GgufFile::open(path) else { return false };
    for name in file.names() {
        let rows = file.shape(name).map_or(0, |shape| shape.iter().rev().skip(1).product());
        let _ = file.rows(name, 0..rows);
    }
    let _ = (tokenizer::tokenizer_json(&file), tokenizer::tokenizer_config_json(&file));
    let Ok(model) = GgufModel::open(path) else { return false };
    let _ = (model.config_json(), model.tokenizer_json(), model.tokenizer_config_json());
    for name in model.names() {
        let _ = model.get(name, model.shape(name).unwrap_or_default());
    }
    true
}

#[test]
fn changed_files_are_read_or_refused() {
    let seeds = ["llama.gguf", "olmo2.gguf", "llama.tokenizer.gguf", "smollm.tokenizer.gguf"];
    let asked = std::env::var("WGRPO_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok());
    let cases: u64 = asked.unwrap_or(CASES);
    let mut read = 0;
    for (name, case) in (0..cases).flat_map(|case| seeds.map(|name| (name, case))) {
        let mut bytes = fs::read(fixture(name)).unwrap();
        let file = GgufFile::open(&fixture(name)).unwrap();
        let tensors = file.header.tensors.values().map(|info| info.bytes.start);
        let header = tensors.min().unwrap_or(bytes.len());
        // Seeds that differ in few bits give the same first numbers.
        let mut numbers = Numbers((2 * case + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        change(&mut bytes, header, &mut numbers);
        let (_folder, path) = on_disk(&bytes);
        let began = Instant::now();
        read += u64::from(read_all(&path));
        assert!(began.elapsed() < Duration::from_secs(2), "{name}, case {case}");
    }
    // Where nothing were read, nothing would be tried behind the header.
    assert!(read > cases / 10, "{read} files were models");
}
