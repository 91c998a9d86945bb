//! The built program, run as a person runs it, on runs so small that each ends in a second.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// One layer of width 16 on sums of two digits.
const CONFIG: &str = "\
seed: 5
max_steps: 3
rollout_batch_size: 4
num_return_sequences_in_group: 4
prompt_length: 8
response_length: 3
model:
  alphabet: '0123456789+= '
  architecture: {hidden_size: 16, intermediate_size: 24, num_hidden_layers: 1, num_attention_heads: 2}
data: {kind: arithmetic, digits: 1, held_out: 12}
rewards:
  - {kind: exact}
  - {kind: regex, pattern: '^[0-4]', weight: 0.5}
checkpoint: {save_steps: 1}
";

/// How long anything here may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(120);

/// A temporary folder with a configuration, and the run that the program makes of it.
pub struct Scene {
    folder: TempDir,
}

/// What the program left when it ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Scene {
    pub fn new() -> Self {
        Self::with(CONFIG)
    }

    /// A scene whose configuration has `change` made to the tiny one.
    pub fn changed(change: impl Fn(&str) -> String) -> Self {
        Self::with(&change(CONFIG))
    }

    pub fn with(config: &str) -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap() };
        scene.write("tiny.yaml", config);
        scene
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The lines of a JSON-lines file.
    pub fn lines(&self, name: &str) -> Vec<Value> {
        self.read(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The program with these arguments, to be run in the folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wgrpo"));
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.command(arguments).output().unwrap().into()
    }

    /// Runs what must succeed.
    #[track_caller]
    pub fn succeed(&self, arguments: &[&str]) -> Ended {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
        ended
    }

    /// Trains the tiny configuration into `folder`, with more arguments.
    #[track_caller]
    pub fn train(&self, folder: &str, more: &[&str]) -> Ended {
        self.succeed(&[&["train", "tiny.yaml", "--output-dir", folder], more].concat())
    }

    /// Runs what must be refused; gives back the one paragraph that says why.
    #[track_caller]
    pub fn refused(&self, arguments: &[&str]) -> String {
        self.run(arguments).refusal()
    }
}

impl Ended {
    /// The message of a program that must have failed by its own decision.
    #[track_caller]
    pub fn refusal(self) -> String {
        assert!(!matches!(self.code, Some(0) | None), "it did not fail: {self:?}");
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        let message = self.stderr.split_once("error: ").map_or("", |(_, message)| message);
        assert!(!message.is_empty(), "no message: {self:?}");
        assert_eq!(message.trim_end().lines().count(), 1, "more than a paragraph: {message}");
        message.trim_end().to_owned()
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Checks that `message` contains all `parts`.
#[track_caller]
pub fn says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

/// Waits until `holds`, or fails the test.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Number of lines that a growing file has by now.
pub fn lines_so_far(path: &Path) -> usize {
    fs::read_to_string(path).map_or(0, |text| text.matches('\n').count())
}
