//! What the pages of a parquet file are said to hold, read before any of them is unpacked.
//!
//! A page of a few bytes may be said to unpack to gigabytes, or to hold billions of equal values. The head of a page
//! is a struct in Thrift's compact form; of it the lengths and the number of values are read, and the rest is passed
//! over. Source: the file `parquet.thrift` of apache/parquet-format.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};

use super::thrift::Cursor;

/// Bytes that the pages of all columns may unpack to at once.
const MOST_UNPACKED: u64 = 512 << 20;
/// Values of a column of a group: so many, or so many to each of its packed bytes.
const MOST_VALUES: u64 = 4 << 20;
const MOST_TO_A_BYTE: u64 = 64;
/// Bytes of a page's head that are read, first and where that is not enough.
const HEADS: [usize; 2] = [4 << 10, 1 << 20];

/// Checks all pages of a group of rows.
///
/// # Errors
/// What the head of a page says that cannot be true or is too much.
pub(super) fn check(mut file: &File, group: &RowGroupMetaData) -> Result<(), String> {
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    let mut unpacked = 0;
    for column in group.columns() {
        unpacked += check_column(&mut file, column, length)?;
        if unpacked > MOST_UNPACKED {
            return Err(format!(
                "its pages unpack to more than {MOST_UNPACKED} bytes; write it with smaller pages"
            ));
        }
    }
    Ok(())
}

/// The most bytes that a column holds unpacked at once: its dictionary and a page.
fn check_column(
    file: &mut &File,
    column: &ColumnChunkMetaData,
    length: u64,
) -> Result<u64, String> {
    let packed = column.compressed_size();
    let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    let (Ok(start), Ok(packed)) = (u64::try_from(start), u64::try_from(packed)) else {
        return Err("a column begins before the file does".into());
    };
    let end = start.checked_add(packed).filter(|end| *end <= length);
    let end = end.ok_or("a column reaches beyond the end of the file")?;
    let most = packed.saturating_mul(MOST_TO_A_BYTE).max(MOST_VALUES);
    let (mut at, mut values, mut largest, mut dictionary) = (start, 0, 0, 0);
    while at < end {
        let head = head_at(file, at, end)?;
        values += head.values;
        match head.is_dictionary {
            true => dictionary = head.unpacked,
            false => largest = head.unpacked.max(largest),
        }
        if values > most {
            return Err(format!(
                "a column of {packed} bytes has more than {most} values, which is not believed"
            ));
        }
        at = at.saturating_add(head.length as u64).saturating_add(head.packed);
    }
    Ok(largest + dictionary)
}

/// The head of a page.
#[derive(Debug, Default, PartialEq)]
struct Head {
    length: usize,
    unpacked: u64,
    packed: u64,
    values: u64,
    is_dictionary: bool,
}

fn head_at(file: &mut &File, at: u64, end: u64) -> Result<Head, String> {
    for bytes in HEADS {
        let mut read = Vec::new();
        file.seek(SeekFrom::Start(at)).map_err(|error| error.to_string())?;
        let left = (end - at).min(bytes as u64);
        Read::take(&mut *file, left).read_to_end(&mut read).map_err(|error| error.to_string())?;
        let mut cursor = Cursor { bytes: &read, at: 0 };
        match head(&mut cursor) {
            Some(head) => return Ok(head),
            None if left < bytes as u64 => break,
            None => {}
        }
    }
    Err("the head of a page is broken".into())
}

fn head(cursor: &mut Cursor<'_>) -> Option<Head> {
    let (mut head, mut field) = (Head::default(), 0);
    while let Some(kind) = cursor.field(&mut field)? {
        match (field, kind) {
            (1, 5) => head.is_dictionary = cursor.whole()? == 2,
            (2, 5) => head.unpacked = cursor.size()?,
            (3, 5) => head.packed = cursor.size()?,
            (5 | 7 | 8, 12) => head.values = values(cursor)?,
            _ => cursor.skip(kind, 0)?,
        }
    }
    // The values of a dictionary are bounded by its bytes.
    head.values = if head.is_dictionary { 0 } else { head.values };
    head.length = cursor.at;
    Some(head)
}

/// The first field of a struct, the number of values, and past its end.
fn values(cursor: &mut Cursor<'_>) -> Option<u64> {
    let (mut values, mut field) = (0, 0);
    while let Some(kind) = cursor.field(&mut field)? {
        match (field, kind) {
            (1, 5) => values = cursor.size()?,
            _ => cursor.skip(kind, 1)?,
        }
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_page_is_read_and_what_it_does_not_say_is_passed_over() {
        // A data page: 1: 0, 2: 100, 3: 60, 4: a checksum, 5: {1: 7, 2: 8, 5: {1: "ab", 3: 9}}.
        let bytes = [
            0x15, 0, 0x15, 0xC8, 1, 0x15, 120, 0x15, 2, 0x1C, 0x15, 14, 0x15, 16, 0x3C, 0x18, 2,
            b'a', b'b', 0x26, 18, 0, 0, 0, 99,
        ];
        let found = head(&mut Cursor { bytes: &bytes, at: 0 }).unwrap();
        let expected =
            Head { length: 24, unpacked: 100, packed: 60, values: 7, is_dictionary: false };
        assert_eq!(found, expected);
        for end in 0..24 {
            assert_eq!(head(&mut Cursor { bytes: &bytes[..end], at: 0 }), None, "{end}");
        }
    }

    #[test]
    fn heads_of_nonsense_are_none() {
        for bytes in
            [&[0x15, 1, 0x15, 1][..], &[0xFF; 300], &[0x1C; 300], &[0x19, 0xF3, 255, 255, 255, 15]]
        {
            assert_eq!(head(&mut Cursor { bytes, at: 0 }), None);
        }
    }
}
