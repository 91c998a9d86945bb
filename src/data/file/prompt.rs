//! From a row to what the model is given.

use serde_json::{Map, Value};

use super::super::rows::Row;
use super::super::{DataError, Message, Prompt, template};
use super::conversation::{
    MODEL, PERSON, conversation, from_json_text, text_or_conversation, with_system,
};
use super::preset::Preset;
use super::{FileData, Prefill};
use crate::text::Fill;

/// How prompts are made of rows.
#[derive(Debug)]
pub(super) struct PromptMaker<'a> {
    data: &'a FileData,
    /// The prompt as a template of jinja2.
    template: Option<Fill>,
    /// What the model's turn begins with.
    prefill: Option<Fill>,
    examples: Vec<Example>,
    /// Whether the template itself says where the examples stand.
    places_examples: bool,
}

/// A solved problem that is shown before the one to solve.
#[derive(Debug, Clone)]
pub(super) struct Example {
    pub(super) prompt: Prompt,
    pub(super) reply: String,
    pub(super) columns: Map<String, Value>,
}

impl<'a> PromptMaker<'a> {
    pub(super) fn new(data: &'a FileData) -> Result<Self, DataError> {
        let fill = |key, source: &str| {
            Fill::text(source).map_err(|problem| DataError::setting(key, problem))
        };
        let template = data.prompt.as_deref().map(|source| fill("prompt", source)).transpose()?;
        let prefill = match &data.prefill {
            Some(Prefill::Text(source)) => Some(fill("prefill", source)?),
            _ => None,
        };
        let places_examples =
            data.prompt.as_ref().is_some_and(|source| source.contains("examples"));
        Ok(Self { data, template, prefill, examples: Vec::new(), places_examples })
    }

    pub(super) fn with_examples(self, examples: Vec<Example>) -> Self {
        Self { examples, ..self }
    }

    /// The prompt of a row.
    pub(super) fn prompt(&self, row: &Row<'_>, preset: Preset) -> Result<Prompt, DataError> {
        let question = self.shaped(self.question(row, preset)?, preset);
        let prompt = with_system(self.after_examples(question), self.system(), self.is_plain());
        let prompt = self.prefilled(prompt, row)?;
        match prompt.text().trim().is_empty() {
            true => Err(row.error("the prompt is empty", "expected some text")),
            false => Ok(prompt),
        }
    }

    /// What an example asks, in its shape; nothing where the template of the prompt writes the examples.
    pub(super) fn asked(&self, row: &Row<'_>, preset: Preset) -> Result<Prompt, DataError> {
        match self.places_examples {
            true => Ok(Prompt::Text(String::new())),
            false => Ok(self.shaped(self.question(row, preset)?, preset)),
        }
    }

    fn system(&self) -> Option<&str> {
        self.data.system.as_deref()
    }

    fn is_plain(&self) -> bool {
        self.data.chat == Some(false)
    }

    fn question(&self, row: &Row<'_>, preset: Preset) -> Result<Prompt, DataError> {
        if let Some(template) = &self.template {
            return self.filled(template, row);
        }
        if let Some(template) = &self.data.template {
            let expected = "every {name} of data.template must be a column of every line";
            let text = template::fill(template, &row.columns);
            return said(row, "template", text.map_err(|problem| row.error(problem, expected))?);
        }
        let (column, is_conversation) = self.source(row, preset);
        match row.column(column) {
            Some(Value::String(text)) if is_conversation => {
                self.turns(row, column, from_json_text(text))
            }
            Some(list @ Value::Array(_)) => self.turns(row, column, Some(list.clone())),
            _ if is_conversation => Err(row.wrong(column, "a list of messages")),
            _ => Ok(match text_or_conversation(row, column, self.continues())? {
                Prompt::Text(text) => Prompt::Text(text + preset.task()),
                turns => turns,
            }),
        }
    }

    fn turns(&self, row: &Row<'_>, column: &str, list: Option<Value>) -> Result<Prompt, DataError> {
        conversation(row, column, list, self.continues())
    }

    fn continues(&self) -> bool {
        matches!(self.data.prefill, Some(Prefill::Rows(true)))
    }

    fn filled(&self, template: &Fill, row: &Row<'_>) -> Result<Prompt, DataError> {
        let mut names = row.columns.clone();
        if self.places_examples {
            let examples = self.examples.iter().map(|example| example.columns.clone().into());
            names.insert("examples".into(), Value::Array(examples.collect()));
        }
        let text = template.filled(&names).map_err(|problem| {
            let expected = format!("data.prompt can name the columns {}", row.listed_columns());
            row.error(format!("data.prompt cannot be filled in: {problem}"), expected)
        })?;
        said(row, "prompt", text)
    }

    /// The column with the prompt of a row, and whether it is to be a conversation.
    fn source<'n>(&'n self, row: &Row<'_>, preset: Preset) -> (&'n str, bool) {
        match (&self.data.messages_column, &self.data.prompt_column) {
            (_, Some(prompt)) => (prompt.as_str(), false),
            (Some(messages), None) => (messages.as_str(), true),
            (None, None) => {
                let columns = preset.prompts();
                let there = columns.iter().find(|column| row.column(column).is_some());
                let usual = columns.iter().find(|column| **column != MESSAGES);
                let column = there.or(usual).copied().unwrap_or("prompt");
                (column, column == MESSAGES)
            }
        }
    }

    /// A conversation or a text, as the configuration or else the preset has it.
    fn shaped(&self, prompt: Prompt, preset: Preset) -> Prompt {
        let is_chat = self.data.chat.unwrap_or(preset.is_chat() || self.data.system.is_some());
        match prompt {
            Prompt::Text(text) if is_chat => Prompt::Messages(vec![Message::new(PERSON, text)]),
            Prompt::Messages(turns) if self.is_plain() => {
                let texts: Vec<String> = turns.into_iter().map(|turn| turn.content).collect();
                Prompt::Text(texts.join("\n\n"))
            }
            prompt => prompt,
        }
    }

    fn after_examples(&self, question: Prompt) -> Prompt {
        if self.places_examples || self.examples.is_empty() {
            return question;
        }
        match question {
            Prompt::Text(text) => {
                let glue = self.data.examples.as_ref().map_or("", |examples| examples.glue());
                let shown = |example: &Example| {
                    format!("{}{glue}{}\n\n", example.prompt.text(), example.reply)
                };
                Prompt::Text(self.examples.iter().map(shown).collect::<String>() + &text)
            }
            Prompt::Messages(turns) => {
                let systems = turns.iter().take_while(|turn| turn.role == SYSTEM).count();
                let mut all: Vec<Message> = turns[..systems].to_vec();
                for example in &self.examples {
                    match &example.prompt {
                        Prompt::Text(text) => all.push(Message::new(PERSON, text)),
                        Prompt::Messages(turns) => {
                            all.extend(turns.iter().filter(|turn| turn.role != SYSTEM).cloned());
                        }
                    }
                    all.push(Message::new(MODEL, &example.reply));
                }
                all.extend_from_slice(&turns[systems..]);
                Prompt::Messages(all)
            }
        }
    }

    /// The prompt with what the model's turn begins with.
    fn prefilled(&self, prompt: Prompt, row: &Row<'_>) -> Result<Prompt, DataError> {
        let Some(prefill) = &self.prefill else { return Ok(prompt) };
        let text = prefill.filled(&row.columns).map_err(|problem| {
            row.error(
                format!("data.prefill cannot be filled in: {problem}"),
                "expected names of columns",
            )
        })?;
        Ok(match prompt {
            Prompt::Text(before) => Prompt::Text(before + &text),
            Prompt::Messages(mut turns) => {
                if !text.trim().is_empty() {
                    turns.push(Message::new(MODEL, text));
                }
                Prompt::Messages(turns)
            }
        })
    }
}

const MESSAGES: &str = "messages";
const SYSTEM: &str = "system";

fn said(row: &Row<'_>, key: &str, text: String) -> Result<Prompt, DataError> {
    match text.trim().is_empty() {
        true => Err(row.error("the prompt is empty", format!("data.{key} must give some text"))),
        false => Ok(Prompt::Text(text)),
    }
}
