//! Several rewards at once, over all completions of a step.

use rayon::prelude::*;

use super::{Item, Reward, RewardConfig, RewardError};

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
    ///
    /// ```text
    /// total = sum of weight_i · score_i over the rewards that apply
    /// ```
    pub total: Option<f64>,
    /// Whether the completion solves the problem; none if no reward judges that.
    ///
    /// The first reward that judges answers (`exact`, `number`, `countdown`, or any with a
    /// [`Reward::full_score`]) and applies to the problem decides: its full score is a solution,
    /// partial credit is not. Weights play no part.
    pub solved: Option<bool>,
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
    /// No reward at all, or a setting that cannot be used.
    pub fn new(configs: &[RewardConfig]) -> Result<Self, RewardError> {
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

    /// Scores completions, each by every reward once; the scores are in the order of `items`.
    ///
    /// Each reward is given all items together, and judges them on as many threads as there are.
    ///
    /// # Errors
    /// A reward that gives NaN or an infinity, named with the problem.
    pub fn score_batch(&self, items: &[Item]) -> Result<Vec<Score>, RewardError> {
        let mut each_of_item = vec![Vec::with_capacity(self.parts.len()); items.len()];
        for part in &self.parts {
            let scores = part.score_batch(items)?;
            each_of_item.iter_mut().zip(scores).for_each(|(each, score)| each.push(score));
        }
        Ok(each_of_item.into_iter().map(|each| self.combined(each)).collect())
    }

    /// What the rewards' own scores of a completion say together.
    fn combined(&self, each: Vec<Option<f64>>) -> Score {
        let pairs = || self.parts.iter().zip(&each);
        let weighted = pairs().filter_map(|(part, score)| Some(part.weight * (*score)?));
        let total = weighted.reduce(|sum, score| sum + score);
        let judgement = |(part, score): (&Part, &Option<f64>)| {
            let full = part.reward.full_score()?;
            score.map(|score| score >= full)
        };
        let solved = pairs().find_map(judgement);
        Score { each, total, solved }
    }

    fn free_name(&self, name: &str) -> String {
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        let mut names = std::iter::once(name.to_owned()).chain(numbered);
        let free = names.find(|name| self.names().all(|taken| taken != name));
        free.unwrap_or_else(|| name.to_owned())
    }
}

impl Part {
    /// The scores of all items; of several mistakes the first is reported.
    fn score_batch(&self, items: &[Item]) -> Result<Vec<Option<f64>>, RewardError> {
        let scores: Vec<_> = items.par_iter().map(|item| self.score(item)).collect();
        scores.into_iter().collect()
    }

    fn score(&self, item: &Item) -> Result<Option<f64>, RewardError> {
        match self.reward.score(item.problem, &item.completion) {
            Some(score) if !score.is_finite() => Err(RewardError::NotFinite {
                reward: self.name.clone(),
                score,
                problem_id: item.problem.id,
            }),
            score => Ok(score),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Problem;
    use crate::reward::Completion;
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

    /// The score of one completion.
    fn score(rewards: &Rewards, problem: &Problem, text: &str) -> Result<Score, RewardError> {
        let items = [Item { problem, completion: completion(text) }];
        rewards.score_batch(&items).map(|mut scores| scores.remove(0))
    }

    fn solved(rewards: &Rewards, problem: &Problem, text: &str) -> Option<bool> {
        score(rewards, problem, text).unwrap().solved
    }

    #[test]
    fn the_total_is_the_weighted_sum_of_what_applies() {
        let rewards = rewards(
            r#"[{"kind":"exact","weight":2},{"kind":"regex","pattern":"^[0-9]+$","weight":0.25}]"#,
        );
        let judged = score(&rewards, &problem(Some("46")), "46").unwrap();
        assert_eq!((judged.each, judged.total), (vec![Some(1.0), Some(1.0)], Some(2.25)));
        let judged = score(&rewards, &problem(None), "46").unwrap();
        assert_eq!((judged.each, judged.total), (vec![None, Some(1.0)], Some(0.25)));
    }

    #[test]
    fn the_total_is_none_when_no_reward_applies() {
        let rewards = rewards(r#"[{"kind":"exact"},{"kind":"number"}]"#);
        let judged = score(&rewards, &problem(None), "46").unwrap();
        assert_eq!(judged, Score { each: vec![None, None], total: None, solved: None });
    }

    #[test]
    fn a_score_that_is_not_finite_names_the_reward_and_the_problem() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut rewards = rewards(r#"[{"kind":"exact"}]"#);
            rewards.push(1.0, Box::new(Fixed(0.5))).unwrap();
            rewards.push(1.0, Box::new(Fixed(bad))).unwrap();
            let error = score(&rewards, &problem(Some("1")), "1").unwrap_err();
            assert!(error.to_string().contains("fixed_2"), "{error}");
            assert!(error.to_string().contains("problem 7"), "{error}");
        }
    }

    /// Counts how often it is asked.
    struct Counting(std::sync::Arc<std::sync::atomic::AtomicUsize>);

    impl Reward for Counting {
        fn name(&self) -> &'static str {
            "counting"
        }
        fn score(&self, _: &Problem, completion: &Completion) -> Option<f64> {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            completion.text.parse().ok()
        }
        fn full_score(&self) -> Option<f64> {
            Some(3.0)
        }
    }

    #[test]
    fn every_reward_is_asked_once_for_each_completion_and_answers_in_order() {
        let asked = std::sync::Arc::default();
        let mut rewards = rewards(r#"[{"kind":"exact","weight":0}]"#);
        rewards.push(2.0, Box::new(Counting(std::sync::Arc::clone(&asked)))).unwrap();
        let (problem, texts) = (problem(None), ["1", "2", "3", "none", "5"]);
        let items = texts.map(|text| Item { problem: &problem, completion: completion(text) });
        let scores = rewards.score_batch(&items).unwrap();
        assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), texts.len());
        let totals: Vec<_> = scores.iter().map(|score| score.total).collect();
        assert_eq!(totals, [Some(2.0), Some(4.0), Some(6.0), None, Some(10.0)]);
        let solved: Vec<_> = scores.iter().map(|score| score.solved).collect();
        assert_eq!(solved, [Some(false), Some(false), Some(true), None, Some(true)]);
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
        let judged = |text| solved(&rewards, &problem(Some("46")), text);
        assert_eq!(judged("it is 46."), Some(true));
        assert_eq!(judged("it is 45."), Some(false));
        assert_eq!(solved(&rewards, &problem(None), "46"), None);
    }

    #[test]
    fn without_a_judge_of_answers_there_is_no_accuracy() {
        let rewards = rewards(r#"[{"kind":"length","max":5}]"#);
        assert_eq!(solved(&rewards, &problem(Some("46")), "46"), None);
    }

    #[test]
    fn no_reward_and_an_infinite_weight_are_refused() {
        assert_eq!(Rewards::new(&[]).err(), Some(RewardError::NoReward));
        let mut rewards = rewards(r#"[{"kind":"exact"}]"#);
        let error = rewards.push(f64::INFINITY, Box::new(Fixed(1.0))).unwrap_err();
        assert!(error.to_string().contains("fixed.weight"), "{error}");
    }
}
