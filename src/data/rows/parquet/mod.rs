//! Parquet files, row by row.
//!
//! What pages are said to hold is looked at before any is unpacked, and what panics inside the `parquet` crate is
//! caught.

mod footer;
mod pages;
mod thrift;

use std::fs::File;
use std::path::Path;

use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row as Record};
use serde_json::{Map, Value};

use super::{MOST_VALUES, Row, Take, too_many_values};
use crate::data::DataError;
use crate::data::error::Place;
use crate::files::open_regular;
use crate::quote::passage;
use crate::text::caught;

const FORMAT: &str = "parquet";

/// Gives each row.
pub(super) fn read<'a>(path: &'a Path, take: &mut Take<'_, 'a>) -> Result<(), DataError> {
    let file = open_regular(path).map_err(DataError::unreadable(path))?;
    let read = caught(|| rows(path, &file, take));
    read.unwrap_or_else(|panic| Err(broken(path, &panic)))
}

fn rows<'a>(path: &'a Path, file: &File, take: &mut Take<'_, 'a>) -> Result<(), DataError> {
    let wrong = |error: ParquetError| broken(path, &error.to_string());
    footer::check(file).map_err(|problem| broken(path, &problem))?;
    let again = file.try_clone().map_err(DataError::unreadable(path))?;
    let reader = SerializedFileReader::new(again).map_err(wrong)?;
    let mut index = 0;
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).map_err(wrong)?;
        pages::check(file, group.metadata()).map_err(|problem| broken(path, &problem))?;
        for record in group.get_row_iter(None).map_err(wrong)? {
            let record = record.map_err(|error| {
                broken(path, &format!("row {} cannot be read: {error}", index + 1))
            })?;
            let place = Place::Row(index + 1);
            if values_of_record(&record) > MOST_VALUES {
                return Err(too_many_values(path, place));
            }
            let row = Row { path, place, index, is_untyped: false, columns: object(record) };
            if take(row)?.is_break() {
                return Ok(());
            }
            index += 1;
        }
    }
    Ok(())
}

fn broken(path: &Path, problem: &str) -> DataError {
    let problem = problem.strip_prefix("Parquet error: ").unwrap_or(problem);
    DataError::broken(path, FORMAT, format!("{}; fetch it again", passage(problem)))
}

fn values_of_record(record: &Record) -> usize {
    record.get_column_iter().map(|(_, field)| values_in(field)).sum()
}

fn values_in(field: &Field) -> usize {
    1 + match field {
        Field::Group(record) => values_of_record(record),
        Field::ListInternal(list) if list.len() > MOST_VALUES => list.len(),
        Field::ListInternal(list) => list.elements().iter().map(values_in).sum(),
        Field::MapInternal(map) if map.len() > MOST_VALUES => map.len(),
        Field::MapInternal(map) => {
            map.entries().iter().map(|(_, value)| 1 + values_in(value)).sum()
        }
        _ => 0,
    }
}

fn object(record: Record) -> Map<String, Value> {
    record.into_columns().into_iter().map(|(name, field)| (name, value(&field))).collect()
}

/// A field as JSON has it; dates and decimals as text, and bytes that are no text as null.
fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(value) => (*value).into(),
        Field::Byte(value) => (*value).into(),
        Field::Short(value) => (*value).into(),
        Field::Int(value) => (*value).into(),
        Field::Long(value) => (*value).into(),
        Field::UByte(value) => (*value).into(),
        Field::UShort(value) => (*value).into(),
        Field::UInt(value) => (*value).into(),
        Field::ULong(value) => (*value).into(),
        Field::Float16(value) => f64::from(*value).into(),
        // The number that was written, 0.1 and not 0.10000000149.
        Field::Float(value) => value.to_string().parse::<f64>().unwrap_or(f64::NAN).into(),
        Field::Double(value) => (*value).into(),
        Field::Str(text) => text.as_str().into(),
        Field::Bytes(bytes) => std::str::from_utf8(bytes.data()).map_or(Value::Null, Value::from),
        Field::Group(record) => {
            let pairs = record.get_column_iter();
            Value::Object(pairs.map(|(name, field)| (name.clone(), value(field))).collect())
        }
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        Field::MapInternal(map) => {
            let pairs = map.entries().iter().map(|(key, of)| (name(key), value(of)));
            Value::Object(pairs.collect())
        }
        other => other.to_string().into(),
    }
}

fn name(key: &Field) -> String {
    match value(key) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
