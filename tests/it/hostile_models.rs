//! Model folders that nobody meant to be read: made from whole ones by a seeded generator.
//!
//! `WGRPO_FUZZ_CASES` says how many of each kind are tried; the ordinary run tries a few hundred.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use wgrpo::model::{Decoder, ModelConfig, ModelError, tensors_left_out};
use wgrpo::random::Stream;

use crate::support::{Cpu, device, fixture};

/// Longest time that one folder may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Memory that reading may take beside a multiple of the folder's own size.
const ROOM: usize = 4 << 20;

/// The system's allocator, which counts what each thread holds and has held at most.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // At the end of a thread there is nothing left to count with.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Most bytes that this thread held during `work`, above what it held before.
fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let result = work();
    (result, usize::try_from(PEAK.get() - before).unwrap_or(0))
}

fn cases() -> u64 {
    std::env::var("WGRPO_FUZZ_CASES").map_or(150, |count| count.parse().unwrap())
}

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

/// Reads the folder, as whoever downloaded it would; `None` where it is a model.
#[track_caller]
fn refusal(folder: &Path, case: &str) -> Option<String> {
    let began = Instant::now();
    let reading = || catch_unwind(AssertUnwindSafe(|| read(folder)));
    let (result, peak) = peak_of(reading);
    let result = result.unwrap_or_else(|_| panic!("{case}: a panic"));
    assert!(began.elapsed() < PATIENCE, "{case}: {:?}", began.elapsed());
    let most = ROOM + 16 * bytes_in(folder);
    assert!(peak <= most, "{case}: {peak} bytes, where {most} may be taken");
    let message = result.err()?.to_string();
    assert!(message.len() < 2_000, "{case}: a message of {} bytes", message.len());
    Some(message)
}

/// Tries `cases()` changes of `file` in a copy of `model`.
fn fuzz(model: &str, file: &str, purpose: u32, change: impl Fn(&[u8], &mut Stream) -> Vec<u8>) {
    let folder = copy_of(model);
    let path = folder.path().join(file);
    let whole = fs::read(&path).unwrap();
    assert_eq!(refusal(folder.path(), "the whole folder"), None);
    let refused = (0..cases()).filter(|seed| {
        let mut stream = Stream::new(*seed, purpose);
        fs::write(&path, change(&whole, &mut stream)).unwrap();
        refusal(folder.path(), &format!("{file} by seed {seed}")).is_some()
    });
    let refused = refused.count() as u64;
    assert!(refused * 4 > cases(), "only {refused} of {} changes were noticed", cases());
}

/// Numbers and other things that no file has where a size belongs.
fn hostile(stream: &mut Stream) -> Value {
    let values = [
        json!(0),
        json!(-1),
        json!(1),
        json!(3),
        json!(1u64 << 20),
        json!(1u64 << 31),
        json!(1u64 << 40),
        json!(1u64 << 61),
        json!(1u64 << 63),
        json!(u64::MAX),
        json!(1e308),
        json!(-1e-300),
        json!(0.5),
        json!(null),
        json!(true),
        json!("x"),
        json!("default".repeat(10_000)),
        json!([]),
        json!([1, u64::MAX]),
        json!(vec![1; 5_000]),
        json!({}),
        json!({"rope_type": "default", "type": "yarn", "rope_theta": -1}),
    ];
    values[stream.index_below(values.len())].clone()
}

/// Changes one value somewhere in the tree.
fn change_value(value: &mut Value, stream: &mut Stream) {
    let inner = match value {
        Value::Object(map) if !map.is_empty() => {
            let at = stream.index_below(map.len());
            map.values_mut().nth(at)
        }
        Value::Array(list) if !list.is_empty() => {
            let at = stream.index_below(list.len());
            list.get_mut(at)
        }
        _ => None,
    };
    match inner {
        Some(inner) if stream.below(4) > 0 => change_value(inner, stream),
        Some(inner) => *inner = hostile(stream),
        None => *value = hostile(stream),
    }
}

/// Flips, cuts out, doubles or cuts off some bytes.
fn change_bytes(bytes: &[u8], stream: &mut Stream) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = stream.index_below(bytes.len());
    let end = (at + 1 + stream.index_below(16)).min(bytes.len());
    match stream.below(4) {
        0 => bytes[at] ^= 1 << stream.below(8),
        1 => drop(bytes.drain(at..end)),
        2 => bytes.extend_from_within(at..end),
        _ => bytes.truncate(at),
    }
    bytes
}

fn change_json(text: &[u8], stream: &mut Stream) -> Vec<u8> {
    if stream.below(4) == 0 {
        return change_bytes(text, stream);
    }
    let mut json: Value = serde_json::from_slice(text).unwrap();
    (0..=stream.below(2)).for_each(|_| change_value(&mut json, stream));
    json.to_string().into_bytes()
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
    refusal(folder.path(), header.get(..60).unwrap_or(header)).unwrap()
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
    assert!(refusal(folder.path(), "a pointer").unwrap().contains("git lfs pull"));
}
