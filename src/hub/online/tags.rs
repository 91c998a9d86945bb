//! What commits and contents are known by.

/// Whether this is the full name of a commit.
pub(super) fn is_commit(text: &str) -> bool {
    is_hex(text, 40)
}

/// Whether this is so many lower-case hexadecimal digits.
pub(super) fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a content's tag may be the name of a file.
pub(super) fn is_tag(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    (8..=128).contains(&text.len()) && text.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_forty_digits() {
        assert!(is_commit("0123456789abcdef0123456789abcdef01234567"));
        assert!(!is_commit("0123456789ABCDEF0123456789abcdef01234567"));
        assert!(!is_commit("main") && !is_commit(""));
    }

    #[test]
    fn a_tag_is_one_plain_word() {
        assert!(is_tag("3cf4d2b1a9") && is_tag(&"a".repeat(64)));
        for tag in ["", "abc", "../../../x", "a/bcdefgh", "a.lock.lock", &"a".repeat(129)] {
            assert!(!is_tag(tag), "{tag}");
        }
    }
}
