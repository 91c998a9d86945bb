//! Programs that pass, fail, hang, flood, fork and cheat.

#![cfg(unix)]

use std::time::Instant;

use serde_json::{Value, json};

use super::*;
use crate::reward::test_support::{completion, problem, reward};

fn code(settings: Value) -> CodeReward {
    let mut all = json!({"allow_execution": true, "timeout_secs": 5});
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    reward::<CodeReward>(&all.to_string())
}

fn score_with(settings: Value, tests: Value, text: &str) -> f64 {
    let mut problem = problem(None);
    problem.columns.insert("tests".into(), tests);
    code(settings).score(&problem, &completion(text)).unwrap()
}

fn asserts() -> Value {
    json!(["assert double(2) == 4", "assert double('a') == 'aa'"])
}

fn score(tests: Value, text: &str) -> f64 {
    score_with(json!({}), tests, text)
}

#[test]
fn a_program_that_passes_all_assertions_is_right() {
    for text in [
        "def double(x):\n    return x * 2",
        "Here it is:\n```python\ndef double(x):\n    print('hello')\n    return x + x\n```\nDone.",
        "```\nimport math\ndouble = lambda x: x * 2\nif __name__ == '__main__':\n    exit(1)\n```",
    ] {
        assert_eq!(score(asserts(), text), 1.0, "{text}");
    }
}

#[test]
fn a_program_that_fails_one_is_wrong_and_has_its_share_on_request() {
    let text = "def double(x):\n    return 4";
    assert_eq!(score(asserts(), text), 0.0);
    assert_eq!(score_with(json!({"partial": true}), asserts(), text), 0.5);
    for text in ["", "I cannot.", "def double(x):", "def double(x):\n    return None", "1/0"] {
        assert_eq!(score(asserts(), text), 0.0, "{text}");
    }
}

#[test]
fn inputs_give_outputs_but_for_white_space_at_the_ends() {
    let pairs = json!([{"input": "2 3\n", "output": "5\n6\n"}, {"input": "1 1", "output": "2\n1"}]);
    let text = "```python\na, b = map(int, input().split())\nprint(a + b, ' ')\nprint(a * b)\n```";
    assert_eq!(score(pairs.clone(), text), 1.0);
    let main = "def main():\n    a, b = map(int, input().split())\n    print(a + b)\n    print(a * b)\n\
                if __name__ == '__main__':\n    main()";
    assert_eq!(score(pairs.clone(), main), 1.0);
    let wrong = "a, b = map(int, input().split())\nprint(a + b)\nprint(a * a * b)";
    assert_eq!(score(pairs.clone(), wrong), 0.0);
    assert_eq!(score_with(json!({"partial": true}), pairs.clone(), wrong), 0.5);
    // What fails in the end is wrong whatever it wrote.
    assert_eq!(score(pairs, &format!("{main}\n1/0")), 0.0);
}

#[test]
fn leaving_early_passes_nothing() {
    for text in [
        "import sys; sys.exit(0)",
        "import os; os._exit(0)",
        "exit()",
        "raise SystemExit",
        "print('0 1 ok passed True')",
        "import os; os.kill(os.getpid(), 9)",
        "import sys; sys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
    ] {
        assert_eq!(score(asserts(), text), 0.0, "{text}");
    }
    let late = "import os\ndef double(x):\n    os._exit(0)";
    assert_eq!(score(asserts(), late), 0.0);
}

#[test]
fn a_program_that_hangs_ends_in_time() {
    for text in [
        "while True: pass",
        "import time; time.sleep(1000)",
        "import signal, time\nfor s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n    \
         except Exception: pass\ntime.sleep(1000)",
        "x = 10 ** (10 ** 9)",
        "try:\n    while True: pass\nfinally:\n    while True: pass",
    ] {
        let start = Instant::now();
        let settings = json!({"timeout_secs": 0.5});
        assert_eq!(score_with(settings, asserts(), text), 0.0, "{text}");
        assert!(start.elapsed().as_secs_f64() < 3.0, "{text}: {:?}", start.elapsed());
    }
}

#[test]
fn all_tests_of_a_program_share_its_time() {
    let pairs = json!(vec![json!({"input": "", "output": ""}); 50]);
    let start = Instant::now();
    let settings = json!({"timeout_secs": 0.5});
    assert_eq!(score_with(settings, pairs, "import time; time.sleep(0.3)"), 0.0);
    assert!(start.elapsed().as_secs_f64() < 3.0, "{:?}", start.elapsed());
}

#[test]
fn memory_and_output_have_limits() {
    let memory = json!({"memory_mib": 128});
    for text in ["x = bytearray(1 << 30)", "x = []\nwhile True: x.append(bytes(1 << 20))"] {
        let text = format!("{text}\ndef double(x): return x * 2");
        assert_eq!(score_with(memory.clone(), asserts(), &text), 0.0, "{text}");
    }
    let small = json!({"output_kib": 64, "timeout_secs": 3});
    let pair = json!([{"input": "", "output": "y"}]);
    for text in [
        "while True: print('y' * 1000)",
        "import sys\nwhile True: sys.stderr.write('y' * 1000)",
        "f = open('big', 'wb')\nwhile True: f.write(bytes(1 << 20)); f.flush()",
    ] {
        let start = Instant::now();
        assert_eq!(score_with(small.clone(), pair.clone(), text), 0.0, "{text}");
        assert!(start.elapsed().as_secs() < 6, "{text}: {:?}", start.elapsed());
    }
}

#[test]
fn what_a_program_began_ends_with_it() {
    let marker = format!("wgrpo-left-{}", std::process::id());
    let text = format!(
        "import os, time\ntry:\n    left = os.fork() == 0\nexcept OSError:\n    left = False\n\
         if left:\n    os.execvp('python3', ['python3', '-c', 'import time; time.sleep(60)', '{marker}'])\n\
         time.sleep(0.2)\ndef double(x): return x * 2"
    );
    score(asserts(), &text);
    std::thread::sleep(std::time::Duration::from_millis(100));
    let left = std::fs::read_dir("/proc").into_iter().flatten().flatten().filter(|entry| {
        let path = entry.path().join("cmdline");
        let own = entry.file_name().to_string_lossy() == std::process::id().to_string();
        !own && std::fs::read(path)
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&marker))
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn a_program_sees_no_environment_and_no_input_of_ours() {
    // cargo sets CARGO_MANIFEST_DIR for this process.
    let tests = json!(["assert seen == []", "assert read == ''", "assert here == []"]);
    let text = "import os, sys\nseen = [k for k in os.environ if 'CARGO' in k]\n\
                read = sys.stdin.read()\nhere = os.listdir('.')";
    assert_eq!(score(tests, text), 1.0);
}

#[test]
fn nothing_runs_without_being_allowed() {
    let off: CodeReward = reward("{}");
    assert!(!off.allow_execution);
    let error = off.checked().unwrap_err().to_string();
    assert!(error.contains("code.allow_execution") && error.contains("your rights"), "{error}");
    assert!(code(json!({})).checked().is_ok());
}

#[test]
fn settings_that_cannot_be_used_are_refused_with_their_key() {
    for (settings, key) in [
        (json!({"timeout_secs": 0}), "code.timeout_secs"),
        (json!({"timeout_secs": 1e9}), "code.timeout_secs"),
        (json!({"memory_mib": 1}), "code.memory_mib"),
        (json!({"output_kib": 0}), "code.output_kib"),
        (json!({"tests": ""}), "code.tests"),
    ] {
        let error = code(settings).checked().unwrap_err();
        assert!(error.to_string().contains(key), "{error}");
    }
}

#[test]
fn problems_without_tests_are_not_judged() {
    let code = code(json!({}));
    assert_eq!(code.score(&problem(Some("1")), &completion("x = 1")), None);
    assert!(code.obstacle(&problem(Some("1"))).unwrap().contains("code.tests"));
}
