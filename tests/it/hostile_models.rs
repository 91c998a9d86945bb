//! Model folders that nobody meant to be read: made from whole ones by a seeded generator.
//!
//! `WGRPO_FUZZ_CASES` says how many of each kind are tried; the ordinary run tries a few hundred.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use wgrpo::model::{Decoder, ModelConfig, ModelError, tensors_left_out};
use wgrpo::random::Stream;

use crate::fuzz::changes::{change_bytes, change_json};
use crate::fuzz::{Tally, cases};
use crate::support::{Cpu, device, fixture};

/// Memory that reading may take beside a multiple of the folder's own size.
const ROOM: usize = 4 << 20;

fn copy_of(model: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture(model)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    folder
}

fn bytes_in(folder: &Path) -> usize {
    let sizes = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
    sizes.sum::<u64>() as usize
}

fn read(folder: &Path) -> Result<(), ModelError> {
    let config = ModelConfig::from_folder(folder)?;
    Decoder::<Cpu>::load(&config, folder, &device())?;
    tensors_left_out(folder).map(|_| ())
}

/// Reads the folder, as whoever downloaded it would; the message where it is refused.
fn refusal(tally: &mut Tally, folder: &Path, case: &str) -> Option<String> {
    tally.most = ROOM + 16 * bytes_in(folder);
    tally.watch(case, || read(folder).map_err(|error| error.to_string())).err()
}

/// Reads one folder that is no model.
fn refused(folder: &Path, case: &str) -> String {
    refusal(&mut Tally::new("a folder by hand"), folder, case).unwrap()
}

/// Tries `cases()` changes of `file` in a copy of `model`.
fn fuzz(model: &str, file: &str, purpose: u32, change: impl Fn(&[u8], &mut Stream) -> Vec<u8>) {
    let folder = copy_of(model);
    let path = folder.path().join(file);
    let whole = fs::read(&path).unwrap();
    let mut tally = Tally::new(file);
    assert_eq!(refusal(&mut tally, folder.path(), "the whole folder"), None);
    for seed in 0..cases(150) {
        let mut stream = Stream::new(seed, purpose);
        fs::write(&path, change(&whole, &mut stream)).unwrap();
        refusal(&mut tally, folder.path(), &format!("{file} by seed {seed}"));
    }
    assert!(tally.refused * 4 > tally.tried, "only {} of {}", tally.refused, tally.tried);
}

fn with_header(header: &[u8], data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header, data].concat()
}

/// A safetensors file with a changed length, header or data.
fn change_tensors(file: &[u8], stream: &mut Stream) -> Vec<u8> {
    let (length, rest) = file.split_first_chunk::<8>().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    match stream.below(8) {
        0 => change_bytes(file, stream),
        1 => {
            let length = [0, 1, 8, 1 << 20, 1 << 40, u64::MAX - 7, u64::MAX][stream.index_below(7)];
            [&length.to_le_bytes()[..], rest].concat()
        }
        2 => with_header(&change_bytes(header, stream), data),
        _ => with_header(&change_json(header, stream), data),
    }
}

#[test]
fn no_config_json_makes_reading_panic_hang_or_take_memory() {
    fuzz("llama_untied", "config.json", 1, change_json);
}

#[test]
fn no_safetensors_file_makes_reading_panic_hang_or_take_memory() {
    fuzz("llama_untied", "model.safetensors", 2, change_tensors);
}

#[test]
fn no_index_makes_reading_panic_hang_or_take_memory() {
    fuzz("qwen2", "model.safetensors.index.json", 3, change_json);
}

/// What a folder with this header in place of its weights is told.
fn with_weights(header: &str, data: usize) -> String {
    let folder = copy_of("llama_untied");
    let file = with_header(header.as_bytes(), &vec![0; data]);
    fs::write(folder.path().join("model.safetensors"), file).unwrap();
    refused(folder.path(), header.get(..60).unwrap_or(header))
}

#[test]
fn tensors_whose_sizes_add_up_past_64_bits_are_refused() {
    // As large as each may be: eight times 8 · (2^61 - 1) bits, one behind the other.
    let size = (1u64 << 61) - 1;
    let entry = |at: u64| {
        let (begin, end) = (at * size, (at + 1) * size);
        format!(r#""t{at}":{{"dtype":"U8","shape":[{size}],"data_offsets":[{begin},{end}]}}"#)
    };
    let entries: Vec<String> = (0..8).map(entry).collect();
    let message = with_weights(&format!("{{{}}}", entries.join(",")), 0);
    assert!(message.contains("larger than any file"), "{message}");
}

#[test]
fn tensors_that_overlap_or_leave_a_hole_are_named() {
    let two = |begin: u64| {
        format!(
            r#"{{"a":{{"dtype":"F32","shape":[2],"data_offsets":[0,8]}},
                 "b":{{"dtype":"F32","shape":[1],"data_offsets":[{begin},{}]}}}}"#,
            begin + 4
        )
    };
    assert!(with_weights(&two(4), 8).contains("tensor b overlaps"));
    assert!(with_weights(&two(12), 16).contains("tensor b lies behind a hole of 4 bytes"));
    assert!(with_weights(&two(8), 20).contains("8 bytes follow its last tensor"));
    let twice = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
                    "a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    assert!(with_weights(twice, 4).contains("two tensors a"));
}

#[test]
fn a_name_of_a_megabyte_is_neither_compared_nor_shown() {
    let name = "x".repeat(1 << 20);
    let header = format!(r#"{{"{name}":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}}"#);
    assert!(with_weights(&header, 4).contains("no tensor"));
    let dims = "1,".repeat(100_000);
    let dims = format!(
        r#"{{"model.embed_tokens.weight":{{"dtype":"F32","shape":[{dims}1],"data_offsets":[0,4]}}}}"#
    );
    assert!(with_weights(&dims, 4).contains("has shape [1, 1"));
}

#[test]
fn a_git_lfs_pointer_is_called_one() {
    let folder = copy_of("llama_untied");
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 269060552\n";
    fs::write(folder.path().join("model.safetensors"), pointer).unwrap();
    assert!(refused(folder.path(), "a pointer").contains("git lfs pull"));
}
