//! What is asked, and what is known about the right answer.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One thing to be solved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// Unique within a [`Dataset`](super::Dataset), the same in every run of one config and seed.
    pub id: u64,
    /// What the model is given.
    pub prompt: Prompt,
    /// The right answer as text, where there is one.
    pub answer: Option<String>,
    /// Everything else that is known about the problem, for rewards to use; of a file, a column that
    /// holds more than 32 values is its JSON text.
    pub columns: Map<String, Value>,
}

/// What the model is given: plain text, or turns of a conversation for a chat template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Prompt {
    /// Text to be continued.
    Text(String),
    /// Turns to be answered.
    Messages(Vec<Message>),
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What is said.
    pub content: String,
}

impl Prompt {
    /// The prompt as one readable text: `role: content` lines for a conversation.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Messages(messages) => {
                let lines = messages.iter().map(|m| format!("{}: {}", m.role, m.content));
                lines.collect::<Vec<_>>().join("\n")
            }
        }
    }
}

impl Message {
    /// A turn of `role` that says `content`.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_reads_as_lines_with_their_roles() {
        let messages = vec![Message::new("system", "Be brief."), Message::new("user", "1+1?")];
        assert_eq!(Prompt::Messages(messages).text(), "system: Be brief.\nuser: 1+1?");
        assert_eq!(Prompt::Text("1+1=".into()).text(), "1+1=");
    }

    #[test]
    fn a_prompt_is_written_as_a_string_or_a_list_of_turns() {
        let text = serde_json::to_string(&Prompt::Text("a".into())).unwrap();
        assert_eq!(text, r#""a""#);
        let turns = serde_json::to_string(&Prompt::Messages(vec![Message::new("user", "a")]));
        assert_eq!(turns.unwrap(), r#"[{"role":"user","content":"a"}]"#);
    }
}
