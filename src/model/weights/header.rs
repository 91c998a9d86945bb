//! The header of a safetensors file: which tensors it holds, of which types and shapes, and where.
//!
//! Nothing of it is believed before it is checked against the file: every tensor lies inside it,
//! behind the one before, without a hole, as the format asks. (The `safetensors` crate adds the sizes
//! that a header claims without looking for overflow.)

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use safetensors::tensor::TensorInfo;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use crate::quote::shown;

/// The file begins with the length of its header, a u64.
const LENGTH_BYTES: usize = 8;

/// Longest header that is read. The deepest model this program takes needs a fourth of it.
const MOST_BYTES: u64 = 8 << 20;

/// The key of the texts beside the tensors.
const METADATA: &str = "__metadata__";

/// What Git leaves in place of a large file that was not fetched.
const LFS_POINTER: &[u8] = b"version https://git-lfs";

/// A header that fits its file.
#[derive(Debug)]
pub(super) struct Header {
    /// Where the first tensor begins.
    pub data_start: usize,
    /// The tensors by name.
    pub tensors: BTreeMap<String, TensorInfo>,
    /// The texts by key.
    pub metadata: HashMap<String, String>,
}

/// What is wrong with a file.
#[derive(Debug)]
pub(super) enum Fault {
    /// It ends too early; so many bytes should be there.
    CutShort(u64),
    /// It is of another kind or contradicts itself.
    Broken(String),
}

impl Header {
    /// Reads the header of a whole file.
    pub fn read(file: &[u8]) -> Result<Self, Fault> {
        let Some((length, rest)) = file.split_first_chunk::<LENGTH_BYTES>() else {
            return Err(Fault::CutShort(LENGTH_BYTES as u64));
        };
        if file.starts_with(LFS_POINTER) {
            let pointer = "it is a Git LFS pointer to it (run `git lfs pull` in that folder)";
            return Err(Fault::Broken(pointer.into()));
        }
        let length = u64::from_le_bytes(*length);
        if length > MOST_BYTES {
            let problem = format!("a header of {length} bytes, where {MOST_BYTES} are the most");
            return Err(Fault::Broken(problem));
        }
        let data_start = LENGTH_BYTES + length as usize;
        let text = rest.get(..length as usize).ok_or(Fault::CutShort(data_start as u64))?;
        let Entries { tensors, metadata } = serde_json::from_slice(text)
            .map_err(|error| Fault::Broken(shown(&error.to_string()).into()))?;
        check_places(&tensors, data_start as u64, file.len() as u64)?;
        Ok(Self { data_start, tensors, metadata })
    }
}

/// Tensors must fill the file from the end of the header to its own, one behind the other.
fn check_places(
    tensors: &BTreeMap<String, TensorInfo>,
    data_start: u64,
    file_bytes: u64,
) -> Result<(), Fault> {
    let mut in_order: Vec<_> = tensors.iter().collect();
    in_order.sort_by_key(|(_, info)| info.data_offsets);
    let mut end = 0;
    for (name, info) in in_order {
        end = check_place(info, end)
            .map_err(|problem| Fault::Broken(format!("tensor {} {problem}", shown(name))))?;
    }
    match data_start.checked_add(end as u64) {
        None => Err(Fault::Broken("its tensors are larger than any file".into())),
        Some(asked) if asked > file_bytes => Err(Fault::CutShort(asked)),
        Some(asked) if asked < file_bytes => {
            Err(Fault::Broken(format!("{} bytes follow its last tensor", file_bytes - asked)))
        }
        Some(_) => Ok(()),
    }
}

/// Where a tensor ends that should begin at `end`.
fn check_place(info: &TensorInfo, end: usize) -> Result<usize, String> {
    let (begin, stop) = info.data_offsets;
    let size = bytes_of(info).ok_or("has a shape that is larger than any file")?;
    match begin.cmp(&end) {
        std::cmp::Ordering::Less => Err("overlaps the one before it".into()),
        std::cmp::Ordering::Greater => Err(format!("lies behind a hole of {} bytes", begin - end)),
        std::cmp::Ordering::Equal if stop.checked_sub(begin) != Some(size) => {
            Err(format!("takes {size} bytes and is said to lie from {begin} to {stop}"))
        }
        std::cmp::Ordering::Equal => Ok(stop),
    }
}

/// Bytes of a tensor; `None` where they are no whole number or more than can be counted.
fn bytes_of(info: &TensorInfo) -> Option<usize> {
    let count = info.shape.iter().copied().try_fold(1usize, usize::checked_mul)?;
    let bits = count.checked_mul(info.dtype.bitsize())?;
    bits.is_multiple_of(8).then_some(bits / 8)
}

#[derive(Default)]
struct Entries {
    tensors: BTreeMap<String, TensorInfo>,
    metadata: HashMap<String, String>,
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("tensors by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut entries = Entries::default();
        while let Some(name) = map.next_key::<String>()? {
            if name == METADATA {
                entries.metadata = map.next_value::<Option<_>>()?.unwrap_or_default();
                continue;
            }
            match entries.tensors.entry(name) {
                Entry::Vacant(place) => place.insert(map.next_value()?),
                // Which of the two is meant cannot be known.
                Entry::Occupied(place) => {
                    return Err(A::Error::custom(format!("two tensors {}", shown(place.key()))));
                }
            };
        }
        Ok(entries)
    }
}
