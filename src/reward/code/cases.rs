//! The tests of a problem.

use serde_json::Value;

/// A problem with more tests is not judged.
const MOST: usize = 1000;

/// What a program must do.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cases {
    /// Statements of Python that must not fail after the program.
    Asserts(Vec<String>),
    /// What is read, and what must then be written.
    Pairs(Vec<(String, String)>),
}

impl Cases {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Asserts(asserts) => asserts.len(),
            Self::Pairs(pairs) => pairs.len(),
        }
    }
}

/// The tests of a column; none where it holds something else, or nothing.
pub(super) fn cases(column: &Value) -> Option<Cases> {
    let found = match column {
        // A column of many values is kept as its JSON text, and a test may be a text of its own.
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(inner @ (Value::Array(_) | Value::Object(_))) => return cases(&inner),
            _ => Some(Cases::Asserts(vec![text.clone()])),
        },
        Value::Array(items) => asserts(items).or_else(|| pairs(items)),
        Value::Object(parts) if !parts.contains_key("fn_name") => {
            let list = |name| parts.get(name)?.as_array();
            both(list("inputs")?, list("outputs")?)
        }
        _ => None,
    }?;
    let has_text = match &found {
        Cases::Asserts(asserts) => asserts.iter().all(|test| !test.trim().is_empty()),
        Cases::Pairs(_) => true,
    };
    (has_text && (1..=MOST).contains(&found.len())).then_some(found)
}

fn asserts(items: &[Value]) -> Option<Cases> {
    let text = |item: &Value| item.as_str().map(str::to_owned);
    items.iter().map(text).collect::<Option<Vec<String>>>().map(Cases::Asserts)
}

fn pairs(items: &[Value]) -> Option<Cases> {
    let pair = |item: &Value| {
        let expected = item.get("output").or_else(|| item.get("expected_output"));
        Some((lines(item.get("input")?)?, lines(expected?)?))
    };
    items.iter().map(pair).collect::<Option<Vec<_>>>().map(Cases::Pairs)
}

fn both(inputs: &[Value], outputs: &[Value]) -> Option<Cases> {
    let pairs =
        inputs.iter().zip(outputs).map(|(input, output)| Some((lines(input)?, lines(output)?)));
    let pairs = pairs.collect::<Option<Vec<_>>>()?;
    (inputs.len() == outputs.len()).then_some(Cases::Pairs(pairs))
}

/// A text, or a list of lines.
fn lines(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(items) => {
            let lines: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            lines.map(|lines| lines.join("\n"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tests_are_assertions_or_pairs_in_every_shape_that_data_has() {
        let asserts = ["assert f(1) == 2", "assert f(2) == 3"].map(str::to_owned).to_vec();
        for column in [json!(asserts), json!(json!(asserts).to_string())] {
            assert_eq!(cases(&column), Some(Cases::Asserts(asserts.clone())), "{column}");
        }
        let one = cases(&json!("assert f(1) == 2\nassert f(2) == 3"));
        assert_eq!(one.map(|cases| cases.len()), Some(1));
        let pairs = Cases::Pairs(vec![("1".into(), "2".into()), ("3\n4".into(), "7".into())]);
        for column in [
            json!([{"input": "1", "output": "2"}, {"input": "3\n4", "output": "7"}]),
            json!([{"input": 1, "expected_output": 2}, {"input": ["3", "4"], "expected_output": "7"}]),
            json!({"inputs": ["1", "3\n4"], "outputs": ["2", "7"]}),
            json!(r#"{"inputs": ["1", "3\n4"], "outputs": ["2", "7"]}"#),
        ] {
            assert_eq!(cases(&column), Some(pairs.clone()), "{column}");
        }
    }

    #[test]
    fn what_is_no_test_is_not_judged() {
        for column in [
            json!(null),
            json!([]),
            json!(""),
            json!([""]),
            json!(5),
            json!([1]),
            json!(["assert a", {"input": "1", "output": "2"}]),
            json!([{"input": "1"}]),
            json!({"inputs": ["1"], "outputs": []}),
            json!({"inputs": [[1]], "outputs": [1], "fn_name": "f"}),
            json!(vec!["assert a"; 1001]),
        ] {
            assert_eq!(cases(&column), None, "{column}");
        }
    }
}
