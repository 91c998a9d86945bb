//! Writes one safetensors file, tensor after tensor, so that at most one of them is in memory.

use std::io::{self, Write};
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::super::WeightStorage;
use super::WeightsError;
use crate::files::PartialFile;
use crate::readback::DeviceFailed;

/// Tensors of a file in the order in which they are written: name and shape.
type Layout = [(String, Vec<usize>)];

/// What the numbers of a tensor are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TensorType {
    /// Each rounded to the nearest of a type.
    Numbers(WeightStorage),
    /// Their bits, as words of 32 bits: they are no numbers.
    Words,
}

impl TensorType {
    fn dtype(self) -> Dtype {
        match self {
            Self::Numbers(WeightStorage::F32) => Dtype::F32,
            Self::Numbers(WeightStorage::F16) => Dtype::F16,
            Self::Numbers(WeightStorage::Bf16) => Dtype::BF16,
            Self::Words => Dtype::U32,
        }
    }

    fn bytes(self) -> usize {
        self.dtype().bitsize() / 8
    }

    /// The largest number that does not become infinite.
    fn largest(self) -> f32 {
        match self {
            Self::Numbers(WeightStorage::F16) => half::f16::MAX.to_f32(),
            Self::Numbers(WeightStorage::Bf16) => half::bf16::MAX.to_f32(),
            Self::Numbers(WeightStorage::F32) | Self::Words => f32::MAX,
        }
    }

    fn write(self, file: &mut PartialFile, value: f32) -> io::Result<()> {
        match self {
            Self::Numbers(WeightStorage::F16) => {
                file.write_all(&half::f16::from_f32(value).to_le_bytes())
            }
            Self::Numbers(WeightStorage::Bf16) => {
                file.write_all(&half::bf16::from_f32(value).to_le_bytes())
            }
            Self::Numbers(WeightStorage::F32) | Self::Words => file.write_all(&value.to_le_bytes()),
        }
    }
}

/// A tensor of a file that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// What its numbers are written as.
    pub kind: TensorType,
}

/// Writes f32 tensors as [`save_readings`] does, from numbers that no device holds.
///
/// # Errors
/// [`WeightsError::Write`] where the file cannot be written.
///
/// # Panics
/// Two tensors of one name, or values that do not fit the layout.
pub fn save_tensors(
    path: &Path,
    layout: &Layout,
    metadata: &[(&str, &str)],
    values: impl IntoIterator<Item = Vec<f32>>,
) -> Result<(), WeightsError> {
    save_readings(path, layout, metadata, values.into_iter().map(Ok))
}

/// Writes f32 tensors to a temporary file that takes its place only when it is whole and on disk.
///
/// `values` yields those of each tensor of `layout` in turn, row-major, and is asked for the next
/// only when the last is written. `metadata` is text by key (Hugging Face wants `format: pt`).
/// A full disk or a crash leaves the old file of that name as it was.
///
/// # Errors
/// [`WeightsError::Write`] where the file cannot be written, [`WeightsError::Device`] where values
/// could not be read off their device.
///
/// # Panics
/// Two tensors of one name, or values that do not fit the layout.
pub fn save_readings(
    path: &Path,
    layout: &Layout,
    metadata: &[(&str, &str)],
    values: impl IntoIterator<Item = Result<Vec<f32>, DeviceFailed>>,
) -> Result<(), WeightsError> {
    let place = |(name, shape): &(_, Vec<_>)| Place {
        name: String::clone(name),
        shape: shape.clone(),
        kind: TensorType::Numbers(WeightStorage::F32),
    };
    let layout: Vec<Place> = layout.iter().map(place).collect();
    save_places(path, &layout, metadata, values)
}

/// The same where tensors are of other types.
///
/// # Errors
/// As [`save_readings`]; a number that its type cannot hold.
///
/// # Panics
/// As [`save_readings`].
pub fn save_places(
    path: &Path,
    layout: &[Place],
    metadata: &[(&str, &str)],
    values: impl IntoIterator<Item = Result<Vec<f32>, DeviceFailed>>,
) -> Result<(), WeightsError> {
    let written = header(layout, metadata).and_then(|header| write(path, &header, layout, values));
    written.map_err(|source| match source.downcast() {
        Ok(failed) => WeightsError::Device(failed),
        Err(source) => WeightsError::Write { file: path.into(), source },
    })
}

// `safetensors::serialize_to_file` would ask for the tensors by name, not as the model yields them,
// syncs nothing and leaves a file that only its owner can read.
fn write(
    path: &Path,
    header: &[u8],
    layout: &[Place],
    values: impl IntoIterator<Item = Result<Vec<f32>, DeviceFailed>>,
) -> io::Result<()> {
    let mut file = PartialFile::create(path)?;
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header)?;
    let mut values = values.into_iter();
    for Place { name, shape, kind } in layout {
        let values = values.next().transpose().map_err(io::Error::other)?.unwrap_or_default();
        let count: usize = shape.iter().product();
        assert_eq!(values.len(), count, "values of tensor {name}");
        if let Some(value) =
            values.iter().find(|value| value.is_finite() && value.abs() > kind.largest())
        {
            return Err(io::Error::other(format!(
                "{name} has {value}, which {:?} cannot hold; write it in bf16 or f32",
                kind.dtype()
            )));
        }
        values.iter().try_for_each(|value| kind.write(&mut file, *value))?;
    }
    assert!(values.next().is_none(), "more tensors than the layout has");
    file.commit()
}

fn header(layout: &[Place], metadata: &[(&str, &str)]) -> io::Result<Vec<u8>> {
    let texts = metadata.iter().map(|(key, text)| (key.to_string(), text.to_string()));
    let mut end = 0;
    let infos = layout.iter().map(|place| {
        let begin = end;
        end += place.kind.bytes() * place.shape.iter().product::<usize>();
        let (shape, data_offsets) = (place.shape.clone(), (begin, end));
        (place.name.clone(), TensorInfo { dtype: place.kind.dtype(), shape, data_offsets })
    });
    let texts = (!metadata.is_empty()).then(|| texts.collect());
    let header = Metadata::new(texts, infos.collect()).map_err(io::Error::other)?;
    let mut bytes = serde_json::to_vec(&header)?;
    // Data begins at a multiple of eight, so that other readers may use it in place.
    bytes.resize(bytes.len().next_multiple_of(8), b' ');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::TensorFile;
    use super::*;

    fn layout() -> Vec<(String, Vec<usize>)> {
        vec![("a".into(), vec![2]), ("b".into(), vec![1, 3])]
    }

    fn values() -> [Vec<f32>; 2] {
        [vec![1.0, 2.0], vec![3.0, 4.0, 5.0]]
    }

    #[test]
    fn the_old_file_stands_until_the_last_tensor_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        fs::write(&path, "the old one").unwrap();
        let stands = |_: &_| assert_eq!(fs::read(&path).unwrap(), b"the old one");
        let values = values().into_iter().inspect(stands);
        save_tensors(&path, &layout(), &[("format", "pt")], values).unwrap();
        let opened = TensorFile::open(&path).unwrap();
        assert_eq!(opened.get("b", &[1, 3]).unwrap(), [3.0, 4.0, 5.0]);
        assert_eq!(opened.metadata()["format"], "pt");
    }

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        save_tensors(&path, &[("a".into(), vec![1])], &[], [vec![1.0]]).unwrap();
        let header = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}  "#;
        let expected = [&[56, 0, 0, 0, 0, 0, 0, 0], header.as_bytes(), &[0, 0, 0x80, 0x3f]];
        assert_eq!(fs::read(&path).unwrap(), expected.concat());
    }

    #[test]
    fn tensors_stay_in_the_order_of_the_layout() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        let layout = [("z".to_owned(), vec![1]), ("a".to_owned(), vec![1])];
        save_tensors(&path, &layout, &[], [vec![1.0], vec![2.0]]).unwrap();
        let opened = TensorFile::open(&path).unwrap();
        assert_eq!(opened.get("z", &[1]).unwrap(), [1.0]);
        assert_eq!(opened.get("a", &[1]).unwrap(), [2.0]);
    }

    #[test]
    fn a_mapped_file_that_is_written_again_keeps_its_old_values() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        save_tensors(&path, &layout(), &[], values()).unwrap();
        let old = TensorFile::open(&path).unwrap();
        save_tensors(&path, &layout(), &[], [vec![9.0; 2], vec![9.0; 3]]).unwrap();
        assert_eq!(old.get("a", &[2]).unwrap(), [1.0, 2.0]);
        assert_eq!(TensorFile::open(&path).unwrap().get("a", &[2]).unwrap(), [9.0, 9.0]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_what_was_there_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        fs::create_dir_all(path.join("inside")).unwrap();
        let message = save_tensors(&path, &layout(), &[], values()).unwrap_err().to_string();
        assert!(message.contains("m.safetensors"), "{message}");
        assert!(path.join("inside").is_dir());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_path_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nowhere/m.safetensors");
        let message = save_tensors(&path, &layout(), &[], values()).unwrap_err().to_string();
        assert!(message.contains("nowhere/m.safetensors"), "{message}");
    }

    #[test]
    fn a_device_that_fails_on_the_way_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        fs::write(&path, "the old one").unwrap();
        let failed = DeviceFailed { said: "out of memory".into() };
        let values = [Ok(vec![1.0, 2.0]), Err(failed.clone())];
        let error = save_readings(&path, &layout(), &[], values).unwrap_err();
        assert!(matches!(&error, WeightsError::Device(told) if *told == failed), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"the old one");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    #[should_panic(expected = "values of tensor b")]
    fn values_that_do_not_fit_the_layout_are_a_bug() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        let _ = save_tensors(&path, &layout(), &[], [vec![1.0, 2.0]]);
    }
}
