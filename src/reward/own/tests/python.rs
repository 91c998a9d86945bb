//! Functions of Python files, as TRL calls them.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::json;

use super::{built, items, says, scores};
use crate::data::{Message, Problem, Prompt};
use crate::reward::test_support::{completion, problem};
use crate::reward::{EXAMPLE, Item, Reward, RewardError};

const REWARDS: &str = r#"
import asyncio, os, subprocess, sys
from helper import RIGHT
print("loading")
os.system("echo loud")

def accuracy(prompts, completions, answer, **kwargs):
    print("scoring", len(completions))
    assert prompts == ["1+1="] * len(prompts) and "completion_ids" in kwargs
    return [RIGHT if c == a else 0.0 for c, a in zip(completions, answer)]

def level_of(completions, level):
    return [value if value is None else float(value) for value in level]

async def later(completions, **kwargs):
    await asyncio.sleep(0.01)
    return [True if len(c) == 2 else None for c in completions]

def last_turn(prompts, completions, **kwargs):
    return [float(c[0]["content"] == "4" and c[0]["role"] == "assistant" and p[-1]["role"] == "user")
            for p, c in zip(prompts, completions)]

class Scores(list): pass
def gives_nan(completions, **kwargs): return Scores([1.0, float("nan")])
def raises(completions, **kwargs): return {}["missing"]
def leaves(completions, **kwargs): sys.exit("gone")
def few(completions, **kwargs): return [1]
def nothing(completions, **kwargs): pass
def text(completions, **kwargs): return ["good", "bad"]
"#;

/// Whether there is a Python to test with; where not, the test says so and passes.
fn has_python() -> bool {
    let found = Command::new("python3").arg("--version").stdout(Stdio::null()).status();
    let found = found.is_ok_and(|status| status.success());
    if !found {
        println!("not tested: there is no python3");
    }
    found
}

/// The reward of a function, and the folder that its file lies in.
fn function(name: &str) -> (tempfile::TempDir, Box<dyn Reward>) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("my rewards.v2.py"), REWARDS).unwrap();
    fs::write(folder.path().join("helper.py"), "RIGHT = 1.0\n").unwrap();
    let path = folder.path().join("my rewards.v2.py");
    let reward = built(&json!({"kind": "python", "path": path, "function": name}).to_string());
    reward.keep_in(&folder.path().join("run"), name);
    (folder, reward)
}

fn scored(name: &str) -> Result<Vec<Option<f64>>, RewardError> {
    let (_folder, reward) = function(name);
    scores(&*reward, &["46", "4"])
}

#[test]
fn a_function_written_for_trl_works_unchanged_and_may_print() {
    if !has_python() {
        return;
    }
    let (folder, reward) = function("accuracy");
    assert_eq!(reward.name(), "accuracy");
    reward.start().unwrap();
    for _ in 0..3 {
        assert_eq!(scores(&*reward, &["46", "4"]).unwrap(), [Some(1.0), Some(0.0)]);
    }
    drop(reward);
    let log = fs::read_to_string(folder.path().join("run/accuracy.log")).unwrap();
    assert_eq!(log.matches("scoring 2").count(), 3, "{log}");
    says(&log, &["loading", "loud"]);
}

#[test]
fn a_function_may_be_async_give_none_and_name_only_what_it_reads() {
    if !has_python() {
        return;
    }
    assert_eq!(scored("later").unwrap(), [Some(1.0), None]);
    let (_folder, reward) = function("level_of");
    let columns = json!({"level": 3, "topic": "sums"}).as_object().unwrap().clone();
    let (with, without) = (Problem { columns, ..problem(None) }, problem(None));
    let items = [items(&with, &["a"]), items(&without, &["b"])].concat();
    assert_eq!(reward.score_batch(&items).unwrap(), [Some(3.0), None]);
}

#[test]
fn conversations_come_in_trls_shape() {
    if !has_python() {
        return;
    }
    let (_folder, reward) = function("last_turn");
    let prompt = Prompt::Messages(vec![Message::new("user", "2+2?")]);
    let problem = Problem { prompt, ..problem(None) };
    let items = ["4", "5"].map(|text| Item { problem: &problem, completion: completion(text) });
    assert_eq!(reward.score_batch(&items).unwrap(), [Some(1.0), Some(0.0)]);
}

#[test]
fn what_a_function_does_wrong_is_told_with_its_place() {
    if !has_python() {
        return;
    }
    for (name, parts) in [
        ("gives_nan", ["gave nan for completion 1", "None"]),
        ("raises", ["KeyError: 'missing'", "my rewards.v2.py, line 25"]),
        ("leaves", ["exit status: 1", "gone"]),
        ("few", ["1 rewards for 2", "null"]),
        ("nothing", ["nothing gave None", "a list"]),
        ("text", ["ValueError", "good"]),
        ("absent", ["has no function absent", "accuracy"]),
    ] {
        let message = scored(name).unwrap_err().to_string();
        says(&message, &parts);
        says(&message, &[&format!("reward {name}: "), "log"]);
    }
}

#[test]
fn a_file_that_is_not_there_or_is_no_python_is_told_before_the_run() {
    if !has_python() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.py");
    let start = || {
        let settings = json!({"kind": "python", "path": path, "function": "f"});
        built(&settings.to_string()).start().unwrap_err().to_string()
    };
    says(&start(), &["broken.py is no Python file", "check path"]);
    fs::write(&path, "def f(:\n").unwrap();
    says(&start(), &["SyntaxError", "broken.py"]);
}

#[test]
fn the_example_runs_as_a_program_and_as_a_function() {
    if !has_python() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reward.py");
    fs::write(&path, EXAMPLE).unwrap();
    let program = json!({"kind": "command", "command": ["python3", path]});
    let function = json!({"kind": "python", "path": path, "function": "reward"});
    for settings in [program, function] {
        let reward = built(&settings.to_string());
        let found = scores(&*reward, &["it is 46", "it is 47"]).unwrap();
        assert_eq!(found, [Some(1.0), Some(0.0)], "{settings}");
        let unanswered = problem(None);
        assert_eq!(reward.score_batch(&items(&unanswered, &["46"])).unwrap(), [None]);
    }
}
