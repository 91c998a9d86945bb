//! Bringing one content into the cache: whole and checked, or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::address::{host, place};
use super::cache::{RepoCache, create_parent};
use super::client::{Answer, Client};
use super::file_info::FileInfo;
use super::meter::Meter;
use super::{digest, failure, lock, refusal};
use crate::hub::{HubError, HubId, Progress};

/// Bytes that are read at once.
const CHUNK: usize = 128 << 10;
/// Bytes that are worth going on at once for.
const MUCH: u64 = 1 << 20;

/// A content on its way.
pub(super) struct Transfer<'a, 'm, 'w> {
    pub(super) client: &'a Client,
    pub(super) id: &'a HubId,
    pub(super) cache: &'a RepoCache,
    /// Its path in the repository.
    pub(super) file: &'a str,
    pub(super) info: &'a FileInfo,
    pub(super) meter: &'a mut Meter<'m, 'w>,
}

impl Transfer<'_, '_, '_> {
    /// Brings the content, or waits until another program has brought it.
    ///
    /// # Errors
    /// Those of the network and the disk. What is here by then is gone on with the next time.
    pub(super) fn run(mut self) -> Result<(), HubError> {
        let (blob, partial) = (self.cache.blob(&self.info.tag), self.cache.partial(&self.info.tag));
        let length = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
        let _lock = lock::hold(&self.cache.lock(&self.info.tag), || {
            // How far the other program is.
            self.tell(length(&partial).min(self.info.bytes.saturating_sub(1)))
        })?;
        if blob.exists() {
            return Ok(());
        }
        create_parent(&blob).map_err(|error| HubError::disk(&blob, error))?;
        let began_with = length(&partial);
        match self.bring(&partial) {
            // The part that was here may have been another file's, or have lost what a crash kept from the disk.
            Err(HubError::Damaged { .. }) if began_with > 0 => self.bring(&partial)?,
            done => done?,
        }
        fs::rename(&partial, &blob).map_err(|error| HubError::disk(&blob, error))
    }

    /// Downloads what is missing of a part and checks the whole.
    fn bring(&mut self, partial: &Path) -> Result<(), HubError> {
        let on_disk = |error| HubError::disk(partial, error);
        let mut file = open(partial).map_err(on_disk)?;
        self.download(&mut file, partial)?;
        file.sync_all().map_err(on_disk)?;
        if digest::has_tag(partial, &self.info.tag).map_err(on_disk)? {
            return Ok(());
        }
        fs::remove_file(partial).map_err(on_disk)?;
        Err(HubError::Damaged { file: self.file.into() })
    }

    /// Goes on where a connection broke. What brought much does not count as a try.
    fn download(&mut self, file: &mut File, partial: &Path) -> Result<(), HubError> {
        let mut tries = self.client.tries();
        loop {
            let before = file.metadata().map_or(0, |found| found.len());
            match self.receive(file, partial) {
                Err(HubError::Interrupted { done_bytes, .. }) if done_bytes > before + MUCH => {
                    tries = self.client.tries();
                }
                Err(error) if error.is_passing() && tries.again() => {}
                done => return done,
            }
        }
    }

    /// One request for what is missing.
    fn receive(&mut self, file: &mut File, partial: &Path) -> Result<(), HubError> {
        let on_disk = |error| HubError::disk(partial, error);
        let mut done = begin(file, self.info.bytes).map_err(on_disk)?;
        self.tell(done)?;
        if done == self.info.bytes {
            return Ok(());
        }
        let answer = self.client.content(&self.info.address, done)?;
        if self.begins_at(&answer, done)? == 0 && done > 0 {
            file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).map_err(on_disk)?;
            done = 0;
        }
        self.copy(answer, file, partial, done)
    }

    /// The byte that an answer begins with: the one that was asked for, or the first.
    fn begins_at(&self, answer: &Answer, asked: u64) -> Result<u64, HubError> {
        let wrong = |problem| Err(HubError::answer(place(&answer.address), problem));
        match (answer.status(), answer.header("content-range").and_then(range)) {
            (200, _) => Ok(0),
            (206, Some((from, total))) => {
                match from == asked && total.is_none_or(|t| t == self.info.bytes) {
                    true => Ok(from),
                    false => wrong("answers with another part of the file than was asked for"),
                }
            }
            (416, _) => wrong("has no byte where it announced more"),
            (206, None) => wrong("does not say which part of the file it answers with"),
            _ => Err(refusal::of(answer, self.id, Some(self.file), self.client.settings())),
        }
    }

    fn copy(
        &mut self,
        answer: Answer,
        file: &mut File,
        partial: &Path,
        mut done: u64,
    ) -> Result<(), HubError> {
        let (place, host) = (place(&answer.address), host(&answer.address));
        let (mut reader, mut buffer) = (answer.into_reader(), vec![0; CHUNK]);
        let total = self.info.bytes;
        loop {
            let read = match reader.read(&mut buffer) {
                Ok(0) if done == total => return self.tell(done),
                Ok(0) => return Err(self.interrupted(done, format!("{host} hung up"))),
                Ok(read) => read,
                Err(error) => return Err(self.interrupted(done, failure::text(&error))),
            };
            if read as u64 > total - done {
                // Nothing of it can be told from what the file is to be.
                let _ = file.set_len(0);
                return Err(HubError::answer(place, "sends more bytes than it announced"));
            }
            let written = file.write_all(&buffer[..read]);
            written.map_err(|error| HubError::disk(partial, error))?;
            done += read as u64;
            // The end is told when it is sure that there is no more.
            if done < total {
                self.tell(done)?;
            }
        }
    }

    fn interrupted(&self, done_bytes: u64, problem: String) -> HubError {
        let (file, total_bytes) = (self.file.to_owned(), self.info.bytes);
        HubError::Interrupted { file, done_bytes, total_bytes, problem }
    }

    fn tell(&mut self, done_bytes: u64) -> Result<(), HubError> {
        self.meter.tell(Progress { file: self.file, done_bytes, total_bytes: self.info.bytes })
    }
}

/// A part, to be gone on with.
fn open(partial: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).truncate(false).read(true).write(true).open(partial)
}

/// Goes to the end of a part and tells its length. One that is longer than the whole is begun anew.
fn begin(file: &mut File, total: u64) -> std::io::Result<u64> {
    if file.metadata()?.len() > total {
        file.set_len(0)?;
    }
    file.seek(SeekFrom::End(0))
}

/// First byte and whole length of `bytes FIRST-LAST/LENGTH`, where the length may be `*`.
fn range(header: &str) -> Option<(u64, Option<u64>)> {
    let (part, total) = header.trim().strip_prefix("bytes ")?.split_once('/')?;
    Some((part.split_once('-')?.0.trim().parse().ok()?, total.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_an_answer_is_read() {
        assert_eq!(range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(range("bytes 5-9/*"), Some((5, None)));
        for none in ["", "bytes */10", "bytes 5", "5-9/10"] {
            assert_eq!(range(none), None, "{none}");
        }
    }
}
