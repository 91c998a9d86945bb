//! The text is made of given tags, in order.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Completion, Reward, RewardError, one};
use crate::data::Problem;

/// More tags are a mistake.
const MOST_TAGS: usize = 32;

/// 1 if the text is `<TAG>…</TAG>` for each tag in their order, each once and nothing but white space
/// outside of them, else what `partial` gives.
///
/// ```text
/// partial · (opening and closing tags that stand exactly once) / (2 · tags)
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FormatReward {
    /// Factor in the sum of rewards.
    #[serde(default = "one")]
    pub weight: f64,
    /// The names of the tags, as in `[think, answer]`.
    pub tags: Vec<String>,
    /// What a text may earn that has the tags and not the form; at least 0 and less than 1.
    #[serde(default)]
    pub partial: f64,
    /// The prompt ends with the first opening tag, so the text begins inside of it.
    #[serde(default)]
    pub prefilled: bool,
}

impl FormatReward {
    pub(super) fn checked(&self) -> Result<Self, RewardError> {
        let refuse = |key, problem: String| Err(RewardError::setting("format", key, problem));
        let count = self.tags.len();
        if !(1..=MOST_TAGS).contains(&count) {
            return refuse("tags", format!("has {count} names; give 1 to {MOST_TAGS}"));
        }
        for (at, tag) in self.tags.iter().enumerate() {
            if !is_name(tag) {
                let tag = crate::quote::shown(tag);
                let problem = format!("has {tag:?}; a name is made of letters, digits, - and _");
                return refuse("tags", problem);
            }
            if self.tags[..at].contains(tag) {
                return refuse("tags", format!("has {tag} twice; name each tag once"));
            }
        }
        if !(0.0..1.0).contains(&self.partial) {
            let problem = format!("is {}; it must be at least 0 and less than 1", self.partial);
            return refuse("partial", problem);
        }
        Ok(self.clone())
    }

    fn marks(&self) -> impl Iterator<Item = String> + '_ {
        self.tags.iter().flat_map(|tag| [opening(tag), closing(tag)])
    }

    /// The text after the last tag, if all of them stand one after another.
    fn after_tags<'a>(&self, text: &'a str) -> Option<&'a str> {
        self.tags.iter().try_fold(text, |rest, tag| {
            let inside = rest.trim_start().strip_prefix(opening(tag).as_str())?;
            inside.split_once(closing(tag).as_str()).map(|(_, after)| after)
        })
    }
}

impl Reward for FormatReward {
    fn name(&self) -> &'static str {
        "format"
    }

    fn score(&self, _problem: &Problem, completion: &Completion) -> Option<f64> {
        let whole;
        let text = match self.tags.first().filter(|_| self.prefilled) {
            Some(tag) => {
                whole = opening(tag) + completion.text;
                &whole
            }
            None => completion.text,
        };
        let once = self.marks().filter(|mark| text.matches(mark.as_str()).nth(1).is_none());
        let once = once.filter(|mark| text.contains(mark.as_str())).count();
        let all = 2 * self.tags.len();
        let has_form =
            once == all && self.after_tags(text).is_some_and(|rest| rest.trim().is_empty());
        Some(if has_form { 1.0 } else { self.partial * once as f64 / all as f64 })
    }
}

fn is_name(tag: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    !tag.is_empty() && tag.len() <= 64 && tag.chars().all(fits)
}

fn opening(tag: &str) -> String {
    format!("<{tag}>")
}

fn closing(tag: &str) -> String {
    format!("</{tag}>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::test_support::{completion, problem, reward};

    fn score(settings: &str, text: &str) -> f64 {
        let format: FormatReward = reward(settings);
        format.checked().unwrap().score(&problem(None), &completion(text)).unwrap()
    }

    const TWO: &str = r#"{"tags":["think","answer"]}"#;

    #[test]
    fn tags_in_order_once_and_nothing_outside_are_the_form() {
        for text in [
            "<think>1 + 1</think><answer>2</answer>",
            "<think>\n1 + 1\n</think>\n<answer>\n2\n</answer>\n",
            "  <think></think>\n\n<answer></answer>",
            "<think>if a < b > c</think><answer>a<b</answer>",
        ] {
            assert_eq!(score(TWO, text), 1.0, "{text}");
        }
        assert_eq!(score(r#"{"tags":["a","b","c-1"]}"#, "<a>x</a> <b>y</b> <c-1>z</c-1>"), 1.0);
    }

    #[test]
    fn every_other_text_has_another_form() {
        for text in [
            "",
            "2",
            "<think>1</think>",
            "<answer>2</answer><think>1</think>",
            "So: <think>1</think><answer>2</answer>",
            "<think>1</think>hence<answer>2</answer>",
            "<think>1</think><answer>2</answer> as asked",
            "<think>1</think><answer>2",
            "<think>1<answer>2</answer></think>",
            "<think>1</think><think>1</think><answer>2</answer>",
            "<think>1</think><answer>2</answer><answer>3</answer>",
            "<think>an <answer> follows</think><answer>2</answer>",
            "<think>1</think></answer>2<answer>",
            "<Think>1</Think><answer>2</answer>",
            "<think >1</think><answer>2</answer>",
        ] {
            assert_eq!(score(TWO, text), 0.0, "{text}");
        }
    }

    #[test]
    fn partial_credit_counts_the_tags_that_stand_once() {
        let settings = r#"{"tags":["think","answer"],"partial":0.5}"#;
        assert_eq!(score(settings, "<think>1</think><answer>2</answer>"), 1.0);
        assert_eq!(score(settings, "so <think>1</think><answer>2</answer>"), 0.5);
        assert_eq!(score(settings, "<think>1</think>2"), 0.25);
        assert_eq!(score(settings, "<think><think>1</think><answer>2</answer>"), 0.375);
        assert_eq!(score(settings, "2"), 0.0);
    }

    #[test]
    fn a_prompt_that_opened_the_first_tag_counts_as_part_of_the_text() {
        let settings = r#"{"tags":["think","answer"],"prefilled":true}"#;
        assert_eq!(score(settings, "1 + 1</think><answer>2</answer>"), 1.0);
        assert_eq!(score(settings, "<think>1 + 1</think><answer>2</answer>"), 0.0);
    }

    #[test]
    fn settings_that_cannot_be_used_are_refused_with_their_key() {
        for (settings, key) in [
            (r#"{"tags":[]}"#, "format.tags"),
            (r#"{"tags":["a","a"]}"#, "format.tags"),
            (r#"{"tags":["<think>"]}"#, "format.tags"),
            (r#"{"tags":[""]}"#, "format.tags"),
            (r#"{"tags":["a"],"partial":1}"#, "format.partial"),
            (r#"{"tags":["a"],"partial":-0.1}"#, "format.partial"),
        ] {
            let error = reward::<FormatReward>(settings).checked().unwrap_err();
            assert!(error.to_string().contains(key), "{error}");
        }
    }

    #[test]
    fn a_megabyte_of_tags_ends_soon() {
        let start = std::time::Instant::now();
        for text in ["<think>".repeat(150_000), "</answer><".repeat(100_000)] {
            assert_eq!(score(TWO, &text), 0.0);
        }
        assert!(start.elapsed().as_secs() < 2, "{:?}", start.elapsed());
    }
}
