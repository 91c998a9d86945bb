//! Generated numbers to be combined into a target.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{DataError, Dataset, Problem, Prompt, generated_count, purpose, split, template};
use crate::random::Stream;

/// Draws that may fail in a row before the settings are called impossible.
const MOST_FAILURES: usize = 100_000;
const DEFAULT_TEMPLATE: &str = "Using the numbers {numbers}, write an expression that equals \
     {target}. Use +, -, * and / and each number exactly once.";

/// Problems that name some numbers and a target; a solution exists by construction.
///
/// The answer is one solution, such as `(3+5)*2`; there may be others. Columns: `numbers`, `target`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CountdownData {
    /// How many numbers there are, 2 to 8.
    #[serde(default = "three")]
    pub numbers: usize,
    /// The largest number, and the largest target is ten times that; the smallest is 1.
    #[serde(default = "twenty")]
    pub max_value: i64,
    /// The prompt, with `{numbers}` and `{target}` to be filled in.
    #[serde(default = "default_template")]
    pub template: String,
    /// Problems to train on.
    pub count: usize,
    /// Problems to measure by.
    #[serde(default)]
    pub held_out: usize,
}

impl CountdownData {
    pub(super) fn load(&self, seed: u64) -> Result<Dataset, DataError> {
        self.check()?;
        let mut stream = Stream::new(seed, purpose::PROBLEMS);
        let wanted = generated_count(self.count, self.held_out)?;
        let mut seen = HashSet::new();
        let mut problems = Vec::new();
        let mut failures = 0;
        while problems.len() < wanted && failures < MOST_FAILURES {
            failures += 1;
            let numbers = self.draw_numbers(&mut stream);
            let Some(solved) = self.solve(&numbers, &mut stream) else {
                continue;
            };
            // The same numbers in another order would be the same problem.
            let mut sorted = numbers.clone();
            sorted.sort_unstable();
            if seen.insert((sorted, solved.value)) {
                problems.push(self.problem(problems.len() as u64, &numbers, solved)?);
                failures = 0;
            }
        }
        if problems.len() < wanted {
            return Err(too_few(wanted, problems.len()));
        }
        split::cut(problems, self.held_out)
    }

    fn check(&self) -> Result<(), DataError> {
        if !(2..=8).contains(&self.numbers) {
            return Err(DataError::setting(
                "numbers",
                format!("is {}; choose 2 to 8", self.numbers),
            ));
        }
        if !(1..=100_000).contains(&self.max_value) {
            let problem = format!("is {}; choose 1 to 100000", self.max_value);
            return Err(DataError::setting("max_value", problem));
        }
        if ["{numbers}", "{target}"].iter().any(|part| !self.template.contains(part)) {
            let problem = "must contain {numbers} and {target}; add what is missing";
            return Err(DataError::setting("template", problem));
        }
        Ok(())
    }

    fn draw_numbers(&self, stream: &mut Stream) -> Vec<i64> {
        (0..self.numbers).map(|_| 1 + stream.below(self.max_value as u64) as i64).collect()
    }

    /// Joins two random terms by a random operation until one is left; none if that is no target.
    fn solve(&self, numbers: &[i64], stream: &mut Stream) -> Option<Term> {
        let mut terms: Vec<Term> = numbers.iter().map(|&number| Term::number(number)).collect();
        while terms.len() > 1 {
            stream.shuffle(&mut terms);
            let (right, left) = (terms.pop()?, terms.pop()?);
            terms.push(joined(&left, &right, stream.below(4))?);
        }
        terms.pop().filter(|term| (1..=self.max_value * 10).contains(&term.value))
    }

    fn problem(&self, id: u64, numbers: &[i64], solved: Term) -> Result<Problem, DataError> {
        let listed: Vec<String> = numbers.iter().map(i64::to_string).collect();
        let mut columns = Map::new();
        columns.insert("numbers".into(), Value::String(listed.join(" ")));
        columns.insert("target".into(), json!(solved.value));
        let prompt = template::fill(&self.template, &columns)
            .map_err(|problem| DataError::setting("template", problem))?;
        columns.insert("numbers".into(), json!(numbers));
        let answer = Some(solved.without_outer_brackets());
        Ok(Problem { id, prompt: Prompt::Text(prompt), answer, columns })
    }
}

/// A value and how it was made.
#[derive(Debug, Clone)]
struct Term {
    value: i64,
    text: String,
}

impl Term {
    fn number(value: i64) -> Self {
        Self { value, text: value.to_string() }
    }

    fn without_outer_brackets(self) -> String {
        let inner = self.text.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
        inner.map_or(self.text.clone(), str::to_owned)
    }
}

fn joined(left: &Term, right: &Term, operation: u64) -> Option<Term> {
    let (a, b) = (left.value, right.value);
    let (sign, value) = match operation {
        0 => ('+', a.checked_add(b)?),
        1 => ('-', a.checked_sub(b)?),
        2 => ('*', a.checked_mul(b)?),
        _ if b != 0 && a % b == 0 => ('/', a / b),
        _ => return None,
    };
    Some(Term { value, text: format!("({}{sign}{})", left.text, right.text) })
}

fn too_few(wanted: usize, found: usize) -> DataError {
    let problem = format!(
        "{wanted} problems asked for, held-out ones included, and only {found} different ones were \
         found; ask for fewer, or for more numbers or a larger max_value"
    );
    DataError::setting("count", problem)
}

fn three() -> usize {
    3
}

fn twenty() -> i64 {
    20
}

fn default_template() -> String {
    DEFAULT_TEMPLATE.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(numbers: usize, max_value: i64, count: usize) -> CountdownData {
        let template = "{numbers}>{target}:".into();
        CountdownData { numbers, max_value, template, count, held_out: 0 }
    }

    #[test]
    fn the_answer_joins_the_numbers_of_the_prompt_into_its_target() {
        for problem in data(2, 9, 40).load(5).unwrap().train {
            let answer = problem.answer.unwrap();
            let at = answer.find(|c: char| !c.is_ascii_digit()).unwrap();
            let (left, right): (i64, i64) =
                (answer[..at].parse().unwrap(), answer[at + 1..].parse().unwrap());
            let value = match &answer[at..=at] {
                "+" => left + right,
                "-" => left - right,
                "*" => left * right,
                _ => left / right,
            };
            assert_eq!(problem.columns["target"], value, "{answer}");
            let numbers = problem.columns["numbers"].as_array().unwrap();
            assert!(numbers.contains(&json!(left)) && numbers.contains(&json!(right)));
            let listed = format!("{} {}>{value}:", numbers[0], numbers[1]);
            assert_eq!(problem.prompt, Prompt::Text(listed));
        }
    }

    #[test]
    fn every_number_stands_once_in_the_answer_and_the_target_is_in_range() {
        for problem in data(5, 20, 50).load(1).unwrap().train {
            let answer = problem.answer.unwrap();
            let mut used: Vec<i64> = answer
                .split(|c: char| !c.is_ascii_digit())
                .filter_map(|number| number.parse().ok())
                .collect();
            let given = problem.columns["numbers"].as_array().unwrap();
            let mut given: Vec<i64> = given.iter().map(|n| n.as_i64().unwrap()).collect();
            used.sort_unstable();
            given.sort_unstable();
            assert_eq!(used, given, "{answer}");
            assert!((1..=200).contains(&problem.columns["target"].as_i64().unwrap()));
        }
    }

    #[test]
    fn settings_that_cannot_be_met_are_refused_with_their_key() {
        let error = |data: CountdownData| data.load(0).unwrap_err().to_string();
        assert!(error(data(1, 9, 1)).starts_with("data.numbers"));
        assert!(error(data(2, 0, 1)).starts_with("data.max_value"));
        assert!(error(data(2, 1, 50)).contains("only 2 different ones"));
        let no_target = CountdownData { template: "{numbers}".into(), ..data(2, 9, 1) };
        assert!(error(no_target).starts_with("data.template"));
    }
}
