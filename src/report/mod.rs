//! What runs have left behind, for a person to read: a page of one or several runs, and a list of runs.
//!
//! It reads the files of run folders and nothing else, whether a run is still going, was killed, or
//! was written by another version: what cannot be read is counted and said, and no model is opened.

mod curve;
mod environment;
mod error;
mod findings;
mod lines;
mod list;
mod log;
mod page;
mod row;
mod samples;
mod settings;
mod spread;
mod standing;
#[cfg(test)]
mod tests;

pub use error::ReportError;
pub use list::{RunRow, list};
pub use page::{MARK, MOST_RUNS, Page, page};
pub use standing::{Standing, State};
