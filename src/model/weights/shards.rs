//! A model in several files, and the index that lists them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use serde::Deserialize;

use super::{TensorFile, WeightsError};
use crate::files::read_text;
use crate::quote::shown;

/// Longest index that is read; one of a decoder's thousand layers takes a megabyte.
const MOST_BYTES: u64 = 16 << 20;

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Opens the files that the index of `folder` names.
///
/// # Errors
/// An index that does not parse, names a file elsewhere or does not fit its shards; a shard that cannot
/// be read; a tensor that two shards hold with different values.
pub(super) fn open(folder: &Path, index: &Path) -> Result<Vec<TensorFile>, WeightsError> {
    let wrong = |problem| WeightsError::Index { file: index.into(), problem };
    let text = read_text(index, MOST_BYTES).map_err(|e| WeightsError::read(index, e))?;
    let map = serde_json::from_str::<Index>(&text)
        .map_err(|error| wrong(shown(&error.to_string()).into_owned()))?
        .weight_map;
    let names: BTreeSet<&str> = map.values().map(String::as_str).collect();
    check_names(&names).map_err(wrong)?;
    let files = names.iter().map(|name| TensorFile::open(&folder.join(name)));
    let files: Vec<TensorFile> = files.collect::<Result<_, _>>()?;
    check_map(&map, &names.into_iter().zip(&files).collect()).map_err(wrong)?;
    check_copies(&files).map_err(wrong)?;
    Ok(files)
}

/// An index that came with a download must not read what lies elsewhere on the machine.
fn check_names(names: &BTreeSet<&str>) -> Result<(), String> {
    if names.is_empty() {
        return Err("it names no file".into());
    }
    let is_plain = |name: &str| {
        let mut parts = Path::new(name).components();
        let alone = (parts.next(), parts.next());
        // No file system has longer names, and a message need not repeat one.
        let is_name = name.len() < 256 && !name.contains(char::is_control);
        is_name && matches!(alone, (Some(Component::Normal(part)), None) if part == name)
    };
    match names.iter().find(|name| !is_plain(name)) {
        None => Ok(()),
        Some(name) => Err(format!(
            "it names the file {:?}, and a model's files lie in its own folder",
            shown(name)
        )),
    }
}

fn check_map(
    map: &BTreeMap<String, String>,
    files: &BTreeMap<&str, &TensorFile>,
) -> Result<(), String> {
    let lacks = |(_, shard): &(&String, &String), name: &str| {
        files.get(shard.as_str()).is_none_or(|file| !file.contains(name))
    };
    match map.iter().find(|entry| lacks(entry, entry.0)) {
        None => Ok(()),
        Some((name, shard)) => {
            Err(format!("it looks for {} in {}, which does not have it", shown(name), shown(shard)))
        }
    }
}

/// Which of two different tensors of one name is meant cannot be known.
fn check_copies(files: &[TensorFile]) -> Result<(), String> {
    let mut holder: BTreeMap<&str, &TensorFile> = BTreeMap::new();
    let named = files.iter().flat_map(|file| file.names().map(move |name| (name, file)));
    for (name, file) in named {
        let Some(other) = holder.insert(name, file) else { continue };
        if other.stored(name) != file.stored(name) {
            let [a, b] = [other, file].map(|file| file.path().file_name().unwrap_or_default());
            let (a, b) = (a.display(), b.display());
            return Err(format!("{} is in {a} and, different, in {b}", shown(name)));
        }
    }
    Ok(())
}
