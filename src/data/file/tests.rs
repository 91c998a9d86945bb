//! Files of problems: which column is the prompt, which the answer, and what is refused.

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

// Presets.

fn conversation_of(turns: &[(&str, &str)]) -> Prompt {
    Prompt::Messages(turns.iter().map(|(role, content)| Message::new(*role, *content)).collect())
}

fn lines_of(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

/// The one problem of a row, read by a preset and by the columns alone.
fn one(kind: &str, row: &Value, more: Value) -> Problem {
    let mut settings = more;
    settings["kind"] = json!(kind);
    let read = load(&row.to_string(), settings.clone()).unwrap().train.remove(0);
    settings["kind"] = json!("auto");
    let guessed = load(&row.to_string(), settings).unwrap().train.remove(0);
    assert_eq!(read, guessed, "{kind} is not what the columns tell");
    read
}

#[test]
fn gsm8k_is_read_as_published() {
    let solution = "6*200=<<6*200=1200>>1,200\n#### 1,200";
    let row = json!({"question": "How many?", "answer": solution});
    let problem = one("gsm8k", &row, json!({}));
    assert_eq!(problem.answer.as_deref(), Some("1200"));
    assert_eq!(problem.columns["answer"], solution);
    let Prompt::Messages(turns) = &problem.prompt else { panic!("no conversation") };
    assert_eq!((turns.len(), turns[0].role.as_str()), (1, "user"));
    assert!(
        turns[0].content.starts_with("How many?\n\n") && turns[0].content.contains("#### number")
    );
    let plain = json!({"chat": false, "system": "S", "template": "Q: {question}\nA:"});
    assert_eq!(one("gsm8k", &row, plain).prompt, Prompt::Text("S\n\nQ: How many?\nA:".into()));
    let refused = |line: &str, part: &str| check_error(line, json!({"kind": "gsm8k"}), &[part]);
    refused(r#"{"question":"q","answer":"12"}"#, "p.jsonl:1: the answer has no");
    refused(r#"{"question":"q","answer":"12 #### "}"#, "nothing stands after");
    refused(r#"{"answer":"12 #### 3"}"#, "no column \"question\"");
}

#[test]
fn math_is_read_as_published() {
    let row = json!({
        "problem": "What is $\\frac{1}{4}+\\frac{1}{4}$?", "level": "Level 1", "type": "Algebra",
        "solution": "It is $\\frac{2}{4} = \\boxed{\\frac{1}{2}}$."
    });
    let problem = one("math", &row, json!({}));
    assert_eq!(problem.answer.as_deref(), Some("\\frac{1}{2}"));
    let Prompt::Messages(turns) = &problem.prompt else { panic!("no conversation") };
    let task = "\n\nPlease reason step by step, and put your final answer within \\boxed{}.";
    assert_eq!(turns[0].content, format!("{}{task}", row["problem"].as_str().unwrap()));
    // MATH-500 has the answer in a column of its own.
    let mut with_answer = row.clone();
    with_answer["answer"] = json!("0.5");
    assert_eq!(one("math", &with_answer, json!({})).answer.as_deref(), Some("0.5"));
    let explicit = json!({"answer_column": "solution", "prompt": "{{ problem }}", "chat": false});
    let problem = one("math", &with_answer, explicit);
    assert_eq!(problem.answer.as_deref(), Some("\\frac{1}{2}"));
    assert_eq!(problem.prompt, Prompt::Text(row["problem"].as_str().unwrap().into()));
    // A solution without a box, of some length, is no answer.
    let unmarked = json!({"problem": "p", "solution": "We see\nthat it holds."});
    assert_eq!(one("math", &unmarked, json!({})).answer, None);
}

#[test]
fn rows_of_roll_are_read_as_roll_reads_them() {
    let turns = json!([{"role": "system", "content": "Box it."}, {"role": "user", "content": "Compute 1+1."}]);
    let row = json!({
        "id": "1", "source": "deepmath", "prompt": "Compute 1+1.", "messages": turns.to_string(),
        "ground_truth": "2", "tag": "deepmath", "difficulty": 3
    });
    let problem = one("roll", &row, json!({}));
    let expected = conversation_of(&[("system", "Box it."), ("user", "Compute 1+1.")]);
    assert_eq!((problem.prompt, problem.answer.as_deref()), (expected, Some("2")));
    assert_eq!(problem.columns["difficulty"], 3);
    // Without messages it encodes the prompt as it stands.
    let plain =
        load(r#"{"prompt": "1+1=", "ground_truth": "2"}"#, json!({"kind": "roll"})).unwrap();
    assert_eq!(plain.train[0].prompt, Prompt::Text("1+1=".into()));
}

#[test]
fn both_forms_of_trl_are_read() {
    let plain = json!({"prompt": "1+1=", "solution": "$\\boxed{2}$"});
    let problem = one("trl", &plain, json!({}));
    assert_eq!(
        (problem.prompt, problem.answer.as_deref()),
        (Prompt::Text("1+1=".into()), Some("2"))
    );
    let turns = json!([{"role": "user", "content": "1+1?"}]);
    let row = json!({"prompt": turns, "completion": [{"role": "assistant", "content": "2"}], "solution": "2"});
    let problem = one("trl", &row, json!({}));
    let expected = conversation_of(&[("user", "1+1?")]);
    assert_eq!((problem.prompt, problem.answer.as_deref()), (expected, Some("2")));
}

#[test]
fn verl_and_openr1_are_read_from_what_pyarrow_and_datasets_write() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/data");
    let of = |kind: Value, file: &str| {
        let mut config = json!({"path": format!("{fixtures}/{file}.parquet")});
        if !kind.is_null() {
            config["kind"] = kind;
        }
        serde_json::from_value::<DataConfig>(config).unwrap().load(0).unwrap()
    };
    let verl = of(json!("verl"), "verl");
    assert_eq!(verl.train.len(), 10);
    assert_eq!(verl.train[4].prompt, conversation_of(&[("user", "What is 4+4?")]));
    assert_eq!(verl.train[4].answer.as_deref(), Some("8"));
    assert_eq!(verl.train[4].columns["extra_info"]["index"], 4);
    assert_eq!(of(Value::Null, "verl").train, verl.train);
    let openr1 = of(json!("openr1"), "openr1");
    let Prompt::Messages(turns) = &openr1.train[3].prompt else { panic!("no conversation") };
    assert!(turns[0].content.starts_with("Compute $3+1$.\n\nPlease reason"));
    assert_eq!(openr1.train[3].answer.as_deref(), Some("4"));
    // The solutions of a teacher do not stand in the prompt, nor in memory.
    let names: Vec<&String> = openr1.train[3].columns.keys().collect();
    assert_eq!(names, ["problem", "solution", "answer", "correctness_math_verify"]);
    let guessed = of(Value::Null, "openr1");
    assert_eq!(guessed.train, openr1.train);
    assert!(guessed.notes[0].contains("data.kind openr1 is taken"), "{:?}", guessed.notes);
}

// Templates.

#[test]
fn a_prompt_is_a_template_over_columns_at_any_depth() {
    let line = r#"{"q":"How far","meta":{"unit":"km"},"steps":[1,2]}"#;
    let prompt = "{{ q }} ({{ meta.unit }})? {% for s in steps %}{{ s }};{% endfor %}";
    assert_eq!(
        prompts(line, json!({"prompt": prompt})),
        [Prompt::Text("How far (km)? 1;2;".into())]
    );
    let parts = [":1:", "data.prompt", "qq is undefined", "q, meta, meta.unit, steps"];
    check_error(line, json!({"prompt": "{{ qq }}"}), &parts);
    check_error(line, json!({"prompt": "{{ q"}), &["data.prompt: "]);
    check_error(
        line,
        json!({"prompt": "{{ q }}", "template": "{q}"}),
        &["data.prompt", "data.template"],
    );
    let system = json!({"prompt": "{{ q }}", "system": "S"});
    assert_eq!(prompts(line, system), [conversation_of(&[("system", "S"), ("user", "How far")])]);
}

#[test]
fn chat_says_whether_a_prompt_is_a_conversation() {
    let line = r#"{"prompt":"1+1="}"#;
    assert_eq!(prompts(line, json!({"chat": true})), [conversation_of(&[("user", "1+1=")])]);
    let turns = format!("{{\"messages\":[{USER}]}}");
    assert_eq!(prompts(&turns, json!({"chat": false})), [Prompt::Text("3*4?".into())]);
}

#[test]
fn a_conversation_may_end_with_a_begun_turn_of_the_model_where_that_is_asked_for() {
    let line = format!(r#"{{"messages":[{USER},{{"role":"assistant","content":"<think>"}}]}}"#);
    check_error(&line, json!({}), &["ends with what the assistant says", "prefill"]);
    check_error(&line, json!({"prefill": false}), &["ends with what the assistant says"]);
    let expected = conversation_of(&[("user", "3*4?"), ("assistant", "<think>")]);
    assert_eq!(prompts(&line, json!({"prefill": true})), std::slice::from_ref(&expected));
    let line = format!("{{\"messages\":[{USER}],\"tag\":\"think\"}}");
    assert_eq!(prompts(&line, json!({"prefill": "<{{ tag }}>"})), [expected]);
    let plain = json!({"prefill": " So"});
    assert_eq!(prompts(r#"{"prompt":"1+1=?"}"#, plain), [Prompt::Text("1+1=? So".into())]);
}

#[test]
fn examples_stand_before_each_problem() {
    let row =
        |n: usize| json!({"question": format!("{n}?"), "answer": format!("It is {n}.\n#### {n}")});
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("t.jsonl"), lines_of(&[row(7)])).unwrap();
    fs::write(path("e.jsonl"), lines_of(&[row(1), row(2), row(3)])).unwrap();
    let read = |more: Value| {
        let mut config =
            json!({"kind": "gsm8k", "path": path("t.jsonl"), "template": "{question}"});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value::<DataConfig>(config)
            .unwrap()
            .load(0)
            .map(|mut d| d.train.remove(0).prompt)
    };
    let two = format!("{}#2", path("e.jsonl"));
    let chat = read(json!({"examples": two, "system": "S"})).unwrap();
    let expected = [
        ("system", "S"),
        ("user", "1?"),
        ("assistant", "It is 1.\n#### 1"),
        ("user", "2?"),
        ("assistant", "It is 2.\n#### 2"),
        ("user", "7?"),
    ];
    assert_eq!(chat, conversation_of(&expected));
    let plain = read(json!({"examples": two, "chat": false})).unwrap();
    assert_eq!(plain, Prompt::Text("1?\nIt is 1.\n#### 1\n\n2?\nIt is 2.\n#### 2\n\n7?".into()));
    let reply = json!({"examples": {"path": two, "reply": " {{ answer[-1] }}"}, "chat": false});
    assert_eq!(read(reply).unwrap(), Prompt::Text("1? 1\n\n2? 2\n\n7?".into()));
    let config = json!({
        "kind": "file", "path": path("t.jsonl"), "examples": two,
        "prompt": "{% for e in examples %}{{ e.question }} {% endfor %}{{ question }}"
    });
    let own = serde_json::from_value::<DataConfig>(config).unwrap().load(0).unwrap();
    assert_eq!(own.train[0].prompt, Prompt::Text("1? 2? 7?".into()));
    assert!(read(json!({"examples": path("none.jsonl")})).is_err());
}

// What is left out, and what is told.

#[test]
fn a_filter_is_a_condition_on_columns_and_says_how_many_it_left_out() {
    let rows: Vec<Value> =
        (0..6).map(|n| json!({"prompt": n.to_string(), "meta": {"level": n}})).collect();
    let lines = lines_of(&rows);
    let dataset = load(&lines, json!({"filter": "meta.level > 1 and meta.level != 4"})).unwrap();
    let ids: Vec<u64> = dataset.train.iter().map(|problem| problem.id).collect();
    assert_eq!(ids, [2, 3, 5]);
    assert_eq!(dataset.notes, ["3 rows are left out by data.filter"]);
    let limited = load(&lines, json!({"filter": "meta.level > 1", "limit": 2})).unwrap();
    assert_eq!(limited.train.len(), 2);
    check_error(
        &lines,
        json!({"filter": "levle > 1"}),
        &[":1:", "levle is undefined", "meta.level"],
    );
    check_error(&lines, json!({"filter": "meta.level >"}), &["data.filter"]);
    check_error(
        &lines,
        json!({"filter": "meta.level > 9"}),
        &["data.path", "6 rows are left out by data.filter"],
    );
}

#[test]
fn rows_that_make_no_problem_are_left_out_where_that_is_asked_for_and_counted_by_reason() {
    let lines = format!(
        "{}\n{}\n{}\n{{\"messages\":[{USER},{ASSISTANT}]}}\n{}\n",
        r#"{"prompt":"a"}"#,
        r#"{"prompt":""}"#,
        r#"{"prompt":" "}"#,
        r#"{"prompt":"b","answer":[1]}"#
    );
    check_error(&lines, json!({}), &[":2:", "is empty"]);
    let dataset = load(&lines, json!({"bad_rows": "leave_out"})).unwrap();
    assert_eq!(dataset.train.len(), 1);
    let notes = dataset.notes.join("\n");
    for part in [
        "2 rows are left out, the first of them: ",
        "p.jsonl:2: column \"prompt\" is empty",
        "1 row is left out: ",
        "p.jsonl:4: the conversation",
        "p.jsonl:5: column \"answer\" holds a list",
    ] {
        assert!(notes.contains(part), "{part} is not in {notes}");
    }
    let none = [r#"{"text":"a"}"#, r#"{"text":"b"}"#].join("\n");
    let parts = ["no row is left", "2 rows are left out", "no column \"prompt\" among [\"text\"]"];
    check_error(&none, json!({"bad_rows": "leave_out"}), &parts);
    // A line that is broken is no row.
    check_error("{\"prompt\":\"a\"}\n{", json!({"bad_rows": "leave_out"}), &[":2:", "broken JSON"]);
}

// Several files, and the held-out part.

/// A folder with files of so many rows, `a.jsonl` with the prompts a0, a1, ...
fn files(counts: &[(&str, usize)]) -> (tempfile::TempDir, impl Fn(&str) -> String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, count) in counts {
        let rows: Vec<Value> = (0..*count)
            .map(|n| json!({"prompt": format!("{name}{n}"), "test": n % 4 == 0}))
            .collect();
        fs::write(folder.path().join(format!("{name}.jsonl")), lines_of(&rows)).unwrap();
    }
    let root = folder.path().to_owned();
    (folder, move |name: &str| root.join(name).display().to_string())
}

fn loaded(config: Value) -> Result<Dataset, String> {
    let config: DataConfig = serde_json::from_value(config).map_err(|error| error.to_string())?;
    config.load(3).map_err(|error| error.to_string())
}

fn texts(part: &[Problem]) -> Vec<String> {
    part.iter().map(|problem| problem.prompt.text()).collect()
}

#[test]
fn several_files_follow_each_other_and_each_gives_its_first_rows() {
    let (_folder, at) = files(&[("a", 3), ("b", 5)]);
    let path = json!([format!("{}#2", at("a.jsonl")), {"path": at("b.jsonl"), "take": 1}]);
    let dataset = loaded(json!({"kind": "file", "path": path})).unwrap();
    assert_eq!(texts(&dataset.train), ["a0", "a1", "b0"]);
    let ids: Vec<u64> = dataset.train.iter().map(|problem| problem.id).collect();
    assert_eq!(ids, [0, 1, 2]);
    let limited = loaded(json!({"path": [at("a.jsonl"), at("b.jsonl")], "limit": 4})).unwrap();
    assert_eq!(texts(&limited.train), ["a0", "a1", "a2", "b0"]);
}

#[test]
fn weights_are_the_shares_of_a_mixture_and_what_is_not_used_is_told() {
    let (_folder, at) = files(&[("a", 10), ("b", 50)]);
    let mixture = |seed: u64| {
        let path =
            json!([{"path": at("a.jsonl"), "weight": 1}, {"path": at("b.jsonl"), "weight": 3}]);
        let config: DataConfig = serde_json::from_value(json!({"path": path})).unwrap();
        config.load(seed).unwrap()
    };
    let dataset = mixture(0);
    let of =
        |letter: char| texts(&dataset.train).iter().filter(|text| text.starts_with(letter)).count();
    assert_eq!((of('a'), of('b')), (10, 30));
    assert!(
        dataset.notes.iter().any(|note| note.contains("30 of the 50 rows")),
        "{:?}",
        dataset.notes
    );
    assert_eq!(mixture(0), dataset);
    assert_ne!(mixture(1).train, dataset.train);
    let far = json!([{"path": at("a.jsonl"), "weight": 1e6}, {"path": at("b.jsonl"), "weight": 1}]);
    assert!(loaded(json!({"path": far})).unwrap_err().contains("no row of"));
}

#[test]
fn the_held_out_part_is_a_share_a_column_or_a_split() {
    let (folder, at) = files(&[("train", 12), ("test", 4)]);
    let share = loaded(json!({"path": at("train.jsonl"), "held_out_share": 0.25})).unwrap();
    assert_eq!((share.train.len(), share.held_out.len()), (9, 3));
    let column = loaded(json!({"path": at("train.jsonl"), "held_out_column": "test"})).unwrap();
    assert_eq!(texts(&column.held_out), ["train0", "train4", "train8"]);
    assert_eq!(column.train.len(), 9);
    let some = json!({"path": at("train.jsonl"), "held_out_column": "test", "held_out": 2});
    assert_eq!(loaded(some).unwrap().held_out.len(), 2);
    let root = folder.path().display().to_string();
    let split = loaded(json!({"path": root, "split": "train", "held_out_split": "test"})).unwrap();
    assert_eq!((split.train.len(), split.held_out.len()), (12, 4));
    let ids: std::collections::HashSet<u64> =
        split.train.iter().chain(&split.held_out).map(|problem| problem.id).collect();
    assert_eq!(ids.len(), 16);
    for (more, key) in [
        (json!({"held_out_share": 0.5, "held_out": 2}), "data.held_out_share"),
        (json!({"held_out_share": 0.5, "held_out_split": "test"}), "data.held_out_share"),
        (json!({"held_out_column": "test", "held_out_path": "x"}), "data.held_out_column"),
        (json!({"held_out_column": "none"}), "data.held_out_column"),
    ] {
        let mut config = json!({"path": at("train.jsonl")});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let error = loaded(config).unwrap_err();
        assert!(error.contains(key), "{error}");
    }
}

#[test]
fn problems_of_both_parts_are_left_out_and_near_ones_counted() {
    let lines = "{\"prompt\":\"b\"}\n{\"prompt\":\"H \"}\n{\"prompt\":\"c\"}\n";
    let dataset = load(lines, json!({"held_out_path": true})).unwrap();
    assert_eq!(texts(&dataset.train), ["H ", "c"]);
    assert!(dataset.notes[0].starts_with("1 training problems are left out, because"));
    assert!(dataset.notes[1].starts_with("1 training problems differ from a held-out one only"));
}

#[test]
fn a_folder_is_read_as_a_data_set_and_its_files_are_known() {
    let (folder, at) = files(&[("train", 3), ("test", 2)]);
    let config = |more: Value| {
        let mut config = json!({"path": folder.path()});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value::<DataConfig>(config).unwrap()
    };
    assert_eq!(config(json!({})).load(0).unwrap().train.len(), 3);
    let files = config(json!({"held_out_split": "test"})).files();
    let expected = [("path", "train.jsonl"), ("held_out_split", "test.jsonl")];
    let expected = expected.map(|(key, name)| (key.to_owned(), at(name).into()));
    assert_eq!(files, expected);
    let error = config(json!({"split": "dev"})).load(0).unwrap_err().to_string();
    assert!(error.contains("no split \"dev\"") && error.contains("test, train"), "{error}");
}

#[test]
fn kinds_that_say_how_a_file_is_written_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.txt");
    fs::write(&path, "prompt,answer\n1+1=,2\n").unwrap();
    let dataset = loaded(json!({"kind": "csv", "path": path})).unwrap();
    assert_eq!(dataset.train[0].answer.as_deref(), Some("2"));
    fs::write(&path, r#"[{"prompt": "1+1=", "answer": 2}]"#).unwrap();
    assert_eq!(loaded(json!({"kind": "json", "path": path})).unwrap().train, dataset.train);
    assert!(loaded(json!({"kind": "parquet", "path": path})).unwrap_err().contains("PAR1"));
    assert!(loaded(json!({})).unwrap_err().contains("kind"));
}

#[test]
fn columns_are_kept_for_rewards_all_or_those_that_are_named() {
    let line = r#"{"prompt":"a","difficulty":3,"meta":{"x":1},"long":"..."}"#;
    let names = |settings: Value| {
        let train = load(line, settings).unwrap().train;
        train[0].columns.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(names(json!({})).len(), 4);
    assert_eq!(names(json!({"keep_columns": ["difficulty", "meta.x"]})), ["difficulty", "meta"]);
}
