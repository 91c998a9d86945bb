//! `wgrpo generate` as it writes: a completion token by token, and conversations.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::Value;

use crate::program::{Ended, Scene, says};

/// What was said, as plain text; a reply follows `=`. A message that begins with 9 is refused.
const TEMPLATE: &str = "{{ bos_token }}{% for m in messages %}{{ m.content }}\
    {% if m.role == 'user' %}{% if m.content[0] == '9' %}{{ raise_exception('too much') }}{% endif %}=\
    {% else %} {% endif %}{% endfor %}";

/// A scene with a model so wild that every token of what was said decides the greedy reply.
fn scene() -> Scene {
    let scene = Scene::changed(|config| {
        config.replace("hidden_size: 16,", "hidden_size: 16, initializer_range: 1,")
    });
    scene.train("run", &["--set", "max_steps=1"]);
    scene.write(TEMPLATE_FILE, TEMPLATE);
    scene
}

const TEMPLATE_FILE: &str = "run/model/chat_template.jinja";

const CHAT: [&str; 3] = ["generate", "run", "--chat"];

/// A conversation of short replies.
const SHORT: [&str; 2] = ["--max-tokens", "8"];

/// The conversation with these lines of input.
fn conversation(scene: &Scene, more: &[&str], input: impl AsRef<[u8]>) -> Ended {
    let mut child = begun(scene, &[&SHORT, more].concat());
    // A program that refuses its arguments reads no input.
    let _ = child.stdin.take().unwrap().write_all(input.as_ref());
    child.wait_with_output().unwrap().into()
}

fn begun(scene: &Scene, more: &[&str]) -> Child {
    let mut command = scene.command(&[&CHAT, more].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// A conversation that goes on, with its input and its output.
fn under_way(scene: &Scene, more: &[&str]) -> (Child, ChildStdin, BufReader<ChildStdout>) {
    let mut child = begun(scene, more);
    let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    (child, input, BufReader::new(output))
}

/// The greedy completion of a text.
fn completion(scene: &Scene, text: &str) -> String {
    let ended =
        scene.succeed(&["generate", "run", "--prompt", text, "--max-tokens", "8", "--json"]);
    let line: Value = serde_json::from_str(&ended.stdout).unwrap();
    line["completion"].as_str().unwrap().to_owned()
}

#[test]
fn a_completion_that_is_printed_as_it_is_written_is_the_one_of_json() {
    let scene = scene();
    for seed in ["1", "2", "3", "4"] {
        let arguments =
            ["generate", "run", "--prompt", "1+2=", "--temperature", "1", "--seed", seed];
        let printed = scene.succeed(&arguments);
        let json = scene.succeed(&[&arguments[..], &["--json"]].concat());
        let line: Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!(printed.stdout, format!("{}\n", line["completion"].as_str().unwrap()));
        let both = scene.succeed(&[&arguments[..], &["--samples", "2"]].concat());
        assert!(both.stdout.starts_with(&printed.stdout), "{} {}", both.stdout, printed.stdout);
        let tokens = format!("{} token", line["tokens"]);
        says(&printed.stderr, &[&tokens, " tok/s", "the first after"]);
        says(&json.stderr, &[&tokens]);
    }
}

#[test]
fn a_conversation_keeps_what_was_said_before() {
    let scene = scene();
    let first = completion(&scene, "1+2=");
    let second = completion(&scene, &format!("1+2={first} 3="));
    let third = completion(&scene, &format!("1+2={first} 3={second} 4+4="));
    assert!(second != completion(&scene, "3=") && third != completion(&scene, "4+4="));
    // Empty lines are no messages, and the last line needs no end.
    let ended = conversation(&scene, &[], "1+2\n\n3\r\n  \n4+4");
    assert_eq!(ended.stdout, format!("{first}\n{second}\n{third}\n"));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches(" tok/s").count(), 3, "{}", ended.stderr);
    assert!(!ended.stderr.contains("> "), "no prompt sign in a pipe: {}", ended.stderr);
}

#[test]
fn a_conversation_begins_anew_at_reset_and_ends_at_exit() {
    let scene = scene();
    let (first, other) = (completion(&scene, "1+2="), completion(&scene, "3="));
    let ended = conversation(&scene, &[], "1+2\n/reset\n3\n/reset\n1+2\n/exit\n3\n");
    assert_eq!(ended.stdout, format!("{first}\n{other}\n{first}\n"));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn a_system_message_comes_first_in_a_turn_and_after_reset() {
    let scene = scene();
    let reply = completion(&scene, "7 1+2=");
    assert_ne!(reply, completion(&scene, "1+2="));
    let system = ["--system", "7"];
    let turn = [&CHAT[..], &SHORT, &["--prompt", "1+2"], &system].concat();
    assert_eq!(scene.succeed(&turn).stdout, format!("{reply}\n"));
    let ended = conversation(&scene, &system, "1+2\n/reset\n1+2\n");
    assert_eq!(ended.stdout, format!("{reply}\n{reply}\n"));
}

#[test]
fn a_seed_draws_other_replies_each_turn_and_the_same_again() {
    let scene = scene();
    let sampled = ["--temperature", "1", "--seed", "3"];
    let turn = scene.succeed(&[&CHAT[..], &SHORT, &["--prompt", "1+2"], &sampled].concat()).stdout;
    let talk = conversation(&scene, &sampled, "1+2\n1+2\n").stdout;
    assert!(talk.starts_with(&turn) && talk != turn.repeat(2), "{talk:?} {turn:?}");
    assert_eq!(talk, conversation(&scene, &sampled, "1+2\n1+2\n").stdout);
}

#[test]
fn a_reply_is_there_before_the_next_message_is_asked_for() {
    let scene = scene();
    let (mut child, mut input, mut output) = under_way(&scene, &SHORT);
    for _ in 0..3 {
        writeln!(input, "1+2").unwrap();
        let mut reply = String::new();
        output.read_line(&mut reply).unwrap();
        assert!(reply.ends_with('\n'), "{reply:?}");
    }
    drop(input);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_message_that_has_no_reply_is_told_of_and_left_out() {
    let scene = scene();
    let first = completion(&scene, "1+2=");
    let second = completion(&scene, &format!("1+2={first} 3="));
    let told = |input: &[u8], why: &[&str]| {
        let ended = conversation(&scene, &[], input);
        assert_eq!((ended.code, ended.stdout), (Some(0), format!("{first}\n{second}\n")));
        says(&ended.stderr, why);
    };
    told(b"1+2\n99\n3\n", &["chat template failed", "too much", "left out of the conversation"]);
    told(b"1+2\na\n3\n", &["no token for", "left out of the conversation"]);
    told(b"1+2\n\xff\n3\n", &["not UTF-8", "left out"]);
}

#[test]
fn a_conversation_that_no_longer_fits_says_how_to_go_on() {
    let scene = scene();
    let config = scene.read("run/model/config.json");
    let positions =
        config.replace("\"max_position_embeddings\": 2048", "\"max_position_embeddings\": 26");
    assert_ne!(positions, config);
    scene.write("run/model/config.json", &positions);
    let first = completion(&scene, "1+2=");
    let ended = conversation(&scene, &[], "1+2\n1+2+3+4+5\n/reset\n1+2\n");
    assert_eq!((ended.code, ended.stdout), (Some(0), format!("{first}\n{first}\n")));
    let advice = ["max_position_embeddings is 26", "lower --max-tokens to ", "/reset", "left out"];
    says(&ended.stderr, &advice);
    let long = "1".repeat(30) + "\n";
    let advice = ["lower the length of the conversation to 18 or less", "/reset"];
    says(&conversation(&scene, &[], long).stderr, &advice);
}

#[test]
fn what_a_conversation_cannot_do_is_refused_with_the_reason() {
    let scene = scene();
    let refused = |more: &[&str]| conversation(&scene, more, "1\n").refusal();
    says(&refused(&["--samples", "2"]), &["--samples 2", "one reply", "--prompt"]);
    says(&refused(&["--json"]), &["--json", "when it is whole", "--prompt"]);
    says(&scene.refused(&["generate", "run"]), &["--prompt TEXT", "--chat"]);
    let system = scene.run(&["generate", "run", "--prompt", "1", "--system", "2"]);
    assert_eq!(system.code, Some(2));
    says(&system.stderr, &["--chat"]);
    let endless = "1".repeat(2 << 20);
    let refusal = conversation(&scene, &[], endless).refusal();
    says(&refusal, &["1048576 bytes", "break it into several"]);
    std::fs::remove_file(scene.path(TEMPLATE_FILE)).unwrap();
    let no_template = ["no chat template", "chat_template.jinja", "leave --chat out"];
    says(&refused(&[]), &no_template);
    says(&refused(&["--prompt", "1"]), &no_template);
}

#[test]
fn a_conversation_that_nobody_reads_ends() {
    let scene = scene();
    let (mut child, mut input, output) = under_way(&scene, &["--max-tokens", "1900"]);
    drop(output);
    writeln!(input, "1+2").unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
}

#[cfg(unix)]
mod signals {
    use super::*;
    use std::process::Command;

    fn interrupt(child: &Child) {
        let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// A model that ends no reply, with room for very long ones.
    fn endless() -> Scene {
        let scene = scene();
        for file in ["config.json", "generation_config.json", "tokenizer_config.json"] {
            let file = format!("run/model/{file}");
            let text = scene.read(&file).replace(": 2048", ": 200000");
            let lines = text.lines().filter(|line| !line.contains("\"eos_token"));
            scene.write(&file, &lines.collect::<Vec<_>>().join("\n"));
        }
        scene
    }

    fn line(output: &mut BufReader<ChildStdout>) -> String {
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        line
    }

    #[test]
    fn ctrl_c_stops_a_reply_and_keeps_it_and_between_replies_ends_the_program() {
        let scene = endless();
        // Too many for a test that waits for them.
        let more = ["--max-tokens", "100000"];
        let (mut child, mut input, mut output) = under_way(&scene, &more);
        let mut stopped_reply = |message: &str| {
            writeln!(input, "{message}").unwrap();
            let mut beginning = [0; 20];
            output.read_exact(&mut beginning).unwrap();
            interrupt(&child);
            String::from_utf8(beginning.to_vec()).unwrap()
                + line(&mut output).trim_end_matches('\n')
        };
        let first = stopped_reply("1+2");
        assert!(first.len() < 99_000, "{}", first.len());
        let next = completion(&scene, &format!("1+2={first} 3="));
        let second = stopped_reply("3");
        assert!(second.starts_with(&next), "{second} does not begin with {next}");
        writeln!(input, "/reset\n/reset").unwrap();
        interrupt(&child);
        assert_eq!(child.wait().unwrap().code(), Some(130));
        assert_eq!(line(&mut output), "");
    }
}
