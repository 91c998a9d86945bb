//! The text does not repeat itself.

use std::collections::HashSet;
use std::hash::Hash;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Completion, Reward, RewardError, one};
use crate::data::Problem;

/// The longest run of words that is compared.
const LONGEST: usize = 100;

/// Costs the share of runs of `ngram_size` words that stood in the text before, upper and lower case
/// taken for the same; nothing for a text of fewer words.
///
/// ```text
/// -penalty · (1 - different runs / all runs)
/// ```
/// Source: Yeo et al., "Demystifying long chain-of-thought reasoning in LLMs", 2025,
/// arXiv 2502.03373, appendix C.2, as open-r1 has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepetitionReward {
    /// Factor in the sum of rewards.
    #[serde(default = "one")]
    pub weight: f64,
    /// How many words a run has; 3 if left out.
    #[serde(default = "three")]
    pub ngram_size: usize,
    /// What a text costs that only repeats itself.
    #[serde(default = "one")]
    pub penalty: f64,
    /// What a run is made of.
    #[serde(default)]
    pub unit: RunUnit,
}

/// What a run of a text is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunUnit {
    /// What stands between white space.
    #[default]
    Words,
    /// Characters other than white space, for scripts that put no space between words.
    Characters,
}

impl RepetitionReward {
    pub(super) fn checked(&self) -> Result<Self, RewardError> {
        let refuse = |key, problem: String| Err(RewardError::setting("repetition", key, problem));
        if !(1..=LONGEST).contains(&self.ngram_size) {
            let problem =
                format!("is {}; it must be at least 1 and at most {LONGEST}", self.ngram_size);
            return refuse("ngram_size", problem);
        }
        if !(self.penalty >= 0.0 && self.penalty.is_finite()) {
            return refuse("penalty", "must be a finite number of at least 0".to_owned());
        }
        Ok(self.clone())
    }
}

impl Reward for RepetitionReward {
    fn name(&self) -> &'static str {
        "repetition"
    }

    fn score(&self, _problem: &Problem, completion: &Completion) -> Option<f64> {
        let text = completion.text.to_lowercase();
        let share = match self.unit {
            RunUnit::Words => {
                repeated(&text.split_whitespace().collect::<Vec<_>>(), self.ngram_size)
            }
            RunUnit::Characters => {
                let characters = text.chars().filter(|c| !c.is_whitespace());
                repeated(&characters.collect::<Vec<_>>(), self.ngram_size)
            }
        };
        // 0 - x and not -x: nothing to pay is 0, not -0.
        Some(0.0 - self.penalty * share)
    }
}

/// The share of runs that stood there before.
fn repeated<T: Hash + Eq>(parts: &[T], size: usize) -> f64 {
    if size == 0 || parts.len() < size {
        return 0.0;
    }
    let runs = parts.len() - size + 1;
    let different: HashSet<&[T]> = parts.windows(size).collect();
    1.0 - different.len() as f64 / runs as f64
}

fn three() -> usize {
    3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::test_support::{completion, golden, problem, reward};

    fn score(settings: &str, text: &str) -> f64 {
        let repetition: RepetitionReward = reward(settings);
        repetition.score(&problem(None), &completion(text)).unwrap()
    }

    #[test]
    fn costs_are_those_of_the_formula_in_python() {
        for case in golden("repetition") {
            let settings = case["settings"].to_string();
            let (text, expected) =
                (case["text"].as_str().unwrap(), case["score"].as_f64().unwrap());
            assert!((score(&settings, text) - expected).abs() < 1e-12, "{case}");
        }
    }

    #[test]
    fn a_text_without_repetition_costs_nothing_and_never_minus_nothing() {
        for text in ["", "one", "one two", "one two three", "one two three four"] {
            assert_eq!(score("{}", text).to_bits(), 0.0_f64.to_bits(), "{text}");
        }
    }

    #[test]
    fn settings_that_cannot_be_used_are_refused_with_their_key() {
        for (settings, key) in [
            (r#"{"ngram_size":0}"#, "repetition.ngram_size"),
            (r#"{"ngram_size":101}"#, "repetition.ngram_size"),
            (r#"{"penalty":-1}"#, "repetition.penalty"),
        ] {
            let error = reward::<RepetitionReward>(settings).checked().unwrap_err();
            assert!(error.to_string().contains(key), "{error}");
        }
    }

    #[test]
    fn a_megabyte_ends_soon() {
        let start = std::time::Instant::now();
        let same = score(r#"{"ngram_size":100,"unit":"characters"}"#, &"a".repeat(1_000_000));
        assert!(same < -0.999, "{same}");
        score(r#"{"ngram_size":100}"#, &"a b ".repeat(250_000));
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    }
}
