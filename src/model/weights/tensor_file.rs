//! Reads one safetensors file through a memory map.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::TensorInfo;

use super::header::{Fault, Header};
use super::{Place, WeightsError};
use crate::model::mapped::Mapped;

/// A safetensors file, memory-mapped: tensors by name, and text by key.
#[derive(Debug)]
pub struct TensorFile {
    file: PathBuf,
    map: Mapped,
    header: Header,
}

impl TensorFile {
    /// Maps a file into memory and reads its header; tensors are read when they are asked for.
    ///
    /// # Errors
    /// A file that cannot be read, is cut short, or is no safetensors file; a pipe, a device or a folder.
    pub fn open(file: &Path) -> Result<Self, WeightsError> {
        let map = Mapped::open(file).map_err(|error| WeightsError::read(file, error))?;
        let header = Header::read(&map).map_err(|fault| match fault {
            Fault::Broken(problem) => WeightsError::NotSafetensors { file: file.into(), problem },
            Fault::CutShort(expected) => {
                WeightsError::Truncated { file: file.into(), expected, found: map.len() as u64 }
            }
        })?;
        Ok(Self { file: file.into(), map, header })
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// One tensor as f32 in row-major order.
    ///
    /// # Errors
    /// A tensor that is missing, has another shape than `expected_shape`, or is no f32, f16 or bf16.
    pub fn get(&self, name: &str, expected_shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let info = self.checked(name, expected_shape)?;
        Ok(widened(info.dtype, self.bytes(info)))
    }

    /// One tensor of words of 32 bits, as f32 of the same bits.
    ///
    /// # Errors
    /// A tensor that is missing, has another shape than `place`, or is no U32.
    pub fn get_words(&self, place: &Place) -> Result<Vec<f32>, WeightsError> {
        let mend = "U32 is read there: take another checkpoint";
        let info = self.placed(&place.name, &place.shape, &[Dtype::U32], mend)?;
        Ok(widened(info.dtype, self.bytes(info)))
    }

    /// Some rows of a matrix as f32, whose values are finite.
    ///
    /// # Errors
    /// Those of [`Self::get_finite`].
    pub fn rows(
        &self,
        name: &str,
        expected_shape: [usize; 2],
        rows: Range<usize>,
    ) -> Result<Vec<f32>, WeightsError> {
        let info = self.checked(name, &expected_shape)?;
        let (bytes, [count, width]) = (self.bytes(info), expected_shape);
        let row = bytes.len() / count.max(1);
        let values = widened(info.dtype, &bytes[rows.start * row..rows.end * row]);
        debug_assert_eq!(values.len(), rows.len() * width);
        self.finite(name, values)
    }

    /// Whether a tensor is stored in f16.
    pub fn is_f16(&self, name: &str) -> bool {
        self.header.tensors.get(name).is_some_and(|info| info.dtype == Dtype::F16)
    }

    /// Whether a tensor is stored in words of 32 bits.
    pub fn is_words(&self, name: &str) -> bool {
        self.header.tensors.get(name).is_some_and(|info| info.dtype == Dtype::U32)
    }

    /// Lets the system take back the memory in which tensors were read; they can be read again.
    pub fn forget(&self) {
        self.map.forget();
    }

    /// The same, of numbers that can be computed with.
    ///
    /// # Errors
    /// Those of [`Self::get`], and values that are NaN or infinite.
    pub fn get_finite(
        &self,
        name: &str,
        expected_shape: &[usize],
    ) -> Result<Vec<f32>, WeightsError> {
        let values = self.get(name, expected_shape)?;
        self.finite(name, values)
    }

    fn finite(&self, name: &str, values: Vec<f32>) -> Result<Vec<f32>, WeightsError> {
        let count = values.iter().filter(|value| !value.is_finite()).count();
        if count == 0 {
            return Ok(values);
        }
        Err(WeightsError::NotFinite {
            file: self.file.clone(),
            tensor: name.into(),
            count,
            nans: values.iter().filter(|value| value.is_nan()).count(),
            of: values.len(),
        })
    }

    /// Whether [`Self::get`] would succeed.
    ///
    /// # Errors
    /// Those of [`Self::get`].
    pub fn check(&self, name: &str, expected_shape: &[usize]) -> Result<(), WeightsError> {
        self.checked(name, expected_shape).map(|_| ())
    }

    /// The shape of a tensor, where there is one of that name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.header.tensors.get(name).map(|info| info.shape.as_slice())
    }

    /// Whether the file has a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.header.tensors.contains_key(name)
    }

    /// The names of all tensors in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.header.tensors.keys().map(String::as_str)
    }

    /// The text stored beside the tensors.
    pub fn metadata(&self) -> &HashMap<String, String> {
        &self.header.metadata
    }

    /// Type and bytes as stored.
    pub(super) fn stored(&self, name: &str) -> Option<(Dtype, &[u8])> {
        self.header.tensors.get(name).map(|info| (info.dtype, self.bytes(info)))
    }

    fn checked(&self, name: &str, expected_shape: &[usize]) -> Result<&TensorInfo, WeightsError> {
        let mend = "F32, F16 and BF16 are read: save the model in one of them";
        self.placed(name, expected_shape, &[Dtype::F32, Dtype::F16, Dtype::BF16], mend)
    }

    fn placed(
        &self,
        name: &str,
        expected_shape: &[usize],
        dtypes: &[Dtype],
        mend: &'static str,
    ) -> Result<&TensorInfo, WeightsError> {
        let info = self.header.tensors.get(name);
        let info = info.ok_or_else(|| WeightsError::missing(&self.file, name, self.names()))?;
        let (file, tensor) = (self.file.clone(), name.to_owned());
        if info.shape != expected_shape {
            let (expected, found) = (expected_shape.to_vec(), info.shape.clone());
            return Err(WeightsError::Shape { file, tensor, expected, found });
        }
        if !dtypes.contains(&info.dtype) {
            return Err(WeightsError::Dtype { file, tensor, dtype: info.dtype.to_string(), mend });
        }
        Ok(info)
    }

    fn bytes(&self, info: &TensorInfo) -> &[u8] {
        let (begin, end) = info.data_offsets;
        &self.map[self.header.data_start..][begin..end]
    }
}

/// Numbers of one of the types that are read, as f32; words, as f32 of their bits.
fn widened(dtype: Dtype, bytes: &[u8]) -> Vec<f32> {
    match dtype {
        Dtype::F16 => pairs(bytes).map(|pair| f16::from_le_bytes(pair).to_f32()).collect(),
        Dtype::BF16 => pairs(bytes).map(|pair| bf16::from_le_bytes(pair).to_f32()).collect(),
        _ => bytes.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect(),
    }
}

fn pairs(bytes: &[u8]) -> impl Iterator<Item = [u8; 2]> {
    bytes.as_chunks().0.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::super::save_tensors;
    use super::*;

    fn write(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.safetensors");
        std::fs::write(&file, bytes).unwrap();
        (folder, file)
    }

    fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
    }

    fn open_error(bytes: &[u8]) -> WeightsError {
        let (_folder, file) = write(bytes);
        TensorFile::open(&file).unwrap_err()
    }

    #[test]
    fn half_precision_is_widened_exactly() {
        let header = r#"{"h":{"dtype":"F16","shape":[3],"data_offsets":[0,6]},
            "b":{"dtype":"BF16","shape":[1,3],"data_offsets":[6,12]}}"#;
        // 1, -2.5 and the least subnormal of f16; 1, -2.5 and 2^127 of bf16; by the bit patterns of IEEE 754.
        let data: Vec<u8> = [0x3c00u16, 0xc100, 0x0001, 0x3f80, 0xc020, 0x7f00]
            .iter()
            .flat_map(|bits| bits.to_le_bytes())
            .collect();
        let (_folder, file) = write(&with_header(header, &data));
        let opened = TensorFile::open(&file).unwrap();
        assert_eq!(opened.get("h", &[3]).unwrap(), [1.0, -2.5, 2f32.powi(-24)]);
        assert_eq!(opened.get("b", &[1, 3]).unwrap(), [1.0, -2.5, 2f32.powi(127)]);
    }

    #[test]
    fn every_bit_survives_a_round_trip() {
        let values = vec![0.1, -0.0, f32::MIN_POSITIVE / 2.0, f32::INFINITY, f32::NAN, 1e30];
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("optimizer.safetensors");
        let layout = [
            ("moment".to_owned(), vec![2, 3]),
            ("scalar".to_owned(), vec![]),
            ("empty".to_owned(), vec![0, 4]),
        ];
        let all = [values.clone(), vec![7.0], vec![]];
        save_tensors(&file, &layout, &[("step", "12")], all).unwrap();
        let opened = TensorFile::open(&file).unwrap();
        let bits = |values: Vec<f32>| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(opened.get("moment", &[2, 3]).unwrap()), bits(values));
        assert_eq!(opened.get("scalar", &[]).unwrap(), [7.0]);
        assert!(opened.get("empty", &[0, 4]).unwrap().is_empty());
        assert_eq!(opened.metadata()["step"], "12");
        assert_eq!(opened.shape("moment"), Some(&[2, 3][..]));
    }

    #[test]
    fn another_dtype_is_refused_by_name() {
        let header = r#"{"q":{"dtype":"I8","shape":[2],"data_offsets":[0,2]}}"#;
        let (_folder, file) = write(&with_header(header, &[1, 2]));
        let message = TensorFile::open(&file).unwrap().get("q", &[2]).unwrap_err().to_string();
        assert!(message.contains("tensor q is stored as I8"), "{message}");
    }

    #[test]
    fn a_file_cut_anywhere_is_refused() {
        let header = r#"{"h":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        let whole = with_header(header, &[0; 8]);
        for length in 0..whole.len() {
            let error = open_error(&whole[..length]);
            let expected = matches!(error, WeightsError::Truncated { .. });
            assert!(expected || length == 0, "{length}: {error}");
        }
    }

    #[test]
    fn other_kinds_of_files_are_refused() {
        for bytes in
            [&b"GGUF\x03\0\0\0\0\0\0\0\0"[..], b"PK\x03\x04 pickled weights", b"version https"]
        {
            assert!(matches!(open_error(bytes), WeightsError::NotSafetensors { .. }));
        }
    }

    #[test]
    fn a_header_that_lies_is_refused() {
        for tensor in [
            r#"{"dtype":"F32","shape":[2],"data_offsets":[0,4]}"#,
            r#"{"dtype":"F32","shape":[2],"data_offsets":[8,0]}"#,
            r#"{"dtype":"F32","shape":[4294967296,4294967296,2],"data_offsets":[0,0]}"#,
            r#"{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}"#,
            r#"{"shape":[1],"data_offsets":[0,4]}"#,
        ] {
            let error = open_error(&with_header(&format!(r#"{{"w":{tensor}}}"#), &[0; 8]));
            assert!(matches!(error, WeightsError::NotSafetensors { .. }), "{tensor}: {error}");
        }
    }
}
