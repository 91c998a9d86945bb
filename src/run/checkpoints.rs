//! The checkpoints of a run folder: which one is whole, and which are kept.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::RunError;
use super::inputs::Inputs;
use super::manifest::Manifest;
use crate::config::RunConfig;
use crate::files::{remove_partials, write_atomically};
use crate::monitor::{RunFolderError, RunPaths};
use crate::train::{CheckpointState, TrainError, remove_checkpoint};

/// The name of the configuration in a checkpoint's folder.
const CONFIG: &str = "config.yaml";

/// A checkpoint that a run can go on from.
#[derive(Debug)]
pub(super) struct Found {
    pub folder: PathBuf,
    pub state: CheckpointState,
    pub manifest: Manifest,
    /// What the run was configured as by then.
    pub config: RunConfig,
    /// What is wrong with the logs, where that was accepted.
    pub gap: Option<String>,
    /// What is wrong with newer checkpoints, a sentence each.
    pub notes: Vec<String>,
}

/// The newest checkpoint of a run that is whole, and that its logs still fit unless any `gap` in them
/// is accepted.
///
/// # Errors
/// None there; none that is whole, with what is wrong with each.
pub(super) fn newest(paths: &RunPaths, accepts_gap: bool) -> Result<Found, RunError> {
    let mut faults = Vec::new();
    for (step, folder) in paths.checkpoint_folders().into_iter().rev() {
        match whole(paths, step, &folder, accepts_gap) {
            Ok(found) => return Ok(Found { notes: notes(&faults), ..found }),
            Err(fault) => faults.push(format!("step-{step}: {fault}")),
        }
    }
    let (folder, holds_run) = (paths.root().to_owned(), paths.holds_run());
    Err(match faults.is_empty() {
        true => RunError::NoCheckpoint { folder, holds_run },
        false => RunError::NoWholeCheckpoint { folder, faults: faults.join("; ") },
    })
}

/// The checkpoint after `step`, as far as it can be gone on from.
///
/// # Errors
/// None there, or one that is not whole, with what is wrong with it.
pub(super) fn of_step(paths: &RunPaths, step: u64, accepts_gap: bool) -> Result<Found, RunError> {
    let folders = paths.checkpoint_folders();
    let folder = paths.root().to_owned();
    let Some((_, found)) = folders.iter().find(|(found, _)| *found == step) else {
        let steps: Vec<String> = folders.iter().map(|(step, _)| step.to_string()).collect();
        let there = match steps.is_empty() {
            true => "there is none of any step".into(),
            false => format!("there are those of {}", steps.join(", ")),
        };
        return Err(RunError::NoCheckpointOf { folder, step, there });
    };
    whole(paths, step, found, accepts_gap).map_err(|fault| RunError::NoWholeCheckpoint {
        folder,
        faults: format!("step-{step}: {fault}"),
    })
}

fn notes(faults: &[String]) -> Vec<String> {
    faults.iter().map(|fault| format!("not resumed from checkpoints/{fault}")).collect()
}

/// The checkpoint in `folder`, or what is wrong with it.
fn whole(paths: &RunPaths, step: u64, folder: &Path, accepts_gap: bool) -> Result<Found, String> {
    let manifest = Manifest::read(folder)?;
    if let Some(fault) = manifest.fault(folder) {
        return Err(fault);
    }
    let gap = manifest.fault_of_logs(paths);
    if let Some(gap) = gap.as_ref().filter(|_| !accepts_gap) {
        return Err(format!("the logs are not those it was written with: {gap}"));
    }
    let unread = |error: &dyn std::fmt::Display| error.to_string();
    let state = CheckpointState::read(folder).map_err(|error| unread(&error))?;
    let state = state.ok_or("state.json is missing")?;
    if [manifest.step, state.step] != [step; 2] {
        return Err(format!("it is the checkpoint of step {}", state.step));
    }
    let config = RunConfig::load(&folder.join(CONFIG), &[]).map_err(|error| unread(&error))?;
    Ok(Found { folder: folder.into(), state, manifest, config, gap, notes: Vec::new() })
}

/// What a checkpoint keeps beside the state of its trainer.
pub(super) struct Kept<'a> {
    pub step: u64,
    pub paths: &'a RunPaths,
    pub config: &'a RunConfig,
    pub inputs: &'a Inputs,
}

/// Writes a checkpoint anew: its state by `save`, the configuration, and last the manifest.
///
/// # Errors
/// A file that cannot be written; older checkpoints are untouched.
pub(super) fn write(
    kept: &Kept<'_>,
    save: impl FnOnce(&Path) -> Result<(), TrainError>,
) -> Result<PathBuf, RunError> {
    let folder = kept.paths.checkpoint(kept.step);
    // What an interrupted writer left must not be taken for part of this one.
    remove(&folder)?;
    save(&folder)?;
    let yaml = kept.config.to_yaml()?;
    write_atomically(&folder.join(CONFIG), yaml.as_bytes()).map_err(failed("write", &folder))?;
    let manifest = Manifest::of(&folder, kept.step, kept.paths, kept.inputs.clone());
    let written = manifest.and_then(|manifest| manifest.write(&folder));
    written.map_err(failed("write", &folder))?;
    Ok(folder)
}

/// Lets the checkpoint of the step that a run has reached count what was logged since it was written.
///
/// # Errors
/// A log or a manifest that cannot be read or written.
pub(super) fn count_logs_again(kept: &Kept<'_>) -> Result<(), RunError> {
    let folder = kept.paths.checkpoint(kept.step);
    let manifest = Manifest::read(&folder).map_err(io::Error::other);
    let manifest = manifest.and_then(|manifest| manifest.with_logs(kept.paths));
    let written = manifest.and_then(|manifest| manifest.write(&folder));
    Ok(written.map_err(failed("write", &folder))?)
}

/// Removes what is older than the newest `keep` whole checkpoints up to `step`, which was just written.
/// What is not whole does not count, nor what the logs have left behind: nobody can go on from it.
///
/// # Errors
/// A file that cannot be removed.
pub(super) fn prune(paths: &RunPaths, keep: usize, step: u64) -> Result<(), RunError> {
    let mut folders = paths.checkpoint_folders();
    folders.retain(|(found, _)| *found <= step);
    let (whole, torn): (Vec<_>, Vec<_>) = folders.iter().partition(|(_, folder)| {
        Manifest::read(folder).is_ok_and(|manifest| {
            manifest.looks_whole(folder) && manifest.fault_of_logs(paths).is_none()
        })
    });
    // Nothing is surplus beside one that was lost as soon as it was written.
    if whole.last().is_none_or(|(newest, _)| *newest != step) {
        return Ok(());
    }
    let surplus = whole.len().saturating_sub(keep.max(1));
    let gone = whole[..surplus].iter().chain(&torn);
    gone.into_iter().try_for_each(|(_, folder)| remove(folder))
}

/// Removes a checkpoint, its manifest first, so that what is left of it is never taken for whole.
fn remove(folder: &Path) -> Result<(), RunError> {
    for path in [RunPaths::manifest(folder), folder.join(CONFIG)] {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(failed("remove", &path)(error).into());
            }
            _ => {}
        }
    }
    remove_partials(folder);
    Ok(remove_checkpoint(folder)?)
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RunFolderError {
    let path = path.to_owned();
    move |reason| RunFolderError::Io { action, path, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that looks like a checkpoint, whole or torn.
    fn checkpoint(paths: &RunPaths, step: u64, is_whole: bool) {
        let folder = paths.checkpoint(step);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("state.json"), "{}").unwrap();
        paths.logs().iter().for_each(|log| std::fs::write(log, "").unwrap());
        if is_whole {
            let manifest = Manifest::of(&folder, step, paths, Inputs::default()).unwrap();
            manifest.write(&folder).unwrap();
        }
    }

    fn kept(of: &[(u64, bool)], keep: usize, step: u64) -> Vec<u64> {
        let root = tempfile::tempdir().unwrap();
        let paths = RunPaths::new(root.path());
        of.iter().for_each(|(step, is_whole)| checkpoint(&paths, *step, *is_whole));
        prune(&paths, keep, step).unwrap();
        paths.checkpoint_folders().into_iter().map(|(step, _)| step).collect()
    }

    #[test]
    fn the_newest_whole_checkpoints_are_kept_and_torn_ones_do_not_count() {
        assert_eq!(kept(&[(1, true), (2, true), (3, true)], 2, 3), [2, 3]);
        assert_eq!(kept(&[(1, true), (2, false), (3, true)], 2, 3), [1, 3]);
        assert_eq!(kept(&[(1, true), (2, true), (9, false)], 1, 2), [2, 9]);
        assert_eq!(kept(&[(1, true), (2, true)], 0, 2), [2]);
        // The one just written was lost: what is left is all there is.
        assert_eq!(kept(&[(1, true), (2, true), (3, false)], 1, 3), [1, 2, 3]);
    }

    #[test]
    fn a_folder_without_a_whole_checkpoint_is_told_from_one_without_any() {
        let root = tempfile::tempdir().unwrap();
        let paths = RunPaths::new(root.path());
        let error = newest(&paths, false).unwrap_err();
        assert!(matches!(error, RunError::NoCheckpoint { holds_run: false, .. }), "{error}");
        checkpoint(&paths, 4, false);
        let error = newest(&paths, false).unwrap_err().to_string();
        assert!(error.contains("step-4: it has no manifest.json"), "{error}");
    }
}
