//! What serde says, in the words of a person and with the line of the file.

use regex::Regex;

use super::trl;
use crate::quote::shown;

/// Serde's message in plain words, with the nearest valid name where a key or value is not known;
/// `beside` are names that are valid there too and that serde knows nothing of.
pub(super) fn explain(message: &str, beside: &[String]) -> String {
    // A regular expression's error spans lines; a message is one paragraph.
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let is_unknown = message.contains("unknown field") || message.contains("unknown variant");
    let names = quoted(&message);
    let Some((unknown, known)) = names.split_first().filter(|_| is_unknown) else {
        return plain_types(&message);
    };
    let valid: Vec<&str> = beside.iter().map(String::as_str).chain(known.iter().copied()).collect();
    let what = if message.contains("unknown field") { "key" } else { "value" };
    let unknown = shown(unknown);
    let likeness = |name: &str| strsim::jaro_winkler(&unknown, name);
    let nearest = valid.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest {
        None => format!("unknown {what} `{unknown}`; none is expected here"),
        Some(nearest) if likeness(nearest) > 0.9 => {
            format!("unknown {what} `{unknown}`; did you mean `{nearest}`?")
        }
        Some(nearest) => format!(
            "unknown {what} `{unknown}`; did you mean `{nearest}`? valid are: {}",
            valid.join(", ")
        ),
    }
}

/// `invalid type: string "x", expected u64` with the words of a person for what was expected.
fn plain_types(message: &str) -> String {
    const WORDS: [(&str, &str); 8] = [
        ("u64", "a whole number of at least 0"),
        ("u32", "a whole number of at least 0"),
        ("usize", "a whole number of at least 0"),
        ("i64", "a whole number"),
        ("f64", "a number"),
        ("f32", "a number"),
        ("a sequence", "a list"),
        ("a boolean", "true or false"),
    ];
    let (found, expected) = message.rsplit_once(", expected ").unwrap_or((message, ""));
    match WORDS.iter().find(|(name, _)| *name == expected) {
        None if ["a string", "path string"].contains(&expected) => {
            format!("{found}, expected text; put quotes around it")
        }
        Some((_, words)) => format!("{found}, expected {words}"),
        None => message.to_owned(),
    }
}

/// The names in backquotes.
pub(super) fn quoted(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

/// The line of a key, found by looking for each key of the way to it behind the one before; of the
/// last key that is found where not all are.
pub(super) fn line_of(keys: &[String], text: &str) -> Option<u64> {
    let mut at = None;
    for key in keys {
        // A key of the top level stands at the margin; others follow a blank, a brace or a comma.
        let before = if at.is_none() { "^" } else { r"[\s{,-]" };
        let begin = at.unwrap_or(0);
        let index = key.strip_prefix('[').and_then(|key| key.strip_suffix(']'));
        let end = match index.map(str::parse) {
            Some(index) => end_of(r"^\s*-\s", &text[begin..], index.ok()?),
            None => {
                let named = |key| {
                    end_of(&format!(r"{before}{}\s*:", regex::escape(key)), &text[begin..], 0)
                };
                // At the top level it may stand under TRL's name.
                let other = || trl::name_of(key).filter(|_| at.is_none()).and_then(named);
                named(key).or_else(other)
            }
        };
        let Some(end) = end else { break };
        at = Some(begin + end);
    }
    at.map(|at| text[..at].lines().count() as u64)
}

/// Where the match of a pattern with this index ends.
fn end_of(pattern: &str, text: &str, index: usize) -> Option<usize> {
    let pattern = Regex::new(&format!("(?m){pattern}")).ok()?;
    pattern.find_iter(text).nth(index).map(|found| found.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_on_the_way_to_them_in_either_style() {
        let text = "a:\n  b: 1\nb: {a: 1, c: 2}\nd:\n  - k: x\n  - k: y\n    a: 2\n";
        let line =
            |way: &[&str]| line_of(&way.iter().map(|k| k.to_string()).collect::<Vec<_>>(), text);
        assert_eq!(line(&["b"]), Some(3));
        assert_eq!(line(&["a", "b"]), Some(2));
        assert_eq!(line(&["b", "c"]), Some(3));
        assert_eq!(line(&["d", "[1]", "a"]), Some(7));
        assert_eq!(line(&["d", "[1]", "no"]), Some(6));
        assert_eq!(line(&["no"]), None);
    }
}
