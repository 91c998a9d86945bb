//! The header of a GGUF file: its metadata, and which tensors it holds, of which encodings and shapes, and where.
//!
//! Nothing of it is believed before it is checked against the file: every tensor lies inside it, right behind the
//! one before, as llama.cpp asks. Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;

use super::cursor::{Cursor, Fault};
use super::encoding::Encoding;
use super::value::Value;
use crate::quote::shown;

/// How a file begins.
pub(super) const MAGIC: &[u8; 4] = b"GGUF";
/// The version that is written; the one before it has the same layout.
pub(super) const VERSION: u32 = 3;
/// What tensors are aligned to where a file does not say.
pub(super) const DEFAULT_ALIGNMENT: usize = 32;
/// The key of another alignment.
const ALIGNMENT: &str = "general.alignment";
/// Largest alignment that makes sense, a huge page.
const MOST_ALIGNMENT: u64 = 1 << 21;
/// Most keys of the metadata; published files have some fifty.
const MOST_KEYS: u64 = 1 << 16;
/// Most tensors; a decoder of a thousand layers has fifteen thousand.
const MOST_TENSORS: u64 = 1 << 16;
/// Longest key, by the format.
const LONGEST_KEY: u64 = (1 << 16) - 1;
/// Longest name of a tensor, in bytes; ggml itself takes 63.
const LONGEST_NAME: u64 = 255;
/// Most dimensions of a tensor in ggml.
const MOST_DIMENSIONS: u32 = 4;
/// What Git leaves in place of a large file that was not fetched.
const LFS_POINTER: &[u8] = b"version https://git-lfs";

/// A header that fits its file.
#[derive(Debug)]
pub(super) struct Header {
    /// The metadata by key.
    pub metadata: BTreeMap<String, Value>,
    /// The tensors by name.
    pub tensors: BTreeMap<String, TensorInfo>,
}

/// What a header says of a tensor.
#[derive(Debug)]
pub(super) struct TensorInfo {
    pub encoding: &'static Encoding,
    /// As in Hugging Face's files: the width of a row last.
    pub shape: Vec<usize>,
    /// Where in the file it lies.
    pub bytes: Range<usize>,
}

impl TensorInfo {
    /// Number of values in a row; a vector is one row.
    pub fn width(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.shape.iter().rev().skip(1).product()
    }
}

impl Header {
    /// Reads the header of a whole file.
    pub fn read(file: &[u8]) -> Result<Self, Fault> {
        let mut cursor = Cursor::new(file, check_magic(file)?);
        check_version(cursor.u32()?)?;
        let tensors = counted(&mut cursor, "tensors", MOST_TENSORS)?;
        let keys = counted(&mut cursor, "keys", MOST_KEYS)?;
        let metadata = read_metadata(&mut cursor, keys)?;
        let infos =
            (0..tensors).map(|_| Claim::read(&mut cursor)).collect::<Result<Vec<_>, _>>()?;
        let alignment = alignment(&metadata)?;
        let tensors = place(infos, cursor.at(), alignment, file.len())?;
        Ok(Self { metadata, tensors })
    }
}

/// Where the header goes on behind the magic.
fn check_magic(file: &[u8]) -> Result<usize, Fault> {
    if file.starts_with(LFS_POINTER) {
        let pointer = "it is a Git LFS pointer to it (run `git lfs pull` in that folder)";
        return Err(Fault::broken(pointer));
    }
    match file.first_chunk() {
        None => Err(Fault::CutShort(MAGIC.len() as u64)),
        Some(begin) if begin == MAGIC => Ok(MAGIC.len()),
        Some(_) => Err(Fault::broken("it does not begin with GGUF")),
    }
}

fn check_version(version: u32) -> Result<(), Fault> {
    let problem = match version {
        2 | VERSION => return Ok(()),
        1 => "it is of version 1, which no program writes since 2023".into(),
        _ if matches!(version.swap_bytes(), 1..=VERSION) => "it is of a big-endian machine".into(),
        _ => format!("it is of version {version}, and versions 2 and 3 are read"),
    };
    Err(Fault::Broken(problem))
}

fn counted(cursor: &mut Cursor, what: &str, most: u64) -> Result<u64, Fault> {
    let count = cursor.u64()?;
    let too_many = || Fault::Broken(format!("it claims {count} {what}, where {most} are the most"));
    (count <= most).then_some(count).ok_or_else(too_many)
}

fn read_metadata(cursor: &mut Cursor, count: u64) -> Result<BTreeMap<String, Value>, Fault> {
    let mut metadata = BTreeMap::new();
    for _ in 0..count {
        let key = cursor.name(LONGEST_KEY)?;
        let value = Value::read(cursor).map_err(|fault| within(fault, "key", key))?;
        match metadata.entry(key.to_owned()) {
            Entry::Vacant(place) => place.insert(value),
            // Which of the two is meant cannot be known.
            Entry::Occupied(_) => return Err(Fault::Broken(format!("two keys {}", shown(key)))),
        };
    }
    Ok(metadata)
}

fn within(fault: Fault, what: &str, name: &str) -> Fault {
    match fault {
        Fault::Broken(problem) => Fault::Broken(format!("{what} {}: {problem}", shown(name))),
        other => other,
    }
}

fn alignment(metadata: &BTreeMap<String, Value>) -> Result<usize, Fault> {
    let Some(value) = metadata.get(ALIGNMENT) else { return Ok(DEFAULT_ALIGNMENT) };
    let fits = |bytes: &u64| bytes.is_power_of_two() && *bytes <= MOST_ALIGNMENT;
    let found = value.whole().filter(fits).and_then(|bytes| usize::try_from(bytes).ok());
    found.ok_or_else(|| {
        Fault::Broken(format!("{ALIGNMENT} is no power of two up to {MOST_ALIGNMENT}"))
    })
}

/// A tensor as the header has it.
struct Claim {
    name: String,
    encoding: &'static Encoding,
    shape: Vec<usize>,
    size: usize,
    offset: u64,
}

impl Claim {
    fn read(cursor: &mut Cursor) -> Result<Self, Fault> {
        let name = cursor.name(LONGEST_NAME)?;
        let wrong = |problem: &str| Fault::Broken(format!("tensor {} {problem}", shown(name)));
        let dimensions = cursor.u32()?;
        if !(1..=MOST_DIMENSIONS).contains(&dimensions) {
            return Err(wrong(&format!("has {dimensions} dimensions, where 1 to 4 are possible")));
        }
        let larger = || wrong("has a shape that is larger than any file");
        let shape = (0..dimensions)
            .map(|_| cursor.u64().and_then(|size| usize::try_from(size).map_err(|_| larger())));
        let mut shape = shape.collect::<Result<Vec<_>, _>>()?;
        if shape.contains(&0) {
            return Err(wrong("has a dimension of no values"));
        }
        // ggml names the width of a row first.
        shape.reverse();
        let kind = cursor.u32()?;
        let unknown = || wrong(&format!("is of encoding {kind}, which ggml does not have"));
        let encoding = Encoding::of(kind).ok_or_else(unknown)?;
        let size = size_of(&shape, encoding).map_err(|problem| wrong(&problem))?;
        Ok(Self { name: name.into(), encoding, shape, size, offset: cursor.u64()? })
    }
}

/// Bytes of a tensor.
fn size_of(shape: &[usize], encoding: &Encoding) -> Result<usize, String> {
    let width = shape.last().copied().unwrap_or(1);
    if !width.is_multiple_of(encoding.block) {
        let (name, block) = (encoding.name, encoding.block);
        return Err(format!("is {name} with rows of {width} values, no multiple of {block}"));
    }
    let count = shape.iter().copied().try_fold(1usize, usize::checked_mul);
    let bytes = count.and_then(|count| (count / encoding.block).checked_mul(encoding.bytes));
    bytes.ok_or_else(|| "has a shape that is larger than any file".into())
}

/// Tensors must lie behind the header in the order in which it lists them, each where the last ended but for alignment.
fn place(
    claims: Vec<Claim>,
    header_end: usize,
    alignment: usize,
    file_bytes: usize,
) -> Result<BTreeMap<String, TensorInfo>, Fault> {
    let larger = || Fault::broken("its tensors are larger than any file");
    let data_start = header_end.checked_next_multiple_of(alignment).ok_or_else(larger)?;
    let mut tensors = BTreeMap::new();
    let mut begin = data_start;
    for Claim { name, encoding, shape, size, offset } in claims {
        if offset != (begin - data_start) as u64 {
            let expected = begin - data_start;
            return Err(Fault::Broken(format!(
                "tensor {} is said to lie at {offset}, and the one before it ends at {expected}",
                shown(&name)
            )));
        }
        let end = begin.checked_add(size).ok_or_else(larger)?;
        if end > file_bytes {
            return Err(Fault::CutShort(end as u64));
        }
        let info = TensorInfo { encoding, shape, bytes: begin..end };
        begin = end.checked_next_multiple_of(alignment).ok_or_else(larger)?;
        match tensors.entry(name) {
            Entry::Vacant(place) => place.insert(info),
            Entry::Occupied(place) => {
                return Err(Fault::Broken(format!("two tensors {}", shown(place.key()))));
            }
        };
    }
    Ok(tensors)
}
