//! What a run was made from, as its manifest says it.

use serde_json::Value;

use super::settings::flattened;
use crate::files::read_text;
use crate::monitor::RunPaths;

/// Bytes of the longest manifest that is read.
const LONGEST: u64 = 4 << 20;
/// Entries that are kept.
const MOST: usize = 150;
/// Characters of a name or a value.
const MOST_CHARS: usize = 300;

/// Names and values of a run's manifest: that of its folder, or else of its newest checkpoint; nothing
/// where there is none that can be read.
pub(super) fn read(paths: &RunPaths) -> Vec<(String, String)> {
    let newest = paths.checkpoint_folders().into_iter().rev().map(|(_, folder)| folder);
    let folders = [paths.root().to_owned()].into_iter().chain(newest);
    let found = folders.filter_map(|folder| {
        let text = read_text(&RunPaths::manifest(&folder), LONGEST).ok()?;
        serde_json::from_str::<Value>(&text).ok().filter(Value::is_object)
    });
    found.take(1).flat_map(entries).collect()
}

fn entries(manifest: Value) -> Vec<(String, String)> {
    // A checkpoint's manifest is sealed by a checksum of its own, which tells nothing here.
    let inner = manifest.get("manifest").filter(|inner| inner.is_object()).unwrap_or(&manifest);
    let short = |text: String| text.chars().take(MOST_CHARS).collect::<String>();
    let all = flattened(inner).into_iter();
    all.take(MOST).map(|(name, value)| (short(name), short(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_manifest_that_can_be_read_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let paths = RunPaths::new(folder.path());
        assert_eq!(read(&paths), []);
        for (step, text) in [
            (1, "{\"crc32\":1,\"manifest\":{\"step\":1}}"),
            (2, "{\"crc32\":1,\"manifest\":{\"step\":2,\"inputs\":{\"data.path\":{\"bytes\":9}}}}"),
            (3, "{\"crc32\":"),
        ] {
            std::fs::create_dir_all(paths.checkpoint(step)).unwrap();
            std::fs::write(RunPaths::manifest(&paths.checkpoint(step)), text).unwrap();
        }
        let told = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read(&paths), [told("inputs.data.path.bytes", "9"), told("step", "2")]);
        std::fs::write(RunPaths::manifest(paths.root()), "{\"device\":\"cpu\"}").unwrap();
        assert_eq!(read(&paths), [told("device", "cpu")]);
    }
}
