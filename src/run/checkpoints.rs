//! The checkpoints of a run folder: the newest one, and those that are kept.

use std::path::{Path, PathBuf};

use super::RunError;
use crate::monitor::RunPaths;
use crate::train::{CheckpointState, remove_checkpoint};

/// The newest whole checkpoint below `output_dir`: its folder and its counters.
///
/// # Errors
/// None there, or one whose counters cannot be read.
pub(super) fn newest(output_dir: &Path) -> Result<(PathBuf, CheckpointState), RunError> {
    let paths = RunPaths::new(output_dir);
    for folder in paths.checkpoint_folders().into_iter().rev() {
        if let Some(state) = CheckpointState::read(&folder)? {
            return Ok((folder, state));
        }
    }
    Err(RunError::NoCheckpoint { folder: output_dir.into(), holds_run: paths.holds_run() })
}

/// Removes the oldest checkpoints beyond the newest `keep`.
///
/// # Errors
/// A file that cannot be removed.
pub(super) fn prune(paths: &RunPaths, keep: usize) -> Result<(), RunError> {
    let folders = paths.checkpoint_folders();
    let surplus = folders.len().saturating_sub(keep);
    Ok(folders[..surplus].iter().try_for_each(|folder| remove_checkpoint(folder))?)
}
