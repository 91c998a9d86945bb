//! Problems from a file with one JSON object a line.

mod conversation;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::lines::{Row, read_rows};
use super::{DataError, Dataset, Problem, Prompt, split, template};
use conversation::{conversation, from_json_text, text_or_conversation, with_system};

/// Names of columns where the configuration gives none.
const PROMPT: &str = "prompt";
const ANSWER: &str = "answer";
const MESSAGES: &str = "messages";
/// How many columns a message names.
const MOST_NAMES: usize = 50;

/// A file of problems in columns of any names; a name with points, such as
/// `reward_model.ground_truth`, leads into a column.
///
/// The prompt of a line is the filled `template` where there is one. Else it is the column that the
/// configuration names, `prompt_column` or `messages_column`; where it names neither, the
/// conversation if the line has it, and the prompt if not. Either column holds text, or a
/// conversation as a list of messages or as the JSON text of such a list; a message has `role` and
/// `content`, or `from` and `value` as ShareGPT writes them. A conversation ends with
/// what is to be answered. Every column is kept for rewards, one that holds more than 32 values as its
/// JSON text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
        self.check_columns()?;
        let train = self.read(&self.path, self.limit)?;
        match &self.held_out_path {
            Some(path) => split::join(train, self.read(path, None)?, self.held_out, seed),
            None => split::choose(train, self.held_out.unwrap_or(0), seed),
        }
    }

    fn read(&self, path: &Path, limit: Option<usize>) -> Result<Vec<Problem>, DataError> {
        let (name, mut found, mut names) = (self.answer_column(), false, BTreeSet::new());
        let problems = read_rows(path, limit, |row| {
            found = found || row.column(name).is_some();
            if !found && names.len() < MOST_NAMES {
                names.extend(row.column_names().take(MOST_NAMES));
            }
            self.problem(row)
        })?;
        match found || name == ANSWER {
            true => Ok(problems),
            false => Err(no_answers(path, name, &names)),
        }
    }

    /// Refuses two columns for one prompt: one of them would be left out unsaid.
    fn check_columns(&self) -> Result<(), DataError> {
        let (Some(prompt), Some(messages)) = (&self.prompt_column, &self.messages_column) else {
            return Ok(());
        };
        let problem = format!(
            "is {prompt:?} beside data.messages_column {messages:?}, and a prompt comes from one of \
             them; keep one and leave the other out"
        );
        Err(DataError::setting("prompt_column", problem))
    }

    fn answer_column(&self) -> &str {
        self.answer_column.as_deref().unwrap_or(ANSWER)
    }

    fn problem(&self, row: Row<'_>) -> Result<Problem, DataError> {
        let prompt = with_system(self.prompt(&row)?, self.system.as_deref());
        let answer = row.optional_text(self.answer_column())?;
        Ok(Problem { id: row.index(), prompt, answer, columns: row.into_columns() })
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
            (_, Some(prompt)) => (prompt, false),
            (Some(messages), None) => (messages, true),
            (None, None) if row.column(MESSAGES).is_some() => (MESSAGES, true),
            (None, None) => (PROMPT, false),
        }
    }
}

/// The error for the name of an answer column that no line has: it is misspelt.
fn no_answers(path: &Path, name: &str, names: &BTreeSet<String>) -> DataError {
    let named: Vec<&str> = names.iter().take(MOST_NAMES).map(String::as_str).collect();
    let problem = format!(
        "no line of {} has an answer in column {name:?}; name one of the columns there are: {}",
        path.display(),
        named.join(", ")
    );
    DataError::setting("answer_column", problem)
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
