//! Problems from a file with one JSON object a line.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::lines::{Row, read_rows};
use super::{DataError, Dataset, Message, Problem, Prompt, split, template};

/// A file of problems in columns of any names.
///
/// The prompt of a line is, in this order: the filled `template`; the `messages_column` where the
/// line has it; the `prompt_column`, text or a list of messages. Every column is kept for rewards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonlData {
    /// The file with the problems to train on.
    pub path: PathBuf,
    /// Another file with the problems to measure by.
    #[serde(default)]
    pub held_out_path: Option<PathBuf>,
    /// Problems to measure by, chosen by the seed: out of `held_out_path` (without a number all of
    /// it), or else out of `path` (without a number none).
    #[serde(default)]
    pub held_out: Option<usize>,
    /// The column with the prompt.
    #[serde(default = "prompt")]
    pub prompt_column: String,
    /// The column with the answer: text, number, or left out where there is none.
    #[serde(default = "answer")]
    pub answer_column: String,
    /// The column with a conversation: `[{"role": "user", "content": "..."}, ...]`.
    #[serde(default = "messages")]
    pub messages_column: String,
    /// A system message put before every conversation that has none; makes text a conversation.
    #[serde(default)]
    pub system: Option<String>,
    /// The prompt with `{name}` for any column; `{{` and `}}` stand for braces.
    #[serde(default)]
    pub template: Option<String>,
    /// Reads only so many lines of `path`, from the first.
    #[serde(default)]
    pub limit: Option<usize>,
}

impl JsonlData {
    pub(super) fn load(&self, seed: u64) -> Result<Dataset, DataError> {
        let train = self.read(&self.path, self.limit)?;
        match &self.held_out_path {
            Some(path) => split::join(train, self.read(path, None)?, self.held_out, seed),
            None => split::choose(train, self.held_out.unwrap_or(0), seed),
        }
    }

    fn read(&self, path: &Path, limit: Option<usize>) -> Result<Vec<Problem>, DataError> {
        read_rows(path, limit)?.into_iter().map(|row| self.problem(row)).collect()
    }

    fn problem(&self, row: Row<'_>) -> Result<Problem, DataError> {
        let prompt = with_system(self.prompt(&row)?, self.system.as_deref());
        let answer = row.optional_text(&self.answer_column)?;
        Ok(Problem { id: row.index(), prompt, answer, columns: row.columns })
    }

    fn prompt(&self, row: &Row<'_>) -> Result<Prompt, DataError> {
        if let Some(template) = &self.template {
            let filled = template::fill(template, &row.columns);
            let expected = "every {name} of data.template must be a column of every line";
            return filled.map(Prompt::Text).map_err(|problem| row.error(problem, expected));
        }
        let has_messages = row.columns.contains_key(&self.messages_column);
        let column = if has_messages { &self.messages_column } else { &self.prompt_column };
        match row.columns.get(column) {
            Some(value) if value.is_array() => conversation(row, column),
            _ if has_messages => {
                Err(row.wrong(column, row.columns.get(column), "a list of messages"))
            }
            _ => row.text(column).map(|text| Prompt::Text(text.to_owned())),
        }
    }
}

fn conversation(row: &Row<'_>, column: &str) -> Result<Prompt, DataError> {
    let expected = r#"expected [{"role": "user", "content": "..."}, ...]"#;
    let messages: Vec<Message> = serde_json::from_value(row.columns[column].clone())
        .map_err(|error| row.error(format!("column {column:?}: {error}"), expected))?;
    if messages.is_empty() {
        return Err(row.error(format!("column {column:?} holds no message"), expected));
    }
    Ok(Prompt::Messages(messages))
}

fn with_system(prompt: Prompt, system: Option<&str>) -> Prompt {
    let Some(system) = system else { return prompt };
    let mut messages = match prompt {
        Prompt::Text(text) => vec![Message::new("user", text)],
        Prompt::Messages(messages) => messages,
    };
    if messages.first().is_none_or(|message| message.role != "system") {
        messages.insert(0, Message::new("system", system));
    }
    Prompt::Messages(messages)
}

fn prompt() -> String {
    "prompt".to_owned()
}

fn answer() -> String {
    "answer".to_owned()
}

fn messages() -> String {
    "messages".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::fs;

    fn load(lines: &str, settings: Value) -> Result<Dataset, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.jsonl");
        fs::write(&path, lines).unwrap();
        fs::write(folder.path().join("h.jsonl"), "{\"prompt\":\"h\"}\n{\"prompt\":\"b\"}\n")
            .unwrap();
        let mut settings = settings;
        settings["path"] = json!(path);
        if settings["held_out_path"] == true {
            settings["held_out_path"] = json!(folder.path().join("h.jsonl"));
        }
        serde_json::from_value::<JsonlData>(settings).unwrap().load(0)
    }

    fn check_error(lines: &str, settings: Value, expected: &[&str]) {
        let error = load(lines, settings).unwrap_err().to_string();
        for part in expected {
            assert!(error.contains(part), "{part} is not in {error}");
        }
    }

    #[test]
    fn text_answers_and_all_columns_are_kept() {
        let dataset =
            load("{\"prompt\":\"a\",\"answer\":4,\"level\":[1]}\n{\"prompt\":\"b\"}", json!({}));
        let train = dataset.unwrap().train;
        assert_eq!(train[0].prompt, Prompt::Text("a".into()));
        assert_eq!(train[0].answer.as_deref(), Some("4"));
        assert_eq!(train[0].columns["level"], json!([1]));
        assert_eq!((train[1].id, &train[1].answer), (1, &None));
    }

    #[test]
    fn a_conversation_is_read_from_messages_or_from_the_prompt() {
        let turn = r#"[{"role":"user","content":"hi"}]"#;
        let lines = format!(
            "{{\"messages\":{turn}}}\n{{\"prompt\":{turn},\"id\":2}}\n{{\"prompt\":\"hi\"}}"
        );
        let train = load(&lines, json!({"system": "Be kind."})).unwrap().train;
        let expected = vec![Message::new("system", "Be kind."), Message::new("user", "hi")];
        for problem in train {
            assert_eq!(problem.prompt, Prompt::Messages(expected.clone()));
        }
    }

    #[test]
    fn a_system_message_of_the_data_is_not_doubled() {
        let line =
            r#"{"messages":[{"role":"system","content":"Mine."},{"role":"user","content":"x"}]}"#;
        let train = load(line, json!({"system": "Yours."})).unwrap().train;
        let expected = vec![Message::new("system", "Mine."), Message::new("user", "x")];
        assert_eq!(train[0].prompt, Prompt::Messages(expected));
    }

    #[test]
    fn a_template_is_filled_from_the_columns() {
        let settings = json!({"template": "{q} ({unit})?", "answer_column": "a"});
        let train = load(r#"{"q":"How far","unit":"km","a":"3"}"#, settings).unwrap().train;
        assert_eq!(train[0].prompt, Prompt::Text("How far (km)?".into()));
        assert_eq!(train[0].answer.as_deref(), Some("3"));
    }

    #[test]
    fn a_held_out_file_never_overlaps_the_training_file() {
        let lines = "{\"prompt\":\"a\"}\n{\"prompt\":\"b\"}\n";
        let dataset = load(lines, json!({"held_out_path": true})).unwrap();
        let texts = |part: &[Problem]| part.iter().map(|p| p.prompt.text()).collect::<Vec<_>>();
        assert_eq!(texts(&dataset.train), ["a"]);
        assert_eq!(texts(&dataset.held_out), ["h", "b"]);
        let one = load(lines, json!({"held_out_path": true, "held_out": 1})).unwrap();
        assert_eq!(one.held_out.len(), 1);
    }

    #[test]
    fn a_line_without_what_is_asked_for_is_named() {
        check_error(
            "{\"prompt\":\"a\"}\n{\"text\":\"b\"}",
            json!({}),
            &[":2:", "no column \"prompt\"", "\"text\""],
        );
        check_error("{\"prompt\":5}", json!({}), &[":1:", "holds a number", "expected text"]);
        check_error(
            "{\"prompt\":\"a\",\"answer\":{}}",
            json!({}),
            &[":1:", "\"answer\" holds an object"],
        );
        check_error("{\"messages\":\"a\"}", json!({}), &[":1:", "a list of messages"]);
        check_error("{\"messages\":[]}", json!({}), &[":1:", "holds no message"]);
        check_error("{\"messages\":[{\"role\":\"user\"}]}", json!({}), &[":1:", "content"]);
        check_error("{\"q\":\"a\"}", json!({"template": "{x}"}), &[":1:", "{x}", "data.template"]);
    }
}
