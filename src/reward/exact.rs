//! The text is the answer.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::folding::Ignoring;
use super::{Completion, Extraction, Reward, compared, one, some_answer};
use crate::data::Problem;

/// 1 if the text, without white space around it, is the answer, else 0; needs an answer that is not empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExactReward {
    /// Factor in the sum of rewards.
    #[serde(default = "one")]
    pub weight: f64,
    /// Takes upper and lower case for the same.
    #[serde(default)]
    pub case_insensitive: bool,
    /// Takes letters with and without accents for the same.
    #[serde(default)]
    pub accent_insensitive: bool,
    /// Where in the text the answer stands; all of it if left out.
    #[serde(default)]
    pub answer: Option<Extraction>,
}

impl Reward for ExactReward {
    fn name(&self) -> &'static str {
        "exact"
    }

    fn score(&self, problem: &Problem, completion: &Completion) -> Option<f64> {
        let answer = some_answer(problem)?;
        let ignoring = Ignoring { case: self.case_insensitive, accents: self.accent_insensitive };
        let found = compared(self.answer.as_ref(), completion.text);
        Some(f64::from(found.is_some_and(|found| ignoring.fold(&found) == ignoring.fold(answer))))
    }

    fn obstacle(&self, problem: &Problem) -> Option<&'static str> {
        some_answer(problem).is_none().then_some("have no answer")
    }

    fn full_score(&self) -> Option<f64> {
        Some(1.0)
    }

    fn extracted(&self, _problem: &Problem, text: &str) -> Option<String> {
        compared(self.answer.as_ref(), text).map(Cow::into_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::test_support::{completion, problem, reward};

    #[test]
    fn white_space_around_the_text_does_not_matter_and_all_else_does() {
        let exact: ExactReward = reward("{}");
        let score = |text| exact.score(&problem(Some("Yes")), &completion(text));
        assert_eq!(score(" Yes\n"), Some(1.0));
        assert_eq!(score("yes"), Some(0.0));
        assert_eq!(score("Yes."), Some(0.0));
        assert_eq!(exact.score(&problem(None), &completion("Yes")), None);
        assert_eq!(exact.obstacle(&problem(None)), Some("have no answer"));
        assert_eq!(exact.obstacle(&problem(Some("Yes"))), None);
    }

    #[test]
    fn an_empty_answer_is_none() {
        let exact: ExactReward = reward("{}");
        for empty in ["", " \n"] {
            assert_eq!(exact.score(&problem(Some(empty)), &completion("")), None);
            assert_eq!(exact.obstacle(&problem(Some(empty))), Some("have no answer"));
        }
    }

    #[test]
    fn case_is_ignored_on_request() {
        let exact: ExactReward = reward(r#"{"case_insensitive":true}"#);
        assert_eq!(exact.score(&problem(Some("Äpfel")), &completion("äPFEL")), Some(1.0));
    }

    #[test]
    fn accents_are_ignored_on_request_and_their_bytes_always() {
        let score = |settings: &str, text| {
            reward::<ExactReward>(settings).score(&problem(Some("São")), &completion(text))
        };
        assert_eq!(score("{}", "Sa\u{303}o"), Some(1.0));
        assert_eq!(score("{}", "Sao"), Some(0.0));
        assert_eq!(score(r#"{"accent_insensitive":true}"#, "Sao"), Some(1.0));
    }

    #[test]
    fn the_answer_is_looked_for_where_it_is_said_to_stand() {
        let exact: ExactReward = reward(r#"{"answer":{"from":"tag:answer"}}"#);
        let score = |text| exact.score(&problem(Some("Yes")), &completion(text));
        assert_eq!(score("<think>No?</think> <answer> Yes </answer>."), Some(1.0));
        assert_eq!(score("Yes"), Some(0.0));
        let found = exact.extracted(&problem(None), "<answer> Yes </answer>.");
        assert_eq!(found.as_deref(), Some("Yes"));
    }
}
