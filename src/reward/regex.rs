//! The text has a form, or states the answer in one.

use ::regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::folding::Ignoring;
use super::{Completion, Reward, RewardError, one, some_answer};
use crate::data::Problem;

/// Searched for the last match of a pattern with a group: matches may take time that grows with the
/// square of the text.
const LONGEST_SEARCHED: usize = 65_536;

/// 1 if the pattern matches somewhere in the text, else 0; with a `group`, 1 if what that group of the
/// last match holds is the answer, white space around both aside.
///
/// `^` and `$` tie the pattern to the ends, `(?s)` lets `.` match line breaks. With a group only the
/// last 65,536 bytes of a text are searched, and a problem without an answer is not judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegexReward {
    /// Factor in the sum of rewards.
    #[serde(default = "one")]
    pub weight: f64,
    /// The regular expression, in the syntax of the `regex` crate.
    pub pattern: Pattern,
    /// The group of the pattern that must be the answer: 1 is its first bracket, 0 the whole match.
    #[serde(default)]
    pub group: Option<usize>,
    /// With `group`: takes upper and lower case for the same.
    #[serde(default)]
    pub case_insensitive: bool,
    /// With `group`: takes letters with and without accents for the same.
    #[serde(default)]
    pub accent_insensitive: bool,
}

/// A regular expression, compiled as it is read so that a mistake shows before a run.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
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

impl RegexReward {
    pub(super) fn checked(&self) -> Result<Self, RewardError> {
        let groups = self.pattern.0.captures_len() - 1;
        let refuse = |key, problem: String| Err(RewardError::setting("regex", key, problem));
        match self.group {
            Some(group) if group > groups => refuse(
                "group",
                format!(
                    "is {group}, and the pattern has {groups} in brackets; put ( ) around the answer"
                ),
            ),
            None if self.case_insensitive => refuse("case_insensitive", without_group("(?i)")),
            None if self.accent_insensitive => refuse("accent_insensitive", without_group("[eé]")),
            _ => Ok(self.clone()),
        }
    }

    /// What the group of the last match holds.
    fn captured<'a>(&self, text: &'a str, group: usize) -> Option<&'a str> {
        let mut start = text.len().saturating_sub(LONGEST_SEARCHED);
        while !text.is_char_boundary(start) {
            start += 1;
        }
        let found = self.pattern.0.captures_iter(&text[start..]).last()?;
        found.get(group).map(|inner| inner.as_str().trim())
    }
}

fn without_group(instead: &str) -> String {
    format!("has no effect without group; write {instead} into the pattern, or name a group")
}

impl Reward for RegexReward {
    fn name(&self) -> &'static str {
        "regex"
    }

    fn score(&self, problem: &Problem, completion: &Completion) -> Option<f64> {
        let Some(group) = self.group else {
            return Some(f64::from(self.pattern.0.is_match(completion.text)));
        };
        let answer = some_answer(problem)?;
        let ignoring = Ignoring { case: self.case_insensitive, accents: self.accent_insensitive };
        let found = self.captured(completion.text, group);
        Some(f64::from(found.is_some_and(|found| ignoring.fold(found) == ignoring.fold(answer))))
    }

    fn obstacle(&self, problem: &Problem) -> Option<&'static str> {
        (self.group.is_some() && some_answer(problem).is_none()).then_some("have no answer")
    }

    fn full_score(&self) -> Option<f64> {
        self.group.map(|_| 1.0)
    }

    fn extracted(&self, _problem: &Problem, text: &str) -> Option<String> {
        self.captured(text, self.group?).map(str::to_owned)
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

    #[test]
    fn the_group_of_the_last_match_is_compared_with_the_answer() {
        let score = |settings: &str, answer, text| {
            let regex: RegexReward = reward(settings);
            regex.checked().unwrap().score(&problem(answer), &completion(text))
        };
        let city = r#"{"pattern":"(?i)city: *(.*)","group":1}"#;
        assert_eq!(score(city, Some("Nairobi"), "City: Nairobi "), Some(1.0));
        assert_eq!(score(city, Some("Nairobi"), "City: Lagos\nno, city: Nairobi"), Some(1.0));
        assert_eq!(score(city, Some("Nairobi"), "City: Nairobi\nno, city: Lagos"), Some(0.0));
        assert_eq!(score(city, Some("Nairobi"), "Nairobi"), Some(0.0));
        assert_eq!(score(city, Some("nairobi"), "City: Nairobi"), Some(0.0));
        assert_eq!(score(city, None, "City: Nairobi"), None);
        let folded =
            r#"{"pattern":"= (.*)","group":1,"case_insensitive":true,"accent_insensitive":true}"#;
        assert_eq!(score(folded, Some("Été"), "x = ete"), Some(1.0));
        let whole = r#"{"pattern":"[0-9]+","group":0}"#;
        assert_eq!(score(whole, Some("42"), "6 · 7 = 42"), Some(1.0));
        // A group that took no part in the match holds nothing.
        assert_eq!(score(r#"{"pattern":"a|(b)","group":1}"#, Some("b"), "b a"), Some(0.0));
    }

    #[test]
    fn only_with_a_group_does_it_judge_answers() {
        let form: RegexReward = reward(r#"{"pattern":"a"}"#);
        assert_eq!((form.full_score(), form.obstacle(&problem(None))), (None, None));
        let answer: RegexReward = reward(r#"{"pattern":"a","group":0}"#);
        assert_eq!(answer.full_score(), Some(1.0));
        assert_eq!(answer.obstacle(&problem(None)), Some("have no answer"));
        assert_eq!(answer.extracted(&problem(None), "bab"), Some("a".into()));
    }

    #[test]
    fn settings_that_cannot_be_used_are_refused_with_their_key() {
        for (settings, key) in [
            (r#"{"pattern":"a","group":1}"#, "regex.group"),
            (r#"{"pattern":"(a)","group":2}"#, "regex.group"),
            (r#"{"pattern":"(a)","case_insensitive":true}"#, "regex.case_insensitive"),
            (r#"{"pattern":"(a)","accent_insensitive":true}"#, "regex.accent_insensitive"),
        ] {
            let error = reward::<RegexReward>(settings).checked().unwrap_err();
            assert!(error.to_string().contains(key), "{error}");
        }
    }

    #[test]
    fn patterns_without_measure_end_soon_on_a_megabyte() {
        let start = std::time::Instant::now();
        for pattern in ["(a+)+$", "(a|aa)+b", "(.*)(.*)(.*)x", ".*[^A-Z]|[A-Z]"] {
            let settings = serde_json::json!({"pattern": pattern, "group": 0}).to_string();
            let regex: RegexReward = reward(&settings);
            for text in ["a".repeat(1_000_000), "A".repeat(1_000_000), "é".repeat(500_000)] {
                regex.score(&problem(Some("b")), &completion(&text));
            }
        }
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
        let huge = serde_json::from_str::<RegexReward>(r#"{"pattern":"((a{1000}){1000}){1000}"}"#);
        assert!(huge.unwrap_err().to_string().contains("regex.pattern"));
    }
}
