//! What tells a file that was changed, by accident, from one that was not.

use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files::open_regular;

/// Bytes that are read at once.
const BLOCK: usize = 1 << 18;

/// Length and CRC-32 (ISO-HDLC) of a file or of its beginning. Every change of one bit, and of any 32
/// neighbours, shows; any other goes unseen once in 2^32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fingerprint {
    /// Bytes.
    pub bytes: u64,
    /// Checksum of these bytes.
    pub crc32: u32,
}

impl Fingerprint {
    /// That of a whole file.
    ///
    /// # Errors
    /// A file that is missing, is none, or cannot be read.
    pub(super) fn of_file(path: &Path) -> io::Result<Self> {
        Self::of(open_regular(path)?)
    }

    /// That of the first `bytes` of a file, or of all of it where it is shorter.
    ///
    /// # Errors
    /// As [`Self::of_file`].
    pub(super) fn of_beginning(path: &Path, bytes: u64) -> io::Result<Self> {
        Self::of(open_regular(path)?.take(bytes))
    }

    pub(super) fn of(mut source: impl Read) -> io::Result<Self> {
        let (mut hasher, mut block, mut bytes) = (crc32fast::Hasher::new(), vec![0; BLOCK], 0_u64);
        loop {
            match source.read(&mut block) {
                Ok(0) => return Ok(Self { bytes, crc32: hasher.finalize() }),
                Ok(read) => {
                    hasher.update(&block[..read]);
                    bytes += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// What is wrong with a file that had this one when it was written; none where nothing is.
    pub(super) fn fault(self, found: io::Result<Self>) -> Option<String> {
        match found {
            Ok(found) if found == self => None,
            Ok(found) if found.bytes != self.bytes => {
                Some(format!("has {} bytes, and {} were written", found.bytes, self.bytes))
            }
            Ok(_) => Some("is not as it was written: its checksum differs".into()),
            // Nothing was in it.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.bytes == 0 => None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some("is missing".into()),
            Err(error) => Some(format!("cannot be read: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_every_other_program() {
        // The check value of CRC-32/ISO-HDLC in the catalogue of CRC algorithms.
        let found = Fingerprint::of(&b"123456789"[..]).unwrap();
        assert_eq!(found, Fingerprint { bytes: 9, crc32: 0xCBF4_3926 });
    }

    #[test]
    fn a_beginning_is_known_whatever_follows_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "123456789 and more").unwrap();
        let begun = Fingerprint::of(&b"123456789"[..]);
        assert_eq!(begun.unwrap().fault(Fingerprint::of_beginning(&path, 9)), None);
        let whole = Fingerprint::of_file(&path).unwrap();
        std::fs::write(&path, "1234").unwrap();
        let fault = whole.fault(Fingerprint::of_beginning(&path, whole.bytes)).unwrap();
        assert_eq!(fault, "has 4 bytes, and 18 were written");
    }
}
