//! A data set's folder on this disk.

use std::fs;
use std::path::{Path, PathBuf};

use super::{CARD, DataError, choose};
use crate::files::read_text;

/// Most files and folders that are looked at, and how deep.
const MOST: usize = 100_000;
const DEEPEST: usize = 6;
/// Bytes of the longest README.md that is read.
const LONGEST_CARD: u64 = 4 << 20;

/// The files that a path means: itself, or those of a split of the data set in a folder; and what to know about the
/// choice.
///
/// # Errors
/// A folder that cannot be read, holds no data, or is not clear about what to read.
pub(in crate::data) fn files_of(
    path: &Path,
    config: Option<&str>,
    split: Option<&str>,
) -> Result<(Vec<PathBuf>, Option<String>), DataError> {
    if !path.is_dir() {
        return Ok((vec![path.to_owned()], None));
    }
    let mut found = Vec::new();
    walk(path, "", 0, &mut found)?;
    let card = read_text(&path.join(CARD), LONGEST_CARD).ok();
    let chosen = choose(&found, card.as_deref(), config, split)
        .map_err(|problem| DataError::Folder { path: path.into(), problem })?;
    let files = chosen.files.iter().map(|file| path.join(file)).collect();
    Ok((files, chosen.note.map(|note| format!("{}: {note}", path.display()))))
}

/// Gathers the paths of files below a folder. Links to folders are not followed: they may lead round.
fn walk(root: &Path, below: &str, depth: usize, found: &mut Vec<String>) -> Result<(), DataError> {
    let folder = root.join(below);
    let unreadable = DataError::unreadable(&folder);
    let mut entries: Vec<(String, bool)> = Vec::new();
    for entry in fs::read_dir(&folder).map_err(&unreadable)? {
        let entry = entry.map_err(&unreadable)?;
        let is_folder = entry.file_type().map_err(&unreadable)?.is_dir();
        // A name that is no text is none that a configuration could give.
        if let Ok(name) = entry.file_name().into_string() {
            entries.push((name, is_folder));
        }
    }
    entries.sort();
    for (name, is_folder) in entries {
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        if found.len() >= MOST {
            let problem = format!("it holds more than {MOST} files; name one of them");
            return Err(DataError::Folder { path: root.into(), problem });
        }
        match is_folder {
            true if depth < DEEPEST && !path.rsplit('/').next().unwrap_or("").starts_with('.') => {
                walk(root, &path, depth + 1, found)?;
            }
            true => {}
            false => found.push(path),
        }
    }
    Ok(())
}
