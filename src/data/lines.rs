//! Files with one JSON object a line.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde_json::{Map, Value};

use super::DataError;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One line of a file, and where it stands.
#[derive(Debug)]
pub(super) struct Row<'a> {
    path: &'a Path,
    line: usize,
    pub(super) columns: Map<String, Value>,
}

/// Reads the rows of a file, the first `limit` of them where there is a limit.
pub(super) fn read_rows(path: &Path, limit: Option<usize>) -> Result<Vec<Row<'_>>, DataError> {
    let unreadable = |source: io::Error| DataError::Read { path: path.into(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mut rows = Vec::new();
    for bytes in BufReader::new(file).split(b'\n').take(limit.unwrap_or(usize::MAX)) {
        let bytes = bytes.map_err(unreadable)?;
        rows.push(Row::parse(path, rows.len() + 1, &bytes)?);
    }
    if rows.is_empty() {
        return Err(DataError::Empty { path: path.into() });
    }
    Ok(rows)
}

impl<'a> Row<'a> {
    fn parse(path: &'a Path, line: usize, bytes: &[u8]) -> Result<Self, DataError> {
        const EXPECTED: &str =
            "expected one JSON object, such as {\"prompt\": \"1+1=\", \"answer\": \"2\"}";
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        if bytes.trim_ascii().is_empty() {
            return Err(DataError::line(path, line, "the line is empty", EXPECTED));
        }
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(columns)) => Ok(Self { path, line, columns }),
            Ok(other) => {
                let problem = format!("the line holds {}", kind_of(&other));
                Err(DataError::line(path, line, problem, EXPECTED))
            }
            Err(error) => {
                let problem = format!("broken JSON at column {} ({error})", error.column());
                Err(DataError::line(path, line, problem, EXPECTED))
            }
        }
    }

    /// The number of rows before this one.
    pub(super) fn index(&self) -> u64 {
        self.line as u64 - 1
    }

    /// An error that points at this line.
    pub(super) fn error(
        &self,
        problem: impl Into<String>,
        expected: impl Into<String>,
    ) -> DataError {
        DataError::line(self.path, self.line, problem, expected)
    }

    /// The text of a column that must be there.
    pub(super) fn text(&self, column: &str) -> Result<&str, DataError> {
        match self.columns.get(column) {
            Some(Value::String(text)) => Ok(text),
            found => Err(self.wrong(column, found, "text")),
        }
    }

    /// A text, number or truth value as text; none where the column is missing or null.
    pub(super) fn optional_text(&self, column: &str) -> Result<Option<String>, DataError> {
        match self.columns.get(column) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(value.to_string())),
            found => Err(self.wrong(column, found, "text or a number")),
        }
    }

    /// The error for a column that holds something else than `expected`, or is not there.
    pub(super) fn wrong(&self, column: &str, found: Option<&Value>, expected: &str) -> DataError {
        let problem = match found {
            None => {
                format!("no column {column:?} among {:?}", self.columns.keys().collect::<Vec<_>>())
            }
            Some(value) => format!("column {column:?} holds {}", kind_of(value)),
        };
        self.error(problem, format!("expected {expected} in column {column:?}"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn check_error(content: &[u8], expected: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.jsonl");
        fs::write(&path, content).unwrap();
        let error = read_rows(&path, None).unwrap_err().to_string();
        for part in expected {
            assert!(error.contains(part), "{part} is not in {error}");
        }
    }

    #[test]
    fn a_bad_line_is_named_with_its_file_and_number() {
        check_error(
            b"{\"a\":1}\n\n{\"a\":2}\n",
            &["p.jsonl:2:", "empty", "expected one JSON object"],
        );
        check_error(b"{\"a\":1}\n{\"a\":\n", &["p.jsonl:2:", "broken JSON"]);
        check_error(b"{\"a\":1}\n{\"a\":1}\n[1]\n", &["p.jsonl:3:", "holds a list"]);
        check_error(b"{\"a\":\"\xff\"}\n", &["p.jsonl:1:", "broken JSON"]);
        check_error(b"", &["p.jsonl", "no lines"]);
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read_rows(Path::new("no/such.jsonl"), None).unwrap_err().to_string();
        assert!(error.contains("no/such.jsonl"), "{error}");
    }

    #[test]
    fn lines_end_as_on_any_system_and_a_limit_stops_the_reading() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.jsonl");
        fs::write(&path, "\u{feff}{\"a\":1}\r\n{\"a\":2}\r\nbroken").unwrap();
        let rows = read_rows(&path, Some(2)).unwrap();
        let values: Vec<&Value> = rows.iter().map(|row| &row.columns["a"]).collect();
        assert_eq!(values, [1, 2]);
        assert_eq!(rows[1].index(), 1);
    }
}
