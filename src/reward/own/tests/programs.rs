//! Programs that answer, and programs that do not.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{built, failure, refused, says, scores};
use crate::reward::Reward;

/// A reward by a shell program with more keys.
fn shell(program: &str, keys: serde_json::Value) -> Box<dyn Reward> {
    let mut settings = json!({"kind": "command", "command": ["/bin/sh", "-c", program]});
    settings.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    built(&settings.to_string())
}

/// A program that does something for each line that it reads.
fn each(answer: &str) -> String {
    format!("while read -r line; do {answer}; done")
}

fn is_running(id: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", id.trim())).unwrap_or_default();
    // What has ended and nobody asked for is a zombie.
    !stat.is_empty() && !stat.contains(") Z ")
}

#[track_caller]
fn ends(id: &str) {
    let begun = Instant::now();
    while is_running(id) {
        assert!(begun.elapsed() < Duration::from_secs(5), "{id} is still running");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_program_answers_line_by_line_in_one_process() {
    let reward = shell(
        &format!("n=0; {}", each(r#"n=$((n+1)); echo "{\"rewards\": [$n, null]}""#)),
        json!({}),
    );
    reward.start().unwrap();
    for n in [1.0, 2.0, 3.0] {
        assert_eq!(scores(&*reward, &["46", "47"]).unwrap(), [Some(n), None]);
    }
    assert_eq!(scores(&*reward, &[]).unwrap(), []);
}

#[test]
fn a_program_that_hangs_ends_with_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let ids = folder.path().join("ids");
    let program = format!("echo $$ > {}; {}", ids.display(), each("sleep 1000"));
    let reward = shell(&program, json!({"timeout_seconds": 0.3}));
    says(&failure(&*reward), &["command", "within 0.3 s", "timeout_seconds"]);
    ends(&fs::read_to_string(ids).unwrap());
}

#[test]
fn a_program_that_does_not_even_read_ends_with_its_time() {
    let reward = shell("sleep 1000", json!({"timeout_seconds": 0.3}));
    let text = "x".repeat(1 << 20);
    let begun = Instant::now();
    says(&scores(&*reward, &[&text]).unwrap_err().to_string(), &["within 0.3 s"]);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_program_that_dies_is_named_with_its_status_and_its_last_words() {
    let dying = each("echo of sorrow >&2; exit 3");
    says(&failure(&*shell(&dying, json!({}))), &["exit status: 3", "of sorrow"]);
    says(&failure(&*shell("exit 0", json!({}))), &["exit status: 0", "standard input"]);
    says(&failure(&*shell(&each("kill -9 $$"), json!({}))), &["signal: 9"]);
}

#[test]
fn a_program_that_dies_while_its_child_holds_the_pipe_is_dead_nevertheless() {
    let folder = tempfile::tempdir().unwrap();
    let ids = folder.path().join("ids");
    let program = format!("sleep 1000 & echo $! > {}; read -r line; exit 4", ids.display());
    says(&failure(&*shell(&program, json!({}))), &["exit status: 4"]);
    ends(&fs::read_to_string(ids).unwrap());
}

#[test]
fn a_program_that_prints_garbage_is_shown_it() {
    let garbage = each(r"printf 'hello \033[2J world\n'");
    says(&failure(&*shell(&garbage, json!({}))), &["hello", "rewards", "standard error"]);
    let early = shell("echo ready; sleep 1000", json!({}));
    early.start().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    says(&failure(&*early), &["ready", "before it was asked"]);
}

#[test]
fn too_few_rewards_and_rewards_that_are_no_numbers_are_refused() {
    let few = each(r#"echo '{"rewards": [1]}'"#);
    says(&failure(&*shell(&few, json!({}))), &["1 rewards for 2 completions"]);
    let nan = each(r#"echo '{"rewards": [1, NaN]}'"#);
    says(&failure(&*shell(&nan, json!({}))), &["no finite number", "null"]);
}

#[test]
fn ten_megabytes_in_a_line_are_refused_unread() {
    let long = each("head -c 10000000 /dev/zero | tr '\\0' 1; echo");
    says(&failure(&*shell(&long, json!({}))), &["more than 4194304 bytes"]);
    let endless = "tr '\\0' 1 < /dev/zero";
    says(&failure(&*shell(endless, json!({}))), &["4194304 bytes"]);
}

#[test]
fn a_flood_on_standard_error_is_drained_and_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let flood =
        each("yes flood | head -c 100000000 >&2; echo last >&2; echo '{\"rewards\": [1, 0]}'");
    let reward = shell(&format!("{flood}; exit 1"), json!({}));
    reward.keep_in(folder.path(), "mine");
    assert_eq!(scores(&*reward, &["46", "47"]).unwrap(), [Some(1.0), Some(0.0)]);
    let log = fs::metadata(folder.path().join("mine.log")).unwrap().len();
    assert!((1 << 26..=(1 << 26) + (1 << 17)).contains(&log), "{log}");
    let endless = shell("yes flood >&2", json!({"timeout_seconds": 0.5}));
    says(&failure(&*endless), &["within 0.5 s", "flood"]);
}

#[test]
fn what_a_program_starts_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let ids = folder.path().join("ids");
    let answer = each(r#"echo '{"rewards": [1, 1]}'"#);
    let program = format!("(sleep 1000 & sleep 1000) & echo $! > {}; {answer}", ids.display());
    let reward = shell(&program, json!({}));
    assert!(scores(&*reward, &["46", "47"]).is_ok());
    let child = fs::read_to_string(ids).unwrap();
    assert!(is_running(&child) || !Path::new("/proc/self/stat").exists());
    drop(reward);
    ends(&child);
}

#[test]
fn a_retry_starts_a_program_anew_and_a_second_failure_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let answer = each(r#"echo '{"rewards": [1, 1]}'"#);
    let program = format!("test -e {0} || {{ touch {0}; exit 1; }}; {answer}", mark.display());
    let reward = shell(&program, json!({"retries": 1}));
    assert_eq!(scores(&*reward, &["46", "47"]).unwrap(), [Some(1.0); 2]);
    says(&failure(&*shell("exit 1", json!({"retries": 2}))), &["exit status: 1"]);
}

#[test]
fn a_failed_request_is_saved_and_named_with_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let reward = shell(&each("echo oh no >&2; exit 1"), json!({"name": "mine"}));
    reward.keep_in(&folder.path().join("rewards"), "mine_2");
    says(&failure(&*reward), &["mine_2", "rewards/mine_2.log", "rewards/mine_2.request.json"]);
    let saved = fs::read_to_string(folder.path().join("rewards/mine_2.request.json")).unwrap();
    let saved: serde_json::Value = serde_json::from_str(&saved).unwrap();
    assert_eq!(saved["completions"], json!(["46", "47"]));
    let log = fs::read_to_string(folder.path().join("rewards/mine_2.log")).unwrap();
    says(&log, &["oh no", "wgrpo: failed: the program ended"]);
    // What was asked can be asked again by hand.
    assert_eq!(saved["answer"], json!(["46", "46"]));
}

#[test]
fn signals_that_this_program_waits_for_reach_what_a_program_starts() {
    // As `timeout` ends a test of code.
    let stopped = each("sleep 1000 & kill -TERM $!; wait $!; echo \"{\\\"rewards\\\": [$?, 1]}\"");
    let signals = nix::sys::signal::SigSet::from_iter([nix::sys::signal::Signal::SIGTERM]);
    signals.thread_block().unwrap();
    let found = scores(&*shell(&stopped, json!({"timeout_seconds": 5})), &["46", "47"]);
    signals.thread_unblock().unwrap();
    assert_eq!(found.unwrap(), [Some(143.0), Some(1.0)]);
}

#[test]
fn a_program_that_is_not_there_is_told_before_the_run() {
    let reward = built(r#"{"kind": "command", "command": ["/no/such/program"]}"#);
    let message = reward.start().unwrap_err().to_string();
    says(&message, &["command", "/no/such/program", "No such file", "PATH"]);
}

#[test]
fn settings_that_make_no_sense_are_refused_by_their_key() {
    for (settings, key) in [
        (r#"{"kind":"command","command":[]}"#, "command.command"),
        (r#"{"kind":"command","command":["a"],"timeout_seconds":0}"#, "command.timeout_seconds"),
        (r#"{"kind":"command","command":["a"],"timeout_seconds":1e300}"#, "timeout_seconds"),
        (r#"{"kind":"command","command":["a"],"name":"a/b"}"#, "command.name"),
        (r#"{"kind":"python","path":"a.py","function":"a b"}"#, "python.function"),
        (r#"{"kind":"http","url":"localhost:8000"}"#, "http.url"),
        (r#"{"kind":"http","url":"http://me:secret@host/"}"#, "api_key_env"),
        (r#"{"kind":"judge","url":"http://h","model":"m","prompt":"{{ a"}"#, "judge.prompt"),
        (
            r#"{"kind":"judge","url":"http://h","model":"m","prompt":"a","scale":[1,1]}"#,
            "judge.scale",
        ),
        (
            r#"{"kind":"judge","url":"http://h","model":"m","prompt":"a","concurrency":0}"#,
            "concurrency",
        ),
    ] {
        let message = refused(settings);
        says(&message, &["rewards: ", key]);
        assert!(!message.contains("secret"), "{message}");
    }
}
