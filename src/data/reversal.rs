//! Generated strings to be written backwards.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::{DataError, Dataset, Problem, Prompt, generated_count, purpose, split};
use crate::random::Stream;

/// No prompt is longer.
const MOST_CHARACTERS: usize = 10_000;

/// Problems such as `abc=` with the answer `cba`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReversalData {
    /// The characters strings are made of.
    #[serde(default = "lower_case")]
    pub alphabet: String,
    /// Characters of the shortest string.
    #[serde(default = "two")]
    pub min_length: usize,
    /// Characters of the longest string; every length is drawn equally often.
    #[serde(default = "eight")]
    pub max_length: usize,
    /// Problems to train on.
    pub count: usize,
    /// Problems to measure by.
    #[serde(default)]
    pub held_out: usize,
}

impl ReversalData {
    pub(super) fn load(&self, seed: u64) -> Result<Dataset, DataError> {
        let alphabet: Vec<char> = self.alphabet.chars().collect();
        self.check(&alphabet)?;
        let mut stream = Stream::new(seed, purpose::PROBLEMS);
        let wanted = self.count + self.held_out;
        let mut seen = HashSet::with_capacity(wanted);
        let mut problems = Vec::with_capacity(wanted);
        while problems.len() < wanted {
            let word = self.word(&alphabet, &mut stream);
            if seen.insert(word.clone()) {
                problems.push(problem(problems.len() as u64, &word));
            }
        }
        split::cut(problems, self.held_out)
    }

    fn check(&self, alphabet: &[char]) -> Result<(), DataError> {
        if alphabet.iter().collect::<HashSet<_>>().len() < alphabet.len().max(1) {
            let problem = "is empty or holds a character twice; name each once";
            return Err(DataError::setting("alphabet", problem));
        }
        if self.min_length == 0 || self.min_length > self.max_length {
            let problem = format!(
                "is {}; it must be at least 1 and at most max_length ({})",
                self.min_length, self.max_length
            );
            return Err(DataError::setting("min_length", problem));
        }
        if self.max_length > MOST_CHARACTERS {
            let problem = format!("is {}; choose at most {MOST_CHARACTERS}", self.max_length);
            return Err(DataError::setting("max_length", problem));
        }
        generated_count(self.count, self.held_out)?;
        let available = self.available(alphabet.len() as u64);
        if (self.count as u64).saturating_add(self.held_out as u64) > available {
            let problem = format!(
                "{} and {} held-out strings asked for, and there are {available}; \
                 ask for fewer or longer ones",
                self.count, self.held_out
            );
            return Err(DataError::setting("count", problem));
        }
        Ok(())
    }

    fn available(&self, characters: u64) -> u64 {
        let of_length =
            |length: usize| characters.saturating_pow(u32::try_from(length).unwrap_or(u32::MAX));
        (self.min_length..=self.max_length).map(of_length).fold(0, u64::saturating_add)
    }

    fn word(&self, alphabet: &[char], stream: &mut Stream) -> String {
        let length = self.min_length + stream.index_below(self.max_length - self.min_length + 1);
        (0..length).map(|_| alphabet[stream.index_below(alphabet.len())]).collect()
    }
}

fn problem(id: u64, word: &str) -> Problem {
    Problem {
        id,
        prompt: Prompt::Text(format!("{word}=")),
        answer: Some(word.chars().rev().collect()),
        columns: Map::new(),
    }
}

fn lower_case() -> String {
    ('a'..='z').collect()
}

fn two() -> usize {
    2
}

fn eight() -> usize {
    8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(alphabet: &str, lengths: (usize, usize), count: usize) -> ReversalData {
        let (min_length, max_length) = lengths;
        ReversalData { alphabet: alphabet.into(), min_length, max_length, count, held_out: 2 }
    }

    #[test]
    fn the_answer_is_the_string_backwards() {
        let dataset = data("abc", (3, 3), 25).load(0).unwrap();
        let found = dataset.train.iter().chain(&dataset.held_out);
        let found = found.map(|p| (p.prompt.text(), p.answer.clone().unwrap()));
        let found: HashSet<(String, String)> = found.collect();
        // All 27 strings of three letters are asked for.
        assert_eq!(found.len(), 27);
        assert!(found.contains(&("aab=".into(), "baa".into())));
        assert!(found.contains(&("cab=".into(), "bac".into())));
    }

    #[test]
    fn settings_that_cannot_be_met_are_refused_with_their_key() {
        let error = |data: ReversalData| data.load(0).unwrap_err().to_string();
        assert!(error(data("", (1, 2), 1)).starts_with("data.alphabet"));
        assert!(error(data("aa", (1, 2), 1)).starts_with("data.alphabet"));
        assert!(error(data("ab", (3, 2), 1)).starts_with("data.min_length"));
        assert!(error(data("ab", (1, 2), 5)).contains("there are 6"));
    }
}
