//! What listens to a run: its logs, the screen and the closing report, and the folder they lie in.
//!
//! A run tells [`Event`]s, and each [`Monitor`] makes of them what it is for. This room only receives
//! plain numbers and text; it knows no tensor, no model and no config.

mod diagnosis;
mod doing;
mod error;
mod event;
mod json_lines;
mod layout;
mod logs;
mod metrics;
mod monitors;
mod past;
mod progress;
mod report_file;
mod rss;
mod run_folder;
mod run_lock;
mod sample_text;
mod screen;
mod summary;

pub use diagnosis::{Example, Finding, Findings, Past, RewardSetting, Setting};
pub use doing::Doing;
pub use error::RunFolderError;
pub use event::{Event, Monitor, MonitorError, RunPlan, StepEvent};
pub use json_lines::JsonLines;
pub use layout::{CHECKPOINT_FILES, RunPaths};
pub use logs::Logs;
pub use metrics::{EvalMetrics, SampleLine, StepMetrics};
pub use monitors::{Monitors, RecordFailed};
pub use progress::{Phase, Progress, Stage, duration_text};
pub use report_file::ReportFile;
pub use rss::peak_rss_mib;
pub use run_folder::{Existing, RunFolder};
pub use run_lock::is_under_way;
pub use sample_text::safe_text;
pub use screen::Screen;
pub use summary::{RunFacts, report};
