//! The closing report as a monitor: `report.txt`.

use std::path::PathBuf;

use super::error::write_whole;
use super::event::{Event, Monitor, MonitorError};
use super::layout::RunPaths;

/// Writes the report of a run that has ended into its folder.
#[derive(Debug)]
pub struct ReportFile {
    path: PathBuf,
}

impl ReportFile {
    /// One for the folder of these paths.
    pub fn new(paths: &RunPaths) -> Self {
        Self { path: paths.report() }
    }
}

impl Monitor for ReportFile {
    fn name(&self) -> &'static str {
        "the report"
    }

    fn is_record(&self) -> bool {
        true
    }

    fn take(&mut self, event: &Event<'_>) -> Result<(), MonitorError> {
        match event {
            Event::Finished { report, .. } => Ok(write_whole(&self.path, report)?),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::RunFacts;

    #[test]
    fn the_report_is_written_when_the_run_has_ended_and_not_before() {
        let root = tempfile::tempdir().unwrap();
        let mut file = ReportFile::new(&RunPaths::new(root.path()));
        file.take(&Event::Message("so far")).unwrap();
        assert!(!file.path.exists());
        let facts = &RunFacts::default();
        file.take(&Event::Finished { facts, report: "all went well\n" }).unwrap();
        assert_eq!(std::fs::read_to_string(&file.path).unwrap(), "all went well\n");
    }
}
