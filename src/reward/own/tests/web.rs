//! Servers that score, and judging models behind servers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::server::{Answer, Posted, Server};
use super::{built, failure, items, says, scores};
use crate::reward::Reward;
use crate::reward::test_support::problem;

/// A reward of `kind` at a server, with more keys.
fn at(server: &Server, kind: &str, keys: Value) -> Box<dyn Reward> {
    let mut settings = json!({"kind": kind, "url": server.address, "retries": 0});
    if kind == "judge" {
        settings["model"] = json!("wise");
        settings["prompt"] = json!("Is {{ completion }} right? It should be {{ answer }}.");
    }
    settings.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    built(&settings.to_string())
}

fn ok(body: Value) -> Answer {
    (200, body.to_string())
}

/// What a model says, as servers wrap it.
fn chat(reply: &str) -> Answer {
    ok(json!({"choices": [{"message": {"role": "assistant", "content": reply}}]}))
}

fn question(posted: &Posted) -> String {
    posted
        .body
        .pointer("/messages/0/content")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn a_server_is_posted_the_request_and_answers_the_rewards() {
    let server = Server::new(|_| ok(json!({"rewards": [0.5, null]})));
    let reward = at(&server, "http", json!({}));
    assert_eq!(scores(&*reward, &["46", "47"]).unwrap(), [Some(0.5), None]);
    let posted = server.posted();
    assert_eq!(posted[0].body["completions"], json!(["46", "47"]));
    says(&posted[0].head, &["post / http/1.1", "content-type: application/json"]);
}

#[test]
fn what_servers_do_wrong_is_told() {
    let failed = |answer: Answer, parts: &[&str]| {
        let server = Server::new(move |_| answer.clone());
        says(&failure(&*at(&server, "http", json!({"timeout_seconds": 0.5}))), parts);
    };
    failed((500, "boom".into()), &["status 500", "boom", "log of the server"]);
    failed((404, String::new()), &["status 404", "path of url"]);
    failed((401, "no key".into()), &["status 401", "api_key_env"]);
    failed((200, "<html>".into()), &["<html>", "rewards"]);
    failed((200, "1".repeat(10_000_000)), &["more than 4194304 bytes"]);
    failed(ok(json!({"rewards": [1]})), &["1 rewards for 2 completions"]);
    failed((200, r#"{"rewards": [1, NaN]}"#.into()), &["no finite number"]);
    failed((0, String::new()), &["cannot be reached"]);
    failed((1, String::new()), &["within 0.5 s"]);
    let gone = built(r#"{"kind":"http","url":"http://127.0.0.1:9/","retries":0}"#);
    says(&failure(&*gone), &["127.0.0.1:9", "cannot be reached", "the server runs"]);
}

#[test]
fn a_server_that_is_busy_is_asked_again_and_one_that_refuses_is_not() {
    let asked = AtomicUsize::new(0);
    let busy = Server::new(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => (503, String::new()),
        1 => (429, String::new()),
        _ => ok(json!({"rewards": [1, 1]})),
    });
    let reward = at(&busy, "http", json!({"retries": 2}));
    assert_eq!(scores(&*reward, &["46", "47"]).unwrap(), [Some(1.0); 2]);
    let refusing = Server::new(|_| (400, "no".into()));
    failure(&*at(&refusing, "http", json!({"retries": 5})));
    assert_eq!(refusing.posted().len(), 1);
}

#[test]
fn a_key_goes_to_the_server_and_into_no_message() {
    // A variable that every test has, in place of one that other tests would see come and go.
    let key = std::env::var("CARGO_PKG_NAME").unwrap();
    let server = Server::new(|_| (401, String::new()));
    let reward = at(&server, "http", json!({"api_key_env": "CARGO_PKG_NAME"}));
    reward.start().unwrap();
    let message = failure(&*reward);
    says(&server.posted()[0].head, &[&format!("authorization: bearer {key}")]);
    assert!(!message.to_lowercase().contains("bearer"), "{message}");
    let missing = at(&server, "judge", json!({"api_key_env": "WGRPO_NO_SUCH_KEY"}));
    says(&missing.start().unwrap_err().to_string(), &["judge", "WGRPO_NO_SUCH_KEY", "not set"]);
}

#[test]
fn a_judge_is_asked_about_each_completion_and_its_score_is_taken_to_0_and_1() {
    let server = Server::new(|posted| match question(posted).contains("Is 46 right") {
        true => chat("It is the same number. Score: 10"),
        false => chat("{\"score\": 2.5}"),
    });
    let reward = at(&server, "judge", json!({"concurrency": 2}));
    assert_eq!(scores(&*reward, &["46", "47", "46"]).unwrap(), [Some(1.0), Some(0.25), Some(1.0)]);
    let posted = server.posted();
    let body = &posted[0].body;
    assert_eq!((&body["model"], &body["temperature"]), (&json!("wise"), &json!(0)));
    says(&question(&posted[0]), &["It should be 46."]);
}

#[test]
fn a_judge_is_told_its_system_prompt_the_columns_and_its_parameters() {
    let server = Server::new(|_| chat("1"));
    let keys = json!({
        "system": "Be strict.", "scale": [1, 5], "parameters": {"max_tokens": 4, "temperature": 0.5},
        "prompt": "{{ prompt }}{{ completion }} {{ level }} {{ columns.level }} {{ messages }}"
    });
    let reward = at(&server, "judge", keys);
    let mut problem = problem(None);
    problem.columns.insert("level".into(), json!(3));
    problem.columns.insert("prompt".into(), json!("not this"));
    assert_eq!(reward.score_batch(&items(&problem, &["2"])).unwrap(), [Some(0.0)]);
    let body = &server.posted()[0].body;
    assert_eq!(body["messages"][0], json!({"role": "system", "content": "Be strict."}));
    assert_eq!(body["messages"][1]["content"], json!("1+1=2 3 3 1+1="));
    assert_eq!((&body["max_tokens"], &body["temperature"]), (&json!(4), &json!(0.5)));
}

#[test]
fn the_same_question_is_asked_once() {
    let server = Server::new(|_| chat("7"));
    let reward = at(&server, "judge", json!({"concurrency": 1}));
    for _ in 0..3 {
        assert_eq!(scores(&*reward, &["46", "47", "46"]).unwrap(), [Some(0.7); 3]);
    }
    assert_eq!(server.posted().len(), 2);
}

#[test]
fn a_judge_is_asked_as_many_questions_at_once_as_is_said() {
    let (now, most) = (AtomicUsize::new(0), std::sync::Arc::new(AtomicUsize::new(0)));
    let seen = std::sync::Arc::clone(&most);
    let server = Server::new(move |_| {
        seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(100));
        now.fetch_sub(1, Ordering::SeqCst);
        chat("7")
    });
    let texts: Vec<String> = (0..12).map(|n| n.to_string()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    scores(&*at(&server, "judge", json!({"concurrency": 4})), &texts).unwrap();
    assert_eq!(most.load(Ordering::SeqCst), 4);
}

#[test]
fn what_judges_do_wrong_is_told_and_is_never_a_score() {
    let failed = |answer: Answer, keys: Value, parts: &[&str]| {
        let server = Server::new(move |_| answer.clone());
        says(&failure(&*at(&server, "judge", keys)), parts);
    };
    failed(chat("I like it."), json!({}), &["I like it.", "no score", "Score: 7"]);
    failed(chat(""), json!({}), &["no score"]);
    failed(ok(json!({"error": "loading"})), json!({}), &["choices[0].message.content", "loading"]);
    failed((503, "busy".into()), json!({}), &["status 503", "busy"]);
    failed((1, String::new()), json!({"timeout_seconds": 0.3}), &["within 0.3 s"]);
    failed(chat("7"), json!({"prompt": "{{ levle }}"}), &["cannot be filled", "undefined"]);
    let endless = "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}";
    failed(chat("7"), json!({"prompt": endless}), &["cannot be filled", "fuel"]);
}
