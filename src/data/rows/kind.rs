//! Which kind of file it is; those that are not read are called by their name.

use std::io::Read;
use std::path::Path;

use super::Format;
use crate::data::DataError;
use crate::files::{open_regular, other_than_file};

const PARQUET: &[u8] = b"PAR1";
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

const TABLE: &str = "convert it to JSON lines, for example with pandas: \
     read_TYPE(FILE).to_json(OUT, orient=\"records\", lines=True)";
const YAML: &str = "write one object a line: yq -o=json -I=0 '.[]' FILE > OUT";
const CSV: &str = "set data.format: csv, or give it a name that ends in .csv";
const UNPACK: &str = "unpack it and name the file inside";
const RECODE: &str = "recode it, for example with iconv -f UTF-16 -t UTF-8 FILE > OUT";

/// The first bytes of a format, its name, and what to do with such a file.
const SIGNATURES: [(&[u8], &str, &str); 18] = [
    (b"PARE", "an encrypted parquet file", "write it without encryption"),
    (b"ARROW1", "an Arrow file", TABLE),
    (b"\xFF\xFF\xFF\xFF", "an Arrow file", TABLE),
    (b"ORC", "an ORC file", TABLE),
    (b"Obj\x01", "an Avro file", TABLE),
    (b"\x89HDF", "an HDF5 file", TABLE),
    (b"SQLite format 3", "an SQLite database", TABLE),
    (b"\xFF\xFE\0\0", "text in UTF-32", RECODE),
    (b"\0\0\xFE\xFF", "text in UTF-32", RECODE),
    (b"\xFF\xFE", "text in UTF-16", RECODE),
    (b"\xFE\xFF", "text in UTF-16", RECODE),
    (b"\x1F\x8B", "a gzip file", UNPACK),
    (b"\x28\xB5\x2F\xFD", "a zstd file", UNPACK),
    (b"\xFD7zXZ", "an xz file", UNPACK),
    (b"BZh", "a bzip2 file", UNPACK),
    (b"PK\x03\x04", "a zip archive or a workbook", UNPACK),
    (b"%PDF", "a PDF document", "name a file of JSON lines"),
    (
        b"version https://git-lfs",
        "a pointer that Git LFS left in place of the file",
        "fetch the file itself with git lfs pull",
    ),
];
/// Signatures stand within so many first bytes; a zero byte among them is no JSON either.
const HEAD: u64 = 512;

/// How the rows of a file are written: as a person says, or by its name and its first bytes.
///
/// # Errors
/// What is no file of rows, before anything waits for it or reads it whole.
pub(super) fn of(path: &Path, said: Option<Format>) -> Result<Format, DataError> {
    let unreadable = DataError::unreadable(path);
    if let Some(kind) = other_than_file(path).map_err(&unreadable)? {
        // A pipe may never say anything, and a run that is resumed reads its data again.
        return Err(DataError::format(path, kind, "save its content in a file"));
    }
    let mut head = Vec::new();
    let file = open_regular(path).map_err(&unreadable)?;
    file.take(HEAD).read_to_end(&mut head).map_err(&unreadable)?;
    let is_parquet = head.starts_with(PARQUET);
    match said {
        None | Some(Format::Parquet) if is_parquet => return Ok(Format::Parquet),
        Some(_) if is_parquet => {
            return Err(DataError::format(path, "a parquet file", "set data.format: parquet"));
        }
        _ => {}
    }
    if let Some((format, mend)) = of_head(&head) {
        return Err(DataError::format(path, format, mend));
    }
    match said.unwrap_or_else(|| of_text(path, &head)) {
        Format::Parquet => {
            let problem = "it does not begin with PAR1; fetch it again, or set data.format";
            Err(DataError::broken(path, "parquet", problem))
        }
        format => Ok(format),
    }
}

/// How text is written: a table by its name, JSON by what it begins with.
fn of_text(path: &Path, head: &[u8]) -> Format {
    let is_called = |name: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(name));
    let first = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head).trim_ascii_start().first();
    match first {
        _ if is_called("csv") || is_called("tsv") => Format::Csv,
        Some(b'[') => Format::Json,
        Some(b'{') => Format::Jsonl,
        _ if is_called("parquet") => Format::Parquet,
        _ => Format::Jsonl,
    }
}

fn of_head(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let signed = SIGNATURES.iter().find(|(signature, ..)| head.starts_with(signature));
    match (signed, head.iter().position(|byte| *byte == 0)) {
        (Some((_, format, mend)), _) => Some((format, mend)),
        (None, Some(0 | 1)) => Some(("text in UTF-16", RECODE)),
        (None, Some(_)) => Some(("a binary file", "name a file of JSON lines")),
        (None, None) => None,
    }
}

/// What a file is whose first line is no JSON object; none where that line is merely broken.
///
/// `unfinished` says that JSON began in the line and did not end.
pub(super) fn of_first_line(
    path: &Path,
    line: &str,
    unfinished: bool,
) -> Option<(&'static str, &'static str)> {
    let is_called = |name: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(name));
    match line.trim_start().chars().next()? {
        '[' => Some(("a JSON array", "set data.format: json, or leave data.format out")),
        '{' if unfinished => {
            Some(("JSON over several lines", "write one object a line: jq -c . FILE > OUT"))
        }
        '{' => None,
        '<' => Some(("a page of HTML or XML", "download the file itself")),
        _ if is_called("yaml") || is_called("yml") || is_yaml(line) => Some(("a YAML file", YAML)),
        _ if line.contains('|') => Some(("a table divided by |", CSV)),
        _ if line.contains([',', '\t', ';']) => Some(("a CSV table", CSV)),
        _ => None,
    }
}

/// Whether a line is the beginning of a document, `key:` or `- key:`.
fn is_yaml(line: &str) -> bool {
    let line = line.trim();
    let entry = line.strip_prefix("- ").unwrap_or(line);
    let (key, rest) = entry.split_once(':').unwrap_or((" ", ""));
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || "_-\"'".contains(c));
    line == "---" || is_key && (rest.is_empty() || rest.starts_with(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_known_by_their_first_bytes() {
        let name = |head: &[u8]| of_head(head).map(|(format, _)| format);
        assert_eq!(name(b"ORC\x15\x04"), Some("an ORC file"));
        assert_eq!(name(b"\xFF\xFE{\0\"\0"), Some("text in UTF-16"));
        assert_eq!(name(b"\xFE\xFF\0{\0\""), Some("text in UTF-16"));
        assert_eq!(name(b"{\0\"\0p\0"), Some("text in UTF-16"));
        assert_eq!(name(b"\0{\0\"\0p"), Some("text in UTF-16"));
        assert_eq!(name(b"\xFF\xFE\0\0{\0\0\0"), Some("text in UTF-32"));
        assert_eq!(name(b"\x1F\x8B\x08"), Some("a gzip file"));
        assert_eq!(name(b"{\"a\":\"\0\"}"), Some("a binary file"));
        assert_eq!(name(b"\xEF\xBB\xBF{\"prompt\": \"1\"}"), None);
        assert_eq!(name("{\"prompt\": \"ä\"}".as_bytes()), None);
        assert_eq!(name(b""), None);
    }

    #[test]
    fn other_texts_are_known_by_their_first_line() {
        let name = |file: &str, line: &str, unfinished| {
            of_first_line(Path::new(file), line, unfinished).map(|(format, _)| format)
        };
        assert_eq!(name("p.json", "[", true), Some("a JSON array"));
        assert_eq!(name("p.json", " [{\"prompt\": \"1\"}]", false), Some("a JSON array"));
        assert_eq!(name("p.json", "{", true), Some("JSON over several lines"));
        assert_eq!(name("p.txt", "\"prompt\",\"answer\"", false), Some("a CSV table"));
        assert_eq!(name("p.txt", "prompt\tanswer", false), Some("a CSV table"));
        assert_eq!(name("p.txt", "prompt|answer", false), Some("a table divided by |"));
        assert_eq!(name("p.md", "| prompt | a, b |", false), Some("a table divided by |"));
        assert_eq!(name("p.txt", "- prompt: 1+1=, is?", false), Some("a YAML file"));
        assert_eq!(name("p.txt", "problems:", false), Some("a YAML file"));
        assert_eq!(name("p.txt", "---", false), Some("a YAML file"));
        assert_eq!(name("p.yml", "- 1", false), Some("a YAML file"));
        assert_eq!(name("p.txt", "<!DOCTYPE html>", false), Some("a page of HTML or XML"));
        assert_eq!(name("p.txt", "{\"a\": 1,}", false), None);
        assert_eq!(name("p.txt", "What is 1+1?", false), None);
    }
}
