//! The metrics of a run and its evaluations, as curves.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::{Map, Value};

use super::curve::Curve;
use super::error::ReportError;
use super::lines::each_line;
use crate::monitor::RunPaths;

/// Metrics that are kept of a run; ours are about forty.
const MOST_CURVES: usize = 200;
/// Bytes of the longest name of a metric.
const LONGEST_NAME: usize = 100;

/// What the logs of a run tell in numbers.
#[derive(Debug, Default)]
pub(super) struct RunLog {
    /// Each metric by its name.
    pub curves: BTreeMap<String, Curve>,
    /// Lines that were ours.
    lines: u64,
    /// Lines that could not be read.
    pub unread: u64,
}

impl RunLog {
    /// Reads `metrics.jsonl`, and `eval.jsonl` where it is.
    ///
    /// # Errors
    /// Metrics that are missing or are none; a file that cannot be read.
    pub(super) fn read(paths: &RunPaths) -> Result<Self, ReportError> {
        let mut log = Self::default();
        let path = paths.metrics();
        if !path.exists() {
            return Err(ReportError::NoMetrics { path: paths.root().into() });
        }
        log.add(&path)?;
        // A run that has only begun has no lines yet.
        if log.lines == 0 && log.unread > 0 {
            return Err(ReportError::NotMetrics { path });
        }
        log.add(&paths.eval())?;
        Ok(log)
    }

    fn add(&mut self, path: &Path) -> Result<(), ReportError> {
        match each_line(path, |line| self.take(line.bytes)) {
            Ok(too_long) => self.unread += too_long,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(reason) => return Err(ReportError::Unreadable { path: path.into(), reason }),
        }
        Ok(())
    }

    fn take(&mut self, line: &[u8]) {
        let fields: Option<Map<String, Value>> = serde_json::from_slice(line).ok();
        let step = fields.as_ref().and_then(|fields| fields.get("step")?.as_u64());
        let (Some(fields), Some(step)) = (fields, step) else {
            self.unread += 1;
            return;
        };
        self.lines += 1;
        for (name, value) in fields.iter().filter(|(name, _)| *name != "step") {
            if let Some(value) = number(value) {
                self.push(name, step, value);
            }
        }
    }

    fn push(&mut self, name: &str, step: u64, value: f64) {
        if let Some(curve) = self.curves.get_mut(name) {
            curve.push(step, value);
        } else if self.curves.len() < MOST_CURVES && name.len() <= LONGEST_NAME {
            self.curves.entry(name.to_owned()).or_default().push(step, value);
        }
    }
}

/// A flag is drawn as 0 and 1; what is not finite was written as null and is left out.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        _ => value.as_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::{EvalMetrics, StepMetrics};

    fn folder(metrics: &str, eval: &str) -> (tempfile::TempDir, RunPaths) {
        let folder = tempfile::tempdir().unwrap();
        let paths = RunPaths::new(folder.path());
        std::fs::write(paths.metrics(), metrics).unwrap();
        std::fs::write(paths.eval(), eval).unwrap();
        (folder, paths)
    }

    fn step(step: u64) -> String {
        let mut metrics = StepMetrics { step, reward: step as f64, ..Default::default() };
        metrics.reward_means.insert("exact".into(), 0.5);
        serde_json::to_string(&metrics).unwrap() + "\n"
    }

    #[test]
    fn what_a_run_writes_becomes_a_curve_under_the_name_that_it_has_there() {
        let eval = EvalMetrics { step: 0, accuracy: 0.25, problems: 8, ..Default::default() };
        let eval = serde_json::to_string(&eval).unwrap() + "\n";
        let (_folder, paths) = folder(&(step(1) + &step(2)), &eval);
        let log = RunLog::read(&paths).unwrap();
        assert_eq!(log.curves["reward"].thinned(500).mean, [1.0, 2.0]);
        assert_eq!(log.curves["rewards/exact/mean"].thinned(500).mean, [0.5, 0.5]);
        assert_eq!(log.curves["eval/accuracy"].thinned(500).mean, [0.25]);
        assert_eq!(log.curves["skipped"].thinned(500).mean, [0.0, 0.0]);
        assert!(!log.curves.contains_key("kl") && !log.curves.contains_key("step"));
    }

    #[test]
    fn a_damaged_end_is_passed_over_and_a_damaged_middle_is_counted() {
        let (_folder, paths) =
            folder(&(step(1) + "oops\n[1]\n" + &step(2) + "{\"step\":3,\"rew"), "");
        let log = RunLog::read(&paths).unwrap();
        assert_eq!(log.curves["reward"].thinned(500).steps, [1, 2]);
        assert_eq!(log.unread, 2);
    }

    #[test]
    fn missing_and_foreign_metrics_are_told_apart_from_a_run_without_a_step() {
        let empty = tempfile::tempdir().unwrap();
        let error = RunLog::read(&RunPaths::new(empty.path())).unwrap_err().to_string();
        assert!(error.contains("no metrics.jsonl") && error.contains("wgrpo runs"), "{error}");
        let (_folder, paths) = folder("a,b\n1,2\n", "");
        let error = RunLog::read(&paths).unwrap_err();
        assert!(matches!(error, ReportError::NotMetrics { .. }), "{error}");
        let (_folder, paths) = folder("", "");
        assert!(RunLog::read(&paths).unwrap().curves.is_empty());
    }

    #[test]
    fn metrics_without_end_are_not_all_kept() {
        let fields: Vec<String> = (0..1000).map(|n| format!("\"m{n}\":1")).collect();
        let (_folder, paths) = folder(&format!("{{\"step\":1,{}}}\n", fields.join(",")), "");
        assert_eq!(RunLog::read(&paths).unwrap().curves.len(), MOST_CURVES);
    }
}
