//! Completions of a file, each with the columns that rewards read.

use std::path::Path;

use serde_json::{Map, Value};

use super::test::answer_column;
use crate::config::RunConfig;
use crate::data::{Problem, Prompt};
use crate::files::read_text;
use crate::quote::shown;
use crate::reward::{Completion, Item};

/// Bytes of the longest file that is read.
const LONGEST: u64 = 1 << 30;
const EXPECTED: &str = "write one as {\"completion\": \"It is 2.\", \"answer\": \"2\"}";

/// A completion, and what is known of its problem.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) problem: Problem,
    pub(super) text: String,
    /// Its length, where the file tells it.
    pub(super) tokens: Option<usize>,
    pub(super) finished: bool,
}

impl Given {
    /// What rewards see of it.
    pub(super) fn item(&self, max_tokens: usize) -> Item<'_> {
        let completion = Completion {
            text: &self.text,
            tokens: self.tokens.unwrap_or(0),
            finished: self.finished,
            ids: &[],
            max_tokens,
        };
        Item { problem: &self.problem, completion }
    }
}

/// The completions of a file, one a line.
///
/// # Errors
/// A file that cannot be read or has none; a line that is no completion, with its number.
pub(super) fn given(path: &Path, config: &RunConfig) -> anyhow::Result<Vec<Given>> {
    let text = read_text(path, LONGEST).map_err(|error| {
        anyhow::anyhow!("{}: cannot be read: {error}; check the path", path.display())
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let answer = answer_column(config);
    let of_line = |(at, line): (usize, &str)| {
        of_line(at as u64, line, answer)
            .map_err(|problem| anyhow::anyhow!("{}:{}: {problem}", path.display(), at + 1))
    };
    let given = lines.map(of_line).collect::<anyhow::Result<Vec<Given>>>()?;
    anyhow::ensure!(!given.is_empty(), "{}: holds no completion; {EXPECTED}", path.display());
    Ok(given)
}

fn of_line(id: u64, line: &str, answer_column: Option<&str>) -> Result<Given, String> {
    let mut columns: Map<String, Value> = serde_json::from_str(line)
        .map_err(|error| format!("is no JSON object: {error}; {EXPECTED}"))?;
    let text = match columns.remove("completion") {
        Some(completion) => completion_text(&completion).ok_or_else(|| {
            format!("completion is neither text nor a list of messages; {EXPECTED}")
        })?,
        None => return Err(format!("has no completion; {EXPECTED}")),
    };
    let tokens = taken(&mut columns, "tokens", |value| usize::try_from(value.as_u64()?).ok())?;
    let finished = taken(&mut columns, "finished", Value::as_bool)?.unwrap_or(true);
    let answer = answer(&columns, answer_column)?;
    let prompt = prompt(columns.get("prompt").or_else(|| columns.get("messages")));
    Ok(Given { problem: Problem { id, prompt, answer, columns }, text, tokens, finished })
}

/// A text, or what the messages of a conversational completion say.
fn completion_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(messages) if !messages.is_empty() => {
            let said = |message: &Value| Some(message.get("content")?.as_str()?.to_owned());
            Some(messages.iter().map(said).collect::<Option<Vec<_>>>()?.join("\n"))
        }
        _ => None,
    }
}

/// A column about the completion itself.
fn taken<T>(
    columns: &mut Map<String, Value>,
    name: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Option<T>, String> {
    match columns.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match read(&value) {
            Some(read) => Ok(Some(read)),
            None => {
                let value = value.to_string();
                Err(format!("{name} is {}; leave it out or correct it", shown(&value)))
            }
        },
    }
}

/// The answer: of the column that the configuration names where the line has it, else of `answer`.
fn answer(columns: &Map<String, Value>, named: Option<&str>) -> Result<Option<String>, String> {
    let found = named.and_then(|name| column(columns, name)).or_else(|| columns.get("answer"));
    match found {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(value.to_string())),
        Some(_) => Err("the answer is neither text nor a number; write it as text".into()),
    }
}

/// A column by its name, or by the path to it.
fn column<'a>(columns: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    columns.get(name).or_else(|| {
        let mut names = name.split('.');
        let outer = columns.get(names.next()?)?;
        names.try_fold(outer, |value, name| value.get(name))
    })
}

fn prompt(column: Option<&Value>) -> Prompt {
    let read = column.and_then(|value| serde_json::from_value(value.clone()).ok());
    read.unwrap_or_else(|| Prompt::Text(String::new()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_is_a_completion_and_the_columns_beside_it() {
        let line = r#"{"completion": "x = 2", "answer": 2, "tokens": 5, "choices": ["1", "2"]}"#;
        let given = of_line(7, line, None).unwrap();
        assert_eq!((given.text.as_str(), given.tokens, given.finished), ("x = 2", Some(5), true));
        assert_eq!(given.problem.answer.as_deref(), Some("2"));
        assert_eq!(given.problem.columns["choices"], json!(["1", "2"]));
        let line = r#"{"completion": [{"role": "assistant", "content": "2"}], "answer": null}"#;
        let given = of_line(0, line, None).unwrap();
        assert_eq!((given.text.as_str(), given.problem.answer), ("2", None));
    }

    #[test]
    fn the_column_that_the_configuration_names_has_the_answer() {
        let line = r#"{"completion": "2", "answer": "1", "truth": {"is": "2"}}"#;
        let answer = |named| of_line(0, line, named).unwrap().problem.answer;
        assert_eq!(answer(Some("truth.is")).as_deref(), Some("2"));
        assert_eq!(answer(Some("solution")).as_deref(), Some("1"));
        assert_eq!(answer(None).as_deref(), Some("1"));
    }

    #[test]
    fn a_line_that_is_no_completion_is_refused_and_says_what_one_is() {
        for line in [
            "[]",
            "{",
            "5",
            r#"{"answer": "2"}"#,
            r#"{"completion": 2}"#,
            r#"{"completion": null}"#,
            r#"{"completion": "2", "tokens": -1}"#,
            r#"{"completion": "2", "answer": [1]}"#,
        ] {
            let error = of_line(0, line, None).unwrap_err();
            assert!(error.contains("; "), "{line}: {error}");
        }
    }
}
