//! Writes one safetensors file, tensor after tensor, so that at most one of them is in memory.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::WeightsError;

/// Tensors of a file in the order in which they are written: name and shape.
type Layout = [(String, Vec<usize>)];

/// Writes f32 tensors to a temporary file that takes its place only when it is whole and on disk.
///
/// A full disk or a crash leaves the old file of that name as it was.
///
/// ```text
/// let mut writer = TensorWriter::create(&path, &config.parameters(), &[("format", "pt")])?;
/// for (name, _) in &config.parameters() { writer.write(&values_of(name))?; }
/// writer.finish()?;
/// ```
#[derive(Debug)]
pub struct TensorWriter {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
    value_counts: Vec<usize>,
    written: usize,
    finished: bool,
}

impl TensorWriter {
    /// Starts the file at `path` for the tensors of `layout`, and `metadata` (Hugging Face wants `format: pt` there).
    ///
    /// # Errors
    /// [`WeightsError::Write`] where the file cannot be written.
    ///
    /// # Panics
    /// Two tensors of one name.
    pub fn create(
        path: &Path,
        layout: &Layout,
        metadata: &[(&str, &str)],
    ) -> Result<Self, WeightsError> {
        let header = header(layout, metadata);
        let temporary = temporary_of(path);
        let file = File::create(&temporary).map_err(|e| write_error(path, e))?;
        let value_counts = layout
            .iter()
            .map(|(_, shape)| shape.iter().product())
            .collect();
        let path = path.into();
        let mut writer = Self {
            path,
            temporary,
            file,
            value_counts,
            written: 0,
            finished: false,
        };
        let length = (header.len() as u64).to_le_bytes();
        writer.write_bytes(&length)?;
        writer.write_bytes(&header)?;
        Ok(writer)
    }

    /// Writes the next tensor of the layout, in row-major order.
    ///
    /// # Errors
    /// [`WeightsError::Write`] where the disk is full or fails.
    ///
    /// # Panics
    /// More tensors, or another number of values, than the layout says.
    pub fn write(&mut self, values: &[f32]) -> Result<(), WeightsError> {
        let expected = self.value_counts.get(self.written).copied();
        assert_eq!(
            expected,
            Some(values.len()),
            "values of tensor {}",
            self.written
        );
        self.written += 1;
        let mut bytes = Vec::new();
        for part in values.chunks(1 << 16) {
            bytes.clear();
            bytes.extend(part.iter().flat_map(|value| value.to_le_bytes()));
            self.write_bytes(&bytes)?;
        }
        Ok(())
    }

    /// Brings the file to the disk and gives it its name.
    ///
    /// # Errors
    /// [`WeightsError::Write`] where the disk is full or fails.
    ///
    /// # Panics
    /// Tensors of the layout that were not written.
    pub fn finish(mut self) -> Result<(), WeightsError> {
        assert_eq!(
            self.written,
            self.value_counts.len(),
            "tensors written of the layout"
        );
        let renamed = self
            .file
            .sync_all()
            .and_then(|()| fs::rename(&self.temporary, &self.path));
        renamed.map_err(|e| write_error(&self.path, e))?;
        self.finished = true;
        sync_folder(&self.path);
        Ok(())
    }

    fn write_bytes(&mut self, bytes: &[u8]) -> Result<(), WeightsError> {
        self.file
            .write_all(bytes)
            .map_err(|e| write_error(&self.path, e))
    }
}

impl Drop for TensorWriter {
    fn drop(&mut self) {
        if !self.finished {
            // An unfinished file is of no use; failing to remove it hides no data.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Writes tensors that are already in memory: name, shape and values of each.
///
/// # Errors
/// [`WeightsError::Write`] where the file cannot be written.
///
/// # Panics
/// Two tensors of one name, or values that do not fit their shape.
pub fn save_tensors(
    path: &Path,
    tensors: &[(String, Vec<usize>, Vec<f32>)],
    metadata: &[(&str, &str)],
) -> Result<(), WeightsError> {
    let layout: Vec<_> = tensors
        .iter()
        .map(|(n, shape, _)| (n.clone(), shape.clone()))
        .collect();
    let mut writer = TensorWriter::create(path, &layout, metadata)?;
    for (_, _, values) in tensors {
        writer.write(values)?;
    }
    writer.finish()
}

fn header(layout: &Layout, metadata: &[(&str, &str)]) -> Vec<u8> {
    let mut entries = Map::new();
    if !metadata.is_empty() {
        let texts: Map<_, _> = metadata
            .iter()
            .map(|(k, v)| (k.to_string(), json!(v)))
            .collect();
        entries.insert("__metadata__".into(), Value::Object(texts));
    }
    let mut begin = 0;
    for (name, shape) in layout {
        let end = begin + 4 * shape.iter().product::<usize>();
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, end]});
        let before = entries.insert(name.clone(), entry);
        assert!(before.is_none(), "two tensors are called {name}");
        begin = end;
    }
    let mut bytes = Value::Object(entries).to_string().into_bytes();
    // Data begins at a multiple of eight, so that other readers may use it in place.
    bytes.resize(bytes.len().next_multiple_of(8), b' ');
    bytes
}

fn temporary_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

/// Makes the new name itself lasting, where the system can open folders.
fn sync_folder(path: &Path) {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
        // The file is whole under one of its names either way.
        let _ = folder.sync_all();
    }
}

fn write_error(path: &Path, source: io::Error) -> WeightsError {
    WeightsError::Write {
        file: path.into(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::super::TensorFile;
    use super::*;

    fn layout() -> Vec<(String, Vec<usize>)> {
        vec![("a".into(), vec![2]), ("b".into(), vec![1, 3])]
    }

    #[test]
    fn tensors_are_written_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        let mut writer = TensorWriter::create(&path, &layout(), &[("format", "pt")]).unwrap();
        writer.write(&[1.0, 2.0]).unwrap();
        writer.write(&[3.0, 4.0, 5.0]).unwrap();
        assert!(!path.exists());
        writer.finish().unwrap();
        let opened = TensorFile::open(&path).unwrap();
        assert_eq!(opened.get("b", &[1, 3]).unwrap(), [3.0, 4.0, 5.0]);
        assert_eq!(opened.metadata()["format"], "pt");
    }

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        save_tensors(&path, &[("a".into(), vec![1], vec![1.0])], &[]).unwrap();
        let header = r#"{"a":{"data_offsets":[0,4],"dtype":"F32","shape":[1]}}  "#;
        let expected = [
            &[56, 0, 0, 0, 0, 0, 0, 0],
            header.as_bytes(),
            &[0, 0, 0x80, 0x3f],
        ];
        assert_eq!(fs::read(&path).unwrap(), expected.concat());
    }

    #[test]
    fn an_unfinished_file_leaves_the_old_one_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        fs::write(&path, "the old one").unwrap();
        let mut writer = TensorWriter::create(&path, &layout(), &[]).unwrap();
        writer.write(&[1.0, 2.0]).unwrap();
        drop(writer);
        assert_eq!(fs::read(&path).unwrap(), b"the old one");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_path_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nowhere/m.safetensors");
        let message = TensorWriter::create(&path, &layout(), &[])
            .unwrap_err()
            .to_string();
        assert!(message.contains("nowhere/m.safetensors"), "{message}");
    }

    #[test]
    #[should_panic(expected = "values of tensor 0")]
    fn values_that_do_not_fit_the_layout_are_a_bug() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        let mut writer = TensorWriter::create(&path, &layout(), &[]).unwrap();
        let _ = writer.write(&[1.0]);
    }
}
