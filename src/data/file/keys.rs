//! The keys of a file of problems, and which of them contradict each other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::rows::Format;
use super::super::{DataError, Sources};
use super::Examples;

/// Files of problems in columns of any names; a name with points, such as `reward_model.ground_truth`, leads into a
/// column.
///
/// The prompt of a row is the filled `prompt` or `template` where there is one. Else it is the column that the
/// configuration names, `prompt_column` or `messages_column`; where it names neither, the column of the preset that
/// the row has. A column holds text, or a conversation as a list of messages or as the JSON text of such a list; a
/// message has `role` and `content`, or `from` and `value` as ShareGPT writes them. A conversation ends with what is
/// to be answered. Every column is kept for rewards, one that holds more than 32 values as its JSON text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileData {
    /// The problems to train on: a file, a data set's folder or its name on the hub, or a list of them. `FILE#N` takes
    /// the first N rows; `{path: FILE, weight: 2}` gives a file its share of the problems.
    pub path: Sources,
    /// How the files are written; by their names and contents where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// The configuration of a data set with several.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "name", alias = "subset")]
    pub config: Option<String>,
    /// The split of a data set; `train`, or the only one there is, where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// Other files with the problems to measure by.
    #[serde(default)]
    pub held_out_path: Option<Sources>,
    /// The split of `path`, or of `held_out_path`, with the problems to measure by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out_split: Option<String>,
    /// Problems to measure by, chosen by the seed: out of the held-out files, split or column (without a number all of
    /// them), or else out of `path` (without a number none).
    #[serde(default)]
    pub held_out: Option<usize>,
    /// The share of the problems of `path` to measure by, chosen by the seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out_share: Option<f64>,
    /// The column that says which problems to measure by: true, 1, or a word such as `test` or `validation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out_column: Option<String>,
    /// The column with the prompt; that of the preset where left out.
    #[serde(default)]
    pub prompt_column: Option<String>,
    /// The column with the answer: text, number, or left out where there is none. That of the preset where left out
    /// here.
    #[serde(default)]
    pub answer_column: Option<String>,
    /// The column with a conversation, `[{"role": "user", "content": "..."}, ...]`.
    #[serde(default)]
    pub messages_column: Option<String>,
    /// A system message put before every conversation that has none; makes text a conversation, or stands before it
    /// with `chat: false`.
    #[serde(default)]
    pub system: Option<String>,
    /// The prompt with `{name}` for any column; `{{` and `}}` stand for braces.
    #[serde(default)]
    pub template: Option<String>,
    /// The prompt as a template of jinja2 over the columns, such as `{{ question }} ({{ meta.unit }})`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Whether prompts are conversations for the model's chat template, or plain text. Where left out, conversations
    /// stay what they are, and text becomes one with `system` and in the presets gsm8k, math and openr1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<bool>,
    /// What the model's chat template is given to know, such as `{enable_thinking: false}`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub chat_template_args: Map<String, Value>,
    /// Solved problems to show before each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examples: Option<Examples>,
    /// What the model's turn begins with, as a template over the columns; or `true` where conversations may end with
    /// a turn of the model, which is continued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefill: Option<Prefill>,
    /// A condition on the columns that a row must meet, in the language of templates: `level <= 3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// The columns to keep for rewards; all where left out, but for long ones in the preset openr1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_columns: Option<Vec<String>>,
    /// What becomes of a row without a usable prompt or answer.
    #[serde(default, skip_serializing_if = "is_default")]
    pub bad_rows: BadRows,
    /// Reads only so many problems of `path`, from the first.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// What becomes of a row that makes no problem.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BadRows {
    /// The run does not start, and the row is named.
    #[default]
    Refuse,
    /// It is left out; how many are and why is said once.
    LeaveOut,
}

/// What the model's turn begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Prefill {
    /// Whether it is the last turn of a row's conversation.
    Rows(bool),
    /// The same text in every problem, a template over the columns.
    Text(String),
}

// Serde hands over a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_default(bad_rows: &BadRows) -> bool {
    *bad_rows == BadRows::default()
}

impl FileData {
    /// Refuses keys that contradict each other: one of them would be left out unsaid.
    pub(super) fn check(&self) -> Result<(), DataError> {
        if self.limit == Some(0) {
            return Err(DataError::setting("limit", "is 0; read at least 1 line or leave it out"));
        }
        self.check_columns()?;
        self.check_held_out()?;
        match self.chat_template_args.keys().find(|name| OURS.contains(&name.as_str())) {
            Some(name) => {
                let problem = format!("gives {name:?}, which is set by this program; leave it out");
                Err(DataError::setting("chat_template_args", problem))
            }
            None => Ok(()),
        }
    }

    fn check_columns(&self) -> Result<(), DataError> {
        if self.prompt.is_some() && self.template.is_some() {
            let problem =
                "stands beside data.template, and a prompt comes from one of them; keep one";
            return Err(DataError::setting("prompt", problem));
        }
        let (Some(prompt), Some(messages)) = (&self.prompt_column, &self.messages_column) else {
            return Ok(());
        };
        let problem = format!(
            "is {prompt:?} beside data.messages_column {messages:?}, and a prompt comes from one of \
             them; keep one and leave the other out"
        );
        Err(DataError::setting("prompt_column", problem))
    }

    fn check_held_out(&self) -> Result<(), DataError> {
        let other = self.held_out_path.is_some() || self.held_out_split.is_some();
        if self.held_out_column.is_some() && other {
            let problem = "stands beside held-out files or a split; keep one of them";
            return Err(DataError::setting("held_out_column", problem));
        }
        if self.held_out_share.is_none() {
            return Ok(());
        }
        match other || self.held_out_column.is_some() || self.held_out.is_some() {
            true => {
                let problem = "stands beside another key of the held-out part; keep one of them";
                Err(DataError::setting("held_out_share", problem))
            }
            false => Ok(()),
        }
    }
}

/// Names that a chat template is given by this program.
const OURS: [&str; 4] = ["messages", "add_generation_prompt", "tools", "documents"];
