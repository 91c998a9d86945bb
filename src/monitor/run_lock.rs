//! The lock on a run's folder: one run at a time.

use std::fs::{self, File, OpenOptions, TryLockError};

use super::error::{RunFolderError, failed};
use super::layout::RunPaths;

/// A locked folder, until it is dropped or the process ends, however it ends.
///
/// The file stays when the lock is given back: whoever removed it could remove another run's.
#[derive(Debug)]
pub(super) struct RunLock {
    _file: File,
}

impl RunLock {
    /// Locks the folder, which is made where it is missing.
    ///
    /// # Errors
    /// Another run that holds it; a folder that cannot be written.
    pub(super) fn take(paths: &RunPaths) -> Result<Self, RunFolderError> {
        fs::create_dir_all(paths.root()).map_err(failed("create", paths.root()))?;
        let path = paths.lock();
        let options = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = options.map_err(failed("open", &path))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                Err(RunFolderError::UnderWay { path: paths.root().into() })
            }
            // Not every file system has locks; a run is worth more than what they guard against.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Self { _file: file }),
        }
    }
}

/// Whether a run is under way in the folder, which is only looked at: no file is made.
///
/// A shared lock is tried, so that two who look at once do not take each other for a run.
pub fn is_under_way(paths: &RunPaths) -> bool {
    let lock = File::open(paths.lock()).map(|file| file.try_lock_shared());
    matches!(lock, Ok(Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_once_at_a_time_and_free_when_its_run_has_ended() {
        let root = tempfile::tempdir().unwrap();
        let paths = RunPaths::new(root.path());
        let first = RunLock::take(&paths).unwrap();
        let error = RunLock::take(&paths).unwrap_err();
        assert!(matches!(error, RunFolderError::UnderWay { .. }), "{error}");
        drop(first);
        RunLock::take(&paths).unwrap();
    }

    #[test]
    fn a_run_is_under_way_as_long_as_its_lock_is_held() {
        let root = tempfile::tempdir().unwrap();
        let paths = RunPaths::new(root.path());
        assert!(!is_under_way(&paths) && !paths.lock().exists());
        let lock = RunLock::take(&paths).unwrap();
        assert!(is_under_way(&paths));
        drop(lock);
        assert!(!is_under_way(&paths));
    }
}
