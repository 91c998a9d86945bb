//! What a right and a wrong answer are worth by their length.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Completion, RewardError};

/// A right answer is worth less the longer it is, and a wrong one costs less: a model that errs shall
/// think longer, and one that does not shall be brief.
///
/// ```text
/// right:  min_value_correct + (max_value_correct - min_value_correct) · c
/// wrong:  max_value_wrong   + (min_value_wrong   - max_value_wrong)   · c
/// c = (1 + cos(pi · min(1, length / max_len))) / 2
/// ```
/// Which it is, the first reward of the run says that judges answers; its weight may be 0. As in
/// open-r1 (`get_cosine_scaled_reward`), but that the value stays as it is beyond `max_len`, where
/// that of open-r1 goes back. Source: Yeo et al., 2025, arXiv 2502.03373.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cosine {
    /// The length from which on a value does not change.
    pub max_len: usize,
    /// In what length is counted.
    pub unit: LengthUnit,
    /// The value of the shortest wrong answer.
    pub min_value_wrong: f64,
    /// The value of the longest wrong answer.
    pub max_value_wrong: f64,
    /// The value of the longest right answer.
    pub min_value_correct: f64,
    /// The value of the shortest right answer.
    pub max_value_correct: f64,
}

/// In what the length of a completion is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LengthUnit {
    /// Tokens, an end token included.
    #[default]
    Tokens,
    /// Characters, as open-r1 does.
    Characters,
}

impl Default for Cosine {
    fn default() -> Self {
        Self {
            max_len: 1000,
            unit: LengthUnit::Tokens,
            min_value_wrong: -1.0,
            max_value_wrong: -0.5,
            min_value_correct: 0.5,
            max_value_correct: 1.0,
        }
    }
}

impl Cosine {
    pub(super) fn check(&self) -> Result<(), RewardError> {
        let refuse = |key, problem: String| Err(RewardError::setting("length", key, problem));
        if self.max_len == 0 {
            return refuse("cosine.max_len", "is 0; it must be at least 1".into());
        }
        for (key, value) in [
            ("cosine.min_value_wrong", self.min_value_wrong),
            ("cosine.max_value_wrong", self.max_value_wrong),
            ("cosine.min_value_correct", self.min_value_correct),
            ("cosine.max_value_correct", self.max_value_correct),
        ] {
            if !value.is_finite() {
                return refuse(key, format!("is {value}; it must be a finite number"));
            }
        }
        Ok(())
    }

    pub(super) fn counts_tokens(&self) -> bool {
        self.unit == LengthUnit::Tokens
    }

    pub(super) fn value(&self, completion: &Completion, is_right: bool) -> f64 {
        let length = match self.unit {
            LengthUnit::Tokens => completion.tokens,
            LengthUnit::Characters => completion.text.chars().count(),
        };
        let progress = (length as f64 / self.max_len as f64).min(1.0);
        let (long, short) = match is_right {
            true => (self.min_value_correct, self.max_value_correct),
            false => (self.max_value_wrong, self.min_value_wrong),
        };
        long + (short - long) * 0.5 * (1.0 + (progress * std::f64::consts::PI).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::test_support::{completion, golden, of_length, reward};

    #[test]
    fn values_are_those_of_the_formula_in_python() {
        for case in golden("cosine") {
            let cosine: Cosine = reward(&case["settings"].to_string());
            let length = case["length"].as_u64().unwrap() as usize;
            let (is_right, expected) =
                (case["right"].as_bool().unwrap(), case["value"].as_f64().unwrap());
            let value = cosine.value(&of_length(length), is_right);
            assert!((value - expected).abs() < 1e-12, "{case}: {value}");
        }
    }

    #[test]
    fn characters_are_counted_and_not_bytes() {
        let cosine: Cosine = reward(r#"{"unit":"characters","max_len":8}"#);
        // Half the way: the middle between 0.5 and 1.
        assert!((cosine.value(&completion("äöüß"), true) - 0.75).abs() < 1e-12);
        assert!(!cosine.counts_tokens());
    }

    #[test]
    fn values_that_are_no_numbers_are_refused_with_their_key() {
        let cosine = Cosine { max_value_wrong: f64::NAN, ..Cosine::default() };
        let error = cosine.check().unwrap_err().to_string();
        assert!(error.contains("length.cosine.max_value_wrong"), "{error}");
    }
}
