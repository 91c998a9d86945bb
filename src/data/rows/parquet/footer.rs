//! The schema in the footer of a parquet file, looked at before the file is read.
//!
//! The `parquet` crate walks a schema by recursion, so one that nests a hundred thousand deep would fill any stack.
//! Source: the file `parquet.thrift` of apache/parquet-format, `FileMetaData` and `SchemaElement`.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::thrift::Cursor;

/// Bytes of the longest footer; those of files with a thousand columns and a hundred groups have some megabytes.
const LONGEST: u64 = 64 << 20;
/// How deep columns may nest; a list of a struct takes three levels.
const DEEPEST: usize = 64;
/// Most columns, with what they are in.
const MOST_COLUMNS: u64 = 100_000;
/// What stands behind the footer: its length and PAR1.
const END: u64 = 8;

/// Checks the schema of a file.
///
/// # Errors
/// A file without a whole footer, or a schema beyond what is read.
pub(super) fn check(mut file: &File) -> Result<(), String> {
    let io = |error: std::io::Error| error.to_string();
    let length = file.metadata().map_err(io)?.len();
    if length < END + 4 {
        return Err("it ends before its footer".into());
    }
    let mut end = [0; END as usize];
    file.seek(SeekFrom::Start(length - END)).map_err(io)?;
    file.read_exact(&mut end).map_err(io)?;
    let [a, b, c, d, mark @ ..] = end;
    let footer = u64::from(u32::from_le_bytes([a, b, c, d]));
    if mark != *b"PAR1" || footer > length - END {
        return Err("it does not end with its footer".into());
    }
    if footer > LONGEST {
        return Err(format!("its footer has {footer} bytes, and at most {LONGEST} are read"));
    }
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(length - END - footer)).map_err(io)?;
    Read::take(&mut file, footer).read_to_end(&mut bytes).map_err(io)?;
    schema(&mut Cursor { bytes: &bytes, at: 0 })
        .unwrap_or_else(|| Err("its footer is broken".into()))
}

/// Whether a schema is one that is read; none where it makes no sense.
fn schema(cursor: &mut Cursor<'_>) -> Option<Result<(), String>> {
    let mut field = 0;
    while let Some(kind) = cursor.field(&mut field)? {
        match (field, kind) {
            (2, 9) => return elements(cursor),
            _ => cursor.skip(kind, 0)?,
        }
    }
    None
}

/// The elements of a schema stand in the order of a tree that is walked down first.
fn elements(cursor: &mut Cursor<'_>) -> Option<Result<(), String>> {
    let (count, kind) = cursor.list()?;
    if count > MOST_COLUMNS {
        return Some(Err(format!("it has more than {MOST_COLUMNS} columns")));
    }
    // How many children are still to come, of each element on the way.
    let mut open: Vec<u64> = Vec::new();
    for _ in 0..count {
        (kind == 12).then_some(())?;
        open.last_mut().into_iter().for_each(|left| *left = left.saturating_sub(1));
        open.push(children(cursor)?);
        if open.len() > DEEPEST {
            return Some(Err(format!("its columns nest deeper than {DEEPEST} levels")));
        }
        while open.last() == Some(&0) {
            open.pop();
        }
    }
    Some(Ok(()))
}

/// The number of children of an element, and past its end.
fn children(cursor: &mut Cursor<'_>) -> Option<u64> {
    let (mut children, mut field) = (0, 0);
    while let Some(kind) = cursor.field(&mut field)? {
        match (field, kind) {
            (5, 5) => children = cursor.size()?,
            _ => cursor.skip(kind, 0)?,
        }
    }
    Some(children)
}
