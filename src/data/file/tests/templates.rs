//! Prompts as templates, conversations, examples and begun turns.

use super::*;

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
