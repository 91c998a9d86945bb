//! Files with one JSON object a line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde_json::{Map, Value};

use super::{DataError, file_kind, long_numbers};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Bytes of the longest line; a prompt has a megabyte at most, and other columns have room beside it.
const LONGEST_LINE: usize = 8 << 20;
/// Most values of a line: each takes some hundred times the bytes of `0,` once it is read.
const MOST_VALUES: usize = 100_000;
/// A column that holds more values is kept as its JSON text.
const MOST_KEPT: usize = 32;

/// One line of a file, and where it stands.
#[derive(Debug)]
pub(super) struct Row<'a> {
    path: &'a Path,
    line: usize,
    index: usize,
    pub(super) columns: Map<String, Value>,
}

/// What `of` makes of each row of a file, the first `limit` of them where there is a limit; blank
/// lines are skipped. One row is held at a time.
pub(super) fn read_rows<'a, T>(
    path: &'a Path,
    limit: Option<usize>,
    mut of: impl FnMut(Row<'a>) -> Result<T, DataError>,
) -> Result<Vec<T>, DataError> {
    if limit == Some(0) {
        return Err(DataError::setting("limit", "is 0; read at least 1 line or leave it out"));
    }
    file_kind::check(path)?;
    let unreadable = |source: io::Error| DataError::Read { path: path.into(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mut file = BufReader::new(file);
    let mut rows = Vec::new();
    let mut line = 0;
    while limit.is_none_or(|limit| rows.len() < limit) {
        let Some(bytes) = next_line(&mut file).map_err(unreadable)? else { break };
        line += 1;
        if bytes.len() > LONGEST_LINE {
            let problem = format!("the line has more than {LONGEST_LINE} bytes");
            let expected = "expected one problem a line; shorten it or leave it out";
            return Err(DataError::line(path, line, problem, expected));
        }
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes).trim_ascii();
        if !bytes.is_empty() {
            rows.push(of(Row::parse(path, line, rows.len(), bytes)?)?);
        }
    }
    if rows.is_empty() {
        return Err(DataError::Empty { path: path.into() });
    }
    Ok(rows)
}

/// The next line without its end, or its beginning where it is too long; nothing at the end of the file.
fn next_line(file: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let mut line = file.take(LONGEST_LINE as u64 + 2);
    if line.read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    Ok(Some(bytes))
}

impl<'a> Row<'a> {
    fn parse(path: &'a Path, line: usize, index: usize, bytes: &[u8]) -> Result<Self, DataError> {
        const EXPECTED: &str =
            "expected one JSON object, such as {\"prompt\": \"1+1=\", \"answer\": \"2\"}";
        if has_too_many_values(bytes) {
            let problem = format!("the line has more than {MOST_VALUES} values");
            let expected = "expected one problem a line; leave out the columns that nobody needs";
            return Err(DataError::line(path, line, problem, expected));
        }
        let (problem, unfinished) = match long_numbers::parse(bytes) {
            Ok(Value::Object(columns)) => return Ok(Self { path, line, index, columns }),
            Ok(other) => (format!("the line holds {}", kind_of(&other)), false),
            Err(error) => {
                let problem = format!("broken JSON at column {} ({error})", error.column());
                (problem, error.is_eof())
            }
        };
        let first = String::from_utf8_lossy(bytes);
        let format = file_kind::of_first_line(path, &first, unfinished).filter(|_| index == 0);
        Err(match format {
            Some((format, mend)) => DataError::format(path, format, mend),
            None => DataError::line(path, line, problem, EXPECTED),
        })
    }

    /// All columns, to be kept beside the problem: what holds much as its JSON text.
    pub(super) fn into_columns(self) -> Map<String, Value> {
        let mut columns = self.columns;
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

    /// An error that points at this line.
    pub(super) fn error(
        &self,
        problem: impl Into<String>,
        expected: impl Into<String>,
    ) -> DataError {
        DataError::line(self.path, self.line, problem, expected)
    }

    /// The text of a column that must be there and say something.
    pub(super) fn text(&self, column: &str) -> Result<&str, DataError> {
        match self.column(column) {
            Some(Value::String(text)) if text.trim().is_empty() => {
                let expected = format!("expected text in column {column:?}");
                Err(self.error(format!("column {column:?} is empty"), expected))
            }
            Some(Value::String(text)) => Ok(text),
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn check_error(content: &[u8], expected: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.jsonl");
        fs::write(&path, content).unwrap();
        let error = read_rows(&path, None, Ok).unwrap_err().to_string();
        for part in expected {
            assert!(error.contains(part), "{part} is not in {error}");
        }
    }

    #[test]
    fn a_bad_line_is_named_with_its_file_and_number() {
        check_error(
            b"{\"a\":1}\n\n{\"a\":\n",
            &["p.jsonl:3:", "broken JSON", "expected one JSON object"],
        );
        check_error(b"{\"a\":1}\n{\"a\":1}\n[1]\n", &["p.jsonl:3:", "holds a list"]);
        check_error(b"{\"a\":\"\xff\"}\n", &["p.jsonl:1:", "broken JSON"]);
        check_error(b"", &["p.jsonl", "no lines"]);
        check_error(b"\n \r\n", &["p.jsonl", "no lines"]);
    }

    #[test]
    fn a_file_of_another_format_is_called_by_its_name() {
        check_error(b"[{\"a\":1},\n{\"a\":2}]\n", &["a JSON array", "jq -c '.[]'"]);
        check_error(b"\n[\n{\"a\":1}]\n", &["a JSON array"]);
        check_error(b"{\n\"a\":1\n}\n", &["JSON over several lines", "jq -c ."]);
        check_error(b"prompt,answer\n1+1=,2\n", &["a CSV table", "to_json"]);
        check_error(b"prompt|answer\n1+1=|2\n", &["a table", "to_json"]);
        check_error(b"- prompt: 1+1=\n  answer: 2\n", &["a YAML file", "yq"]);
        check_error(b"PAR1\x15\x04\x15", &["a parquet file", "to_json"]);
        check_error(b"\xFF\xFE{\0}\0", &["UTF-16", "iconv"]);
    }

    #[test]
    fn blank_lines_are_skipped_and_still_counted_in_line_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.jsonl");
        fs::write(&path, "\n{\"a\":1}\n \t\r\n{\"a\":2}\n\n").unwrap();
        let rows = read_rows(&path, None, Ok).unwrap();
        let places: Vec<(usize, u64)> = rows.iter().map(|row| (row.line, row.index())).collect();
        assert_eq!(places, [(2, 0), (4, 1)]);
    }

    #[test]
    fn a_folder_is_no_file_and_a_limit_of_nothing_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = read_rows(folder.path(), None, Ok).unwrap_err().to_string();
        assert!(error.contains("is a folder"), "{error}");
        let error = read_rows(Path::new("p"), Some(0), Ok).unwrap_err().to_string();
        assert!(error.contains("data.limit"), "{error}");
    }

    #[test]
    fn a_column_is_found_by_its_name_or_by_the_path_to_it() {
        let line = br#"{"a.b": 1, "c": {"d": {"e": 2}, "f": null}}"#;
        let row = Row::parse(Path::new("p"), 1, 0, line).unwrap();
        assert_eq!(row.column("a.b"), Some(&Value::from(1)));
        assert_eq!(row.column("c.d.e"), Some(&Value::from(2)));
        assert_eq!((row.column("c.f"), row.column("c.x"), row.column("")), (None, None, None));
        assert_eq!(row.column_names().collect::<Vec<_>>(), ["a.b", "c", "c.d", "c.f"]);
    }

    #[test]
    fn a_line_without_end_is_not_read_to_its_end() {
        let line = format!("{{\"a\":\"{}\"}}\n", "x".repeat(LONGEST_LINE));
        check_error(&[b"{\"a\":1}\n", line.as_bytes()].concat(), &["p.jsonl:2:", "8388608 bytes"]);
        let mut endless = BufReader::new(io::repeat(b'x'));
        assert_eq!(next_line(&mut endless).unwrap().unwrap().len(), LONGEST_LINE + 2);
    }

    #[test]
    fn a_line_of_more_values_than_memory_should_hold_is_refused_before_it_is_read() {
        for values in ["0,", "[],", "{\"\":0},", "\"\\\\\","] {
            let line = |count| format!("{{\"a\":[{}0]}}\n", values.repeat(count));
            let too_many = [line(3), line(MOST_VALUES)].concat();
            check_error(too_many.as_bytes(), &["p.jsonl:2:", "more than 100000 values"]);
            assert!(!has_too_many_values(line(MOST_VALUES / 3).as_bytes()));
        }
        // What stands in a string is no value.
        let text = format!("{{\"a\":\"\\\"{}\"}}", ",[{".repeat(MOST_VALUES));
        assert!(!has_too_many_values(text.as_bytes()));
    }

    #[test]
    fn a_column_that_holds_much_is_kept_as_its_json_text() {
        let parsed = |line: &str| Row::parse(Path::new("p"), 1, 0, line.as_bytes()).unwrap();
        let long = format!("[{}0]", "{\"b\":[0]},".repeat(50));
        let line = format!("{{\"a\":{long},\"numbers\":[3,5,7],\"of\":{{\"is\":\"x\"}}}}");
        let columns = parsed(&line).into_columns();
        assert_eq!(columns["a"], Value::from(long));
        assert_eq!(columns["numbers"], serde_json::json!([3, 5, 7]));
        assert_eq!(columns["of"]["is"], "x");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read_rows(Path::new("no/such.jsonl"), None, Ok).unwrap_err().to_string();
        assert!(error.contains("no/such.jsonl"), "{error}");
    }

    #[test]
    fn lines_end_as_on_any_system_and_a_limit_stops_the_reading() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.jsonl");
        fs::write(&path, "\u{feff}{\"a\":1}\r\n{\"a\":2}\r\nbroken").unwrap();
        let rows = read_rows(&path, Some(2), Ok).unwrap();
        let values: Vec<&Value> = rows.iter().map(|row| &row.columns["a"]).collect();
        assert_eq!(values, [1, 2]);
        assert_eq!(rows[1].index(), 1);
    }
}
