//! A file of tensors mapped into memory, and what a person is told of a tensor that is not in it.

use std::io;
use std::ops::Deref;
use std::path::Path;

use memmap2::Mmap;

use crate::files::open_regular;
use crate::quote::{LONGEST_SHOWN, shown};

/// Most names that a missing one is compared with.
const NAMES_COMPARED: usize = 20_000;

/// A file's bytes, which are read when they are looked at.
#[derive(Debug)]
pub(super) struct Mapped(Mmap);

impl Mapped {
    /// Maps a file.
    ///
    /// # Errors
    /// A file that cannot be read; a pipe, a device or a folder.
    #[allow(unsafe_code, reason = "a memory map is the only way not to hold a model twice")]
    pub(super) fn open(file: &Path) -> io::Result<Self> {
        let opened = open_regular(file)?;
        // SAFETY: the map is read-only, and this program replaces files by renaming, which leaves a mapped one as it
        // is. Another program that shortens the file meanwhile would end this one with a bus error.
        unsafe { Mmap::map(&opened) }.map(Self)
    }

    /// Lets the system take back the memory of what was read, which can be read again. The system maps more than the
    /// bytes that were asked for, so that all is given back and not these bytes alone.
    #[cfg(unix)]
    #[allow(unsafe_code, reason = "what was read of a file would count as this program's memory")]
    pub(super) fn forget(&self) {
        let advice = memmap2::UncheckedAdvice::DontNeed;
        // SAFETY: the map is read-only and shared with the file, from which its pages come again.
        let _ = unsafe { self.0.unchecked_advise(advice) };
    }

    /// Nothing, on systems that see to it themselves.
    #[cfg(not(unix))]
    pub(super) fn forget(&self) {}
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// The name most like that of a tensor that is not there.
pub(super) fn nearest<'a>(tensor: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    // A hostile file has names of megabytes and a million of them; a decoder's are short and few.
    let readable = names.filter(|name| name.len() <= LONGEST_SHOWN).take(NAMES_COMPARED);
    let nearest = readable.min_by_key(|name| strsim::levenshtein(name, tensor));
    nearest.map(|name| shown(name).into_owned())
}

/// The same in a message.
pub(super) fn the_nearest(name: &Option<String>) -> String {
    name.as_ref().map(|name| format!(" (the nearest there is {name})")).unwrap_or_default()
}
