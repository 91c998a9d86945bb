//! Several rewards at once.

use std::collections::HashSet;

use super::{Completion, Reward, RewardConfig, RewardError};
use crate::data::Problem;

/// More rewards are a mistake: each has its names and columns in every file of a run.
const MOST_REWARDS: usize = 1000;

/// The rewards of a run with their weights.
pub struct Rewards {
    parts: Vec<Part>,
}

struct Part {
    name: String,
    weight: f64,
    reward: Box<dyn Reward>,
}

/// What all rewards of a run say about one completion.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// Each reward before weighting, in the order of the config; none where it does not apply.
    pub each: Vec<Option<f64>>,
    /// The weighted sum of those that apply; none if none does.
    pub total: Option<f64>,
}

impl std::fmt::Debug for Rewards {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Rewards {
    /// Builds the rewards of a config.
    ///
    /// # Errors
    /// No reward at all, more than 1,000, or a setting that cannot be used.
    pub fn new(configs: &[RewardConfig]) -> Result<Self, RewardError> {
        if configs.len() > MOST_REWARDS {
            return Err(RewardError::TooMany { count: configs.len(), most: MOST_REWARDS });
        }
        let mut rewards = Self { parts: Vec::with_capacity(configs.len()) };
        for config in configs {
            rewards.push(config.weight(), config.build()?)?;
        }
        if rewards.parts.is_empty() { Err(RewardError::NoReward) } else { Ok(rewards) }
    }

    /// Adds a reward of any type, such as one of your own.
    ///
    /// # Errors
    /// A weight that is not finite.
    pub fn push(&mut self, weight: f64, reward: Box<dyn Reward>) -> Result<(), RewardError> {
        if !weight.is_finite() {
            let problem = format!("is {weight}; it must be a finite number");
            return Err(RewardError::setting(reward.name(), "weight", problem));
        }
        let name = self.free_name(reward.name());
        self.parts.push(Part { name, weight, reward });
        Ok(())
    }

    /// The names, in the order of [`Score::each`]; one that comes again gets a number: `regex_2`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| part.name.as_str())
    }

    /// The weights, in the order of [`Score::each`].
    pub fn weights(&self) -> Vec<f64> {
        self.parts.iter().map(|part| part.weight).collect()
    }

    /// For each reward why it applies to no completion of a problem; none where it applies.
    pub(super) fn obstacles(&self, problem: &Problem) -> Vec<Option<&'static str>> {
        self.parts.iter().map(|part| part.reward.obstacle(problem)).collect()
    }

    /// Scores one completion.
    ///
    /// ```text
    /// total = sum of weight_i · score_i over the rewards that apply
    /// ```
    ///
    /// # Errors
    /// A reward that gives NaN or an infinity, named with the problem.
    pub fn score(&self, problem: &Problem, completion: &Completion) -> Result<Score, RewardError> {
        let each: Vec<Option<f64>> = self
            .parts
            .iter()
            .map(|part| part.score(problem, completion))
            .collect::<Result<_, _>>()?;
        let weighted = self.parts.iter().zip(&each);
        let total = weighted
            .filter_map(|(part, score)| score.map(|score| part.weight * score))
            .reduce(|sum, score| sum + score);
        Ok(Score { each, total })
    }

    /// Whether the completion solves the problem; none if no reward judges that.
    ///
    /// The first reward that judges answers (`exact`, `number`, `countdown`, or any with a
    /// [`Reward::full_score`]) and applies to the problem decides: its full score is a solution,
    /// partial credit is not. Weights play no part.
    pub fn is_correct(&self, problem: &Problem, completion: &Completion) -> Option<bool> {
        self.parts.iter().find_map(|part| {
            let full = part.reward.full_score()?;
            part.reward.score(problem, completion).map(|score| score >= full)
        })
    }

    fn free_name(&self, name: &str) -> String {
        let taken: HashSet<&str> = self.names().collect();
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        let mut names = std::iter::once(name.to_owned()).chain(numbered);
        let free = names.find(|name| !taken.contains(name.as_str()));
        free.unwrap_or_else(|| name.to_owned())
    }
}

impl Part {
    fn score(
        &self,
        problem: &Problem,
        completion: &Completion,
    ) -> Result<Option<f64>, RewardError> {
        match self.reward.score(problem, completion) {
            Some(score) if !score.is_finite() => Err(RewardError::NotFinite {
                reward: self.name.clone(),
                score,
                problem_id: problem.id,
            }),
            score => Ok(score),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::test_support::{completion, problem};

    struct Fixed(f64);

    impl Reward for Fixed {
        fn name(&self) -> &'static str {
            "fixed"
        }
        fn score(&self, _: &Problem, _: &Completion) -> Option<f64> {
            Some(self.0)
        }
    }

    fn rewards(settings: &str) -> Rewards {
        Rewards::new(&serde_json::from_str::<Vec<RewardConfig>>(settings).unwrap()).unwrap()
    }

    #[test]
    fn the_total_is_the_weighted_sum_of_what_applies() {
        let rewards = rewards(
            r#"[{"kind":"exact","weight":2},{"kind":"regex","pattern":"^[0-9]+$","weight":0.25}]"#,
        );
        let score = rewards.score(&problem(Some("46")), &completion("46")).unwrap();
        assert_eq!(score, Score { each: vec![Some(1.0), Some(1.0)], total: Some(2.25) });
        let score = rewards.score(&problem(None), &completion("46")).unwrap();
        assert_eq!(score, Score { each: vec![None, Some(1.0)], total: Some(0.25) });
    }

    #[test]
    fn the_total_is_none_when_no_reward_applies() {
        let rewards = rewards(r#"[{"kind":"exact"},{"kind":"number"}]"#);
        let score = rewards.score(&problem(None), &completion("46")).unwrap();
        assert_eq!(score, Score { each: vec![None, None], total: None });
    }

    #[test]
    fn a_score_that_is_not_finite_names_the_reward_and_the_problem() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut rewards = rewards(r#"[{"kind":"exact"}]"#);
            rewards.push(1.0, Box::new(Fixed(0.5))).unwrap();
            rewards.push(1.0, Box::new(Fixed(bad))).unwrap();
            let error = rewards.score(&problem(Some("1")), &completion("1")).unwrap_err();
            assert!(error.to_string().contains("fixed_2"), "{error}");
            assert!(error.to_string().contains("problem 7"), "{error}");
        }
    }

    #[test]
    fn names_are_told_apart_by_numbers() {
        let pattern = r#"{"kind":"regex","pattern":"a"}"#;
        let rewards = rewards(&format!(r#"[{pattern},{{"kind":"exact"}},{pattern},{pattern}]"#));
        assert_eq!(rewards.names().collect::<Vec<_>>(), ["regex", "exact", "regex_2", "regex_3"]);
    }

    #[test]
    fn accuracy_is_the_first_judge_of_answers_at_its_full_score() {
        let rewards = rewards(
            r#"[{"kind":"length","max":5},{"kind":"number","correct":2,"partial":"digits"},{"kind":"exact"}]"#,
        );
        let judged = |text| rewards.is_correct(&problem(Some("46")), &completion(text));
        assert_eq!(judged("it is 46."), Some(true));
        assert_eq!(judged("it is 45."), Some(false));
        assert_eq!(rewards.is_correct(&problem(None), &completion("46")), None);
    }

    #[test]
    fn without_a_judge_of_answers_there_is_no_accuracy() {
        let rewards = rewards(r#"[{"kind":"length","max":5}]"#);
        assert_eq!(rewards.is_correct(&problem(Some("46")), &completion("46")), None);
    }

    #[test]
    fn no_reward_and_an_infinite_weight_are_refused() {
        assert_eq!(Rewards::new(&[]).err(), Some(RewardError::NoReward));
        let exact: RewardConfig = serde_json::from_str(r#"{"kind":"exact"}"#).unwrap();
        let error = Rewards::new(&vec![exact; 20_000]).unwrap_err().to_string();
        assert!(error.contains("20000") && error.contains("at most 1000"), "{error}");
        let mut rewards = rewards(r#"[{"kind":"exact"}]"#);
        let error = rewards.push(f64::INFINITY, Box::new(Fixed(1.0))).unwrap_err();
        assert!(error.to_string().contains("fixed.weight"), "{error}");
    }
}
