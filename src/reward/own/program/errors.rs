//! What a program says on its standard error: its end for messages, and all of it in a log.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How much of the end is kept for a message, and of the beginning for a log that is named later.
const KEPT: usize = 1500;
/// A longer log would only fill the disk.
const MOST_LOGGED: u64 = 64 << 20;

/// What was said so far. One stays as long as its reward, whatever program is under way.
#[derive(Default)]
pub(in crate::reward::own) struct Errors(Mutex<Said>);

#[derive(Default)]
struct Said {
    end: Vec<u8>,
    /// The log, and its file once something has been said.
    log: Option<(PathBuf, Option<File>)>,
    logged: u64,
}

impl Errors {
    /// Takes in all that is said, until its end.
    pub(super) fn read(&self, mut from: impl Read) {
        let mut piece = vec![0; 1 << 16];
        while let Ok(length @ 1..) = from.read(&mut piece) {
            self.said().add(&piece[..length]);
        }
    }

    /// Writes what is said from now on, and the last of what was, to a file.
    pub(in crate::reward::own) fn log_to(&self, path: PathBuf) {
        let mut said = self.said();
        said.log = Some((path, None));
        let end = std::mem::take(&mut said.end);
        said.add(&end);
    }

    /// Notes something beside what the program says, in the log alone.
    pub(in crate::reward::own) fn note(&self, text: &str) {
        self.said().write(format!("wgrpo: {text}\n").as_bytes());
    }

    /// The last that was said, without the first of its lines where that is not whole.
    pub(in crate::reward::own) fn last_words(&self) -> String {
        let said = self.said();
        let text = String::from_utf8_lossy(&said.end);
        let whole = match said.end.len() < KEPT {
            true => &*text,
            false => text.split_once('\n').map_or(&*text, |(_, rest)| rest),
        };
        whole.trim().to_owned()
    }

    /// The log, where there is one.
    pub(in crate::reward::own) fn log(&self) -> Option<PathBuf> {
        self.said().log.as_ref().map(|(path, _)| path.clone())
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Said {
    fn add(&mut self, piece: &[u8]) {
        self.end.extend_from_slice(&piece[piece.len().saturating_sub(KEPT)..]);
        let surplus = self.end.len().saturating_sub(KEPT);
        self.end.drain(..surplus);
        self.write(piece);
    }

    /// Writes to the log. A disk that is full costs the log and nothing else.
    fn write(&mut self, piece: &[u8]) {
        let Some((path, file)) = &mut self.log else { return };
        if piece.is_empty() || self.logged >= MOST_LOGGED {
            return;
        }
        if file.is_none() {
            *file = open(path);
        }
        let Some(file) = file else { return };
        let _ = file.write_all(piece);
        self.logged += piece.len() as u64;
        if self.logged >= MOST_LOGGED {
            let _ = file.write_all(b"\nwgrpo: what follows is left out\n");
        }
    }
}

fn open(path: &Path) -> Option<File> {
    path.parent().and_then(|folder| fs::create_dir_all(folder).ok())?;
    OpenOptions::new().create(true).append(true).open(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_and_the_log_has_all_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let (errors, log) = (Errors::default(), folder.path().join("rewards/mine.log"));
        errors.read("before\n".as_bytes());
        errors.log_to(log.clone());
        errors.read(std::io::repeat(b'x').take(3000));
        errors.read("\nlast\n".as_bytes());
        assert_eq!(errors.last_words(), "last");
        let text = fs::read_to_string(&log).unwrap();
        assert!(text.starts_with("before\nxxx") && text.ends_with("\nlast\n"));
        errors.read(std::io::repeat(b'\n').take(2 * MOST_LOGGED));
        assert!(fs::metadata(&log).unwrap().len() < MOST_LOGGED + (1 << 17));
        assert_eq!(errors.0.lock().unwrap().end.len(), KEPT);
    }
}
