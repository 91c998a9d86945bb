//! Text of files and persons inside a message: not too long, and nothing that moves a cursor.

use std::borrow::Cow;

/// Longest name or value out of a file in a message, in bytes.
pub const LONGEST_SHOWN: usize = 200;
/// Longest message that has text of a file in it, in bytes.
const LONGEST_PASSAGE: usize = 3_000;

/// A name or a value out of a file as it stands in a message.
pub fn shown(text: &str) -> Cow<'_, str> {
    cut(text, LONGEST_SHOWN)
}

/// What a library says of a file, which may quote any of it.
pub fn passage(text: &str) -> Cow<'_, str> {
    cut(text, LONGEST_PASSAGE)
}

fn cut(text: &str, longest: usize) -> Cow<'_, str> {
    let mut end = text.len().min(longest);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    if end == text.len() && !text.contains(char::is_control) {
        return text.into();
    }
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    let mut short: String = text[..end].chars().map(escape).collect();
    if end < text.len() {
        short.push('…');
    }
    short.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_own_text_is_shown_short_and_without_control_characters() {
        assert_eq!(shown("model.norm.weight"), "model.norm.weight");
        assert_eq!(shown("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
        let long = shown(&"é".repeat(1000)).into_owned();
        assert_eq!((long.chars().count(), long.ends_with('…')), (101, true));
    }

    #[test]
    fn a_message_has_room_for_a_list_of_keys_and_none_for_a_file() {
        let list = "`rollout_batch_size`, ".repeat(100);
        assert_eq!(passage(&list), list);
        assert!(passage(&list.repeat(100)).len() < 3_010);
    }
}
