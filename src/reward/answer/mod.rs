//! The part of a completion that is its answer, found by one rule for all rewards that compare answers.

mod boxes;
mod hashes;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::LazyLock;

use ::regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::numeral;
use super::regex::Pattern;
use crate::pattern::constant;

/// Where the answer stands in a completion: `answer: {from: boxed}`.
///
/// ```text
/// auto         the last \boxed{} or #### where there is one, else the last number
/// boxed        what stands in the last \boxed{}, or in several of one statement, joined by commas
/// hashes       what stands behind the last ####, to the end of its line
/// tag:NAME     what stands between the last <NAME> and its </NAME>
/// regex        what the group of `pattern` (the first, or the whole without one) last matched
/// last_number  the last number
/// whole        the whole completion
/// ```
/// White space around it is left out; nothing is not an answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Settings", into = "Settings")]
pub struct Extraction {
    from: Source,
}

#[derive(Debug, Clone, Default, PartialEq)]
enum Source {
    #[default]
    Auto,
    Boxed,
    Hashes,
    Tag(String),
    Regex(Pattern),
    LastNumber,
    Whole,
}

/// An [`Extraction`] as a file spells it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where the answer stands: `auto`, `boxed`, `hashes`, `tag:NAME`, `regex`, `last_number` or `whole`.
    #[serde(default = "auto")]
    from: String,
    /// With `from: regex` the pattern whose last match is the answer, or its first group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pattern: Option<Pattern>,
}

fn auto() -> String {
    "auto".into()
}

/// A name of a tag that can be looked for.
static TAG_NAME: LazyLock<Regex> = LazyLock::new(|| constant(r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$"));

impl TryFrom<Settings> for Extraction {
    type Error = String;

    fn try_from(settings: Settings) -> Result<Self, String> {
        let Settings { from, pattern } = settings;
        if pattern.is_some() && from != "regex" {
            return Err(format!(
                "answer.pattern is read with from: regex alone, and from is {from}; remove one of them"
            ));
        }
        let from = match (from.as_str(), pattern) {
            ("auto", _) => Source::Auto,
            ("boxed", _) => Source::Boxed,
            ("hashes", _) => Source::Hashes,
            ("last_number", _) => Source::LastNumber,
            ("whole", _) => Source::Whole,
            ("regex", Some(pattern)) => Source::Regex(pattern),
            ("regex", None) => {
                return Err("answer.from is regex, which needs answer.pattern, such as \
                            'The answer is (.+)'"
                    .into());
            }
            (from, _) => Source::Tag(tag_name(from)?),
        };
        Ok(Self { from })
    }
}

fn tag_name(from: &str) -> Result<String, String> {
    let name = from.strip_prefix("tag:").filter(|name| TAG_NAME.is_match(name));
    name.map(str::to_owned).ok_or_else(|| {
        format!(
            "answer.from is {from}; it is one of auto, boxed, hashes, last_number, regex, whole and \
             tag:NAME, such as tag:answer"
        )
    })
}

impl From<Extraction> for Settings {
    fn from(extraction: Extraction) -> Self {
        let named = |from: &str| Self { from: from.into(), pattern: None };
        match extraction.from {
            Source::Auto => named("auto"),
            Source::Boxed => named("boxed"),
            Source::Hashes => named("hashes"),
            Source::Tag(name) => named(&format!("tag:{name}")),
            Source::Regex(pattern) => Self { from: "regex".into(), pattern: Some(pattern) },
            Source::LastNumber => named("last_number"),
            Source::Whole => named("whole"),
        }
    }
}

impl Extraction {
    /// The answer that a text gives, without white space around it; none where it gives none.
    pub fn extract<'a>(&self, text: &'a str) -> Option<Cow<'a, str>> {
        let answer = match &self.from {
            Source::Auto => marked(text).unwrap_or_else(|| last_number(text)),
            Source::Boxed => boxes::last(text).and_then(|found| found.content),
            Source::Hashes => hashes::last(text, false).and_then(|found| found.content),
            Source::Tag(name) => in_tag(text, name).map(Cow::Borrowed),
            Source::Regex(pattern) => pattern.last_group(text).map(Cow::Borrowed),
            Source::LastNumber => last_number(text),
            Source::Whole => Some(Cow::Borrowed(text)),
        };
        answer.map(trimmed).filter(|answer| !answer.is_empty())
    }

    /// Whether the answer is looked for by marks first, and without one by what the text states.
    pub(super) fn is_auto(&self) -> bool {
        self.from == Source::Auto
    }
}

fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}

/// A mark of a text, and what it marks: nothing where the mark is empty or never closed.
struct Marked<'a> {
    at: usize,
    content: Option<Cow<'a, str>>,
}

/// What the last mark of a text marks, `\boxed{}` or `####`: none where nothing is marked, and a mark
/// without an answer where it is empty or the text ends within it.
pub(super) fn marked(text: &str) -> Option<Option<Cow<'_, str>>> {
    let marks = [boxes::last(text), hashes::last(text, true)];
    marks.into_iter().flatten().max_by_key(|found| found.at).map(|found| found.content)
}

/// The last number as the text writes it; nothing about what stands around it.
fn last_number(text: &str) -> Option<Cow<'_, str>> {
    numeral::last_text(text).map(Cow::Borrowed)
}

fn in_tag<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let after = &text[text.rfind(&open)? + open.len()..];
    after.find(&close).map(|end| &after[..end])
}
