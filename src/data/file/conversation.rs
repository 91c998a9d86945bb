//! Conversations in a column: as a list, as the JSON text of one, or made of plain text.

use serde_json::{Map, Value};

use super::super::rows::{Row, has_too_many_values};
use super::super::{DataError, Message, Prompt};

/// Who speaks for the model, in the words of several data sets.
const MODEL_ROLES: [&str; 5] = ["assistant", "model", "gpt", "bot", "ai"];
/// What chat templates call the model and the person, and what ShareGPT calls the person.
pub(super) const MODEL: &str = "assistant";
pub(super) const PERSON: &str = "user";
const SHAREGPT_PERSON: &str = "human";
const SYSTEM: &str = "system";

/// Names of the role and of the content: those of most data sets, and those of ShareGPT.
const NAMES: [(&str, &str); 2] = [("role", "content"), ("from", "value")];
const EXPECTED: &str = r#"expected [{"role": "user", "content": "..."}, ...]"#;

/// A text that is a list of messages from end to end is that conversation.
pub(super) fn text_or_conversation(
    row: &Row<'_>,
    column: &str,
    continues: bool,
) -> Result<Prompt, DataError> {
    let text = row.text(column)?;
    match from_json_text(&text) {
        Some(list) if is_conversation(&list) => conversation(row, column, Some(list), continues),
        None if is_broken_conversation(&text) => {
            let problem = format!("column {column:?} looks like a conversation, and is no JSON");
            Err(row.error(problem, EXPECTED))
        }
        _ => Ok(Prompt::Text(text)),
    }
}

pub(super) fn from_json_text(text: &str) -> Option<Value> {
    let is_short = !has_too_many_values(text.as_bytes());
    is_short.then(|| serde_json::from_str(text).ok()).flatten().filter(Value::is_array)
}

/// Whether a list is meant as messages: one of them has a role and a content, or says that it is the model's.
fn is_conversation(list: &Value) -> bool {
    let has_names = |turn: &Map<String, Value>| {
        NAMES.iter().any(|(role, content)| turn.contains_key(*role) && turn.contains_key(*content))
    };
    let is_model = |value: &Value| {
        value
            .as_str()
            .is_some_and(|role| ["assistant", "gpt"].contains(&role.trim().to_lowercase().as_str()))
    };
    let mut turns = list.as_array().into_iter().flatten().filter_map(Value::as_object);
    turns.any(|turn| has_names(turn) || turn.values().any(is_model))
}

/// Whether a text is a list of messages from end to end, but as Python prints it or with another fault.
fn is_broken_conversation(text: &str) -> bool {
    let text = text.trim();
    let has =
        |name| [format!("'{name}':"), format!("\"{name}\":")].iter().any(|n| text.contains(n));
    let begins = text.strip_prefix('[').is_some_and(|inner| inner.trim_start().starts_with('{'));
    begins && text.ends_with(']') && NAMES.iter().any(|(role, content)| has(role) && has(content))
}

/// The conversation of a list of messages; one that `continues` may end with a turn of the model.
pub(super) fn conversation(
    row: &Row<'_>,
    column: &str,
    list: Option<Value>,
    continues: bool,
) -> Result<Prompt, DataError> {
    let refuse = |what: &str| Err(row.error(format!("column {column:?} {what}"), EXPECTED));
    let Some(Value::Array(list)) = list else {
        return Err(row.wrong(column, "a list of messages"));
    };
    let messages: Result<Vec<Message>, String> = list.into_iter().map(message).collect();
    let mut messages = match messages {
        Ok(messages) if messages.is_empty() => return refuse("holds no message"),
        Ok(messages) => messages,
        Err(problem) => return refuse(&format!("holds a message that {problem}")),
    };
    // An empty turn asks nothing, and a system message is no question.
    let says = |message: &Message| !message.content.trim().is_empty();
    let Some(last) = messages.iter().rposition(says) else {
        return refuse("holds only empty messages");
    };
    messages.truncate(last + 1);
    match messages.iter().rfind(|message| says(message) && message.role != SYSTEM) {
        Some(last) if last.role == MODEL && !continues => Err(ends_with_model(row, column)),
        _ => Ok(Prompt::Messages(messages)),
    }
}

/// A message under either pair of names; the error says what it lacks.
fn message(turn: Value) -> Result<Message, String> {
    let Value::Object(mut turn) = turn else { return Err("is no object".to_owned()) };
    let is_there = |(role, _): &&(&str, &str)| turn.contains_key(*role);
    let (role, content) = NAMES.iter().find(is_there).copied().unwrap_or(NAMES[0]);
    let mut text = |name: &str| match turn.remove(name) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(format!("has no text in {name:?}")),
    };
    let (role, content) = (text(role)?, text(content)?);
    Ok(Message::new(role_of(&role), content))
}

/// A role as chat templates call it.
fn role_of(role: &str) -> String {
    match role.trim().to_lowercase() {
        role if is_model(&role) => MODEL.to_owned(),
        role if role == SHAREGPT_PERSON => PERSON.to_owned(),
        role if [PERSON, SYSTEM].contains(&role.as_str()) => role,
        _ => role.trim().to_owned(),
    }
}

fn is_model(role: &str) -> bool {
    MODEL_ROLES.contains(&role)
}

fn ends_with_model(row: &Row<'_>, column: &str) -> DataError {
    row.error(
        format!(
            "the conversation in column {column:?} ends with what the {MODEL} says, so the solution \
             would stand in the prompt"
        ),
        "end conversations with what is to be answered, or name the column with the question in \
         data.prompt_column; prefill: true continues such a turn",
    )
}

/// The prompt with a system message before it, if it has none; before plain text it stands as text.
pub(super) fn with_system(prompt: Prompt, system: Option<&str>, is_plain: bool) -> Prompt {
    let Some(system) = system else { return prompt };
    let mut messages = match prompt {
        Prompt::Text(text) if is_plain => return Prompt::Text(format!("{system}\n\n{text}")),
        Prompt::Text(text) => vec![Message::new(PERSON, text)],
        Prompt::Messages(messages) => messages,
    };
    if messages.first().is_none_or(|message| message.role != SYSTEM) {
        messages.insert(0, Message::new(SYSTEM, system));
    }
    Prompt::Messages(messages)
}
