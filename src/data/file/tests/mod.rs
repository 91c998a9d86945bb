//! Files of problems: which column is the prompt, which the answer, and what is refused.

mod left_out;
mod parts;
mod presets;
mod templates;

use super::*;
use crate::data::{DataConfig, Message, Problem, Prompt};
use serde_json::json;
use std::fs;

/// Loads these lines, as `p.jsonl` beside a file `h.jsonl`, by these keys.
fn load(lines: &str, settings: Value) -> Result<Dataset, DataError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.jsonl");
    fs::write(&path, lines).unwrap();
    fs::write(folder.path().join("h.jsonl"), "{\"prompt\":\"h\"}\n{\"prompt\":\"b\"}\n").unwrap();
    let mut settings = settings;
    settings["path"] = json!(path);
    if settings["kind"].is_null() {
        settings["kind"] = json!("file");
    }
    if settings["held_out_path"] == true {
        settings["held_out_path"] = json!(folder.path().join("h.jsonl"));
    }
    serde_json::from_value::<DataConfig>(settings).unwrap().load(0)
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
    let lines =
        format!("{{\"messages\":{turn}}}\n{{\"prompt\":{turn},\"id\":2}}\n{{\"prompt\":\"hi\"}}");
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
    let line =
        format!(r#"{{"prompt":"p","question":"q","messages":[{USER}],"turns":[{USER},{USER}]}}"#);
    let conversation = |turns| Prompt::Messages(vec![Message::new("user", "3*4?"); turns]);
    let first = |settings| prompts(&line, settings).remove(0);
    assert_eq!(first(json!({})), conversation(1));
    assert_eq!(first(json!({"prompt_column": "prompt"})), Prompt::Text("p".into()));
    assert_eq!(first(json!({"prompt_column": "question"})), Prompt::Text("q".into()));
    assert_eq!(first(json!({"messages_column": "turns"})), conversation(2));
    let both = json!({"prompt_column": "question", "messages_column": "turns"});
    check_error(
        &line,
        both,
        &["data.prompt_column", "\"question\"", "data.messages_column \"turns\""],
    );
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

const HUMAN: &str = r#"{"from":"human","value":"3*4?"}"#;
const GPT: &str = r#"{"from":"gpt","value":"3*4=12, so 12"}"#;

#[test]
fn a_conversation_of_sharegpt_is_read_under_its_own_names() {
    let system = r#"{"from":"system","value":"Add."}"#;
    let turns = format!("[{system},{HUMAN},{GPT},{HUMAN}]");
    let text = json!(turns);
    let lines = format!(
        "{{\"prompt\":{turns}}}\n{{\"prompt\":{text}}}\n{{\"messages\":{turns}}}\n{{\"messages\":{text}}}"
    );
    let said =
        [("system", "Add."), ("user", "3*4?"), ("assistant", "3*4=12, so 12"), ("user", "3*4?")];
    let said = said.map(|(role, content)| Message::new(role, content));
    let expected = Prompt::Messages(said.to_vec());
    assert_eq!(prompts(&lines, json!({})), vec![expected; 4]);
}

#[test]
fn a_solution_is_found_in_every_form_of_a_conversation() {
    let refused = |turns: &str, parts: &[&str]| {
        for column in [turns.to_owned(), json!(turns).to_string()] {
            check_error(&format!("{{\"prompt\":{column}}}"), json!({}), parts);
            check_error(&format!("{{\"messages\":{column}}}"), json!({}), parts);
        }
    };
    let solved = |turns: &str| refused(turns, &[":1:", "ends with what the assistant says"]);
    solved(&format!("[{HUMAN},{GPT}]"));
    for role in ["user", "system", "tool"] {
        let after = format!(r#"{{"role":"{role}","content":" \n"}}"#);
        solved(&format!("[{USER},{ASSISTANT},{after}]"));
    }
    solved(&format!(r#"[{USER},{ASSISTANT},{{"role":"system","content":"Be kind."}}]"#));
    for role in [" Assistant ", "ASSISTANT", "Gpt", "model\\n"] {
        solved(&format!(r#"[{USER},{{"role":"{role}","content":"12"}}]"#));
    }
    let other_names = r#"[{"who":"user","says":"3*4?"},{"who":"assistant","says":"12"}]"#;
    refused(other_names, &[":1:", "no text in \"role\"", "expected [{"]);
    let printed = "[{'role': 'user', 'content': '3*4?'}, {'role': 'assistant', 'content': '12'}]";
    let line = format!("{{\"prompt\":{}}}", json!(printed));
    check_error(&line, json!({}), &[":1:", "looks like a conversation", "no JSON"]);
}

#[test]
fn an_empty_turn_at_the_end_is_left_out() {
    for role in ["assistant", "user"] {
        let line = format!(r#"{{"messages":[{USER},{{"role":"{role}","content":""}}]}}"#);
        let expected = Prompt::Messages(vec![Message::new("user", "3*4?")]);
        assert_eq!(prompts(&line, json!({})), [expected]);
    }
}

#[test]
fn a_text_about_json_stays_a_text() {
    for text in [
        r#"[{"from": "A", "to": "B", "km": 3}]"#,
        r#"[{"name": "x", "value": 3}] What is the sum?"#,
        "[{'role': 'user', 'content': 'x'}] What is wrong here?",
        "[1, 2",
    ] {
        let line = format!("{{\"prompt\":{}}}", json!(text));
        assert_eq!(prompts(&line, json!({})), [Prompt::Text(text.into())]);
    }
    // As JSON it would take a hundred times its bytes.
    let long = format!("[{}0]", "0,".repeat(1_000_000));
    let line = format!("{{\"prompt\":\"{long}\"}}");
    assert_eq!(prompts(&line, json!({})), [Prompt::Text(long)]);
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

fn conversation_of(turns: &[(&str, &str)]) -> Prompt {
    Prompt::Messages(turns.iter().map(|(role, content)| Message::new(*role, *content)).collect())
}

fn lines_of(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}
