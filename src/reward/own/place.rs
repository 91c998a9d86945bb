//! Where a reward keeps what it has to tell beside scores: a log, and the request that failed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::failure::Failure;
use super::program::Errors;
use crate::files::write_atomically;
use crate::quote::passage;
use crate::reward::RewardError;

/// The folder of a run, where there is one, and what the reward is called there.
pub(super) struct Place {
    at: Mutex<At>,
    errors: Arc<Errors>,
}

struct At {
    folder: Option<PathBuf>,
    name: String,
}

impl Place {
    pub(super) fn new(name: &str, errors: Arc<Errors>) -> Self {
        Self { at: Mutex::new(At { folder: None, name: name.to_owned() }), errors }
    }

    /// From now on keeps files in `folder` under `name`.
    pub(super) fn keep_in(&self, folder: &Path, name: &str) {
        let mut at = self.at();
        (at.folder, at.name) = (Some(folder.to_owned()), name.to_owned());
        self.errors.log_to(folder.join(format!("{name}.log")));
    }

    /// The failure as the end of a run, with the request in a file, and noted in the log.
    pub(super) fn report(&self, failure: Failure, request: Option<&[u8]>) -> RewardError {
        let at = self.at();
        self.errors.note(&format!("failed: {failure}"));
        let last = self.errors.last_words();
        let mut message = failure.to_string();
        // Whoever says what is wrong has said it.
        let says_itself = matches!(failure, Failure::Reported(_) | Failure::Setting(_));
        if !says_itself && !last.is_empty() {
            message += &format!("; the last of its standard error: \"{}\"", passage(&last));
        }
        if let Some(log) = self.errors.log().filter(|log| log.exists()) {
            message += &format!("; all of it is in {}", log.display());
        }
        match request.map(|request| at.save(request)) {
            Some(Ok(path)) => message += &format!("; the request is in {}", path.display()),
            Some(Err(error)) => message += &format!("; the request cannot be saved: {error}"),
            None => {}
        }
        RewardError::Failed { reward: at.name.clone(), message }
    }

    fn at(&self) -> MutexGuard<'_, At> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl At {
    fn save(&self, request: &[u8]) -> std::io::Result<PathBuf> {
        let (folder, mark) = match &self.folder {
            Some(folder) => (folder.clone(), String::new()),
            None => (std::env::temp_dir().join("wgrpo"), format!("-{}", std::process::id())),
        };
        fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{}{mark}.request.json", self.name));
        write_atomically(&path, request)?;
        Ok(path)
    }
}
