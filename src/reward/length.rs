//! The length is near a target, below a limit, or right for an answer that is right or wrong.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cosine::Cosine;
use super::{Completion, Reward, RewardError, one};
use crate::data::Problem;

/// Costs what a completion is too long, or too far from a target, in tokens.
///
/// ```text
/// target:  -penalty · min(1, |tokens - target| / target)
/// max:     -penalty · min(1, max(0, tokens - max) / max)
/// cosine:  see [`Cosine`]
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LengthReward {
    /// Factor in the sum of rewards.
    #[serde(default = "one")]
    pub weight: f64,
    /// The length that costs nothing, in tokens; give this, `max` or `cosine`.
    #[serde(default)]
    pub target: Option<usize>,
    /// The longest length that costs nothing, in tokens; give this, `target` or `cosine`.
    #[serde(default)]
    pub max: Option<usize>,
    /// Values by length for right and wrong answers; give this, `target` or `max`.
    #[serde(default)]
    pub cosine: Option<Cosine>,
    /// What a completion costs at most, with `target` or `max`.
    #[serde(default = "one")]
    pub penalty: f64,
}

impl LengthReward {
    pub(super) fn checked(&self) -> Result<Self, RewardError> {
        let refuse = |key, problem: &str| Err(RewardError::setting("length", key, problem));
        match (self.target, self.max, &self.cosine) {
            (None, None, None) => {
                return refuse("target", "is missing; give a target, a max or cosine");
            }
            (Some(0), None, None) => return refuse("target", "is 0; it must be at least 1"),
            (None, Some(0), None) => return refuse("max", "is 0; it must be at least 1"),
            (Some(_), None, None) | (None, Some(_), None) => {}
            (None, None, Some(cosine)) => cosine.check()?,
            (Some(_), Some(_), _) => {
                return refuse("target", "stands beside max; give one of them");
            }
            _ => return refuse("cosine", "stands beside target or max; give one of them"),
        }
        if !(self.penalty >= 0.0 && self.penalty.is_finite()) {
            return refuse("penalty", "must be a finite number of at least 0");
        }
        Ok(self.clone())
    }
}

impl Reward for LengthReward {
    fn name(&self) -> &'static str {
        "length"
    }

    fn score(&self, _problem: &Problem, completion: &Completion) -> Option<f64> {
        let (free, excess) = match (self.target, self.max) {
            (Some(target), _) => (target, completion.tokens.abs_diff(target)),
            (None, Some(max)) => (max, completion.tokens.saturating_sub(max)),
            (None, None) => return None,
        };
        let share = (excess as f64 / free as f64).min(1.0);
        // 0 - x and not -x: nothing to pay is 0, not -0.
        Some(0.0 - self.penalty * share)
    }

    fn needs_verdict(&self) -> bool {
        self.cosine.is_some()
    }

    fn score_by_verdict(
        &self,
        problem: &Problem,
        completion: &Completion,
        solved: Option<bool>,
    ) -> Option<f64> {
        match &self.cosine {
            Some(cosine) => Some(cosine.value(completion, solved?)),
            None => self.score(problem, completion),
        }
    }

    fn counts_tokens(&self) -> bool {
        self.cosine.as_ref().is_none_or(Cosine::counts_tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::test_support::{of_length, problem, reward};

    fn check_score(settings: &str, tokens: usize, expected: f64) {
        let length: LengthReward = reward(settings);
        assert_eq!(length.score(&problem(None), &of_length(tokens)), Some(expected));
    }

    #[test]
    fn distance_from_the_target_costs_on_both_sides() {
        check_score(r#"{"target":20}"#, 20, 0.0);
        check_score(r#"{"target":20}"#, 15, -0.25);
        check_score(r#"{"target":20,"penalty":2}"#, 25, -0.5);
        check_score(r#"{"target":20}"#, 90, -1.0);
    }

    #[test]
    fn only_what_is_beyond_the_limit_costs() {
        check_score(r#"{"max":20}"#, 3, 0.0);
        check_score(r#"{"max":20}"#, 20, 0.0);
        check_score(r#"{"max":20}"#, 30, -0.5);
        check_score(r#"{"max":20}"#, 60, -1.0);
    }

    #[test]
    fn settings_that_cannot_be_used_are_refused_with_their_key() {
        for (settings, key) in [
            ("{}", "length.target"),
            (r#"{"target":2,"max":3}"#, "length.target"),
            (r#"{"target":0}"#, "length.target"),
            (r#"{"max":0}"#, "length.max"),
            (r#"{"max":1,"penalty":-1}"#, "length.penalty"),
            (r#"{"max":1,"cosine":{}}"#, "length.cosine"),
            (r#"{"target":1,"cosine":{}}"#, "length.cosine"),
            (r#"{"cosine":{"max_len":0}}"#, "length.cosine.max_len"),
        ] {
            let error = reward::<LengthReward>(settings).checked().unwrap_err();
            assert!(error.to_string().contains(key), "{error}");
        }
    }
}
