//! What a reward is asked: one line of JSON, under TRL's names.

use std::io::{self, Write};

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use crate::data::{Message, Prompt};
use crate::reward::Item;

/// A longer request is divided.
pub(super) const MOST_BYTES: usize = 64 << 20;
/// Completions in a request at most, so that its answer is bounded too.
pub(super) const MOST_ITEMS: usize = 1 << 16;
/// What the request itself calls something, and TRL takes from no column.
const TAKEN: [&str; 5] = ["prompts", "completions", "completion_ids", "prompt", "completion"];

/// The request for some completions, without a line break; none if it is too large.
pub(super) fn of(items: &[Item]) -> Option<Vec<u8>> {
    let mut capped = Capped(Vec::new());
    let fits =
        items.len() <= MOST_ITEMS && serde_json::to_writer(&mut capped, &Request(items)).is_ok();
    fits.then_some(capped.0)
}

struct Request<'a>(&'a [Item<'a>]);

impl Serialize for Request<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let items = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("prompts", &list(items, |item| &item.problem.prompt))?;
        map.serialize_entry("completions", &list(items, Turn::of))?;
        map.serialize_entry("completion_ids", &list(items, |item| item.completion.ids))?;
        let mut has_answer = false;
        for name in columns(items) {
            has_answer |= name == "answer";
            map.serialize_entry(name, &list(items, |item| column(item, name)))?;
        }
        if !has_answer && items.iter().any(|item| item.problem.answer.is_some()) {
            map.serialize_entry("answer", &list(items, |item| &item.problem.answer))?;
        }
        map.end()
    }
}

/// The columns that any of the problems has, in the order of their first.
fn columns<'a>(items: &[Item<'a>]) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        // Completions of one problem stand side by side.
        if at > 0 && std::ptr::eq(items[at - 1].problem, item.problem) {
            continue;
        }
        for name in item.problem.columns.keys() {
            if !names.contains(&name.as_str()) && !TAKEN.contains(&name.as_str()) {
                names.push(name);
            }
        }
    }
    names
}

fn column<'a>(item: &'a Item<'a>, name: &str) -> &'a Value {
    item.problem.columns.get(name).unwrap_or(&Value::Null)
}

/// A completion in the shape of its prompt: text, or the assistant's turn of a conversation.
enum Turn<'a> {
    Text(&'a str),
    Message(&'a str),
}

impl<'a> Turn<'a> {
    fn of(item: &'a Item<'a>) -> Self {
        match item.problem.prompt {
            Prompt::Text(_) => Self::Text(item.completion.text),
            Prompt::Messages(_) => Self::Message(item.completion.text),
        }
    }
}

impl Serialize for Turn<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => text.serialize(serializer),
            Self::Message(text) => [Message::new("assistant", *text)].serialize(serializer),
        }
    }
}

/// One value for each item, none of them copied.
struct List<'a, F>(&'a [Item<'a>], F);

fn list<'a, T: Serialize, F: Fn(&'a Item<'a>) -> T>(items: &'a [Item<'a>], of: F) -> List<'a, F> {
    List(items, of)
}

impl<'a, T: Serialize, F: Fn(&'a Item<'a>) -> T> Serialize for List<'a, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(&self.1))
    }
}

/// Bytes that end with an error where there are too many.
struct Capped(Vec<u8>);

impl Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MOST_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Problem;
    use crate::reward::Completion;
    use crate::reward::test_support::{completion, problem};
    use serde_json::json;

    fn asked(items: &[Item]) -> Value {
        serde_json::from_slice(&of(items).unwrap()).unwrap()
    }

    fn with_columns(answer: Option<&str>, columns: Value) -> Problem {
        let columns = columns.as_object().unwrap().clone();
        Problem { columns, ..problem(answer) }
    }

    #[test]
    fn a_request_has_trls_names_the_columns_as_lists_and_the_answer() {
        let one = with_columns(Some("46"), json!({"level": 3, "prompt": "not this"}));
        let other = with_columns(None, json!({"topic": ["a"]}));
        let first = Completion { ids: &[5, 6], ..completion("46") };
        let items = [
            Item { problem: &one, completion: first },
            Item { problem: &other, completion: completion("x\ny") },
        ];
        let expected = json!({
            "prompts": ["1+1=", "1+1="],
            "completions": ["46", "x\ny"],
            "completion_ids": [[5, 6], []],
            "level": [3, null],
            "topic": [null, ["a"]],
            "answer": ["46", null],
        });
        assert_eq!(asked(&items), expected);
        assert!(!of(&items).unwrap().contains(&b'\n'));
    }

    #[test]
    fn a_column_named_answer_is_handed_on_as_it_is() {
        let problem = with_columns(Some("72"), json!({"answer": "48/2 = 24\n#### 72"}));
        let items = [Item { problem: &problem, completion: completion("72") }];
        assert_eq!(asked(&items)["answer"], json!(["48/2 = 24\n#### 72"]));
    }

    #[test]
    fn conversations_are_answered_by_a_turn_of_the_assistant() {
        let prompt = Prompt::Messages(vec![Message::new("user", "1+1?")]);
        let problem = Problem { prompt, ..problem(None) };
        let asked = asked(&[Item { problem: &problem, completion: completion("2") }]);
        assert_eq!(asked["prompts"], json!([[{"role": "user", "content": "1+1?"}]]));
        assert_eq!(asked["completions"], json!([[{"role": "assistant", "content": "2"}]]));
        assert!(asked.get("answer").is_none());
    }

    #[test]
    fn a_request_beyond_its_size_is_none() {
        let (problem, text) = (problem(None), "x".repeat(MOST_BYTES / 2));
        let item = Item { problem: &problem, completion: completion(&text) };
        assert!(of(&[item]).is_some() && of(&[item, item]).is_none());
    }
}
