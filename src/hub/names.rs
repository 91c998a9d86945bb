//! Which names are believed: all of them become parts of paths on this disk, and none of them is ours.

/// Bytes of the longest part of a path that file systems take.
const LONGEST_PART: usize = 255;
/// Bytes of the longest path of a file inside a repository.
const LONGEST_PATH: usize = 1024;
/// Characters of the longest name that the hub gives out.
const LONGEST_NAME: usize = 96;

/// Whether the hub could have given out this name of an owner or a repository.
pub(super) fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let is_edge_free = !text.starts_with(['.', '-']) && !text.ends_with(['.', '-']);
    let is_short = !text.is_empty() && text.len() <= LONGEST_NAME;
    // Two dashes stand between owner and name in the cache.
    is_short
        && text.chars().all(fits)
        && is_edge_free
        && !text.contains("--")
        && !text.contains("..")
}

/// Whether this may be a branch, a tag or a commit.
pub(super) fn is_revision(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    let is_part =
        |part: &str| !part.starts_with(['.', '-']) && is_part(part) && part.chars().all(fits);
    text.len() <= LONGEST_PART && text.split('/').all(is_part)
}

/// Whether this is a path that stays inside its folder, on every system.
pub(super) fn is_file(text: &str) -> bool {
    text.len() <= LONGEST_PATH && text.split('/').all(is_part)
}

fn is_part(part: &str) -> bool {
    let is_odd = |c: char| c.is_control() || "\\:*?\"<>|".contains(c);
    let is_plain = !part.is_empty() && part.len() <= LONGEST_PART && !part.contains(is_odd);
    // `.` and `..` among them; Windows drops a dot or a space at the end.
    is_plain && !part.ends_with(['.', ' '])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_hub_are_believed_and_paths_are_not() {
        for name in ["Qwen", "Qwen3-0.6B", "a", "gpt2_x.y"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".", "..", "a..b", "a--b", "-a", "a.", "a/b", "a b", "ä", &"a".repeat(97)]
        {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn a_revision_stays_below_its_folder() {
        for revision in ["main", "v1.0", "refs/pr/3", "feature/a_b-c"] {
            assert!(is_revision(revision), "{revision}");
        }
        for revision in ["", "..", "a/../b", "/main", "a//b", "a/", "-x", ".hidden", "a\\b", "a b"]
        {
            assert!(!is_revision(revision), "{revision}");
        }
    }

    #[test]
    fn a_file_stays_below_its_folder() {
        for file in ["config.json", "data/train-00.jsonl", "a b.txt", "über.json", ".gitattributes"]
        {
            assert!(is_file(file), "{file}");
        }
        let hostile = [
            "",
            "..",
            ".",
            "../a",
            "a/../b",
            "/etc/passwd",
            "a//b",
            "a/",
            "C:\\x",
            "c:x",
            "a\\..\\b",
            "a\nb",
            "a.",
            "a/.. ",
        ];
        for file in hostile.into_iter().chain([&*"a".repeat(256), &*"a/".repeat(600)]) {
            assert!(!is_file(file), "{file:?}");
        }
    }
}
