//! Append-only files of one JSON object a line, which survive a crash in the middle of a line.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A file of JSON lines, open for appending.
#[derive(Debug)]
pub struct JsonLines {
    file: File,
    buffer: Vec<u8>,
}

impl JsonLines {
    /// Opens `path` for appending, and creates it when it is missing.
    ///
    /// # Errors
    /// When the file cannot be created or opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { file, buffer: Vec::new() })
    }

    /// Appends one line and hands it to the operating system before it returns.
    ///
    /// # Errors
    /// When the line cannot be written, as on a full disk.
    pub fn append(&mut self, line: &impl Serialize) -> io::Result<()> {
        self.buffer.clear();
        serde_json::to_writer(&mut self.buffer, line)?;
        self.buffer.push(b'\n');
        // One write for the whole line: a crash of this program never leaves half of it.
        self.file.write_all(&self.buffer)
    }

    /// Waits until all lines have reached the disk.
    ///
    /// # Errors
    /// When the disk refuses them.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Cuts `path` after its last line with a step of at most `last_step`; a missing file is left so.
///
/// A last line without a line end was cut off by a crash and is dropped.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`], naming the line, when a whole line is no JSON object with a `step`.
pub(super) fn truncate_after(path: &Path, last_step: u64) -> io::Result<()> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let kept_bytes = bytes_through(&mut BufReader::new(&file), last_step)?;
    file.set_len(kept_bytes)?;
    file.sync_data()
}

/// Reads all whole lines of `path`; a cut-off last line is left out.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`], naming the line, when a whole line does not have the form of `T`.
pub(super) fn read_lines<T: for<'de> Deserialize<'de>>(path: &Path) -> io::Result<Vec<T>> {
    let mut reader = BufReader::new(File::open(path)?);
    let (mut values, mut line) = (Vec::new(), Vec::new());
    while next_line(&mut reader, &mut line)? {
        values.push(parse(&line, values.len() + 1)?);
    }
    Ok(values)
}

/// Reads the last `count` whole lines of `path`, and holds no more of it than these.
///
/// # Errors
/// Those of [`read_lines`], of the lines that are read.
pub(super) fn read_last<T: for<'de> Deserialize<'de>>(
    path: &Path,
    count: usize,
) -> io::Result<Vec<T>> {
    let mut reader = BufReader::new(File::open(path)?);
    let (mut last, mut line, mut number) = (VecDeque::new(), Vec::new(), 0);
    while next_line(&mut reader, &mut line)? {
        number += 1;
        last.push_back((number, std::mem::take(&mut line)));
        last.drain(..last.len().saturating_sub(count));
    }
    last.iter().map(|(number, line)| parse(line, *number)).collect()
}

#[derive(Deserialize)]
struct StepOnly {
    step: u64,
}

fn bytes_through(reader: &mut impl BufRead, last_step: u64) -> io::Result<u64> {
    let (mut bytes, mut line, mut number) = (0, Vec::new(), 1);
    while next_line(reader, &mut line)? {
        let StepOnly { step } = parse(&line, number)?;
        if step > last_step {
            break;
        }
        bytes += line.len() as u64;
        number += 1;
    }
    Ok(bytes)
}

/// Fills `line` with the next line and its end; false when no whole line is left.
fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    reader.read_until(b'\n', line)?;
    Ok(line.ends_with(b"\n"))
}

fn parse<'a, T: Deserialize<'a>>(line: &'a [u8], number: usize) -> io::Result<T> {
    serde_json::from_slice(line).map_err(|error| {
        let message = format!("line {number} is no line of ours: {error}");
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn truncated(text: &str, last_step: u64) -> io::Result<String> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("metrics.jsonl");
        std::fs::write(&path, text)?;
        truncate_after(&path, last_step)?;
        std::fs::read_to_string(path)
    }

    #[test]
    fn lines_are_appended_to_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.jsonl");
        for step in [1, 2] {
            JsonLines::open(&path).unwrap().append(&json!({ "step": step })).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), "{\"step\":1}\n{\"step\":2}\n");
    }

    #[test]
    fn lines_after_the_checkpoint_are_cut_off() {
        let text = "{\"step\":1}\n{\"step\":2,\"n\":0}\n{\"step\":2,\"n\":1}\n{\"step\":3}\n";
        let kept = truncated(text, 2).unwrap();
        assert_eq!(kept, "{\"step\":1}\n{\"step\":2,\"n\":0}\n{\"step\":2,\"n\":1}\n");
    }

    #[test]
    fn a_half_written_last_line_is_dropped() {
        assert_eq!(truncated("{\"step\":1}\n{\"step\":2,\"rew", 9).unwrap(), "{\"step\":1}\n");
    }

    #[test]
    fn a_whole_line_that_is_no_json_is_named() {
        let error = truncated("{\"step\":1}\noops\n{\"step\":2}\n", 9).unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }

    #[test]
    fn a_missing_file_needs_no_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        truncate_after(&path, 1).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn reading_leaves_out_the_half_written_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.jsonl");
        std::fs::write(&path, "1\n2\n3").unwrap();
        assert_eq!(read_lines::<u32>(&path).unwrap(), [1, 2]);
    }

    #[test]
    fn the_last_lines_are_read_and_those_before_are_not_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.jsonl");
        std::fs::write(&path, "oops\n1\n2\n3").unwrap();
        assert_eq!(read_last::<u32>(&path, 2).unwrap(), [1, 2]);
        assert!(read_last::<u32>(&path, 3).unwrap_err().to_string().contains("line 1"));
        assert!(read_last::<u32>(&path, 0).unwrap().is_empty());
    }
}
