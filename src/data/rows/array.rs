//! One JSON array of objects, read one element at a time.

use std::fs::File;
use std::io::{self, BufReader, Bytes, Read};
use std::path::Path;

use super::lines::too_long;
use super::{LONGEST_ROW, Row, Take};
use crate::data::DataError;
use crate::data::error::Place;
use crate::files::open_regular;

/// Gives each element of the array.
pub(super) fn read<'a>(path: &'a Path, take: &mut Take<'_, 'a>) -> Result<(), DataError> {
    let file = open_regular(path).map_err(DataError::unreadable(path))?;
    let mut elements = Elements { path, bytes: BufReader::new(file).bytes(), line: 1 };
    match elements.solid()? {
        Some(b'[') => {}
        _ => return Err(elements.broken("no list begins here")),
    }
    let mut rows = 0;
    while let Some((line, bytes, is_last)) = elements.next(rows == 0)? {
        if take(Row::parse(path, line, rows, &bytes)?)?.is_break() {
            return Ok(());
        }
        rows += 1;
        if is_last {
            break;
        }
    }
    match elements.solid()? {
        None => Ok(()),
        Some(_) => Err(elements.broken("something stands behind the end of the list")),
    }
}

struct Elements<'a> {
    path: &'a Path,
    bytes: Bytes<BufReader<File>>,
    line: usize,
}

impl Elements<'_> {
    fn byte(&mut self) -> Result<Option<u8>, DataError> {
        let byte: Option<u8> = self
            .bytes
            .next()
            .transpose()
            .map_err(|error: io::Error| DataError::unreadable(self.path)(error))?;
        self.line += usize::from(byte == Some(b'\n'));
        Ok(byte)
    }

    /// The next byte that is no space. A byte order mark may stand before the list.
    fn solid(&mut self) -> Result<Option<u8>, DataError> {
        loop {
            match self.byte()? {
                Some(b' ' | b'\n' | b'\r' | b'\t' | 0xEF | 0xBB | 0xBF) => {}
                other => return Ok(other),
            }
        }
    }

    /// The line and the text of the next element, and whether the list ends behind it; none where it ends before one.
    fn next(&mut self, is_first: bool) -> Result<Option<(usize, Vec<u8>, bool)>, DataError> {
        let first = self.solid()?;
        let line = self.line;
        match first {
            Some(b']') if is_first => return Ok(None),
            Some(b'{') => {}
            Some(_) => return Err(self.broken("no object begins here")),
            None => return Err(self.broken("the list has no end")),
        }
        let mut text = vec![b'{'];
        let (mut depth, mut in_string, mut escaped) = (1_usize, false, false);
        while depth > 0 {
            let Some(byte) = self.byte()? else { return Err(self.unfinished(line)) };
            text.push(byte);
            if text.len() > LONGEST_ROW {
                return Err(too_long(self.path, line));
            }
            let is_quote = byte == b'"' && !escaped;
            escaped = in_string && byte == b'\\' && !escaped;
            in_string ^= is_quote;
            match byte {
                b'{' | b'[' if !in_string => depth += 1,
                b'}' | b']' if !in_string => depth -= 1,
                _ => {}
            }
        }
        match self.solid()? {
            Some(b',') => Ok(Some((line, text, false))),
            Some(b']') => Ok(Some((line, text, true))),
            Some(_) => Err(self.broken("no comma stands between two objects")),
            None => Err(self.broken("the list has no end")),
        }
    }

    fn unfinished(&self, line: usize) -> DataError {
        let problem = "broken JSON: the object that begins here has no end";
        DataError::row(self.path, Place::Line(line), problem, EXPECTED)
    }

    fn broken(&self, problem: &str) -> DataError {
        let problem = format!("broken JSON: {problem}");
        DataError::row(self.path, Place::Line(self.line), problem, EXPECTED)
    }
}

const EXPECTED: &str = "expected [{\"prompt\": \"1+1=\", \"answer\": \"2\"}, ...]";
