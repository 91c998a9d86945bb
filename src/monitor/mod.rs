//! What a run says about itself: metric lines, the run folder, progress and the closing report.
//!
//! This room only receives plain numbers and text; it knows no tensor, no model and no config.

mod diagnosis;
mod json_lines;
mod layout;
mod metrics;
mod progress;
mod rss;
mod run_folder;
mod summary;

pub use diagnosis::diagnose;
pub use json_lines::JsonLines;
pub use layout::RunPaths;
pub use metrics::{EvalMetrics, SampleLine, StepMetrics};
pub use progress::{Phase, Progress, Stage};
pub use rss::peak_rss_mib;
pub use run_folder::{Existing, RunFolder, RunFolderError};
pub use summary::{RunFacts, report};
