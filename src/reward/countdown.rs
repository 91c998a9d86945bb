//! An expression of given numbers has a given value.

use std::sync::LazyLock;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::expression::{Fraction, evaluate};
use super::{Completion, Reward, RewardError, one};
use crate::data::Problem;
use crate::pattern::constant;

/// Text made of what may stand in an expression; it begins and ends with a number or bracket.
static EXPRESSION: LazyLock<Regex> = LazyLock::new(|| constant(r"[0-9(](?:[-+*/0-9() ]*[0-9)])?"));

/// 1 if the last expression of the text uses each given number exactly once and has the target as
/// its value, else 0; what follows an `=` on its line is left aside.
///
/// Applies to problems with the columns `numbers` (a list) and `target` (a whole number).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CountdownReward {
    /// Factor in the sum of rewards.
    #[serde(default = "one")]
    pub weight: f64,
    /// The score of an expression of the right numbers with another value; less than 1.
    #[serde(default)]
    pub right_numbers: f64,
}

impl CountdownReward {
    pub(super) fn checked(&self) -> Result<Self, RewardError> {
        if (0.0..1.0).contains(&self.right_numbers) {
            return Ok(self.clone());
        }
        let problem = format!("is {}; it must be at least 0 and less than 1", self.right_numbers);
        Err(RewardError::setting("countdown", "right_numbers", problem))
    }
}

impl Reward for CountdownReward {
    fn name(&self) -> &'static str {
        "countdown"
    }

    fn score(&self, problem: &Problem, completion: &Completion) -> Option<f64> {
        let (given, target) = task(problem)?;
        let Some(found) = last_expression(completion.text).and_then(evaluate) else {
            return Some(0.0);
        };
        Some(
            match (sorted(found.numbers) == sorted(given), found.value == Fraction::whole(target)) {
                (true, true) => 1.0,
                (true, false) => self.right_numbers,
                (false, _) => 0.0,
            },
        )
    }

    fn obstacle(&self, problem: &Problem) -> Option<&'static str> {
        let missing = "have no column numbers with whole numbers or no column target with one";
        task(problem).is_none().then_some(missing)
    }

    fn full_score(&self) -> Option<f64> {
        Some(1.0)
    }

    fn extracted(&self, _problem: &Problem, text: &str) -> Option<String> {
        last_expression(text).map(str::to_owned)
    }
}

/// The numbers and the target of a problem.
fn task(problem: &Problem) -> Option<(Vec<i64>, i64)> {
    let target = problem.columns.get("target")?.as_i64()?;
    let given = problem.columns.get("numbers")?.as_array()?;
    Some((given.iter().map(Value::as_i64).collect::<Option<_>>()?, target))
}

fn last_expression(text: &str) -> Option<&str> {
    let left_sides = text.lines().map(|line| line.split('=').next().unwrap_or(line));
    left_sides
        .filter_map(|side| EXPRESSION.find_iter(side).last())
        .next_back()
        .map(|found| found.as_str())
}

fn sorted(mut numbers: Vec<i64>) -> Vec<i64> {
    numbers.sort_unstable();
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::test_support::{completion, problem, reward};
    use serde_json::json;

    fn score(settings: &str, text: &str) -> Option<f64> {
        let countdown: CountdownReward = reward(settings);
        let mut problem = problem(Some("(3+5)*2"));
        problem.columns.insert("numbers".into(), json!([3, 5, 2]));
        problem.columns.insert("target".into(), json!(16));
        countdown.score(&problem, &completion(text))
    }

    #[test]
    fn any_expression_of_the_numbers_that_hits_the_target_is_right() {
        for text in ["(3+5)*2", "2*(5 + 3)", "Let us try 3*5.\nSo (3+5)*2 = 16.", "It is (5+3)*2."]
        {
            assert_eq!(score("{}", text), Some(1.0), "{text}");
        }
    }

    #[test]
    fn wrong_numbers_and_wrong_values_are_wrong() {
        for text in ["16", "2*8", "(3+5)*2*1", "3+5+2", "(3+5*2", "dunno", ""] {
            assert_eq!(score("{}", text), Some(0.0), "{text}");
        }
    }

    #[test]
    fn the_right_numbers_earn_what_is_set_for_them() {
        assert_eq!(score(r#"{"right_numbers":0.1}"#, "3+5+2"), Some(0.1));
        assert_eq!(score(r#"{"right_numbers":0.1}"#, "3+5"), Some(0.0));
    }

    #[test]
    fn partial_credit_as_high_as_the_full_score_is_refused() {
        let error = reward::<CountdownReward>(r#"{"right_numbers":1}"#).checked().unwrap_err();
        assert!(error.to_string().contains("countdown.right_numbers"), "{error}");
    }

    #[test]
    fn other_problems_are_not_judged() {
        let countdown: CountdownReward = reward("{}");
        assert_eq!(countdown.score(&problem(Some("1")), &completion("1")), None);
        assert!(countdown.obstacle(&problem(Some("1"))).unwrap().contains("numbers"));
    }
}
