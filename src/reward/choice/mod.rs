//! The text chooses the right one of several answers.

mod follows;
mod options;
mod plain;
mod read;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Completion, Extraction, Reward, RewardError, compared, one};
use crate::data::Problem;
use options::{Options, options};

/// 1 if the text chooses the letter of the right answer, else 0.
///
/// Letters are read as models write them: `B`, `(B)`, `B) 42`, `**B**`, `\boxed{B}`, `The answer is B`,
/// `option b`, `<answer>B</answer>`; what stands in a mark (`\boxed{}`, `####`, `<answer>`) decides,
/// then the last statement of the answer, then a line or bracket with a letter, then the text of a
/// choice where the problem has a column of them. `A` and `a` as an article are no letter, and a text
/// that chooses two chooses none.
///
/// The answer of a problem is a letter, perhaps with its text, or the text of one of the choices, or
/// with `index_from` its number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChoiceReward {
    /// Factor in the sum of rewards.
    #[serde(default = "one")]
    pub weight: f64,
    /// The column with the texts of the choices: a list, an object by letter, or `text` and `label` in
    /// an object. Problems without it have letters alone.
    #[serde(default = "choices")]
    pub choices: String,
    /// The last letter where a problem has no choices; E if left out.
    #[serde(default = "last")]
    pub last: char,
    /// Takes an answer that is a whole number for the place of a choice, counted from 0 or 1.
    #[serde(default)]
    pub index_from: Option<usize>,
    /// Where in the text the choice stands; if left out, wherever models write it.
    #[serde(default)]
    pub answer: Option<Extraction>,
}

impl ChoiceReward {
    pub(super) fn checked(&self) -> Result<Self, RewardError> {
        let refuse = |key, problem: String| Err(RewardError::setting("choice", key, problem));
        if !('B'..='Z').contains(&self.last) {
            let problem = format!("is {:?}; it must be a letter from B to Z", self.last);
            return refuse("last", problem);
        }
        if let Some(from) = self.index_from.filter(|from| *from > 1) {
            return refuse("index_from", format!("is {from}; it must be 0 or 1"));
        }
        if self.choices.is_empty() {
            return refuse("choices", "is empty; name a column".to_owned());
        }
        Ok(self.clone())
    }

    fn options(&self, problem: &Problem) -> Options {
        options(problem.columns.get(&self.choices), self.last)
    }

    /// The letter that a text chooses.
    fn chosen(&self, text: &str, options: &Options) -> Option<char> {
        read::chosen(&compared(self.answer.as_ref(), text)?, options)
    }

    /// The letter of the right answer.
    fn right(&self, problem: &Problem, options: &Options) -> Option<char> {
        let answer = problem.answer.as_deref()?.trim();
        let number = answer.parse::<usize>().ok();
        match self.index_from.zip(number) {
            Some((from, number)) => options.letter_at(number.checked_sub(from)?),
            None => read::reference(answer, options),
        }
    }
}

impl Reward for ChoiceReward {
    fn name(&self) -> &'static str {
        "choice"
    }

    fn score(&self, problem: &Problem, completion: &Completion) -> Option<f64> {
        let options = self.options(problem);
        let right = self.right(problem, &options)?;
        Some(f64::from(self.chosen(completion.text, &options) == Some(right)))
    }

    fn obstacle(&self, problem: &Problem) -> Option<&'static str> {
        match &problem.answer {
            None => Some("have no answer"),
            Some(_) if self.right(problem, &self.options(problem)).is_some() => None,
            Some(_) => Some("have an answer that is no letter and none of the choices"),
        }
    }

    fn full_score(&self) -> Option<f64> {
        Some(1.0)
    }

    fn extracted(&self, problem: &Problem, text: &str) -> Option<String> {
        self.chosen(text, &self.options(problem)).map(String::from)
    }
}

fn choices() -> String {
    "choices".to_owned()
}

fn last() -> char {
    'E'
}
