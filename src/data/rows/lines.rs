//! One JSON object a line.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::{LONGEST_ROW, Row, Take};
use crate::data::DataError;
use crate::data::error::Place;
use crate::files::open_regular;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Gives each line; blank ones are skipped, and counted in line numbers.
pub(super) fn read<'a>(path: &'a Path, take: &mut Take<'_, 'a>) -> Result<(), DataError> {
    let unreadable = DataError::unreadable(path);
    let mut file = BufReader::new(open_regular(path).map_err(&unreadable)?);
    let (mut line, mut rows) = (0, 0);
    while let Some(bytes) = next_line(&mut file).map_err(&unreadable)? {
        line += 1;
        if bytes.len() > LONGEST_ROW {
            return Err(too_long(path, line));
        }
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes).trim_ascii();
        if !bytes.is_empty() {
            if take(Row::parse(path, line, rows, bytes)?)?.is_break() {
                break;
            }
            rows += 1;
        }
    }
    Ok(())
}

/// The error for a row of more bytes than are read.
pub(super) fn too_long(path: &Path, line: usize) -> DataError {
    let problem = format!("the line has more than {LONGEST_ROW} bytes");
    let expected = "expected one problem a line; shorten it or leave it out";
    DataError::row(path, Place::Line(line), problem, expected)
}

/// The next line without its end, or its beginning where it is too long; nothing at the end of the file.
pub(super) fn next_line(file: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let mut line = file.take(LONGEST_ROW as u64 + 2);
    if line.read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    Ok(Some(bytes))
}
