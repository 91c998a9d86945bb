//! What a run that goes on reads back from its logs, to find what it has not found yet.

use super::diagnosis::{Finding, Past};
use super::error::{RunFolderError, failed};
use super::json_lines::{read_last, read_lines};
use super::logs::EventLine;
use super::run_folder::RunFolder;

impl RunFolder {
    /// All that tells, when the run goes on, what was found so far and what is to be found yet.
    ///
    /// # Errors
    /// When a log cannot be read or a line of it is not one of ours.
    pub fn past(&self) -> Result<Past, RunFolderError> {
        let (samples, events) = (self.paths().samples(), self.paths().events());
        let lines = read_lines(&events).map_err(failed("read", &events))?;
        let finding = |line: EventLine<Box<Finding>>| match line {
            EventLine::Finding(finding) => Some(*finding),
            EventLine::Unknown => None,
        };
        Ok(Past {
            steps: self.history()?,
            evaluations: self.evaluations()?,
            samples: read_last(&samples, Past::SAMPLES).map_err(failed("read", &samples))?,
            findings: lines.into_iter().filter_map(finding).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::monitor::{
        EvalMetrics, Event, Existing, Logs, Monitor, SampleLine, StepEvent, StepMetrics,
    };

    fn found(step: u64) -> Finding {
        Finding { step, rule: "cut_off".into(), value: Some(8.into()), ..Finding::default() }
    }

    #[test]
    fn what_was_logged_before_a_checkpoint_is_read_back_and_what_came_after_is_not() {
        let root = tempfile::tempdir().unwrap();
        let run = RunFolder::open(root.path(), Existing::Refuse).unwrap();
        let mut logs = Logs::open(run.paths()).unwrap();
        for step in 1..=3 {
            let metrics = &StepMetrics { step, ..StepMetrics::default() };
            let samples = &[SampleLine { step, ..SampleLine::default() }];
            logs.take(&Event::Step(StepEvent { metrics, samples, shown: None })).unwrap();
            let eval = EvalMetrics { step, ..EvalMetrics::default() };
            logs.take(&Event::Evaluated(&eval)).unwrap();
            logs.take(&Event::Finding(&found(step))).unwrap();
        }
        run.cut_logs(2).unwrap();
        let past = run.past().unwrap();
        assert_eq!(past.findings, [found(1), found(2)]);
        assert_eq!((past.steps.len(), past.evaluations.len(), past.samples.len()), (2, 2, 2));
    }

    #[test]
    fn an_event_of_a_later_version_is_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let run = RunFolder::open(root.path(), Existing::Refuse).unwrap();
        let mut logs = Logs::open(run.paths()).unwrap();
        fs::write(run.paths().events(), "{\"event\":\"weather\",\"step\":1,\"sun\":true}\n")
            .unwrap();
        logs.take(&Event::Finding(&found(1))).unwrap();
        assert_eq!(run.past().unwrap().findings, [found(1)]);
    }
}
