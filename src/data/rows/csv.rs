//! Tables: a line of names, and a row a line.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use csv::{ErrorKind, ReaderBuilder, StringRecord};
use serde_json::{Map, Value};

use super::lines::next_line;
use super::{LONGEST_ROW, Row, Take};
use crate::data::DataError;
use crate::data::error::Place;
use crate::files::open_regular;
use crate::quote::shown;

/// What may divide a row, the usual first.
const DIVIDERS: [u8; 4] = [b',', b'\t', b';', b'|'];
/// Most columns.
const MOST_COLUMNS: usize = 10_000;
/// Bytes that the reader takes at once, ahead of the row that it is at.
const AHEAD: usize = 64 << 10;

/// Gives each row. A cell that is exactly a number, as the program would write it, is that number; an empty one is
/// null.
pub(super) fn read<'a>(path: &'a Path, take: &mut Take<'_, 'a>) -> Result<(), DataError> {
    let first = first_line(path)?;
    // The reader is still at the end of the line before where that has two letters.
    let late = usize::from(first.ends_with(b"\r"));
    let taken = Rc::new(Cell::new(0));
    let file = open_regular(path).map_err(DataError::unreadable(path))?;
    let bounded = Bounded { file, taken: Rc::clone(&taken) };
    let mut reader = ReaderBuilder::new().delimiter(divider(&first)).from_reader(bounded);
    let names = reader.headers().map_err(|error| broken(path, 1, &error))?.clone();
    check_names(path, &names)?;
    let mut record = StringRecord::new();
    for index in 0.. {
        taken.set(0);
        let last = reader.position().line() as usize + late;
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return Err(broken(path, last, &error)),
        }
        let at = record.position().map_or(last, |position| position.line() as usize + late);
        let cells = names.iter().map(str::to_owned).zip(record.iter().map(cell));
        let columns: Map<String, Value> = cells.collect();
        let row = Row { path, place: Place::Line(at), index, is_untyped: true, columns };
        if take(row)?.is_break() {
            break;
        }
    }
    Ok(())
}

fn first_line(path: &Path) -> Result<Vec<u8>, DataError> {
    let unreadable = DataError::unreadable(path);
    let file = open_regular(path).map_err(&unreadable)?;
    Ok(next_line(&mut BufReader::new(file)).map_err(&unreadable)?.unwrap_or_default())
}

/// What divides the names of the first line: what stands there most often.
fn divider(first: &[u8]) -> u8 {
    let count = |divider: u8| first.iter().filter(|byte| **byte == divider).count();
    DIVIDERS.into_iter().rev().max_by_key(|divider| count(*divider)).unwrap_or(b',')
}

fn check_names(path: &Path, names: &StringRecord) -> Result<(), DataError> {
    let refuse = |problem: String| {
        let expected = "expected a first line with the names of the columns, such as prompt,answer";
        Err(DataError::row(path, Place::Line(1), problem, expected))
    };
    let mut sorted: Vec<&str> = names.iter().collect();
    sorted.sort_unstable();
    if names.len() > MOST_COLUMNS {
        return refuse(format!("the table has more than {MOST_COLUMNS} columns"));
    }
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => refuse(format!("two columns are called {:?}", shown(pair[0]))),
        None => Ok(()),
    }
}

fn cell(text: &str) -> Value {
    let whole = text.parse::<i64>().map(Value::from).ok();
    let real = || text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from);
    match whole.or_else(real).filter(|number| is_written(number, text)) {
        Some(number) => number,
        None if text.is_empty() => Value::Null,
        None => text.into(),
    }
}

/// Whether a number is written as the program would write it, so that nothing of the text is lost.
fn is_written(number: &Value, text: &str) -> bool {
    let written = number.to_string();
    written == text
}

fn broken(path: &Path, line: usize, error: &csv::Error) -> DataError {
    let problem = match error.kind() {
        ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            let problem = format!("a row that begins here has more than {LONGEST_ROW} bytes");
            let expected = "look for a quotation mark that is not closed";
            return DataError::row(path, Place::Line(line), problem, expected);
        }
        ErrorKind::Io(error) => format!("it cannot be read ({error})"),
        ErrorKind::Utf8 { .. } => "it is no text in UTF-8".to_owned(),
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} cells, and there are {expected_len} columns")
        }
        _ => format!("it is broken ({error})"),
    };
    let expected = "expected a table with as many cells in every row, and quotation marks around text with \
         commas or line ends";
    DataError::row(path, Place::Line(line), problem, expected)
}

/// A file that gives no more than a row may have before somebody sets what was taken back to 0.
struct Bounded {
    file: File,
    taken: Rc<Cell<usize>>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken.get() > LONGEST_ROW + AHEAD {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "a row without end"));
        }
        let count = self.file.read(buffer)?;
        self.taken.set(self.taken.get() + count);
        Ok(count)
    }
}
