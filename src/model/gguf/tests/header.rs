//! Headers that lie, each told what is wrong with it.

use super::built::{Entry, build, vector};
use super::on_disk;
use crate::model::gguf::{GgufError, GgufFile};

fn refusal(bytes: &[u8]) -> String {
    let (_folder, path) = on_disk(bytes);
    GgufFile::open(&path).unwrap_err().to_string()
}

fn check(bytes: &[u8], part: &str) {
    let message = refusal(bytes);
    assert!(message.contains("m.gguf") && message.contains(part), "{message} lacks {part}");
}

/// A header of so many tensors and keys, with nothing behind it.
fn begun(version: u32, tensors: u64, keys: u64) -> Vec<u8> {
    [&b"GGUF"[..], &version.to_le_bytes(), &tensors.to_le_bytes(), &keys.to_le_bytes()].concat()
}

fn one(tensor: (&str, &[u64], u32)) -> Vec<u8> {
    build(&[], &[(tensor.0.into(), tensor.1.to_vec(), tensor.2, vec![0; 64])])
}

#[test]
fn other_kinds_of_files_are_refused() {
    check(b"PK\x03\x04 pickled weights", "does not begin with GGUF");
    check(b"version https://git-lfs.github.com/spec/v1", "git lfs pull");
    check(&begun(1, 0, 0), "version 1");
    check(&begun(4, 0, 0), "version 4");
    check(&begun(3u32.swap_bytes(), 0, 0), "big-endian");
}

#[test]
fn counts_that_no_file_has_are_refused_before_anything_is_kept() {
    check(&begun(3, u64::MAX, 0), "claims 18446744073709551615 tensors");
    check(&begun(3, 0, 1 << 40), "claims 1099511627776 keys");
    let list = |kind: u32, count: u64| {
        let bytes = [&kind.to_le_bytes()[..], &count.to_le_bytes()].concat();
        build(&[("k", Entry::Raw(9, bytes))], &[])
    };
    check(&list(4, u64::MAX), "longer than any file");
    check(&list(4, 1 << 40), "header of more than");
    check(&list(8, 1 << 40), "cut short");
    check(&list(9, 1), "list of lists");
    check(&list(99, 1), "kind 99");
    let text = |length: u64| build(&[("k", Entry::Raw(8, length.to_le_bytes().into()))], &[]);
    check(&text(u64::MAX), "header of more than");
    check(&text(1 << 20), "cut short");
}

#[test]
fn tensors_that_cannot_be_are_refused_by_name() {
    check(&one(("w", &[1 << 40, 1 << 40], 0)), "tensor w has a shape that is larger than any file");
    check(&one(("w", &[u64::MAX], 0)), "larger than any file");
    check(&one(("w", &[0], 0)), "tensor w has a dimension of no values");
    check(&one(("w", &[], 0)), "tensor w has 0 dimensions");
    check(&one(("w", &[1, 1, 1, 1, 1], 0)), "tensor w has 5 dimensions");
    check(&one(("w", &[33], 8)), "tensor w is Q8_0 with rows of 33 values, no multiple of 32");
    check(&one(("w", &[4], 4)), "tensor w is of encoding 4");
    check(&one((&"w".repeat(300), &[4], 0)), "a name of 300 bytes");
    check(&one(("w", &[17], 0)), "cut short");
    check(&build(&[], &[vector("w", &[1.0]), vector("w", &[1.0])]), "two tensors w");
}

#[test]
fn tensors_that_overlap_or_leave_holes_are_refused() {
    let mut bytes = build(&[], &[vector("v", &[1.0]), vector("w", &[1.0])]);
    let place = bytes.windows(8).rposition(|eight| eight == 32u64.to_le_bytes()).unwrap();
    for offset in [0u64, 16, 64, u64::MAX] {
        bytes[place..place + 8].copy_from_slice(&offset.to_le_bytes());
        check(
            &bytes,
            &format!("tensor w is said to lie at {offset}, and the one before it ends at 32"),
        );
    }
}

#[test]
fn keys_have_one_meaning_and_alignments_are_powers_of_two() {
    check(&build(&[("a", Entry::Whole(1)), ("a", Entry::Whole(2))], &[]), "two keys a");
    for wrong in [Entry::Whole(0), Entry::Whole(24), Entry::Whole(1 << 30), Entry::Text("32")] {
        check(&build(&[("general.alignment", wrong)], &[]), "general.alignment is no power of two");
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let whole = build(&[("a", Entry::Texts(vec!["b", "c"]))], &[vector("w", &[1.0, 2.0])]);
    let (_folder, path) = on_disk(&whole);
    assert_eq!(GgufFile::open(&path).unwrap().rows("w", 0..1).unwrap(), [1.0, 2.0]);
    // An empty file cannot be mapped everywhere.
    for length in 1..whole.len() {
        let (_folder, path) = on_disk(&whole[..length]);
        let error = GgufFile::open(&path).unwrap_err();
        assert!(matches!(error, GgufError::Truncated { .. }), "{length}: {error}");
    }
}

#[test]
fn version_2_is_read_as_version_3() {
    let mut bytes = build(&[], &[vector("w", &[3.0])]);
    bytes[4] = 2;
    let (_folder, path) = on_disk(&bytes);
    assert_eq!(GgufFile::open(&path).unwrap().rows("w", 0..1).unwrap(), [3.0]);
}
