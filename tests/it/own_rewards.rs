//! Rewards outside of the program, in whole runs.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::program::{Scene, says, wait_until};

/// The rewards of the tiny configuration.
const RULES: &str = "  - {kind: exact}\n  - {kind: regex, pattern: '^[0-4]', weight: 0.5}\n";

/// Whether there is a Python to test with; where not, the test says so and passes.
fn has_python() -> bool {
    let found = Command::new("python3").arg("--version").stdout(Stdio::null()).status();
    let found = found.is_ok_and(|status| status.success());
    if !found {
        println!("not tested: there is no python3");
    }
    found
}

/// The tiny configuration with one other reward.
fn scene(reward: &str) -> Scene {
    Scene::changed(|config| {
        assert!(config.contains(RULES));
        config.replace(RULES, &format!("  - {reward}\n"))
    })
}

fn means(scene: &Scene, name: &str) -> Vec<Value> {
    let steps = scene.lines("run/metrics.jsonl");
    steps.iter().map(|step| step[format!("rewards/{name}/mean")].clone()).collect()
}

const REWARDS: &str = "
calls = 0

def length(completions, **columns):
    print('asked')
    return [len(c) / 10 for c in completions]

def third_fails(completions, answer, **columns):
    global calls
    calls += 1
    if calls % 3 == 0:
        raise ValueError('the third')
    return [float(len(c)) for c in completions]
";

#[test]
fn a_run_learns_from_a_python_function_and_keeps_what_it_prints() {
    if !has_python() {
        return;
    }
    let scene = scene("{kind: python, path: rewards.py, function: length, solved_at: 0.2}");
    scene.write("rewards.py", REWARDS);
    scene.train("run", &[]);
    assert!(means(&scene, "length").iter().all(|mean| mean.as_f64().unwrap() > 0.0));
    assert!(scene.lines("run/metrics.jsonl")[0]["accuracy"].is_number());
    assert!(scene.read("run/rewards/length.log").contains("asked"));
    let evaluated = scene.succeed(&["eval", "run", "--samples", "0", "--json"]).stdout;
    says(&evaluated, &["\"accuracy\":"]);
    // What has changed about the function is another run, how long it may take is not.
    let more: &[&str] =
        &["--resume", "--set", "max_steps=4", "--set", "rewards.0.timeout_seconds=9"];
    let resume = [&["train", "tiny.yaml", "--output-dir", "run"], more].concat();
    scene.succeed(&resume);
    scene.write("rewards.py", &REWARDS.replace("/ 10", "/ 20"));
    says(&scene.refused(&resume), &["rewards.0.path", "content of the file has changed"]);
}

#[test]
fn the_first_reward_of_a_person_is_written_and_runs() {
    if !has_python() {
        return;
    }
    let scene = scene("{kind: command, command: [python3, reward.py]}");
    let said = scene.succeed(&["rewards", "init", "reward.py"]).stdout;
    says(
        &said,
        &["kind: python, path: \"reward.py\", function: reward", "[python3, \"reward.py\"]"],
    );
    scene.train("run", &[]);
    assert!(means(&scene, "command").iter().all(Value::is_number));
    scene.write("reward.py", "mine");
    says(&scene.refused(&["rewards", "init", "reward.py"]), &["reward.py", "is left as it is"]);
    assert_eq!(scene.read("reward.py"), "mine");
    says(
        &scene.refused(&["rewards", "init", "no/such/reward.py"]),
        &["no/such/reward.py", "folder"],
    );
}

#[test]
fn a_reward_that_fails_ends_the_run_with_its_request_and_its_log() {
    if !has_python() {
        return;
    }
    let scene = scene("{kind: python, path: rewards.py, function: third_fails}");
    scene.write("rewards.py", REWARDS);
    let refused = scene.refused(&["train", "tiny.yaml", "--output-dir", "run"]);
    says(
        &refused,
        &["reward third_fails: ", "the third", "rewards/third_fails.log", "rewards.py, line"],
    );
    let request: Value =
        serde_json::from_str(&scene.read("run/rewards/third_fails.request.json")).unwrap();
    assert_eq!(request["completions"].as_array().unwrap().len(), 16);
    // Another run in its place leaves nothing of it.
    scene.write("rewards.py", &REWARDS.replace("% 3", "% 3000"));
    scene.train("run", &["--overwrite"]);
    assert!(!scene.path("run/rewards/third_fails.request.json").exists());
}

#[test]
fn an_evaluation_of_which_nothing_is_known_has_no_accuracy_and_ends_the_run() {
    if !has_python() {
        return;
    }
    let scene =
        scene("{kind: python, path: rewards.py, function: f, on_failure: drop, solved_at: 1}");
    scene.write("rewards.py", "def f(completions, **columns): raise ValueError('never')\n");
    let refused = scene.refused(&["train", "tiny.yaml", "--output-dir", "run", "--skip-check"]);
    says(&refused, &["failed on all 12 problems", "--resume"]);
}

#[test]
fn groups_that_a_reward_fails_on_leave_and_are_counted() {
    if !has_python() {
        return;
    }
    let reward =
        "{kind: python, path: rewards.py, function: third_fails, on_failure: drop, solved_at: 1}";
    let scene = scene(reward);
    scene.write("rewards.py", REWARDS);
    scene.train("run", &[]);
    // 12 held-out problems are a third of requests each, and so are 4 groups of 3 steps: 12, 4, 4, 4, 12.
    let steps = scene.lines("run/metrics.jsonl");
    let failed: f64 = steps.iter().map(|step| step["selection/failed"].as_f64().unwrap()).sum();
    assert_eq!(failed, 4.0);
    let evaluated = scene.lines("run/eval.jsonl");
    assert!(evaluated.iter().all(|line| line["eval/failed"] == 4 && line["eval/problems"] == 8));
    // Of what was never scored there is no zero.
    assert!(means(&scene, "third_fails").iter().all(|mean| mean.as_f64().unwrap() > 0.0));
    says(
        &scene.read("run/rewards/third_fails.log"),
        &["wgrpo: failed: it reports: ValueError: the third"],
    );
}

#[test]
fn a_reward_that_cannot_begin_does_not_cost_the_run_that_was_to_be_overwritten() {
    let scene = Scene::new();
    scene.train("run", &[]);
    let before = scene.read("run/metrics.jsonl");
    let config = scene.read("tiny.yaml");
    scene.write(
        "tiny.yaml",
        &config.replace(RULES, "  - {kind: command, command: [no-such-program]}\n"),
    );
    let refused = scene.refused(&["train", "tiny.yaml", "--output-dir", "run", "--overwrite"]);
    says(&refused, &["reward command: ", "no-such-program", "PATH"]);
    assert_eq!(scene.read("run/metrics.jsonl"), before);
}

#[cfg(unix)]
#[test]
fn a_run_that_is_killed_leaves_nothing_running() {
    let program = "sleep 1000 & echo $$ $! > ids; read -r line; sleep 1000";
    let scene = scene(&format!("{{kind: command, command: [/bin/sh, -c, '{program}']}}"));
    let mut run = scene.command(&["train", "tiny.yaml", "--output-dir", "run"]);
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let ids = scene.path("ids");
    wait_until("the program", || fs::read_to_string(&ids).is_ok_and(|ids| ids.ends_with('\n')));
    let ids = fs::read_to_string(ids).unwrap();
    let is_running = |id: &str| {
        let state = Command::new("ps").args(["-o", "stat=", "-p", id]).output().unwrap().stdout;
        // What has ended and nobody asked for is a zombie.
        !state.is_empty() && !state.starts_with(b"Z")
    };
    assert!(ids.split_whitespace().all(is_running), "{ids}");
    run.kill().unwrap();
    run.wait().unwrap();
    wait_until("the end of what it started", || !ids.split_whitespace().any(is_running));
}

/// Answers posted JSON on an address of its own, for as long as the test's process lives.
fn serve(answer: impl Fn(&Value) -> Value + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = respond(stream, &answer);
        }
    });
    address
}

fn respond(mut stream: TcpStream, answer: &impl Fn(&Value) -> Value) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut length, mut line) = (0, String::new());
    while reader.read_line(&mut line)? > 2 {
        let found = line.to_ascii_lowercase();
        length =
            found.strip_prefix("content-length: ").map_or(length, |n| n.trim().parse().unwrap());
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = answer(&serde_json::from_slice(&body)?).to_string();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn a_run_learns_from_servers_and_judges() {
    let address = serve(|asked| match asked.get("messages") {
        Some(_) => json!({"choices": [{"message": {"content": "Score: 7/10"}}]}),
        None => {
            let count = asked["completions"].as_array().unwrap().len();
            json!({"rewards": (0..count).map(|at| at % 2).collect::<Vec<_>>()})
        }
    });
    let scene = scene(&format!(
        "{{kind: http, url: '{address}/score'}}\n  - {{kind: judge, url: '{address}/v1/chat/completions', model: m, \
         prompt: 'Is {{{{ completion }}}} the answer {{{{ answer }}}} to {{{{ prompt }}}}?', weight: 2}}"
    ));
    scene.train("run", &[]);
    assert_eq!(means(&scene, "http"), [0.5, 0.5, 0.5]);
    let judged = means(&scene, "judge");
    // A mean of equal numbers is theirs but for rounding.
    assert!(judged.len() == 3 && judged.iter().all(|x| (x.as_f64().unwrap() - 0.7).abs() < 1e-9));
}

#[test]
fn every_reward_of_the_document_is_read() {
    let text = include_str!("../../docs/own-rewards.md");
    let blocks = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut kinds: Vec<String> = Vec::new();
    for block in blocks {
        let indented: String = block.lines().map(|line| format!("  {line}\n")).collect();
        let scene = Scene::changed(|config| config.replace(RULES, &indented));
        let resolved = scene.succeed(&["config", "tiny.yaml"]).stdout;
        kinds.extend(
            resolved
                .lines()
                .filter_map(|line| line.trim().strip_prefix("- kind: "))
                .map(str::to_owned),
        );
    }
    assert_eq!(kinds, ["python", "command", "http", "judge"]);
}
