//! How far a run has come: whether it goes on, its steps, its accuracy before and after.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::lines::each_line;
use super::settings::Settings;
use crate::files::open_regular;
use crate::monitor::{EvalMetrics, RunPaths, is_under_way};

/// Bytes at the end of a log among which its last line is looked for.
const TAIL: u64 = 1 << 20;

/// What becomes of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A process holds its folder.
    Running,
    /// It has done all its steps and written its closing report.
    Finished,
    /// It was asked to stop, and has written its closing report.
    Stopped,
    /// It has ended without a closing report: by an error, or killed.
    Failed,
}

impl State {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Standing {
    /// What becomes of it.
    pub state: State,
    /// Training steps done.
    pub steps: u64,
    /// Training steps asked for, where the configuration can be read.
    pub max_steps: Option<u64>,
    /// Share of held-out problems solved before the first step.
    pub accuracy_before: Option<f64>,
    /// The same after the last step at which it was measured.
    pub accuracy_after: Option<f64>,
}

impl Standing {
    /// That of the run in a folder, as its files tell it.
    pub(super) fn of(paths: &RunPaths, settings: &Settings) -> Self {
        let steps = last_step(&paths.metrics()).unwrap_or(0);
        let max_steps = settings.get("max_steps").and_then(|steps| steps.parse().ok());
        let state = match max_steps {
            _ if is_under_way(paths) => State::Running,
            _ if !paths.report().exists() => State::Failed,
            Some(most) if steps < most => State::Stopped,
            _ => State::Finished,
        };
        let (accuracy_before, accuracy_after) = accuracies(&paths.eval());
        Self { state, steps, max_steps, accuracy_before, accuracy_after }
    }

    /// Its steps, of how many.
    pub fn steps_text(&self) -> String {
        match self.max_steps {
            Some(most) => format!("{} of {most}", self.steps),
            None => self.steps.to_string(),
        }
    }
}

#[derive(Deserialize)]
struct StepOnly {
    step: u64,
}

/// The step of the last whole line, without reading what comes before.
fn last_step(path: &Path) -> Option<u64> {
    let mut file = open_regular(path).ok()?;
    let mut text = Vec::new();
    let start = length(&file)?.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(start)).ok()?;
    file.take(TAIL).read_to_end(&mut text).ok()?;
    let end = text.iter().rposition(|byte| *byte == b'\n')?;
    let step = |line: &[u8]| Some(serde_json::from_slice::<StepOnly>(line).ok()?.step);
    text[..end].rsplit(|byte| *byte == b'\n').find_map(step)
}

fn length(file: &File) -> Option<u64> {
    Some(file.metadata().ok()?.len())
}

/// The accuracy before the first step, and the last one after it.
fn accuracies(path: &Path) -> (Option<f64>, Option<f64>) {
    let (mut before, mut after) = (None, None);
    // An evaluation that cannot be read is none.
    let _ = each_line(path, |line| {
        let Ok(found) = serde_json::from_slice::<EvalMetrics>(line.bytes) else { return };
        let accuracy = Some(found.accuracy).filter(|share| share.is_finite());
        match found.step {
            0 => before = accuracy,
            _ => after = accuracy,
        }
    });
    (before, after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(files: &[(&str, &str)], max_steps: &str) -> Standing {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let settings = Settings::from([("max_steps".to_owned(), max_steps.to_owned())]);
        Standing::of(&RunPaths::new(folder.path()), &settings)
    }

    const METRICS: (&str, &str) = ("metrics.jsonl", "{\"step\":1}\n{\"step\":2}\n{\"step\":3");

    #[test]
    fn a_run_with_a_report_has_finished_or_was_stopped_and_one_without_has_failed() {
        let report = ("report.txt", "steps");
        let found = standing(&[METRICS, report], "2");
        assert_eq!((found.state, found.steps, found.max_steps), (State::Finished, 2, Some(2)));
        let found = standing(&[METRICS, report], "9");
        assert_eq!((found.state, found.steps_text()), (State::Stopped, "2 of 9".into()));
        assert_eq!(standing(&[METRICS], "2").state, State::Failed);
        assert_eq!(standing(&[], "").steps_text(), "0");
    }

    #[test]
    fn accuracy_is_that_before_the_first_step_and_after_the_last() {
        let line = |step, accuracy| {
            format!("{{\"step\":{step},\"eval/accuracy\":{accuracy},\"eval/problems\":4}}\n")
        };
        let all = line(0, "0.25") + &line(5, "0.5") + &line(9, "0.75") + "oops\n";
        let found = standing(&[("eval.jsonl", &all)], "9");
        assert_eq!((found.accuracy_before, found.accuracy_after), (Some(0.25), Some(0.75)));
        let found = standing(&[("eval.jsonl", &line(9, "null"))], "9");
        assert_eq!((found.accuracy_before, found.accuracy_after), (None, None));
    }

    #[test]
    fn the_last_step_of_a_long_log_is_found_at_its_end() {
        let long = format!("{{\"step\":1,\"text\":\"{}\"}}\n{{\"step\":2}}\n", "x".repeat(3 << 20));
        assert_eq!(standing(&[("metrics.jsonl", &long)], "").steps, 2);
        // Of a line as long as that, nothing is known.
        let end = long.len() - "{\"step\":2}\n".len();
        assert_eq!(standing(&[("metrics.jsonl", &long[..end])], "").steps, 0);
    }
}
