//! Reads one GGUF file through a memory map.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::GgufError;
use super::cursor::Fault;
use super::encoding::Encoding;
use super::header::{Header, TensorInfo};
use crate::model::mapped::Mapped;

/// A GGUF file, memory-mapped: metadata by key, and tensors by the names that the file has for them.
#[derive(Debug)]
pub struct GgufFile {
    file: PathBuf,
    map: Mapped,
    pub(super) header: Header,
}

impl GgufFile {
    /// Maps a file into memory and reads its header; tensors are read when they are asked for.
    ///
    /// # Errors
    /// A file that cannot be read, is cut short, or is no GGUF file of version 2 or 3; a pipe, a device or a folder.
    pub fn open(file: &Path) -> Result<Self, GgufError> {
        let failed = |source| GgufError::Read { file: file.into(), source };
        let map = Mapped::open(file).map_err(failed)?;
        let header = Header::read(&map).map_err(|fault| match fault {
            Fault::Broken(problem) => GgufError::NotGguf { file: file.into(), problem },
            Fault::CutShort(expected) => {
                GgufError::Truncated { file: file.into(), expected, found: map.len() as u64 }
            }
        })?;
        Ok(Self { file: file.into(), map, header })
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// The names of all tensors in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.header.tensors.keys().map(String::as_str)
    }

    /// Whether the file has a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.header.tensors.contains_key(name)
    }

    /// The shape of a tensor, where there is one of that name: the width of a row last, as Hugging Face has it.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.header.tensors.get(name).map(|info| info.shape.as_slice())
    }

    /// Rows of a tensor as f32, one behind the other; a vector is one row. Only they are decoded.
    ///
    /// # Errors
    /// A tensor that is missing or in an encoding that is not read; values that are NaN or infinite.
    ///
    /// # Panics
    /// Rows that the tensor does not have.
    pub fn rows(&self, name: &str, rows: Range<usize>) -> Result<Vec<f32>, GgufError> {
        let info = self.info(name)?;
        let there = info.rows();
        assert!(rows.end <= there, "rows {rows:?} of {name}, which has {there}");
        let decode = info.encoding.decode.ok_or_else(|| self.not_read(name, info))?;
        let row_bytes = info.width() / info.encoding.block * info.encoding.bytes;
        let bytes = &self.map[info.bytes.clone()][rows.start * row_bytes..rows.end * row_bytes];
        let mut values = vec![0.0; rows.len() * info.width()];
        decode(bytes, &mut values);
        self.finite(name, values)
    }

    /// Whether a tensor is in an encoding that is read.
    ///
    /// # Errors
    /// A tensor that is missing, or in another encoding.
    pub fn check(&self, name: &str) -> Result<(), GgufError> {
        let info = self.info(name)?;
        info.encoding.decode.map(|_| ()).ok_or_else(|| self.not_read(name, info))
    }

    /// Lets the system take back the memory in which tensors were read.
    pub fn forget(&self) {
        self.map.forget();
    }

    /// The bytes of the file in a range that the header was found to have.
    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.map[range]
    }

    fn info(&self, name: &str) -> Result<&TensorInfo, GgufError> {
        let missing = || GgufError::missing(&self.file, name, self.names());
        self.header.tensors.get(name).ok_or_else(missing)
    }

    fn not_read(&self, name: &str, info: &TensorInfo) -> GgufError {
        let (file, tensor) = (self.file.clone(), name.to_owned());
        let (kind, read) = (info.encoding.name.into(), Encoding::names_read());
        GgufError::Encoding { file, tensor, kind, read }
    }

    fn finite(&self, name: &str, values: Vec<f32>) -> Result<Vec<f32>, GgufError> {
        let count = values.iter().filter(|value| !value.is_finite()).count();
        if count == 0 {
            return Ok(values);
        }
        Err(GgufError::NotFinite {
            file: self.file.clone(),
            tensor: name.into(),
            count,
            nans: values.iter().filter(|value| value.is_nan()).count(),
            of: values.len(),
        })
    }
}
