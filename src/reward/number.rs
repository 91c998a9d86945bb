//! The number that a text states is the answer, or near it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decimal::Decimal;
use super::stated::{answer, stated};
use super::{Completion, Extraction, Reward, RewardError, one};
use crate::data::Problem;

/// Compares the number that the text states with the answer, exactly and however they are written:
/// `1,200`, `1200.00`, `1.2e3`, `$1{,}200`, `１２００`.
///
/// A text states what stands in its last `\boxed{}` or behind its last `####`, and without such a
/// mark its last number. What is stated is one number, with a sign, a unit or `x =` at most: beside an
/// operator, in a list or a comparison, under a function or a power, it is none.
///
/// ```text
/// correct                   if they are equal
/// partial_weight · credit   if not, with 0 <= credit < 1 as `partial` says
/// 0                         if the text states no number, or something that is not one number
/// ```
/// Does not apply where the answer is not one number, perhaps with a unit: a fraction, a pair, a
/// root or a formula is not judged. Numbers have at most 4,096 digits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NumberReward {
    /// Factor in the sum of rewards.
    #[serde(default = "one")]
    pub weight: f64,
    /// The score of the right number.
    #[serde(default = "one")]
    pub correct: f64,
    /// What a wrong number may still earn.
    #[serde(default)]
    pub partial: Partial,
    /// The score that partial credit approaches; less than `correct`.
    #[serde(default = "half")]
    pub partial_weight: f64,
    /// For `partial: relative`: the relative error at which credit reaches 0.
    #[serde(default = "half")]
    pub tolerance: f64,
}

/// Credit for a wrong number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Partial {
    /// None.
    #[default]
    None,
    /// The share of right digits, aligned at the decimal point.
    Digits,
    /// `1 - error / tolerance`, at least 0, where `error = |x - answer| / max(|answer|, 1)`.
    Relative,
}

impl NumberReward {
    pub(super) fn checked(&self) -> Result<Self, RewardError> {
        let refuse = |key, problem: String| Err(RewardError::setting("number", key, problem));
        if !self.correct.is_finite() {
            return refuse("correct", format!("is {}; it must be a finite number", self.correct));
        }
        let usable = (0.0..self.correct).contains(&self.partial_weight);
        if self.partial != Partial::None && !usable {
            let problem = format!(
                "is {}; it must be at least 0 and less than correct ({})",
                self.partial_weight, self.correct
            );
            return refuse("partial_weight", problem);
        }
        if !(self.tolerance > 0.0 && self.tolerance.is_finite()) {
            return refuse("tolerance", format!("is {}; it must be more than 0", self.tolerance));
        }
        Ok(self.clone())
    }

    fn credit(&self, found: &Decimal, answer: &Decimal) -> f64 {
        match self.partial {
            Partial::None => 0.0,
            Partial::Digits => found.shared_digits(answer),
            Partial::Relative => {
                let answer = answer.value();
                let error = (found.value() - answer).abs() / answer.abs().max(1.0);
                (1.0 - error / self.tolerance).max(0.0)
            }
        }
    }
}

impl Reward for NumberReward {
    fn name(&self) -> &'static str {
        "number"
    }

    fn score(&self, problem: &Problem, completion: &Completion) -> Option<f64> {
        let answer = answer(problem.answer.as_deref()?)?;
        Some(match stated(completion.text) {
            None => 0.0,
            Some(found) if found == answer => self.correct,
            Some(found) => self.partial_weight * self.credit(&found, &answer),
        })
    }

    fn obstacle(&self, problem: &Problem) -> Option<&'static str> {
        match &problem.answer {
            None => Some("have no answer"),
            Some(text) if answer(text).is_none() => Some("have an answer that is not one number"),
            Some(_) => None,
        }
    }

    fn full_score(&self) -> Option<f64> {
        Some(self.correct)
    }

    fn extracted(&self, _problem: &Problem, text: &str) -> Option<String> {
        stated(text)?;
        Extraction::default().extract(text).map(std::borrow::Cow::into_owned)
    }
}

fn half() -> f64 {
    0.5
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::test_support::{completion, problem, reward};

    fn check_score(settings: &str, answer: &str, text: &str, expected: f64) {
        let number: NumberReward = reward(settings);
        let score = number.score(&problem(Some(answer)), &completion(text)).unwrap();
        assert!((score - expected).abs() < 1e-12, "{text} for {answer}: {score}, not {expected}");
    }

    #[test]
    fn the_right_number_earns_the_full_score_however_it_is_written() {
        for text in ["1200", "So it is $1,200.", "#### 1,200.00", "3 * 400 = 1200"] {
            check_score(r#"{"correct":2}"#, "1200", text, 2.0);
        }
    }

    #[test]
    fn a_wrong_or_missing_number_earns_nothing_by_default() {
        check_score("{}", "46", "45", 0.0);
        check_score("{}", "46", "46 and 2", 0.0);
        check_score("{}", "46", "dunno", 0.0);
    }

    #[test]
    fn right_digits_earn_their_share() {
        let settings = r#"{"partial":"digits","partial_weight":0.4}"#;
        check_score(settings, "146", "145", 0.4 * 2.0 / 3.0);
        check_score(settings, "146", "146", 1.0);
        check_score(settings, "146", "", 0.0);
    }

    #[test]
    fn a_near_number_earns_more_than_a_far_one() {
        let settings = r#"{"partial":"relative","tolerance":0.2}"#;
        check_score(settings, "100", "110", 0.25);
        check_score(settings, "100", "120", 0.0);
        check_score(settings, "100", "900", 0.0);
        check_score(settings, "0", "0.1", 0.25);
    }

    #[test]
    fn numbers_beyond_all_range_still_score_finitely() {
        let huge = "9".repeat(400);
        let settings = r#"{"partial":"relative"}"#;
        check_score(settings, "5", &huge, 0.0);
        check_score(settings, &huge, &huge, 1.0);
    }

    #[test]
    fn a_problem_without_a_number_is_not_judged() {
        let number: NumberReward = reward("{}");
        assert_eq!(number.score(&problem(Some("blue")), &completion("4")), None);
        assert_eq!(number.score(&problem(None), &completion("4")), None);
    }

    #[test]
    fn an_answer_that_is_not_one_number_is_not_judged() {
        let number: NumberReward = reward("{}");
        for answer in ["1/2", "(1, 2)", "x^2", r"\sqrt{2}", "3:4", "6 - 5i"] {
            assert_eq!(number.score(&problem(Some(answer)), &completion("2")), None, "{answer}");
            let obstacle = number.obstacle(&problem(Some(answer)));
            assert_eq!(obstacle, Some("have an answer that is not one number"), "{answer}");
        }
        assert_eq!(number.obstacle(&problem(None)), Some("have no answer"));
        assert_eq!(number.obstacle(&problem(Some("46"))), None);
    }

    #[test]
    fn answers_and_texts_in_every_writing_meet() {
        check_score("{}", "10{,}000", "10000", 1.0);
        check_score("{}", "10{,}000", "0", 0.0);
        check_score("{}", "2.5e6", "2,500,000", 1.0);
        check_score("{}", "2.5e6", "6", 0.0);
        check_score("{}", "- 12", "-12", 1.0);
        check_score("{}", "12", "the answer is - 12", 0.0);
        check_score("{}", "１２", "12", 1.0);
        check_score("{}", "25", "25 cm^2", 1.0);
        check_score("{}", "25 cm^2", "2", 0.0);
        check_score("{}", "18446744073709551616", "18446744073709551616", 1.0);
        check_score("{}", "18446744073709551616", "18446744073709551617", 0.0);
        check_score("{}", "18", r"\boxed{18}. This took 3 steps.", 1.0);
        check_score("{}", "3", r"\boxed{18}. This took 3 steps.", 0.0);
    }

    #[test]
    fn decimals_of_any_length_end_in_a_score() {
        let long = format!("0.{}", "1".repeat(70_000));
        let settings = r#"{"partial":"digits"}"#;
        check_score(settings, "5", &long, 0.0);
        let number: NumberReward = reward(settings);
        assert_eq!(number.score(&problem(Some(&long)), &completion("5")), None);
    }

    #[test]
    fn settings_that_cannot_be_used_are_refused_with_their_key() {
        for (settings, key) in [
            (r#"{"partial":"digits","partial_weight":1}"#, "number.partial_weight"),
            (r#"{"partial":"relative","partial_weight":-1}"#, "number.partial_weight"),
            (r#"{"tolerance":0}"#, "number.tolerance"),
        ] {
            let error = reward::<NumberReward>(settings).checked().unwrap_err();
            assert!(error.to_string().contains(key), "{error}");
        }
    }
}
