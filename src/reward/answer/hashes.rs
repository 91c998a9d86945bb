//! What stands behind `####`, as in GSM8K's solutions.

use std::borrow::Cow;
use std::sync::LazyLock;

use ::regex::Regex;

use super::Marked;
use crate::pattern::constant;

const HASHES: &str = "####";
/// As many marks are looked at, from the last one.
const MOST_MARKS: usize = 100;

/// The heading of a numbered section, as `#### 2. Add them`; texts have fewer than 20.
static HEADING: LazyLock<Regex> = LazyLock::new(|| constant(r"^1?[0-9][.):] +\p{L}"));
/// Words, and no formula of one letter.
static WORDS: LazyLock<Regex> = LazyLock::new(|| constant(r"^\p{L}{2}"));

/// The line behind the last mark; `headings` are told from marks where that is asked for.
pub(super) fn last(text: &str, headings: bool) -> Option<Marked<'_>> {
    let marks = text.rmatch_indices(HASHES).filter(|(at, _)| !text[..*at].ends_with('#'));
    marks.take(MOST_MARKS).find_map(|(at, _)| {
        let after = text[at..].trim_start_matches('#').trim_start();
        let (line, rest) = after.split_once('\n').unwrap_or((after, ""));
        let line = line.trim().trim_matches(['*', '`', '_']).trim();
        let is_heading = headings && is_heading(line, rest);
        let content = Some(line).filter(|line| !line.is_empty());
        (!is_heading).then(|| Marked { at, content: content.map(Cow::Borrowed) })
    })
}

/// Words with text below them, and nothing about an answer, head a section.
fn is_heading(line: &str, rest: &str) -> bool {
    let goes_on = !rest.trim().is_empty();
    goes_on
        && (HEADING.is_match(line)
            || WORDS.is_match(line) && !line.to_lowercase().contains("answer"))
}
