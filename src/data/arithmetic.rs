//! Generated sums, differences and products.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::{DataError, Dataset, Problem, Prompt, generated_count, purpose, split};
use crate::random::Stream;

/// Up to so many problems are enumerated; beyond, they are drawn.
const ENUMERATED: u64 = 3_000_000;
/// Products of longer numbers do not fit 64 bits.
const MOST_DIGITS: u32 = 9;

/// Problems such as `12+34=` with the answer `46`; both numbers have exactly `digits` digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArithmeticData {
    /// What is asked for, each operation equally often.
    #[serde(default = "addition")]
    pub operations: Vec<Operation>,
    /// Digits of each number, 1 to 9; one digit may be 0, a longer number does not begin with 0.
    pub digits: u32,
    /// Problems to train on; without it all that are not held out, for up to three digits.
    #[serde(default)]
    pub count: Option<usize>,
    /// Problems to measure by.
    pub held_out: usize,
}

/// What is done with two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `+`
    Add,
    /// `-`; the answer may be negative
    Sub,
    /// `*`
    Mul,
}

impl Operation {
    /// The sign as it stands in a prompt.
    pub fn sign(self) -> char {
        match self {
            Self::Add => '+',
            Self::Sub => '-',
            Self::Mul => '*',
        }
    }

    fn apply(self, left: i64, right: i64) -> i64 {
        match self {
            Self::Add => left + right,
            Self::Sub => left - right,
            Self::Mul => left * right,
        }
    }
}

impl ArithmeticData {
    pub(super) fn load(&self, seed: u64) -> Result<Dataset, DataError> {
        self.check()?;
        let wanted = self.wanted()?;
        let mut stream = Stream::new(seed, purpose::PROBLEMS);
        let drawn = if self.available() <= ENUMERATED {
            enumerated(self.available(), wanted, &mut stream)
        } else {
            drawn(self.available(), wanted, &mut stream)
        };
        let problems = (0..).zip(drawn).map(|(id, number)| self.problem(id, number));
        split::cut(problems.collect(), self.held_out)
    }

    fn check(&self) -> Result<(), DataError> {
        if self.operations.is_empty() {
            return Err(DataError::setting("operations", "is empty; name add, sub or mul"));
        }
        let repeated = (1..self.operations.len())
            .any(|later| self.operations[..later].contains(&self.operations[later]));
        if repeated {
            return Err(DataError::setting("operations", "names one twice; name each once"));
        }
        if !(1..=MOST_DIGITS).contains(&self.digits) {
            let problem = format!("is {}; choose 1 to {MOST_DIGITS}", self.digits);
            return Err(DataError::setting("digits", problem));
        }
        Ok(())
    }

    fn wanted(&self) -> Result<usize, DataError> {
        generated_count(self.count.unwrap_or(0), self.held_out)?;
        let available = self.available();
        match self.count {
            None if available <= ENUMERATED => Ok(available as usize),
            None => {
                let problem = format!("is needed for {} digits; say how many", self.digits);
                Err(DataError::setting("count", problem))
            }
            Some(count) if (count as u64).saturating_add(self.held_out as u64) <= available => {
                Ok(count + self.held_out)
            }
            Some(count) => {
                let problem = format!(
                    "{count} and {} held-out problems asked for, and there are {available}; \
                     ask for fewer or for more digits",
                    self.held_out
                );
                Err(DataError::setting("count", problem))
            }
        }
    }

    fn available(&self) -> u64 {
        self.operations.len() as u64 * self.span() * self.span()
    }

    fn smallest(&self) -> u64 {
        if self.digits == 1 { 0 } else { 10_u64.pow(self.digits - 1) }
    }

    fn span(&self) -> u64 {
        10_u64.pow(self.digits) - self.smallest()
    }

    fn problem(&self, id: u64, number: u64) -> Problem {
        let operations = self.operations.len() as u64;
        let operation = self.operations[(number % operations) as usize];
        let pair = number / operations;
        let left = (self.smallest() + pair / self.span()) as i64;
        let right = (self.smallest() + pair % self.span()) as i64;
        Problem {
            id,
            prompt: Prompt::Text(format!("{left}{}{right}=", operation.sign())),
            answer: Some(operation.apply(left, right).to_string()),
            columns: Map::new(),
        }
    }
}

fn addition() -> Vec<Operation> {
    vec![Operation::Add]
}

fn enumerated(available: u64, wanted: usize, stream: &mut Stream) -> Vec<u64> {
    let order = stream.permutation(available as usize).into_iter();
    order.take(wanted).map(|number| number as u64).collect()
}

fn drawn(available: u64, wanted: usize, stream: &mut Stream) -> Vec<u64> {
    let mut seen = HashSet::with_capacity(wanted);
    let mut numbers = Vec::with_capacity(wanted);
    while numbers.len() < wanted {
        let number = stream.below(available);
        if seen.insert(number) {
            numbers.push(number);
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(operations: &[Operation], digits: u32, count: Option<usize>) -> ArithmeticData {
        ArithmeticData { operations: operations.to_vec(), digits, count, held_out: 10 }
    }

    fn all(data: &ArithmeticData) -> Vec<Problem> {
        let dataset = data.load(3).unwrap();
        dataset.held_out.into_iter().chain(dataset.train).collect()
    }

    #[test]
    fn two_digit_additions_are_enumerated_whole_and_answered_rightly() {
        let problems = all(&data(&[Operation::Add], 2, None));
        assert_eq!(problems.len(), 8100);
        let found = problems.iter().find(|p| p.prompt == Prompt::Text("12+34=".into())).unwrap();
        assert_eq!(found.answer.as_deref(), Some("46"));
    }

    #[test]
    fn one_digit_problems_of_every_operation_include_zero_and_negative_answers() {
        let problems = all(&data(&[Operation::Add, Operation::Sub, Operation::Mul], 1, None));
        assert_eq!(problems.len(), 300);
        let answer = |prompt: &str| {
            let prompt = Prompt::Text(prompt.into());
            problems.iter().find(|p| p.prompt == prompt).unwrap().answer.clone().unwrap()
        };
        assert_eq!(
            (answer("0-9="), answer("9*9="), answer("0+0=")),
            ("-9".into(), "81".into(), "0".into())
        );
    }

    #[test]
    fn long_products_are_drawn_without_overflow() {
        for problem in all(&data(&[Operation::Mul], 9, Some(50))) {
            let prompt = problem.prompt.text();
            let (left, right) = prompt.trim_end_matches('=').split_once('*').unwrap();
            assert_eq!((left.len(), right.len()), (9, 9), "{prompt}");
            let product: i128 = left.parse::<i128>().unwrap() * right.parse::<i128>().unwrap();
            assert_eq!(problem.answer.unwrap(), product.to_string());
        }
    }

    #[test]
    fn settings_that_cannot_be_met_are_refused_with_their_key() {
        let error = |data: ArithmeticData| data.load(0).unwrap_err().to_string();
        assert!(error(data(&[], 2, None)).starts_with("data.operations"));
        assert!(error(data(&[Operation::Add; 2], 2, None)).starts_with("data.operations"));
        assert!(error(data(&[Operation::Add], 0, None)).starts_with("data.digits"));
        assert!(error(data(&[Operation::Add], 4, None)).starts_with("data.count"));
        assert!(error(data(&[Operation::Add], 1, Some(91))).contains("there are 100"));
    }
}
