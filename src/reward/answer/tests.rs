//! What each rule takes from a text.

use super::*;

fn extraction(settings: &str) -> Extraction {
    serde_json::from_str(settings).unwrap()
}

fn check(settings: &str, cases: &[(&str, Option<&str>)]) {
    let extraction = extraction(settings);
    for (text, expected) in cases {
        assert_eq!(extraction.extract(text).as_deref(), *expected, "{settings}: {text}");
    }
}

#[test]
fn auto_takes_the_last_mark_whatever_follows_and_else_the_last_number() {
    check(
        "{}",
        &[
            (r"It is \boxed{18}. This took 3 steps.", Some("18")),
            ("#### 72\n\nNote: 48/2=24", Some("72")),
            (r"\boxed{1} no, \boxed{\frac{1}{2}} of 3", Some(r"\frac{1}{2}")),
            ("\\boxed{8}\n#### 7\n9", Some("7")),
            ("first 3, then 1,200.50.", Some("1,200.50")),
            ("#### Step 2: add\nIt is 46", Some("46")),
            ("#### yes", Some("yes")),
            ("nothing here", None),
        ],
    );
}

#[test]
fn a_box_is_taken_whole_and_boxes_of_one_statement_together() {
    check(
        r#"{"from":"boxed"}"#,
        &[
            (r"\boxed{\left\{1, 2\right\}}", Some(r"\left\{1, 2\right\}")),
            (r"\boxed {a_{1}} and 3", Some("a_{1}")),
            (r"$\boxed 5$ or so", Some("5")),
            (r"\fbox{7}", Some("7")),
            (r"\boxed{1} and \boxed{-2}", Some("1, -2")),
            (r"$\boxed{1}$, $\boxed{2}$", Some("1, 2")),
            (r"\boxed{1} \text{ and } \boxed{2}", Some("1, 2")),
            (r"\boxed{3} so it is \boxed{3}", Some("3")),
            (r"\boxed{3}, \boxed{3}", Some("3")),
            (r"first \boxed{3}, but rather \boxed{4}", Some("4")),
            ("18", None),
        ],
    );
}

#[test]
fn a_mark_that_is_empty_or_never_closed_is_no_answer() {
    for text in [r"\boxed{18}, that is \boxed{", r"\boxed{18} \boxed{}", r"\boxed{1"] {
        assert_eq!(extraction("{}").extract(text), None, "{text}");
    }
}

#[test]
fn tags_hashes_patterns_numbers_and_the_whole_are_taken_on_request() {
    check(
        r#"{"from":"tag:answer"}"#,
        &[
            ("<answer>1</answer> <answer> 2 </answer> 3", Some("2")),
            ("<answer>1", None),
            ("<b>1</b>", None),
        ],
    );
    check(r#"{"from":"hashes"}"#, &[("#### Sum\n46", Some("Sum")), (r"\boxed{1}", None)]);
    check(
        r#"{"from":"regex","pattern":"(?i)answer: (\\w+)"}"#,
        &[("Answer: a1 answer: b2.", Some("b2")), ("b2", None)],
    );
    check(r#"{"from":"regex","pattern":"[a-z]+"}"#, &[("1 ab 2 cd 3", Some("cd"))]);
    check(r#"{"from":"last_number"}"#, &[(r"\boxed{1} of -2.5.", Some("-2.5")), ("x", None)]);
    check(r#"{"from":"whole"}"#, &[("  a b\n", Some("a b")), (" \n", None)]);
}

#[test]
fn settings_survive_being_written_and_wrong_ones_say_what_is_right() {
    for settings in [
        r#"{"from":"auto"}"#,
        r#"{"from":"tag:answer"}"#,
        r#"{"from":"regex","pattern":"a(b)"}"#,
        r#"{"from":"last_number"}"#,
    ] {
        assert_eq!(serde_json::to_string(&extraction(settings)).unwrap(), settings);
    }
    for (settings, named) in [
        (r#"{"from":"box"}"#, "boxed"),
        (r#"{"from":"tag:<b>"}"#, "tag:NAME"),
        (r#"{"from":"regex"}"#, "answer.pattern"),
        (r#"{"from":"boxed","pattern":"a"}"#, "remove one"),
        (r#"{"form":"boxed"}"#, "from"),
    ] {
        let error = serde_json::from_str::<Extraction>(settings).unwrap_err().to_string();
        assert!(error.contains(named), "{settings}: {error}");
    }
}

#[test]
fn long_texts_of_marks_take_no_time() {
    let began = std::time::Instant::now();
    for piece in ["####", r"\boxed{", r"\boxed{1}", r"\boxed{1} ", "#### a\n", "<answer>", "1 "] {
        let text = piece.repeat(1_000_000 / piece.len());
        for from in ["auto", "boxed", "hashes", "tag:answer"] {
            extraction(&format!(r#"{{"from":"{from}"}}"#)).extract(&text);
        }
    }
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
}
