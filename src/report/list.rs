//! The runs below a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::error::ReportError;
use super::settings::{self, Settings};
use super::standing::Standing;
use crate::monitor::RunPaths;

/// Folders below folders that are looked through.
const DEEPEST: usize = 6;
/// Folders that are looked through.
const MOST_FOLDERS: usize = 20_000;

/// A run in a list of runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunRow {
    /// Its folder, below the one that was looked through.
    pub name: String,
    /// How far it has come.
    #[serde(flatten)]
    pub standing: Standing,
    /// The keys of its configuration whose values most of the runs do not share, with its values; none
    /// where it does not have the key.
    pub differs: BTreeMap<String, Option<String>>,
}

/// The runs in and below a folder, by name.
///
/// # Errors
/// A folder that is none or cannot be read.
pub fn list(folder: &Path) -> Result<Vec<RunRow>, ReportError> {
    if !folder.is_dir() {
        return Err(ReportError::NoFolder { path: folder.into() });
    }
    let folders = runs_below(folder)?;
    let read = |folder: &PathBuf| settings::read(&RunPaths::new(folder).config());
    let configs: Vec<Settings> = folders.iter().map(|f| read(f).unwrap_or_default()).collect();
    let differs = differing(&configs);
    let rows = folders.iter().zip(&configs).zip(differs).map(|((path, config), differs)| RunRow {
        name: name_below(folder, path),
        standing: Standing::of(&RunPaths::new(path), config),
        differs,
    });
    Ok(rows.collect())
}

fn name_below(folder: &Path, run: &Path) -> String {
    match run.strip_prefix(folder) {
        Ok(below) if !below.as_os_str().is_empty() => below.display().to_string(),
        _ => run.display().to_string(),
    }
}

/// The folders of runs. Links are not followed, and a run's own folders hold no others.
fn runs_below(folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let (mut runs, mut open) = (Vec::new(), vec![(folder.to_owned(), 0)]);
    let mut looked = 0;
    while let Some((path, depth)) = open.pop() {
        looked += 1;
        if RunPaths::new(&path).holds_run() {
            runs.push(path);
        } else if depth < DEEPEST && looked < MOST_FOLDERS {
            match path.read_dir() {
                Ok(entries) => {
                    let real =
                        entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
                    open.extend(real.map(|entry| (entry.path(), depth + 1)));
                }
                Err(reason) if depth == 0 => return Err(ReportError::Unreadable { path, reason }),
                Err(_) => {}
            }
        }
    }
    runs.sort();
    Ok(runs)
}

/// For each run the values that no more than half of the runs share.
fn differing(configs: &[Settings]) -> Vec<BTreeMap<String, Option<String>>> {
    let mut rows = vec![BTreeMap::new(); configs.len()];
    for found in settings::differences(configs) {
        for (row, value) in rows.iter_mut().zip(&found.values) {
            let sharing = found.values.iter().filter(|other| *other == value).count();
            if 2 * sharing <= configs.len() {
                row.insert(found.key.clone(), value.clone());
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::State;

    fn run(root: &Path, name: &str, config: &str) {
        let folder = root.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("config.yaml"), config).unwrap();
    }

    #[test]
    fn runs_are_found_at_any_depth_and_listed_by_name() {
        let root = tempfile::tempdir().unwrap();
        run(root.path(), "second", "seed: 1\n");
        run(root.path(), "compare/first", "seed: 1\n");
        // What lies in a run's own folder is part of it.
        run(root.path(), "second/checkpoints/step-1", "seed: 1\n");
        std::fs::create_dir(root.path().join("empty")).unwrap();
        let found = list(root.path()).unwrap();
        let names: Vec<&str> = found.iter().map(|row| &*row.name).collect();
        assert_eq!(names, [Path::new("compare").join("first").to_str().unwrap(), "second"]);
        assert!(found.iter().all(|row| row.standing.state == State::Failed));
        assert_eq!(list(&root.path().join("second")).unwrap().len(), 1);
    }

    #[test]
    fn a_run_tells_the_values_that_most_others_do_not_have() {
        let root = tempfile::tempdir().unwrap();
        run(root.path(), "a", "seed: 1\nkl: 0.1\n");
        run(root.path(), "b", "seed: 2\nkl: 0.1\n");
        run(root.path(), "c", "seed: 3\n");
        let found = list(root.path()).unwrap();
        let of = |at: usize| serde_json::to_value(&found[at].differs).unwrap();
        assert_eq!(of(0), serde_json::json!({"seed": "1"}));
        assert_eq!(of(2), serde_json::json!({"seed": "3", "kl": null}));
    }

    #[test]
    fn a_folder_that_is_none_is_named() {
        let error = list(Path::new("no/such/folder")).unwrap_err().to_string();
        assert!(error.contains("no/such/folder") && error.contains("output_dir"), "{error}");
    }
}
