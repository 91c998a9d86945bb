//! Filters, rows that make no problem, and what is told of both.

use super::*;

#[test]
fn a_filter_is_a_condition_on_columns_and_says_how_many_it_left_out() {
    let rows: Vec<Value> =
        (0..6).map(|n| json!({"prompt": n.to_string(), "meta": {"level": n}})).collect();
    let lines = lines_of(&rows);
    let dataset = load(&lines, json!({"filter": "meta.level > 1 and meta.level != 4"})).unwrap();
    let ids: Vec<u64> = dataset.train.iter().map(|problem| problem.id).collect();
    assert_eq!(ids, [2, 3, 5]);
    assert_eq!(dataset.notes, ["3 rows are left out by data.filter"]);
    let limited = load(&lines, json!({"filter": "meta.level > 1", "limit": 2})).unwrap();
    assert_eq!(limited.train.len(), 2);
    check_error(
        &lines,
        json!({"filter": "levle > 1"}),
        &[":1:", "levle is undefined", "meta.level"],
    );
    check_error(&lines, json!({"filter": "meta.level >"}), &["data.filter"]);
    check_error(
        &lines,
        json!({"filter": "meta.level > 9"}),
        &["data.path", "6 rows are left out by data.filter"],
    );
}

#[test]
fn rows_that_make_no_problem_are_left_out_where_that_is_asked_for_and_counted_by_reason() {
    let lines = format!(
        "{}\n{}\n{}\n{{\"messages\":[{USER},{ASSISTANT}]}}\n{}\n",
        r#"{"prompt":"a"}"#,
        r#"{"prompt":""}"#,
        r#"{"prompt":" "}"#,
        r#"{"prompt":"b","answer":[1]}"#
    );
    check_error(&lines, json!({}), &[":2:", "is empty"]);
    let dataset = load(&lines, json!({"bad_rows": "leave_out"})).unwrap();
    assert_eq!(dataset.train.len(), 1);
    let notes = dataset.notes.join("\n");
    for part in [
        "2 rows are left out, the first of them: ",
        "p.jsonl:2: column \"prompt\" is empty",
        "1 row is left out: ",
        "p.jsonl:4: the conversation",
        "p.jsonl:5: column \"answer\" holds a list",
    ] {
        assert!(notes.contains(part), "{part} is not in {notes}");
    }
    let none = [r#"{"text":"a"}"#, r#"{"text":"b"}"#].join("\n");
    let parts = ["no row is left", "2 rows are left out", "no column \"prompt\" among [\"text\"]"];
    check_error(&none, json!({"bad_rows": "leave_out"}), &parts);
    // A line that is broken is no row.
    check_error("{\"prompt\":\"a\"}\n{", json!({"bad_rows": "leave_out"}), &[":2:", "broken JSON"]);
}
