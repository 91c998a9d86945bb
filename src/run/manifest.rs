//! What a checkpoint consists of: the file that is written last and makes it whole.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::fingerprint::Fingerprint;
use super::inputs::Inputs;
use crate::files::{read_text, write_atomically};
use crate::monitor::{CHECKPOINT_FILES, RunPaths};

/// A manifest is a few kilobytes, and a model of a thousand shards no more than this.
const LONGEST: u64 = 4 << 20;

/// Every file of a checkpoint, how far the logs were, and what the run was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    /// Training steps done.
    pub step: u64,
    /// The files beside the manifest, by name.
    pub files: BTreeMap<String, Fingerprint>,
    /// The logs of the run up to this step, by name.
    pub logs: BTreeMap<String, Fingerprint>,
    /// The files that the run reads.
    pub inputs: Inputs,
}

/// A manifest with the checksum of its own text.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    crc32: u32,
    manifest: Manifest,
}

impl Manifest {
    /// That of the files in `folder` as they are now.
    ///
    /// # Errors
    /// A file or a log that cannot be read.
    pub(super) fn of(
        folder: &Path,
        step: u64,
        paths: &RunPaths,
        inputs: Inputs,
    ) -> io::Result<Self> {
        let mut files = BTreeMap::new();
        for name in CHECKPOINT_FILES.into_iter().filter(|name| folder.join(name).exists()) {
            files.insert(name.to_owned(), Fingerprint::of_file(&folder.join(name))?);
        }
        Ok(Self { step, files, logs: logs_of(paths)?, inputs })
    }

    /// The same with the logs as they are now.
    ///
    /// # Errors
    /// A log that cannot be read.
    pub(super) fn with_logs(self, paths: &RunPaths) -> io::Result<Self> {
        Ok(Self { logs: logs_of(paths)?, ..self })
    }

    /// Writes it into a checkpoint's folder, which is whole from then on.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        write_atomically(&RunPaths::manifest(folder), self.text()?.as_bytes())
    }

    /// Reads the manifest of a checkpoint's folder.
    ///
    /// # Errors
    /// Why there is none that can be believed, as the end of a sentence about the checkpoint.
    pub(super) fn read(folder: &Path) -> Result<Self, String> {
        let path = RunPaths::manifest(folder);
        let damaged = || "manifest.json is not as it was written".to_owned();
        let text = read_text(&path, LONGEST).map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                "it has no manifest.json: it was never finished, or an older version \
                                    wrote it"
                    .into()
            }
            ErrorKind::InvalidData => damaged(),
            _ => format!("manifest.json cannot be read: {error}"),
        })?;
        let Sealed { manifest, .. } = serde_json::from_str(&text).map_err(|_| damaged())?;
        // Written again it is the same text, checksum included, or something in it was changed.
        match manifest.text() {
            Ok(again) if again == text => Ok(manifest),
            _ => Err(damaged()),
        }
    }

    fn text(&self) -> io::Result<String> {
        let Fingerprint { crc32, .. } = Fingerprint::of(&*serde_json::to_vec(self)?)?;
        let sealed = Sealed { crc32, manifest: self.clone() };
        Ok(serde_json::to_string_pretty(&sealed)? + "\n")
    }

    /// What is wrong with the files of the checkpoint; none where it is whole.
    pub(super) fn fault(&self, folder: &Path) -> Option<String> {
        let faults = self.files.iter().filter_map(|(name, written)| {
            let fault = written.fault(Fingerprint::of_file(&folder.join(name)))?;
            Some(format!("{name} {fault}"))
        });
        some_of(faults.collect())
    }

    /// Whether the files are there and as long as they were, which takes no time to see.
    pub(super) fn looks_whole(&self, folder: &Path) -> bool {
        let mut files = self.files.iter();
        files.all(|(name, written)| {
            folder.join(name).metadata().is_ok_and(|found| found.len() == written.bytes)
        })
    }

    /// The logs, and how long they were.
    pub(super) fn log_lengths(&self, paths: &RunPaths) -> Vec<(PathBuf, u64)> {
        let length = |path: PathBuf| Some((self.logs.get(&name_of(&path))?.bytes, path));
        paths.logs().into_iter().filter_map(length).map(|(bytes, path)| (path, bytes)).collect()
    }

    /// What is wrong with the logs up to this step; none where they are as they were.
    pub(super) fn fault_of_logs(&self, paths: &RunPaths) -> Option<String> {
        let faults = paths.logs().into_iter().filter_map(|path| {
            let name = name_of(&path);
            let written = self.logs.get(&name)?;
            let fault = written.fault(Fingerprint::of_beginning(&path, written.bytes))?;
            Some(format!("{name} {fault}"))
        });
        some_of(faults.collect())
    }
}

fn some_of(faults: Vec<String>) -> Option<String> {
    (!faults.is_empty()).then(|| faults.join(", "))
}

fn logs_of(paths: &RunPaths) -> io::Result<BTreeMap<String, Fingerprint>> {
    let logs = paths.logs().into_iter();
    logs.map(|path| Ok((name_of(&path), Fingerprint::of_file(&path)?))).collect()
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bit_of_a_manifest_can_be_changed_unseen() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("state.json"), "{}").unwrap();
        let paths = RunPaths::new(folder.path());
        paths.logs().iter().for_each(|log| std::fs::write(log, "{\"step\":1}\n").unwrap());
        let manifest = Manifest::of(folder.path(), 7, &paths, Inputs::default()).unwrap();
        manifest.write(folder.path()).unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), manifest);
        let path = RunPaths::manifest(folder.path());
        let text = std::fs::read(&path).unwrap();
        for bit in 0..8 * text.len() {
            let mut changed = text.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &changed).unwrap();
            let error = Manifest::read(folder.path()).unwrap_err();
            assert!(error.starts_with("manifest.json"), "bit {bit}: {error}");
        }
    }
}
