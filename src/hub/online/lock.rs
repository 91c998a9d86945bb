//! One download of a content at a time, whoever does it.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::cache::create_parent;
use crate::hub::HubError;

/// The time between two looks whether the lock is free.
const LOOK: Duration = Duration::from_millis(100);

/// Waits for the lock, which is held until the file is dropped; `wait` is called between looks.
///
/// On a file system without locks nobody is waited for.
///
/// # Errors
/// A file that cannot be created; those of `wait`.
pub(super) fn hold(
    path: &Path,
    mut wait: impl FnMut() -> Result<(), HubError>,
) -> Result<File, HubError> {
    let open = || OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let file = create_parent(path).and_then(|()| open());
    let file = file.map_err(|error| HubError::disk(path, error))?;
    while let Err(TryLockError::WouldBlock) = file.try_lock() {
        wait()?;
        thread::sleep(LOOK);
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_waited_for_as_long_as_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/x.lock");
        let held = hold(&path, || Ok(())).unwrap();
        assert!(matches!(hold(&path, || Err(HubError::Stopped)), Err(HubError::Stopped)));
        let mut held = Some(held);
        let mut looks = 0;
        let second = hold(&path, || {
            looks += 1;
            held.take();
            Ok(())
        });
        assert!(second.is_ok() && looks == 1);
    }
}
