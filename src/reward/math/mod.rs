//! The answer that a text states is the answer, as mathematics has it.

mod answer;
mod ball;
mod compare;
mod equal;
mod eval;
mod formula;
mod lexer;
mod matrix;
mod names;
mod numeral;
mod parse;
mod quantity;
mod relation;
mod split;
mod stated;
#[cfg(test)]
mod tests;
mod text;
mod token;
mod units;
mod words;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::Extraction;
use super::{Completion, Reward, one};
use crate::data::Problem;

use self::answer::Answer;
use self::compare::Comparison;

/// 1 if the answer that the text gives equals the answer of the problem, else 0; needs one that it can
/// read.
///
/// Both are parsed, and compared exactly where they are rational, at random points (fixed ones, on 30
/// digits and more) elsewhere: `1/2`, `\frac12` and `0.5`; `(x+1)^2` and `x^2+2x+1`; `\{1, 2\}` and `2, 1`;
/// `x > 3` and `(3, \infty)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MathReward {
    /// Factor in the sum of rewards.
    #[serde(default = "one")]
    pub weight: f64,
    /// Where the answer stands in the text.
    #[serde(default)]
    pub answer: Extraction,
}

const NO_ANSWER: &str = "have no answer";
const NOT_READ: &str = "have an answer that cannot be read as mathematics";

/// The answer of a problem, in each way to read it, or why a completion cannot be compared with it.
fn reference(problem: &Problem) -> Result<Vec<Answer>, &'static str> {
    let text = problem
        .answer
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .ok_or(NO_ANSWER)?;
    stated::reference(text).ok_or(NOT_READ)
}

impl Reward for MathReward {
    fn name(&self) -> &'static str {
        "math"
    }

    fn score(&self, problem: &Problem, completion: &Completion) -> Option<f64> {
        let reference = reference(problem).ok()?;
        let given = stated::given(&self.answer, completion.text, &reference);
        let comparison = Comparison::new();
        let is_right =
            given.iter().any(|given| reference.iter().any(|answer| comparison.same(answer, given)));
        Some(f64::from(is_right))
    }

    fn obstacle(&self, problem: &Problem) -> Option<&'static str> {
        reference(problem).err()
    }

    fn full_score(&self) -> Option<f64> {
        Some(1.0)
    }
}
