//! The answer stands in the text as a whole word.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::folding::Ignoring;
use super::word::contains_word;
use super::{Completion, Extraction, Reward, compared, one, some_answer};
use crate::data::Problem;

/// 1 if the answer stands in the text as a word of its own, else 0: `Nairobi` is in `The capital is
/// Nairobi.` and not in `Nairobian`; `5` is not in `15`, `3.5` or `-5`.
///
/// White space of any kind and length is one space. A text that names several answers contains each
/// of them, and `not Nairobi` contains `Nairobi`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContainsReward {
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

impl Reward for ContainsReward {
    fn name(&self) -> &'static str {
        "contains"
    }

    fn score(&self, problem: &Problem, completion: &Completion) -> Option<f64> {
        let answer = some_answer(problem)?;
        let ignoring = Ignoring { case: self.case_insensitive, accents: self.accent_insensitive };
        let Some(text) = compared(self.answer.as_ref(), completion.text) else {
            return Some(0.0);
        };
        let (text, answer) = (ignoring.fold_spaces(&text), ignoring.fold_spaces(answer));
        Some(f64::from(contains_word(&text, &answer)))
    }

    fn obstacle(&self, problem: &Problem) -> Option<&'static str> {
        some_answer(problem).is_none().then_some("have no answer")
    }

    fn full_score(&self) -> Option<f64> {
        Some(1.0)
    }

    fn extracted(&self, _problem: &Problem, text: &str) -> Option<String> {
        let found = self.answer.as_ref()?.extract(text)?;
        Some(found.into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::test_support::{completion, problem, reward};

    #[track_caller]
    fn check(settings: &str, answer: &str, text: &str, expected: f64) {
        let contains: ContainsReward = reward(settings);
        let score = contains.score(&problem(Some(answer)), &completion(text));
        assert_eq!(score, Some(expected), "{answer:?} in {text:?}");
    }

    #[test]
    fn a_name_in_a_sentence_is_found_however_it_is_marked() {
        for text in [
            "The capital of Kenya is Nairobi.",
            "Nairobi",
            "**Nairobi** is the capital.",
            "_Nairobi_",
            "It is \"Nairobi\"!",
            "“Nairobi”",
            "It's Nairobi's old town.",
            "(Nairobi)",
            "\\boxed{\\text{Nairobi}}",
            "<answer>Nairobi</answer>",
            "Answer:Nairobi,Kenya",
            "Mombasa? No: Nairobi\n",
        ] {
            check("{}", "Nairobi", text, 1.0);
        }
    }

    #[test]
    fn a_part_of_a_word_is_not_the_word() {
        for (answer, text) in [
            ("Nairobi", "Nairobian food"),
            ("art", "The party started."),
            ("man", "a woman"),
            ("été", "répétée"),
            ("x", "x_1 and max"),
            ("Rome", "Romee\u{301}"),
            ("Nairobi", "Mombasa"),
            ("Nairobi", ""),
        ] {
            check("{}", answer, text, 0.0);
        }
    }

    #[test]
    fn case_and_accents_count_unless_asked_otherwise() {
        check("{}", "Nairobi", "NAIROBI", 0.0);
        check(r#"{"case_insensitive":true}"#, "Nairobi", "NAIROBI", 1.0);
        check("{}", "São Paulo", "In Sao Paulo.", 0.0);
        check(r#"{"accent_insensitive":true}"#, "São Paulo", "In Sao Paulo.", 1.0);
        check(r#"{"accent_insensitive":true}"#, "Sao Paulo", "In SÃO Paulo.", 0.0);
        let both = r#"{"case_insensitive":true,"accent_insensitive":true}"#;
        check(both, "Sao Paulo", "In SÃO PAULO.", 1.0);
        check("{}", "caf\u{e9}", "the cafe\u{301}.", 1.0);
    }

    #[test]
    fn an_answer_of_several_words_may_be_broken_over_lines() {
        check("{}", "New York City", "It is New York\nCity.", 1.0);
        check("{}", "New York", "Newly York", 0.0);
        check("{}", " New  York ", "New\u{a0}York", 1.0);
    }

    #[test]
    fn only_the_marked_part_is_searched_on_request() {
        let settings = r#"{"answer":{"from":"tag:answer"}}"#;
        check(settings, "Nairobi", "<answer>It is Nairobi.</answer>", 1.0);
        check(settings, "Nairobi", "Nairobi? <answer>Mombasa</answer>", 0.0);
        check(settings, "Nairobi", "Nairobi", 0.0);
    }

    #[test]
    fn problems_without_an_answer_are_not_judged() {
        let contains: ContainsReward = reward("{}");
        for answer in [None, Some(""), Some(" \n")] {
            assert_eq!(contains.score(&problem(answer), &completion("")), None);
            assert_eq!(contains.obstacle(&problem(answer)), Some("have no answer"));
        }
    }
}
