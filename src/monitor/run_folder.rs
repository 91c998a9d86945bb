//! The folder of one run: who may begin there, and what is read back from it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::json_lines::{read_lines, truncate_after};
use super::layout::RunPaths;
use super::metrics::{EvalMetrics, StepMetrics};

/// What to do with a folder that already holds a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Existing {
    /// Leave it alone and report [`RunFolderError::HoldsRun`].
    #[default]
    Refuse,
    /// Remove the files that a run is known to write, and begin anew; all other files stay.
    Overwrite,
    /// Go on after `step`: later lines of the logs are cut off.
    Resume {
        /// The step of the checkpoint that the run goes on from.
        step: u64,
    },
}

/// Why a run folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RunFolderError {
    /// The folder holds a run already.
    #[error(
        "{} already holds a run: choose another folder with --output-dir, go on with that run with \
         --resume, or replace it with --overwrite",
        path.display()
    )]
    HoldsRun {
        /// The run folder.
        path: PathBuf,
    },
    /// There is no run to go on with.
    #[error("{} holds no run to resume: check output_dir, or start without resume", path.display())]
    NothingToResume {
        /// The run folder.
        path: PathBuf,
    },
    /// The operating system refused a file.
    #[error("cannot {action} {}: {reason}: {}", path.display(), mend(reason.kind()))]
    Io {
        /// What was tried, as in "append to".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said; not a `source`, since the message tells it already.
        reason: io::Error,
    },
    /// A whole file could not be written; the reason names it.
    #[error("{reason}: {}", mend(reason.kind()))]
    Write {
        /// What went wrong with which file.
        reason: io::Error,
    },
}

/// A folder that belongs to a run.
#[derive(Debug)]
pub struct RunFolder {
    paths: RunPaths,
}

impl RunFolder {
    /// Takes `output_dir` for a run: made, cleared or cut back as `existing` says.
    ///
    /// # Errors
    /// When it holds a run and `existing` refuses, holds none to resume, or cannot be written.
    pub fn open(output_dir: &Path, existing: Existing) -> Result<Self, RunFolderError> {
        let paths = RunPaths::new(output_dir);
        prepare(&paths, existing)?;
        fs::create_dir_all(output_dir).map_err(failed("create", output_dir))?;
        Ok(Self { paths })
    }

    /// Where the files of this run lie.
    pub fn paths(&self) -> &RunPaths {
        &self.paths
    }

    /// Writes the resolved config.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_config(&self, yaml: &str) -> Result<(), RunFolderError> {
        write_whole(&self.paths.config(), yaml)
    }

    /// All steps logged so far, those before a resume included.
    ///
    /// # Errors
    /// When the file cannot be read or a line of it is not one of ours.
    pub fn history(&self) -> Result<Vec<StepMetrics>, RunFolderError> {
        let path = self.paths.metrics();
        read_lines(&path).map_err(failed("read", &path))
    }

    /// All evaluations logged so far, those before a resume included.
    ///
    /// # Errors
    /// When the file cannot be read or a line of it is not one of ours.
    pub fn evaluations(&self) -> Result<Vec<EvalMetrics>, RunFolderError> {
        let path = self.paths.eval();
        read_lines(&path).map_err(failed("read", &path))
    }
}

fn prepare(paths: &RunPaths, existing: Existing) -> Result<(), RunFolderError> {
    let path = paths.root().to_owned();
    match existing {
        Existing::Refuse if paths.holds_run() => Err(RunFolderError::HoldsRun { path }),
        Existing::Refuse => Ok(()),
        Existing::Overwrite => remove_own_files(paths),
        Existing::Resume { .. } if !paths.holds_run() => {
            Err(RunFolderError::NothingToResume { path })
        }
        Existing::Resume { step } => cut_logs(paths, step),
    }
}

fn remove_own_files(paths: &RunPaths) -> Result<(), RunFolderError> {
    if !paths.holds_run() {
        return Ok(());
    }
    for file in paths.own_files() {
        fs::remove_file(&file).map_err(failed("remove", &file))?;
    }
    for folder in paths.checkpoint_folders() {
        // A folder with somebody else's files in it is not empty, and stays.
        let _ = fs::remove_dir(folder);
    }
    Ok(())
}

fn cut_logs(paths: &RunPaths, step: u64) -> Result<(), RunFolderError> {
    for log in [paths.metrics(), paths.eval(), paths.samples()] {
        truncate_after(&log, step).map_err(failed("cut back", &log))?;
    }
    Ok(())
}

pub(super) fn write_whole(path: &Path, text: &str) -> Result<(), RunFolderError> {
    crate::files::write_atomically(path, text.as_bytes())
        .map_err(|reason| RunFolderError::Write { reason })
}

pub(super) fn failed(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> RunFolderError {
    let path = path.to_owned();
    move |reason| RunFolderError::Io { action, path, reason }
}

fn mend(kind: io::ErrorKind) -> &'static str {
    use io::ErrorKind::*;
    match kind {
        StorageFull | QuotaExceeded | FileTooLarge => {
            "free some space there, then resume the run; or choose an output_dir on another disk"
        }
        ReadOnlyFilesystem | PermissionDenied => "choose an output_dir that you may write to",
        NotADirectory | IsADirectory | AlreadyExists => {
            "something else has that name: choose another output_dir, or move it away"
        }
        InvalidData => "mend or remove that line, or begin the run anew with overwrite",
        _ => "check that output_dir is a folder that you can write to",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::{Event, Logs, Monitor, SampleLine, StepEvent};

    fn step(step: u64) -> StepMetrics {
        StepMetrics { step, reward: 0.5, ..StepMetrics::default() }
    }

    fn run_of_three_steps(folder: &Path) -> RunFolder {
        let run = RunFolder::open(folder, Existing::Refuse).unwrap();
        run.write_config("seed: 1\n").unwrap();
        for number in 1..=3 {
            log(&run, number);
        }
        run
    }

    /// Logs a step with a sample, and an evaluation.
    fn log(run: &RunFolder, number: u64) {
        let mut logs = Logs::open(run.paths()).unwrap();
        let samples = [SampleLine { step: number, ..SampleLine::default() }];
        let metrics = &step(number);
        logs.take(&Event::Step(StepEvent { metrics, samples: &samples, shown: None })).unwrap();
        let eval = EvalMetrics { step: number, ..EvalMetrics::default() };
        logs.take(&Event::Evaluated(&eval)).unwrap();
    }

    fn lines(path: PathBuf) -> usize {
        fs::read_to_string(path).unwrap().lines().count()
    }

    #[test]
    fn a_new_folder_is_made_with_its_parents() {
        let root = tempfile::tempdir().unwrap();
        let run = run_of_three_steps(&root.path().join("runs/first"));
        assert_eq!(fs::read_to_string(run.paths().config()).unwrap(), "seed: 1\n");
        assert_eq!(lines(run.paths().metrics()), 3);
    }

    #[test]
    fn a_second_run_in_the_same_folder_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let before = run_of_three_steps(root.path());
        let error = RunFolder::open(root.path(), Existing::Refuse).unwrap_err();
        assert!(matches!(error, RunFolderError::HoldsRun { .. }));
        assert_eq!(lines(before.paths().metrics()), 3);
    }

    #[test]
    fn overwriting_keeps_files_that_are_not_ours() {
        let root = tempfile::tempdir().unwrap();
        let paths = run_of_three_steps(root.path()).paths().clone();
        fs::create_dir_all(paths.model()).unwrap();
        fs::create_dir_all(paths.checkpoint(2)).unwrap();
        let ours =
            [paths.model().join("model.safetensors"), paths.checkpoint(2).join("state.json")];
        let theirs = [root.path().join("notes.txt"), paths.model().join("notes.txt")];
        for file in ours.iter().chain(&theirs) {
            fs::write(file, "x").unwrap();
        }
        let run = RunFolder::open(root.path(), Existing::Overwrite).unwrap();
        Logs::open(run.paths()).unwrap();
        assert!(theirs.iter().all(|file| file.exists()));
        assert!(ours.iter().all(|file| !file.exists()) && !paths.checkpoint(2).exists());
        assert_eq!(lines(paths.metrics()), 0);
    }

    #[test]
    fn overwriting_a_folder_without_a_run_removes_nothing() {
        let root = tempfile::tempdir().unwrap();
        let model = root.path().join("model/model.safetensors");
        fs::create_dir(root.path().join("model")).unwrap();
        fs::write(&model, "x").unwrap();
        RunFolder::open(root.path(), Existing::Overwrite).unwrap();
        assert!(model.exists());
    }

    #[test]
    fn a_resumed_run_writes_the_same_files_as_one_that_never_stopped() {
        let (stopped, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let whole = run_of_three_steps(whole.path());
        drop(run_of_three_steps(stopped.path()));
        let resumed = RunFolder::open(stopped.path(), Existing::Resume { step: 2 }).unwrap();
        assert_eq!(lines(resumed.paths().samples()), 2);
        assert_eq!(lines(resumed.paths().eval()), 2);
        log(&resumed, 3);
        let read = |run: &RunFolder| fs::read(run.paths().metrics()).unwrap();
        assert_eq!(read(&resumed), read(&whole));
    }

    #[test]
    fn resuming_where_no_run_is_says_so() {
        let root = tempfile::tempdir().unwrap();
        let error = RunFolder::open(root.path(), Existing::Resume { step: 1 }).unwrap_err();
        assert!(matches!(error, RunFolderError::NothingToResume { .. }));
    }

    #[test]
    fn the_history_spans_a_resume() {
        let root = tempfile::tempdir().unwrap();
        drop(run_of_three_steps(root.path()));
        let run = RunFolder::open(root.path(), Existing::Resume { step: 3 }).unwrap();
        assert_eq!(run.history().unwrap(), [step(1), step(2), step(3)]);
        assert_eq!(run.evaluations().unwrap().len(), 3);
    }

    #[test]
    fn a_file_in_the_way_is_named_with_a_way_out() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "x").unwrap();
        let error = RunFolder::open(&file, Existing::Refuse).unwrap_err().to_string();
        assert!(error.contains("file") && error.contains("choose another output_dir"), "{error}");
    }

    #[test]
    fn a_config_that_cannot_be_written_is_named_once() {
        let root = tempfile::tempdir().unwrap();
        let run = RunFolder::open(root.path(), Existing::Refuse).unwrap();
        fs::create_dir(run.paths().config()).unwrap();
        let error = run.write_config("seed: 1").unwrap_err().to_string();
        assert_eq!(error.matches("config.yaml").count(), 1, "{error}");
    }

    #[test]
    fn a_read_only_disk_is_named_with_a_way_out() {
        let reason = io::Error::from(io::ErrorKind::ReadOnlyFilesystem);
        let error = failed("create", Path::new("/cdrom/run"))(reason).to_string();
        assert!(error.contains("/cdrom/run") && error.contains("may write to"), "{error}");
    }
}
