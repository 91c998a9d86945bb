//! Reading files that have an end, and writing them so that a reader never sees half of one.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileType};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process;

/// Opens a file to read it; links are followed.
///
/// # Errors
/// A pipe, a device, a socket or a folder, on which reading would fail or wait for ever; any error of
/// opening.
pub fn open_regular(path: &Path) -> io::Result<File> {
    match other_than_file(path)? {
        None => File::open(path),
        Some(kind) => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {kind}, not a file")))
        }
    }
}

/// What stands at a path, where that is no file: `a folder`, `a pipe`; links are followed.
///
/// # Errors
/// Nothing there, or nothing that may be looked at.
pub fn other_than_file(path: &Path) -> io::Result<Option<&'static str>> {
    let found = fs::metadata(path)?.file_type();
    Ok((!found.is_file()).then(|| kind_of(found)))
}

/// Reads a whole file of at most `most` bytes.
///
/// # Errors
/// Those of [`open_regular`], and a file that is larger.
pub fn read_bytes(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open_regular(path)?;
    let mut bytes = Vec::new();
    // Some files say that they are empty and are not, so the length alone decides nothing.
    let read = match file.metadata()?.len() <= most {
        true => file.take(most + 1).read_to_end(&mut bytes)? as u64,
        false => most + 1,
    };
    if read <= most {
        return Ok(bytes);
    }
    let problem = format!("it is longer than the {most} bytes that such a file may have");
    Err(io::Error::new(io::ErrorKind::FileTooLarge, problem))
}

/// Reads a whole text file of at most `most` bytes.
///
/// # Errors
/// Those of [`read_bytes`], and text that is not UTF-8.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read_bytes(path, most)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no text in UTF-8"))
}

#[cfg(unix)]
fn kind_of(found: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match found {
        _ if found.is_dir() => "a folder",
        _ if found.is_fifo() => "a pipe",
        _ if found.is_socket() => "a socket",
        _ => "a device",
    }
}

#[cfg(not(unix))]
fn kind_of(found: FileType) -> &'static str {
    if found.is_dir() { "a folder" } else { "something else" }
}

/// Writes `bytes` to `path` through a temporary file beside it, synced and then renamed.
///
/// Missing parent folders are created. On failure the old file, if any, is untouched and the
/// temporary one is removed.
///
/// # Errors
/// Any error of creating, writing, syncing or renaming; the message names the path.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let written = create_parent(path).and_then(|()| {
        let mut file = PartialFile::create(path)?;
        file.write_all(bytes)?;
        file.commit()
    });
    written.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()))
    })
}

fn create_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

/// A file on its way: written under a name of its own beside its place, which it takes when it is
/// whole. Dropped before that, by an error or a panic, it is removed; what a killed process has left
/// goes when the same file is next written.
#[derive(Debug)]
pub struct PartialFile {
    file: BufWriter<File>,
    temporary: PathBuf,
    target: PathBuf,
    is_in_place: bool,
}

impl PartialFile {
    /// Begins a file that is to be `target`, whose folder is there.
    ///
    /// # Errors
    /// Any error of creating it.
    pub fn create(target: &Path) -> io::Result<Self> {
        let name = target.file_name().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "the path does not end in a file's name")
        })?;
        let temporary = target.with_file_name(temporary_name(name));
        remove_abandoned(target, name);
        let file = File::create(&temporary)?;
        // Tells whoever cleans up that somebody is still at it. Not every file system has locks, and
        // on one without them nothing is cleaned up.
        let _ = file.try_lock();
        let file = BufWriter::new(file);
        Ok(Self { file, temporary, target: target.into(), is_in_place: false })
    }

    /// Syncs the file and puts it in its place.
    ///
    /// # Errors
    /// Any error of writing, syncing or renaming; then the old file is untouched.
    pub fn commit(mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        fs::rename(&self.temporary, &self.target)?;
        self.is_in_place = true;
        sync_folder(&self.target);
        Ok(())
    }
}

impl Write for PartialFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if !self.is_in_place {
            // What kept the file from being written is reported, whether or not the clean-up works.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// The process id keeps two runs that write the same file from sharing a temporary one.
fn temporary_name(name: &OsStr) -> OsString {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.partial", process::id()));
    hidden
}

/// Removes temporary files of `target` that no living process holds.
fn remove_abandoned(target: &Path, name: &OsStr) {
    let folder = folder_of(target);
    let Ok(entries) = fs::read_dir(folder) else { return };
    let theirs = entries.flatten().filter(|entry| is_temporary_of(name, &entry.file_name()));
    for path in theirs.map(|entry| entry.path()) {
        if open_regular(&path).is_ok_and(|file| file.try_lock().is_ok()) {
            // It is in nobody's way if it stays.
            let _ = fs::remove_file(&path);
        }
    }
}

/// Removes from a folder all that killed processes left on the way to their places.
pub fn remove_partials(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let found = entry.file_name().to_string_lossy().into_owned();
        let parts = found.strip_prefix('.').and_then(|rest| rest.strip_suffix(".partial"));
        // `NAME.ID`
        if let Some((name, _)) = parts.and_then(|rest| rest.rsplit_once('.')) {
            remove_abandoned(&folder.join(name), OsStr::new(name));
        }
    }
}

fn is_temporary_of(name: &OsStr, found: &OsStr) -> bool {
    let (name, found) = (name.to_string_lossy(), found.to_string_lossy());
    let rest = found.strip_prefix('.').and_then(|found| found.strip_prefix(&*name));
    let id = rest.and_then(|rest| rest.strip_prefix('.')?.strip_suffix(".partial"));
    id.is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the new name itself lasting, where the system can open and sync folders. The file is whole
/// under one of its names either way.
fn sync_folder(path: &Path) {
    let _ = File::open(folder_of(path)).and_then(|folder| folder.sync_all());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<OsString> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/file.txt");
        write_atomically(&path, b"first, and longer").unwrap();
        write_atomically(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_names_the_path_and_keeps_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("taken");
        fs::create_dir_all(target.join("inside")).unwrap();
        let error = write_atomically(&target, b"x").unwrap_err();
        assert!(error.to_string().contains("taken"), "{error}");
        assert!(target.join("inside").is_dir());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_write_that_panics_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let begun = std::panic::catch_unwind(|| {
            let mut file = PartialFile::create(&path).unwrap();
            file.write_all(b"half of it").unwrap();
            panic!("a device that failed");
        });
        assert!(begun.is_err() && names(folder.path()).is_empty());
    }

    #[test]
    fn what_a_killed_process_left_goes_with_the_next_write_and_what_a_living_one_holds_stays() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for left in [".file.4000000001.partial", ".file.x.partial", ".other.7.partial"] {
            fs::write(at(left), b"half").unwrap();
        }
        let held = File::create(at(".file.4000000002.partial")).unwrap();
        held.lock().unwrap();
        write_atomically(&at("file"), b"whole").unwrap();
        let mut found = names(folder.path());
        found.sort();
        let stays = [".file.4000000002.partial", ".file.x.partial", ".other.7.partial", "file"];
        assert_eq!(found, stays);
    }

    #[test]
    fn all_that_killed_processes_left_in_a_folder_goes_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for left in [".a.json.4000000001.partial", ".b.4000000003.partial", ".b.x.partial", "b"] {
            fs::write(at(left), b"half").unwrap();
        }
        let held = File::create(at(".b.4000000002.partial")).unwrap();
        held.lock().unwrap();
        remove_partials(folder.path());
        let mut found = names(folder.path());
        found.sort();
        assert_eq!(found, [".b.4000000002.partial", ".b.x.partial", "b"]);
    }

    #[test]
    fn a_folder_and_a_device_are_told_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let error = |path: &Path| open_regular(path).unwrap_err().to_string();
        assert_eq!(error(folder.path()), "it is a folder, not a file");
        if cfg!(unix) {
            assert_eq!(error(Path::new("/dev/zero")), "it is a device, not a file");
        }
    }

    #[test]
    fn a_text_is_read_up_to_its_limit_and_refused_beyond() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read_text(&path, 5).unwrap(), "12345");
        assert!(read_text(&path, 4).unwrap_err().to_string().contains("longer than the 4 bytes"));
        // A file that is said to be empty.
        if Path::new("/proc/self/status").exists() {
            assert!(read_text(Path::new("/proc/self/status"), 10).is_err());
        }
    }
}
