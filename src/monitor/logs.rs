//! The logs of a run as a monitor: metrics, evaluations, samples and events as JSON lines.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::{RunFolderError, failed};
use super::event::{Event, Monitor, MonitorError, StepEvent};
use super::json_lines::JsonLines;
use super::layout::RunPaths;

/// `metrics.jsonl`, `eval.jsonl`, `samples.jsonl` and `events.jsonl`, open for appending.
#[derive(Debug)]
pub struct Logs {
    metrics: Log,
    eval: Log,
    samples: Log,
    events: Log,
}

/// A line of `events.jsonl`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum EventLine<T> {
    /// What was found.
    Finding(T),
    /// Of another version.
    #[serde(other)]
    Unknown,
}

#[derive(Debug)]
struct Log {
    path: PathBuf,
    lines: JsonLines,
}

impl Logs {
    /// Opens them, so that a folder without room or rights is found at once.
    ///
    /// # Errors
    /// A file that cannot be opened or created.
    pub fn open(paths: &RunPaths) -> Result<Self, RunFolderError> {
        Ok(Self {
            metrics: Log::open(paths.metrics())?,
            eval: Log::open(paths.eval())?,
            samples: Log::open(paths.samples())?,
            events: Log::open(paths.events())?,
        })
    }

    fn step(&mut self, step: &StepEvent<'_>) -> Result<(), RunFolderError> {
        self.metrics.append(step.metrics)?;
        step.samples.iter().try_for_each(|sample| self.samples.append(sample))
    }

    /// Puts all lines on the disk.
    fn sync(&self) -> Result<(), RunFolderError> {
        let logs = [&self.metrics, &self.eval, &self.samples, &self.events];
        logs.into_iter().try_for_each(Log::sync)
    }
}

impl Monitor for Logs {
    fn name(&self) -> &'static str {
        "the log of the run"
    }

    fn is_record(&self) -> bool {
        true
    }

    fn take(&mut self, event: &Event<'_>) -> Result<(), MonitorError> {
        match event {
            Event::Step(step) => self.step(step)?,
            Event::Evaluated(metrics) => self.eval.append(metrics)?,
            Event::Finding(finding) => {
                self.events.append(&EventLine::Finding(finding))?;
            }
            Event::CheckpointBegins { .. } => self.sync()?,
            _ => {}
        }
        Ok(())
    }
}

impl Log {
    fn open(path: PathBuf) -> Result<Self, RunFolderError> {
        let lines = JsonLines::open(&path).map_err(failed("open", &path))?;
        Ok(Self { path, lines })
    }

    fn append(&mut self, line: &impl Serialize) -> Result<(), RunFolderError> {
        self.lines.append(line).map_err(written(&self.path))
    }

    fn sync(&self) -> Result<(), RunFolderError> {
        self.lines.sync().map_err(written(&self.path))
    }
}

fn written(path: &Path) -> impl FnOnce(io::Error) -> RunFolderError {
    failed("append to", path)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::monitor::{EvalMetrics, Finding, SampleLine, StepMetrics};

    fn lines(path: PathBuf) -> usize {
        fs::read_to_string(path).unwrap().lines().count()
    }

    #[test]
    fn a_step_and_an_evaluation_go_to_files_of_their_own() {
        let root = tempfile::tempdir().unwrap();
        let paths = RunPaths::new(root.path());
        let mut logs = Logs::open(&paths).unwrap();
        let samples = [SampleLine::default(), SampleLine::default()];
        let metrics = &StepMetrics { step: 1, ..StepMetrics::default() };
        logs.take(&Event::Step(StepEvent { metrics, samples: &samples, shown: None })).unwrap();
        logs.take(&Event::Evaluated(&EvalMetrics::default())).unwrap();
        logs.take(&Event::Finding(&Finding { step: 1, ..Finding::default() })).unwrap();
        logs.take(&Event::Message("not for a file")).unwrap();
        logs.take(&Event::CheckpointBegins { step: 1 }).unwrap();
        let counts = [paths.metrics(), paths.samples(), paths.eval(), paths.events()].map(lines);
        assert_eq!(counts, [1, 2, 1, 1]);
    }

    #[test]
    fn a_finding_is_one_flat_line() {
        let root = tempfile::tempdir().unwrap();
        let paths = RunPaths::new(root.path());
        let finding = Finding {
            step: 40,
            rule: "cut_off".into(),
            problem: "too short".into(),
            key: Some("response_length".into()),
            value: Some(128.into()),
            example: None,
        };
        Logs::open(&paths).unwrap().take(&Event::Finding(&finding)).unwrap();
        let line = "{\"event\":\"finding\",\"step\":40,\"rule\":\"cut_off\",\"problem\":\"too short\",\
                    \"key\":\"response_length\",\"value\":128,\"example\":null}\n";
        assert_eq!(fs::read_to_string(paths.events()).unwrap(), line);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_named_with_a_way_out() {
        let root = tempfile::tempdir().unwrap();
        let paths = RunPaths::new(root.path());
        let mut logs = Logs::open(&paths).unwrap();
        logs.metrics.lines = JsonLines::open(Path::new("/dev/full")).unwrap();
        let metrics = &StepMetrics { step: 1, ..StepMetrics::default() };
        let step = StepEvent { metrics, samples: &[], shown: None };
        let error = logs.take(&Event::Step(step)).unwrap_err().to_string();
        let path = paths.metrics().display().to_string();
        assert!(error.contains(&path) && error.contains("free some space"), "{error}");
    }
}
