//! The text has a form.

use ::regex::Regex;
use serde::{Deserialize, Serialize};

use super::{Completion, Reward, one};
use crate::data::Problem;

/// 1 if the pattern matches somewhere in the text, else 0.
///
/// `^` and `$` tie the pattern to the ends, `(?s)` lets `.` match line breaks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegexReward {
    /// Factor in the sum of rewards.
    #[serde(default = "one")]
    pub weight: f64,
    /// The regular expression, in the syntax of the `regex` crate.
    pub pattern: Pattern,
}

/// A regular expression, compiled as it is read so that a mistake shows before a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(Regex);

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(pattern: String) -> Result<Self, String> {
        Regex::new(&pattern)
            .map(Self)
            .map_err(|error| format!("rewards: regex.pattern cannot be used: {error}"))
    }
}

impl Pattern {
    /// What the first group of the last match holds, or the whole match where there is no group.
    pub(super) fn last_group<'a>(&self, text: &'a str) -> Option<&'a str> {
        let found = self.0.captures_iter(text).last()?;
        found
            .get(1)
            .or_else(|| found.get(0).filter(|_| found.len() == 1))
            .map(|group| group.as_str())
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0.as_str().to_owned()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Reward for RegexReward {
    fn name(&self) -> &'static str {
        "regex"
    }

    fn score(&self, _problem: &Problem, completion: &Completion) -> Option<f64> {
        Some(f64::from(self.pattern.0.is_match(completion.text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::test_support::{completion, problem, reward};

    #[test]
    fn the_form_counts_and_the_content_does_not() {
        let regex: RegexReward = reward(r##"{"pattern":"(?s)^.*\\n#### -?[0-9]+\\s*$"}"##);
        let score = |text| regex.score(&problem(None), &completion(text));
        assert_eq!(score("one\ntwo\n#### 12\n"), Some(1.0));
        assert_eq!(score("#### twelve"), Some(0.0));
    }

    #[test]
    fn a_pattern_that_does_not_compile_is_refused_when_read() {
        let error = serde_json::from_str::<RegexReward>(r#"{"pattern":"(a"}"#).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("regex.pattern") && error.contains("unclosed group"), "{error}");
    }
}
