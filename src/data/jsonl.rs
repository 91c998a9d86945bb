//! Problems from a file with one JSON object a line.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::lines::{Row, read_rows};
use super::{DataError, Dataset, Message, Problem, Prompt, split, template};

/// Names of columns where the configuration gives none.
const PROMPT: &str = "prompt";
const ANSWER: &str = "answer";
const MESSAGES: &str = "messages";
/// Who speaks for the model, in the words of several data sets.
const MODEL_ROLES: [&str; 5] = ["assistant", "model", "gpt", "bot", "ai"];

/// A file of problems in columns of any names; a name with points, such as
/// `reward_model.ground_truth`, leads into a column.
///
/// The prompt of a line is the filled `template` where there is one. Else it is the column that the
/// configuration names, `prompt_column` or `messages_column`; where it names both or none, the
/// conversation if the line has it, and the prompt if not. Either column holds text, or a
/// conversation as a list of messages or as the JSON text of such a list. A conversation ends with
/// what is to be answered. Every column is kept for rewards.
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
    /// The column with the prompt; `prompt` where left out.
    #[serde(default)]
    pub prompt_column: Option<String>,
    /// The column with the answer: text, number, or left out where there is none. `answer` where
    /// left out here.
    #[serde(default)]
    pub answer_column: Option<String>,
    /// The column with a conversation, `[{"role": "user", "content": "..."}, ...]`; `messages` where
    /// left out.
    #[serde(default)]
    pub messages_column: Option<String>,
    /// A system message put before every conversation that has none; makes text a conversation.
    #[serde(default)]
    pub system: Option<String>,
    /// The prompt with `{name}` for any column; `{{` and `}}` stand for braces.
    #[serde(default)]
    pub template: Option<String>,
    /// Reads only so many problems of `path`, from the first.
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
        let rows = read_rows(path, limit)?;
        self.check_answers(path, &rows)?;
        rows.into_iter().map(|row| self.problem(row)).collect()
    }

    /// Refuses the name of an answer column that no line has: it is misspelt.
    fn check_answers(&self, path: &Path, rows: &[Row<'_>]) -> Result<(), DataError> {
        let name = self.answer_column();
        if name == ANSWER || rows.iter().any(|row| row.column(name).is_some()) {
            return Ok(());
        }
        let names: BTreeSet<String> = rows.iter().flat_map(Row::column_names).collect();
        let problem = format!(
            "no line of {} has an answer in column {name:?}; name one of the columns there are: {}",
            path.display(),
            names.into_iter().collect::<Vec<_>>().join(", ")
        );
        Err(DataError::setting("answer_column", problem))
    }

    fn answer_column(&self) -> &str {
        self.answer_column.as_deref().unwrap_or(ANSWER)
    }

    fn problem(&self, row: Row<'_>) -> Result<Problem, DataError> {
        let prompt = with_system(self.prompt(&row)?, self.system.as_deref());
        let answer = row.optional_text(self.answer_column())?;
        Ok(Problem { id: row.index(), prompt, answer, columns: row.columns })
    }

    fn prompt(&self, row: &Row<'_>) -> Result<Prompt, DataError> {
        match &self.template {
            Some(template) => filled(template, row),
            None => {
                let (column, is_conversation) = self.source(row);
                match row.column(column) {
                    Some(Value::String(_)) if !is_conversation => text_or_conversation(row, column),
                    Some(Value::String(text)) => conversation(row, column, from_json_text(text)),
                    Some(list @ Value::Array(_)) => conversation(row, column, Some(list.clone())),
                    _ if is_conversation => Err(row.wrong(column, "a list of messages")),
                    _ => Err(row.wrong(column, "text")),
                }
            }
        }
    }

    /// The column with the prompt of a line, and whether it is to be a conversation.
    fn source(&self, row: &Row<'_>) -> (&str, bool) {
        let prompt = self.prompt_column.as_deref();
        let messages = self.messages_column.as_deref();
        match (messages, prompt) {
            (None, Some(prompt)) => (prompt, false),
            (Some(messages), None) => (messages, true),
            _ => match messages.unwrap_or(MESSAGES) {
                messages if row.column(messages).is_some() => (messages, true),
                _ => (prompt.unwrap_or(PROMPT), false),
            },
        }
    }
}

fn filled(template: &str, row: &Row<'_>) -> Result<Prompt, DataError> {
    let expected = "every {name} of data.template must be a column of every line";
    let text = template::fill(template, &row.columns);
    let text = text.map_err(|problem| row.error(problem, expected))?;
    match text.trim().is_empty() {
        true => Err(row.error("the prompt is empty", "data.template must give some text")),
        false => Ok(Prompt::Text(text)),
    }
}

/// A text that is a list of messages from end to end is that conversation.
fn text_or_conversation(row: &Row<'_>, column: &str) -> Result<Prompt, DataError> {
    let text = row.text(column)?;
    let list = from_json_text(text);
    match serde_json::from_value::<Vec<Message>>(list.clone().unwrap_or_default()) {
        Ok(messages) if !messages.is_empty() => conversation(row, column, list),
        _ => Ok(Prompt::Text(text.to_owned())),
    }
}

fn from_json_text(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().filter(Value::is_array)
}

fn conversation(row: &Row<'_>, column: &str, list: Option<Value>) -> Result<Prompt, DataError> {
    let expected = r#"expected [{"role": "user", "content": "..."}, ...]"#;
    let refuse = |what: &str| Err(row.error(format!("column {column:?} {what}"), expected));
    let Some(list) = list else { return Err(row.wrong(column, "a list of messages")) };
    let messages: Vec<Message> = serde_json::from_value(list)
        .map_err(|error| row.error(format!("column {column:?}: {error}"), expected))?;
    let Some(last) = messages.last() else { return refuse("holds no message") };
    if MODEL_ROLES.contains(&last.role.to_lowercase().as_str()) {
        return Err(ends_with_model(row, column, &last.role));
    }
    if messages.iter().all(|message| message.content.trim().is_empty()) {
        return refuse("holds only empty messages");
    }
    Ok(Prompt::Messages(messages))
}

fn ends_with_model(row: &Row<'_>, column: &str, role: &str) -> DataError {
    row.error(
        format!(
            "the conversation in column {column:?} ends with what the {role} says, so the solution \
             would stand in the prompt"
        ),
        "end conversations with what is to be answered, or name the column with the question in \
         data.prompt_column",
    )
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
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

    const USER: &str = r#"{"role":"user","content":"3*4?"}"#;
    const ASSISTANT: &str = r#"{"role":"assistant","content":"3*4=12, so 12"}"#;

    fn prompts(lines: &str, settings: Value) -> Vec<Prompt> {
        load(lines, settings).unwrap().train.into_iter().map(|problem| problem.prompt).collect()
    }

    #[test]
    fn a_column_that_the_configuration_names_wins() {
        let line = format!(
            r#"{{"prompt":"p","question":"q","messages":[{USER}],"turns":[{USER},{USER}]}}"#
        );
        let conversation = |turns| Prompt::Messages(vec![Message::new("user", "3*4?"); turns]);
        let first = |settings| prompts(&line, settings).remove(0);
        assert_eq!(first(json!({})), conversation(1));
        assert_eq!(first(json!({"prompt_column": "prompt"})), Prompt::Text("p".into()));
        assert_eq!(first(json!({"prompt_column": "question"})), Prompt::Text("q".into()));
        assert_eq!(first(json!({"messages_column": "turns"})), conversation(2));
        let both = json!({"prompt_column": "question", "messages_column": "turns"});
        assert_eq!(first(both), conversation(2));
        let both = json!({"prompt_column": "question", "messages_column": "none"});
        assert_eq!(first(both), Prompt::Text("q".into()));
        check_error(&line, json!({"messages_column": "none"}), &[":1:", "no column \"none\""]);
    }

    #[test]
    fn a_conversation_that_holds_the_solution_is_refused() {
        let line = format!(r#"{{"problem":"3*4?","messages":[{USER},{ASSISTANT}]}}"#);
        let first_line = format!("{{\"messages\":[{USER}]}}\n{line}");
        let parts = [":2:", "\"messages\" ends with what the assistant says", "data.prompt_column"];
        check_error(&first_line, json!({}), &parts);
        let asked = prompts(&line, json!({"prompt_column": "problem"}));
        assert_eq!(asked, [Prompt::Text("3*4?".into())]);
        // Examples of what to answer may come before the question.
        let shots = format!(r#"{{"messages":[{USER},{ASSISTANT},{USER}]}}"#);
        assert_eq!(prompts(&shots, json!({})).len(), 1);
    }

    #[test]
    fn a_conversation_is_read_from_its_json_text() {
        let text = json!(format!("[{USER}]"));
        let lines = format!("{{\"prompt\":\"p\",\"messages\":{text}}}\n{{\"prompt\":{text}}}");
        let expected = Prompt::Messages(vec![Message::new("user", "3*4?")]);
        assert_eq!(prompts(&lines, json!({})), [expected.clone(), expected]);
        let solved = json!(format!("[{USER},{ASSISTANT}]"));
        let ends = [":1:", "ends with what the assistant says"];
        check_error(&format!(r#"{{"messages":{solved}}}"#), json!({}), &ends);
        check_error(&format!(r#"{{"prompt":{solved}}}"#), json!({}), &ends);
        // A text about JSON is a text.
        assert_eq!(prompts(r#"{"prompt":"[1, 2]"}"#, json!({})), [Prompt::Text("[1, 2]".into())]);
    }

    #[test]
    fn an_empty_prompt_is_called_empty() {
        let empty = |line: &str, settings: Value| check_error(line, settings, &[":1:", "empty"]);
        empty(r#"{"prompt":""}"#, json!({}));
        empty(r#"{"prompt":" \n"}"#, json!({}));
        empty(r#"{"q":""}"#, json!({"template": "{q}"}));
        empty(r#"{"messages":[{"role":"user","content":""}]}"#, json!({"system": "Be kind."}));
    }

    #[test]
    fn an_answer_column_that_no_line_has_is_refused_with_those_there_are() {
        let lines = "{\"prompt\":\"a\",\"anwser\":4}\n{\"prompt\":\"b\",\"level\":{\"of\":2}}";
        let parts = ["data.answer_column", "\"solution\"", "anwser, level, level.of, prompt"];
        check_error(lines, json!({"answer_column": "solution"}), &parts);
        // One line that has it is enough: others may have no answer.
        let found = load(lines, json!({"answer_column": "level.of"})).unwrap().train;
        let answers: Vec<Option<&str>> = found.iter().map(|p| p.answer.as_deref()).collect();
        assert_eq!(answers, [None, Some("2")]);
    }

    #[test]
    fn an_answer_beyond_64_bits_keeps_its_digits() {
        let line = r#"{"prompt":"2^64","answer":18446744073709551616}"#;
        let train = load(line, json!({})).unwrap().train;
        assert_eq!(train[0].answer.as_deref(), Some("18446744073709551616"));
    }
}
