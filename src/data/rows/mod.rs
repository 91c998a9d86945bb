//! Rows of files: JSON lines, a JSON array, CSV or parquet, one at a time.

mod array;
mod csv;
mod kind;
mod lines;
mod long_numbers;
mod parquet;
#[cfg(test)]
mod tests;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::DataError;
use super::error::Place;
use crate::quote::shown;

/// Bytes of the longest row of text; a prompt has a megabyte at most, and other columns have room beside it.
const LONGEST_ROW: usize = 8 << 20;
/// Most values of a row: each takes some hundred times the bytes of `0,` once it is read.
const MOST_VALUES: usize = 100_000;
/// A column that holds more values is kept as its JSON text.
const MOST_KEPT: usize = 32;
/// A file gives so many bytes, or so many times its own length, if that is more: what is packed tighter is not believed.
const MOST_BYTES: u64 = 256 << 20;
const MOST_TIMES: u64 = 200;
/// Bytes that a row and a value take beside their text.
const ROW_BYTES: u64 = 256;
const VALUE_BYTES: u64 = 72;

/// How many columns a message names.
const MOST_NAMES: usize = 50;

/// How the rows of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One JSON object a line.
    Jsonl,
    /// One JSON array of objects.
    Json,
    /// A table with a line of names, divided by commas, semicolons or tabs.
    Csv,
    /// A parquet file.
    Parquet,
}

/// One row of a file, and where it stands.
#[derive(Debug)]
pub(super) struct Row<'a> {
    path: &'a Path,
    place: Place,
    index: usize,
    /// Whether the file has no types, so that a number may be meant as text.
    is_untyped: bool,
    pub(super) columns: Map<String, Value>,
}

/// What is done with a row; breaking off ends the reading.
pub(super) type Take<'f, 'a> = dyn FnMut(Row<'a>) -> Result<ControlFlow<()>, DataError> + 'f;

/// Gives the rows of a file in their order, one at a time; without a format by the file's name and content.
///
/// # Errors
/// A file that cannot be read, is of another format or is broken, with the line or row; what `take` says.
pub(super) fn read<'a>(
    path: &'a Path,
    format: Option<Format>,
    take: &mut Take<'_, 'a>,
) -> Result<(), DataError> {
    let format = kind::of(path, format)?;
    let length = fs::metadata(path).map_err(DataError::unreadable(path))?.len();
    let most = length.saturating_mul(MOST_TIMES).max(MOST_BYTES);
    let (mut bytes, mut rows) = (0, 0_usize);
    let mut counted = |row: Row<'a>| {
        rows += 1;
        bytes += row.bytes();
        match bytes > most {
            true => Err(row.error(
                format!("the rows so far take {bytes} bytes, and the file has {length}"),
                "take fewer rows, as in path: FILE#1000, if this is meant",
            )),
            false => take(row),
        }
    };
    match format {
        Format::Jsonl => lines::read(path, &mut counted),
        Format::Json => array::read(path, &mut counted),
        Format::Csv => csv::read(path, &mut counted),
        Format::Parquet => parquet::read(path, &mut counted),
    }?;
    match rows {
        0 => Err(DataError::Empty { path: path.into() }),
        _ => Ok(()),
    }
}

impl<'a> Row<'a> {
    fn parse(path: &'a Path, line: usize, index: usize, bytes: &[u8]) -> Result<Self, DataError> {
        const EXPECTED: &str =
            "expected one JSON object, such as {\"prompt\": \"1+1=\", \"answer\": \"2\"}";
        let place = Place::Line(line);
        if has_too_many_values(bytes) {
            return Err(too_many_values(path, place));
        }
        let (problem, unfinished) = match long_numbers::parse(bytes) {
            Ok(Value::Object(columns)) => {
                return Ok(Self { path, place, index, is_untyped: false, columns });
            }
            Ok(other) => (format!("the line holds {}", kind_of(&other)), false),
            Err(error) => {
                let problem = format!("broken JSON at column {} ({error})", error.column());
                (problem, error.is_eof())
            }
        };
        let first = String::from_utf8_lossy(bytes);
        let format = kind::of_first_line(path, &first, unfinished).filter(|_| index == 0);
        Err(match format {
            Some((format, mend)) => DataError::format(path, format, mend),
            None => DataError::row(path, place, problem, EXPECTED),
        })
    }

    /// The columns that `is_kept` names, to be kept beside the problem: what holds much as its JSON text.
    pub(super) fn into_columns(self, is_kept: impl Fn(&str) -> bool) -> Map<String, Value> {
        let mut columns = self.columns;
        columns.retain(|name, _| is_kept(name));
        for value in columns.values_mut().filter(|value| values_in(value) > MOST_KEPT) {
            *value = Value::String(value.to_string());
        }
        columns
    }

    /// The number of rows before this one.
    pub(super) fn index(&self) -> u64 {
        self.index as u64
    }

    /// A column by its name, or by the path to it: `reward_model.ground_truth`. Null is not there.
    pub(super) fn column(&self, name: &str) -> Option<&Value> {
        let within = || {
            let mut names = name.split('.');
            let outer = self.columns.get(names.next()?)?;
            names.try_fold(outer, |value, name| value.get(name))
        };
        self.columns.get(name).or_else(within).filter(|value| !value.is_null())
    }

    /// The names of all columns, and of the columns inside them.
    pub(super) fn column_names(&self) -> impl Iterator<Item = String> {
        self.columns.iter().flat_map(|(name, value)| {
            let inner = value.as_object().into_iter().flat_map(Map::keys);
            let inner = inner.map(move |inner| format!("{name}.{inner}"));
            std::iter::once(name.clone()).chain(inner)
        })
    }

    /// The names of the columns for a message, as many as it has room for.
    pub(super) fn listed_columns(&self) -> String {
        let names: Vec<String> = self.column_names().take(MOST_NAMES).collect();
        shown(&names.join(", ")).into_owned()
    }

    /// About how much memory the row takes.
    fn bytes(&self) -> u64 {
        let keys = self.columns.keys().map(|key| key.len() as u64 + VALUE_BYTES).sum::<u64>();
        ROW_BYTES + keys + self.columns.values().map(bytes_of).sum::<u64>()
    }

    /// An error that points at this row.
    pub(super) fn error(
        &self,
        problem: impl Into<String>,
        expected: impl Into<String>,
    ) -> DataError {
        DataError::row(self.path, self.place, problem, expected)
    }

    /// The text of a column that must be there and say something.
    pub(super) fn text(&self, column: &str) -> Result<String, DataError> {
        match self.column(column) {
            Some(Value::String(text)) if text.trim().is_empty() => {
                let expected = format!("expected text in column {column:?}");
                Err(self.error(format!("column {column:?} is empty"), expected))
            }
            Some(Value::String(text)) => Ok(text.clone()),
            Some(value @ (Value::Number(_) | Value::Bool(_))) if self.is_untyped => {
                Ok(value.to_string())
            }
            _ => Err(self.wrong(column, "text")),
        }
    }

    /// A text, number or truth value as text; none where the column is missing or null.
    pub(super) fn optional_text(&self, column: &str) -> Result<Option<String>, DataError> {
        match self.column(column) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(value.to_string())),
            Some(_) => Err(self.wrong(column, "text or a number")),
        }
    }

    /// The error for a column that holds something else than `expected`, or is not there.
    pub(super) fn wrong(&self, column: &str, expected: &str) -> DataError {
        let problem = match self.columns.get(column).or(self.column(column)) {
            None => {
                let names: Vec<String> = self.column_names().collect();
                format!("no column {column:?} among {names:?}")
            }
            Some(value) => format!("column {column:?} holds {}", kind_of(value)),
        };
        self.error(problem, format!("expected {expected} in column {column:?}"))
    }
}

/// Whether the JSON may hold too many values, by its commas and brackets outside strings.
pub(super) fn has_too_many_values(json: &[u8]) -> bool {
    let (mut in_string, mut escaped) = (false, false);
    let begins_value = |byte: &&u8| {
        let ends = **byte == b'"' && !escaped;
        escaped = in_string && **byte == b'\\' && !escaped;
        in_string ^= ends;
        !in_string && b",[{".contains(*byte)
    };
    json.iter().filter(begins_value).nth(MOST_VALUES).is_some()
}

fn too_many_values(path: &Path, place: Place) -> DataError {
    let problem = format!("the line has more than {MOST_VALUES} values");
    let expected = "expected one problem a line; leave out the columns that nobody needs";
    DataError::row(path, place, problem, expected)
}

fn bytes_of(value: &Value) -> u64 {
    VALUE_BYTES
        + match value {
            Value::String(text) => text.len() as u64,
            Value::Array(values) => values.iter().map(bytes_of).sum(),
            Value::Object(pairs) => {
                pairs.iter().map(|(key, value)| key.len() as u64 + bytes_of(value)).sum()
            }
            _ => 0,
        }
}

/// The values within a list or an object, at any depth.
fn values_in(value: &Value) -> usize {
    let within = |inner: &Value| 1 + values_in(inner);
    match value {
        Value::Array(values) => values.iter().map(within).sum(),
        Value::Object(pairs) => pairs.values().map(within).sum(),
        _ => 0,
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
