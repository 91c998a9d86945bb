//! Rows of every kind of file, and what is refused.

use super::*;
use std::fs;
use std::io::{self, BufReader};

use super::lines::next_line;

/// The columns of each row with its place, of a file of this name and content.
fn rows_of(
    name: &str,
    content: &[u8],
    format: Option<Format>,
) -> Result<Vec<(String, Value)>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    let mut rows = Vec::new();
    let read = read(&path, format, &mut |row| {
        assert_eq!(row.index(), rows.len() as u64);
        rows.push((row.place.to_string(), row.columns.into()));
        Ok(ControlFlow::Continue(()))
    });
    read.map(|()| rows).map_err(|error| error.to_string())
}

fn values(name: &str, content: &str) -> Vec<Value> {
    let rows = rows_of(name, content.as_bytes(), None).unwrap();
    rows.into_iter().map(|(_, columns)| columns).collect()
}

fn refused(name: &str, content: &[u8], expected: &[&str]) {
    let error = rows_of(name, content, None).unwrap_err();
    for part in expected {
        assert!(error.contains(part), "{part} is not in {error}");
    }
}

fn check_error(content: &[u8], expected: &[&str]) {
    refused("p.jsonl", content, expected);
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
    check_error(b"{\n\"a\":1\n}\n", &["JSON over several lines", "jq -c ."]);
    check_error(b"prompt,answer\n1+1=,2\n", &["a CSV table", "data.format: csv"]);
    check_error(b"prompt|answer\n1+1=|2\n", &["a table", "data.format: csv"]);
    check_error(b"- prompt: 1+1=\n  answer: 2\n", &["a YAML file", "yq"]);
    check_error(b"ORC\x15\x04\x15", &["an ORC file", "to_json"]);
    check_error(b"\xFF\xFE{\0}\0", &["UTF-16", "iconv"]);
    refused("p.parquet", b"{\"a\": 1,}", &["p.parquet:1: broken JSON"]);
    refused("p.parquet", b"version https://git-lfs.github.com/spec/v1", &["Git LFS"]);
    refused("p.parquet", b"nothing of the kind", &["PAR1"]);
    let said = rows_of("p.jsonl", b"[{\"a\":1}]", Some(Format::Jsonl)).unwrap_err();
    assert!(said.contains("a JSON array") && said.contains("data.format"), "{said}");
    let said = rows_of("p.txt", b"PAR1", Some(Format::Csv)).unwrap_err();
    assert!(said.contains("a parquet file") && said.contains("data.format: parquet"), "{said}");
}

#[test]
fn blank_lines_are_skipped_and_still_counted_in_line_numbers() {
    let rows = rows_of("p.jsonl", b"\n{\"a\":1}\n \t\r\n{\"a\":2}\n\n", None).unwrap();
    let places: Vec<&str> = rows.iter().map(|(place, _)| place.as_str()).collect();
    assert_eq!(places, [":2", ":4"]);
}

#[test]
fn an_array_is_read_object_by_object_wherever_its_lines_end() {
    let text =
        "\u{feff}[\n {\"a\": \"]}\\\"\", \"b\": [1, {}]}\n,{\"a\":\n 18446744073709551616}]\n";
    let rows = rows_of("p.json", text.as_bytes(), None).unwrap();
    let expected = serde_json::json!([
        {"a": "]}\"", "b": [1, {}]}, {"a": "18446744073709551616"}
    ]);
    assert_eq!((rows[0].0.as_str(), rows[1].0.as_str()), (":2", ":3"));
    let columns: Vec<Value> = rows.into_iter().map(|(_, columns)| columns).collect();
    assert_eq!(Value::Array(columns), expected);
    assert_eq!(values("p.jsonl", "[{\"a\":1},{\"a\":2}]").len(), 2);
}

#[test]
fn a_broken_array_is_refused_with_its_line() {
    for (text, parts) in [
        ("[{\"a\":1}\n{\"a\":2}]", [":2: ", "no comma"]),
        ("[{\"a\":1},\n{\"a\":2}", [":2: ", "the list has no end"]),
        ("[\n{\"a\":[1}]", [":2: ", "no end"]),
        ("[1, 2]", [":1: ", "no object begins here"]),
        ("[{\"a\":1}]\nx", [":2: ", "behind the end"]),
        ("[{\"a\":1},]", [":1: ", "no object begins here"]),
        ("[{\"a\":tru}]", [":1: ", "broken JSON"]),
        ("[]", ["p.json", "no lines"]),
    ] {
        refused("p.json", text.as_bytes(), &parts);
    }
    let long = format!("[{{\"a\":1}},\n{{\"a\":\"{}\"}}]", "x".repeat(LONGEST_ROW));
    refused("p.json", long.as_bytes(), &[":2: ", "8388608 bytes"]);
}

#[test]
fn a_table_is_read_by_its_first_line_whatever_divides_it() {
    let expected = serde_json::json!([
        {"prompt": "1, 2\nand \"3\"", "answer": 3, "of.x": null},
        {"prompt": "007", "answer": 1.5, "of.x": "1.50"},
    ]);
    let table = "prompt,answer,of.x\r\n\"1, 2\nand \"\"3\"\"\",3,\r\n007,1.5,1.50\r\n";
    assert_eq!(Value::Array(values("p.csv", table)), expected);
    let with_mark = format!("\u{feff}{table}");
    assert_eq!(Value::Array(values("p.csv", &with_mark)), expected);
    let tabs = "prompt\tanswer\tof.x\n\"1, 2\nand \"\"3\"\"\"\t3\t\n007\t1.5\t1.50\n";
    assert_eq!(Value::Array(values("p.tsv", tabs)), expected);
    assert_eq!(values("p.csv", "a;b\n1,5;2\n"), [serde_json::json!({"a": "1,5", "b": 2})]);
    let rows = rows_of("p.csv", table.as_bytes(), None).unwrap();
    assert_eq!((rows[0].0.as_str(), rows[1].0.as_str()), (":2", ":4"));
}

#[test]
fn a_number_in_a_table_is_a_prompt_all_the_same() {
    let path = Path::new("p.csv");
    let columns = serde_json::json!({"a": 12}).as_object().unwrap().clone();
    let row = |is_untyped| Row {
        path,
        place: Place::Line(2),
        index: 0,
        is_untyped,
        columns: columns.clone(),
    };
    assert_eq!(row(true).text("a").unwrap(), "12");
    assert!(row(false).text("a").unwrap_err().to_string().contains("holds a number"));
}

#[test]
fn a_broken_table_is_refused_with_its_line() {
    refused("p.csv", b"a,b\n1,2\n3\n", &["p.csv:3: ", "1 cells", "2 columns"]);
    refused("p.csv", b"a,b\n1,2\n3,\xFF\n", &["p.csv:3: ", "UTF-8"]);
    refused("p.csv", b"a,a\n1,2\n", &["p.csv:1: ", "two columns are called \"a\""]);
    refused("p.csv", b"a,b\n", &["no lines"]);
    refused("p.csv", b"", &["no lines"]);
    let open = format!("a,b\n1,2\n3,\"{}", "x,y\n".repeat(3 << 20));
    refused("p.csv", open.as_bytes(), &["p.csv:3: ", "more than 8388608 bytes", "quotation mark"]);
}

#[test]
fn a_folder_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let error = read(folder.path(), None, &mut |_| Ok(ControlFlow::Continue(()))).unwrap_err();
    assert!(error.to_string().contains("is a folder"), "{error}");
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
    let line = format!("{{\"a\":\"{}\"}}\n", "x".repeat(LONGEST_ROW));
    check_error(&[b"{\"a\":1}\n", line.as_bytes()].concat(), &["p.jsonl:2:", "8388608 bytes"]);
    let mut endless = BufReader::new(io::repeat(b'x'));
    assert_eq!(next_line(&mut endless).unwrap().unwrap().len(), LONGEST_ROW + 2);
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
    let columns = parsed(&line).into_columns(|_| true);
    assert_eq!(columns["a"], Value::from(long));
    assert_eq!(columns["numbers"], serde_json::json!([3, 5, 7]));
    assert_eq!(columns["of"]["is"], "x");
}

#[test]
fn a_missing_file_is_named() {
    let take: &mut Take<'_, '_> = &mut |_| Ok(ControlFlow::Continue(()));
    let error = read(Path::new("no/such.jsonl"), None, take).unwrap_err().to_string();
    assert!(error.contains("no/such.jsonl"), "{error}");
}

#[test]
fn lines_end_as_on_any_system_and_whoever_has_enough_reads_no_further() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.jsonl");
    fs::write(&path, "\u{feff}{\"a\":1}\r\n{\"a\":2}\r\nbroken").unwrap();
    let mut values = Vec::new();
    read(&path, None, &mut |row| {
        values.push(row.columns["a"].clone());
        Ok(if values.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })
    .unwrap();
    assert_eq!(values, [1, 2]);
}

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/data");

fn of_file(path: &Path) -> Vec<Value> {
    let mut rows = Vec::new();
    read(path, None, &mut |row| {
        rows.push(Value::Object(row.columns));
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    rows
}

/// `make.py` writes both with pyarrow and `datasets`.
#[test]
fn parquet_files_hold_what_pyarrow_and_datasets_put_into_them() {
    for (parquet, lines) in [
        ("kinds_none", "kinds"),
        ("kinds_snappy", "kinds"),
        ("kinds_gzip", "kinds"),
        ("kinds_zstd", "kinds"),
        ("kinds_pages", "kinds"),
        ("verl", "verl"),
        ("openr1", "openr1"),
    ] {
        let of = |name: &str| of_file(&Path::new(FIXTURES).join(name));
        let (found, expected) = (of(&format!("{parquet}.parquet")), of(&format!("{lines}.jsonl")));
        assert_eq!(found.len(), expected.len(), "{parquet}");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{parquet}");
        }
    }
}

#[test]
fn a_parquet_file_that_is_cut_or_says_too_much_is_refused() {
    let whole = fs::read(Path::new(FIXTURES).join("verl.parquet")).unwrap();
    for end in [4, 5, 12, whole.len() / 2, whole.len() - 1] {
        refused("p.parquet", &whole[..end], &["p.parquet", "no whole parquet file"]);
    }
    let error = rows_of("p.parquet", &whole, None).unwrap();
    assert_eq!(error[9].0, ", row 10");
}

/// A parquet file of so many rows that all say `1+1=`, in pages as large as can be.
fn rows_of_one_value(count: usize) -> Vec<u8> {
    use ::parquet::data_type::{ByteArray, ByteArrayType};
    use ::parquet::file::properties::WriterProperties;
    use ::parquet::file::writer::SerializedFileWriter;
    use ::parquet::schema::parser::parse_message_type;
    let schema = parse_message_type("message m { required binary prompt (UTF8); }").unwrap();
    let properties = WriterProperties::builder()
        .set_data_page_row_count_limit(usize::MAX)
        .set_write_batch_size(count)
        .build();
    let mut bytes = Vec::new();
    let mut writer =
        SerializedFileWriter::new(&mut bytes, schema.into(), properties.into()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let values = vec![ByteArray::from("1+1="); count];
    column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn rows_that_are_packed_beyond_belief_end_in_an_error() {
    let bytes = rows_of_one_value(2_000_000);
    assert!(bytes.len() < 100_000, "{}", bytes.len());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.parquet");
    fs::write(&path, &bytes).unwrap();
    let mut rows = 0;
    let error = read(&path, None, &mut |_| {
        rows += 1;
        Ok(ControlFlow::Continue(()))
    });
    let error = error.unwrap_err().to_string();
    assert!(error.contains("p.parquet, row ") && error.contains("#1000"), "{error}");
    assert!(rows < 1_000_000, "{rows}");
    let error = rows_of("p.parquet", &rows_of_one_value(5_000_000), None).unwrap_err();
    assert!(error.contains("which is not believed"), "{error}");
}

/// A number as Thrift's compact form writes it.
fn varint(number: i64) -> Vec<u8> {
    let mut rest = (number << 1 ^ number >> 63) as u64;
    let mut bytes = Vec::new();
    while rest >= 128 {
        bytes.push(rest as u8 | 128);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

fn with_footer(mut body: Vec<u8>, footer: &[u8]) -> Vec<u8> {
    body.extend_from_slice(footer);
    body.extend_from_slice(&(footer.len() as u32).to_le_bytes());
    body.extend_from_slice(b"PAR1");
    body
}

#[test]
fn a_file_that_claims_2_to_the_60_rows_gives_those_it_has_or_an_error() {
    let bytes = rows_of_one_value(12_345);
    let end = bytes.len() - 8;
    let length = u32::from_le_bytes(bytes[end..end + 4].try_into().unwrap()) as usize;
    let (said, claimed) = (varint(12_345), varint(1 << 60));
    let (mut footer, mut replaced, mut rest) = (Vec::new(), 0, &bytes[end - length..end]);
    while !rest.is_empty() {
        let found = rest.starts_with(&said);
        replaced += usize::from(found);
        footer.extend_from_slice(if found { &claimed } else { &rest[..1] });
        rest = &rest[if found { said.len() } else { 1 }..];
    }
    assert!(replaced >= 2, "{replaced}");
    let file = with_footer(bytes[..end - length].to_vec(), &footer);
    match rows_of("p.parquet", &file, None) {
        Ok(rows) => assert_eq!(rows.len(), 12_345),
        Err(error) => assert!(error.contains("p.parquet"), "{error}"),
    }
}

#[test]
fn a_schema_that_nests_without_end_ends_in_an_error() {
    for depth in [100_u8, 255] {
        let levels = usize::from(depth) * 1000;
        // version 1; a list of structs: a root, groups of one column each, and a column.
        let mut footer = vec![0x15, 2, 0x19, 0xFC];
        let mut count = levels as u64 + 2;
        while count >= 128 {
            footer.push(count as u8 | 128);
            count >>= 7;
        }
        footer.push(count as u8);
        footer.extend_from_slice(&[0x48, 1, b'm', 0x15, 2, 0]);
        footer.extend_from_slice(&[0x35, 0, 0x18, 1, b'g', 0x15, 2, 0].repeat(levels));
        footer.extend_from_slice(&[0x15, 12, 0x25, 0, 0x18, 1, b'c', 0]);
        footer.extend_from_slice(&[0x16, 0, 0x19, 0x0C, 0]);
        let error = rows_of("p.parquet", &with_footer(b"PAR1".to_vec(), &footer), None);
        assert!(error.unwrap_err().contains("p.parquet"));
    }
}
