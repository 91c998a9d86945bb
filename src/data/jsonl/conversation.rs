//! Conversations in a column: as a list, as the JSON text of one, or made of plain text.

use serde_json::Value;

use super::super::lines::Row;
use super::super::{DataError, Message, Prompt};

/// Who speaks for the model, in the words of several data sets.
const MODEL_ROLES: [&str; 5] = ["assistant", "model", "gpt", "bot", "ai"];

/// A text that is a list of messages from end to end is that conversation.
pub(super) fn text_or_conversation(row: &Row<'_>, column: &str) -> Result<Prompt, DataError> {
    let text = row.text(column)?;
    let list = from_json_text(text);
    match serde_json::from_value::<Vec<Message>>(list.clone().unwrap_or_default()) {
        Ok(messages) if !messages.is_empty() => conversation(row, column, list),
        _ => Ok(Prompt::Text(text.to_owned())),
    }
}

pub(super) fn from_json_text(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().filter(Value::is_array)
}

pub(super) fn conversation(
    row: &Row<'_>,
    column: &str,
    list: Option<Value>,
) -> Result<Prompt, DataError> {
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

pub(super) fn with_system(prompt: Prompt, system: Option<&str>) -> Prompt {
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
