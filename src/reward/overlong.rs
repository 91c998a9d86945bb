//! The length stays clear of the limit of generation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Completion, Reward, RewardError, one};
use crate::data::Problem;

/// Costs nothing up to a buffer before the limit, then linearly more, and all beyond the limit.
///
/// ```text
/// 0                                               tokens <= max_length - buffer
/// -penalty · (tokens - max_length + buffer) / buffer   in between
/// -penalty                                        tokens > max_length
/// ```
/// Source: Yu et al., "DAPO: an open-source LLM reinforcement learning system at scale", 2025,
/// arXiv 2503.14476, equation 13.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OverlongReward {
    /// Factor in the sum of rewards.
    #[serde(default = "one")]
    pub weight: f64,
    /// The limit in tokens; without it the most tokens a completion is allowed.
    #[serde(default)]
    pub max_length: Option<usize>,
    /// Over how many tokens before the limit the cost grows.
    pub buffer: usize,
    /// What a completion costs at most.
    #[serde(default = "one")]
    pub penalty: f64,
}

impl OverlongReward {
    pub(super) fn checked(&self) -> Result<Self, RewardError> {
        let refuse = |key, problem: String| Err(RewardError::setting("overlong", key, problem));
        if self.buffer == 0 || self.max_length.is_some_and(|limit| self.buffer > limit) {
            let problem =
                format!("is {}; it must be at least 1 and at most max_length", self.buffer);
            return refuse("buffer", problem);
        }
        if !(self.penalty >= 0.0 && self.penalty.is_finite()) {
            return refuse("penalty", "must be a finite number of at least 0".to_owned());
        }
        Ok(self.clone())
    }
}

impl Reward for OverlongReward {
    fn name(&self) -> &'static str {
        "overlong"
    }

    fn score(&self, _problem: &Problem, completion: &Completion) -> Option<f64> {
        let limit = self.max_length.unwrap_or(completion.max_tokens);
        let within = completion.tokens.saturating_add(self.buffer).saturating_sub(limit);
        let share = (within as f64 / self.buffer as f64).min(1.0);
        // 0 - x and not -x: nothing to pay is 0, not -0.
        Some(0.0 - self.penalty * share)
    }

    fn counts_tokens(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::test_support::{of_length, problem, reward};

    fn check_score(settings: &str, tokens: usize, expected: f64) {
        let overlong: OverlongReward = reward(settings);
        assert_eq!(overlong.score(&problem(None), &of_length(tokens)), Some(expected));
    }

    #[test]
    fn the_cost_grows_over_the_buffer_and_stays_at_its_most() {
        let settings = r#"{"max_length":80,"buffer":20,"penalty":2}"#;
        check_score(settings, 10, 0.0);
        check_score(settings, 60, 0.0);
        check_score(settings, 65, -0.5);
        check_score(settings, 80, -2.0);
        check_score(settings, 95, -2.0);
    }

    #[test]
    fn the_limit_of_generation_is_the_limit_by_default() {
        // `of_length` allows 100 tokens.
        check_score(r#"{"buffer":10}"#, 90, 0.0);
        check_score(r#"{"buffer":10}"#, 95, -0.5);
        check_score(r#"{"buffer":10}"#, 100, -1.0);
    }

    #[test]
    fn settings_that_cannot_be_used_are_refused_with_their_key() {
        for (settings, key) in [
            (r#"{"buffer":0}"#, "overlong.buffer"),
            (r#"{"buffer":9,"max_length":8}"#, "overlong.buffer"),
            (r#"{"buffer":1,"penalty":-1}"#, "overlong.penalty"),
        ] {
            let error = reward::<OverlongReward>(settings).checked().unwrap_err();
            assert!(error.to_string().contains(key), "{error}");
        }
    }
}
