//! Whether a content is the one that its tag names.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use ring::digest::{Algorithm, Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

use super::tags::is_hex;

/// Whether the file has the checksum that `tag` is.
///
/// ```text
/// 64 digits: SHA-256 of the content          (large files)
/// 40 digits: SHA-1 of "blob LENGTH\0" and the content, as in git   (the others)
/// ```
///
/// Any other tag says nothing of the content and holds for every file.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn has_tag(path: &Path, tag: &str) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let (algorithm, head) = match tag {
        _ if is_hex(tag, 64) => (&SHA256, String::new()),
        _ if is_hex(tag, 40) => {
            (&SHA1_FOR_LEGACY_USE_ONLY, format!("blob {}\0", file.metadata()?.len()))
        }
        _ => return Ok(true),
    };
    Ok(digest(algorithm, head.as_bytes(), &mut file)? == tag)
}

fn digest(algorithm: &'static Algorithm, head: &[u8], file: &mut File) -> io::Result<String> {
    let mut context = Context::new(algorithm);
    context.update(head);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => context.update(&buffer[..read]),
        }
    }
    Ok(context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By `printf hello | sha256sum` and `printf hello | git hash-object --stdin`.
    #[test]
    fn checksums_are_those_of_sha256sum_and_git() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, "hello").unwrap();
        let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let git = "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0";
        assert!(has_tag(&path, sha256).unwrap() && has_tag(&path, git).unwrap());
        std::fs::write(&path, "hullo").unwrap();
        assert!(!has_tag(&path, sha256).unwrap() && !has_tag(&path, git).unwrap());
        assert!(has_tag(&path, "d41d8cd98f00b204e9800998ecf8427e").unwrap());
    }
}
