//! The folder of one run: who may begin there, and what is read back from it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::{RunFolderError, failed, write_whole};
use super::json_lines::{read_lines, truncate_after};
use super::layout::RunPaths;
use super::metrics::{EvalMetrics, StepMetrics};
use super::run_lock::RunLock;
use crate::files::remove_partials;

/// What to do with a folder that already holds a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Existing {
    /// Leave it alone and report [`RunFolderError::HoldsRun`].
    #[default]
    Refuse,
    /// Remove the files that a run is known to write, and begin anew; all other files stay.
    Overwrite,
}

/// A folder that belongs to a run, which nobody else can take as long as this value lives.
#[derive(Debug)]
pub struct RunFolder {
    paths: RunPaths,
    _lock: RunLock,
}

impl RunFolder {
    /// Takes `output_dir` for a new run: made or cleared as `existing` says.
    ///
    /// # Errors
    /// When it holds a run and `existing` refuses, another run is under way there, or it cannot be
    /// written.
    pub fn open(output_dir: &Path, existing: Existing) -> Result<Self, RunFolderError> {
        let paths = RunPaths::new(output_dir);
        let refuse_run = || match existing {
            Existing::Refuse if paths.holds_run() => {
                Err(RunFolderError::HoldsRun { path: output_dir.into() })
            }
            _ => Ok(()),
        };
        refuse_run()?;
        let lock = RunLock::take(&paths)?;
        // Another run may have come and gone meanwhile.
        refuse_run()?;
        remove_own_files(&paths)?;
        Ok(Self { paths, _lock: lock })
    }

    /// Takes the folder of a run that is to go on, and changes nothing in it.
    ///
    /// # Errors
    /// When it holds no run or only what is left of one, another run is under way there, or it cannot
    /// be written.
    pub fn reopen(output_dir: &Path) -> Result<Self, RunFolderError> {
        let (paths, path) = (RunPaths::new(output_dir), output_dir.to_owned());
        if !paths.holds_run() {
            return Err(RunFolderError::NothingToResume { path });
        }
        let lock = RunLock::take(&paths)?;
        match paths.overwriting().exists() {
            true => Err(RunFolderError::HalfOverwritten { path }),
            false => Ok(Self { paths, _lock: lock }),
        }
    }

    /// Cuts the logs after the lines of `step`.
    ///
    /// # Errors
    /// A log that cannot be read or written, or with a line that is not one of ours.
    pub fn cut_logs(&self, step: u64) -> Result<(), RunFolderError> {
        let mut logs = self.paths.logs().into_iter();
        logs.try_for_each(|log| truncate_after(&log, step).map_err(failed("cut back", &log)))
    }

    /// Cuts a log after its first `bytes`.
    ///
    /// # Errors
    /// A log that cannot be written.
    pub fn cut_log(log: &Path, bytes: u64) -> Result<(), RunFolderError> {
        let file = fs::OpenOptions::new().write(true).open(log);
        match file.and_then(|file| file.set_len(bytes).and_then(|()| file.sync_data())) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && bytes == 0 => Ok(()),
            cut => cut.map_err(failed("cut back", log)),
        }
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

/// Removes what an older run has left. Cut short, it can be told by a mark that goes last.
fn remove_own_files(paths: &RunPaths) -> Result<(), RunFolderError> {
    if !paths.holds_run() {
        return Ok(());
    }
    let mark = paths.overwriting();
    write_whole(&mark, "")?;
    let folders: Vec<PathBuf> = paths.checkpoint_folders().into_iter().map(|(_, f)| f).collect();
    for file in paths.own_files() {
        remove(&file)?;
    }
    let others = [paths.checkpoints(), paths.model(), paths.adapter(), paths.rewards()];
    for folder in folders.iter().chain(&others) {
        remove_partials(folder);
        // A folder with somebody else's files in it is not empty, and stays.
        let _ = fs::remove_dir(folder);
    }
    remove_partials(paths.root());
    remove(&mark)
}

fn remove(file: &Path) -> Result<(), RunFolderError> {
    fs::remove_file(file).map_err(failed("remove", file))
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
        let before = run_of_three_steps(root.path()).paths().clone();
        let error = RunFolder::open(root.path(), Existing::Refuse).unwrap_err();
        assert!(matches!(error, RunFolderError::HoldsRun { .. }));
        assert_eq!(lines(before.metrics()), 3);
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
        let resumed = RunFolder::reopen(stopped.path()).unwrap();
        resumed.cut_logs(2).unwrap();
        assert_eq!(lines(resumed.paths().samples()), 2);
        assert_eq!(lines(resumed.paths().eval()), 2);
        log(&resumed, 3);
        let read = |run: &RunFolder| fs::read(run.paths().metrics()).unwrap();
        assert_eq!(read(&resumed), read(&whole));
    }

    #[test]
    fn a_folder_whose_overwriting_was_cut_short_is_no_run_to_go_on_with() {
        let root = tempfile::tempdir().unwrap();
        let paths = run_of_three_steps(root.path()).paths().clone();
        let state = paths.checkpoint(2).join("state.json");
        fs::create_dir_all(state.parent().unwrap()).unwrap();
        fs::write(&state, "x").unwrap();
        fs::write(paths.overwriting(), "").unwrap();
        let error = RunFolder::reopen(root.path()).unwrap_err();
        assert!(matches!(error, RunFolderError::HalfOverwritten { .. }), "{error}");
        let error = RunFolder::open(root.path(), Existing::Refuse).unwrap_err();
        assert!(matches!(error, RunFolderError::HoldsRun { .. }), "{error}");
        drop(RunFolder::open(root.path(), Existing::Overwrite).unwrap());
        assert!(!paths.holds_run() && !state.exists());
    }

    #[test]
    fn a_folder_with_a_run_under_way_is_neither_overwritten_nor_gone_on_with() {
        let root = tempfile::tempdir().unwrap();
        let live = run_of_three_steps(root.path());
        for taken in
            [RunFolder::open(root.path(), Existing::Overwrite), RunFolder::reopen(root.path())]
        {
            let error = taken.unwrap_err();
            assert!(matches!(error, RunFolderError::UnderWay { .. }), "{error}");
        }
        assert_eq!(lines(live.paths().metrics()), 3);
    }

    #[test]
    fn resuming_where_no_run_is_says_so() {
        let root = tempfile::tempdir().unwrap();
        let error = RunFolder::reopen(root.path()).unwrap_err();
        assert!(matches!(error, RunFolderError::NothingToResume { .. }));
    }

    #[test]
    fn the_history_spans_a_resume() {
        let root = tempfile::tempdir().unwrap();
        drop(run_of_three_steps(root.path()));
        let run = RunFolder::reopen(root.path()).unwrap();
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
