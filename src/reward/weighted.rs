//! Several rewards at once, over all completions of a step.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Item, Reward, RewardConfig, RewardError};
use crate::data::Problem;

/// More rewards are a mistake: each has its names and columns in every file of a run.
const MOST_REWARDS: usize = 1000;

/// Groups on end that a reward may drop; a longer series is no accident.
const MOST_DROPPED: usize = 16;

/// The rewards of a run with their weights.
pub struct Rewards {
    parts: Vec<Part>,
}

struct Part {
    name: String,
    weight: f64,
    reward: Box<dyn Reward>,
    /// Groups on end that it could not judge and dropped.
    dropped: AtomicUsize,
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
    /// Whether a reward failed on the group that the completion is of, so that the group leaves. Nothing is
    /// to be learned or told from its scores.
    pub failed: bool,
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
        match rewards.parts.is_empty() {
            true => Err(RewardError::NoReward),
            false => rewards.follow_a_judge(),
        }
    }

    /// Refuses a reward that asks whether an answer is right where no other says it.
    fn follow_a_judge(self) -> Result<Self, RewardError> {
        let judged = self.parts.iter().any(|part| part.reward.full_score().is_some());
        match self.parts.iter().find(|part| part.reward.needs_verdict()).filter(|_| !judged) {
            None => Ok(self),
            Some(part) => {
                let problem = "needs to know which answers are right; add a reward that judges them, \
                               such as `- {kind: exact, weight: 0}`";
                Err(RewardError::setting(part.reward.name(), "cosine", problem))
            }
        }
    }

    /// One reward of any type alone.
    pub fn only(reward: Box<dyn Reward>) -> Self {
        let name = reward.name().to_owned();
        Self { parts: vec![Part { name, weight: 1.0, reward, dropped: AtomicUsize::new(0) }] }
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
        self.parts.push(Part { name, weight, reward, dropped: AtomicUsize::new(0) });
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

    /// Whether a reward needs to know how many tokens a completion has, in the order of
    /// [`Score::each`].
    pub fn count_tokens(&self) -> Vec<bool> {
        self.parts.iter().map(|part| part.reward.counts_tokens()).collect()
    }

    /// A score without the rewards that need to know how many tokens a completion has.
    pub fn without_tokens(&self, score: Score) -> Score {
        let counted = self.count_tokens();
        let each = score.each.into_iter().zip(counted);
        self.combined(each.map(|(score, counts)| score.filter(|_| !counts)).collect())
    }

    /// What the first reward that finds an answer in a text takes for it.
    pub fn extracted(&self, problem: &Problem, text: &str) -> Option<String> {
        self.parts.iter().find_map(|part| part.reward.extracted(problem, text))
    }

    /// Begins what rewards need before the first completion: processes, and keys in the environment.
    ///
    /// # Errors
    /// The first that cannot be had.
    pub fn start(&self) -> Result<(), RewardError> {
        self.parts.iter().try_for_each(|part| part.reward.start())
    }

    /// Keeps what rewards tell beside scores (logs, failed requests) in `folder` from now on.
    pub fn keep_in(&self, folder: &Path) {
        self.parts.iter().for_each(|part| part.reward.keep_in(folder, &part.name));
    }

    /// For each reward why it applies to no completion of a problem; none where it applies.
    pub(super) fn obstacles(&self, problem: &Problem) -> Vec<Option<&'static str>> {
        let alone: Vec<_> = self.parts.iter().map(|part| part.reward.obstacle(problem)).collect();
        let judged = self
            .parts
            .iter()
            .zip(&alone)
            .any(|(part, obstacle)| part.reward.full_score().is_some() && obstacle.is_none());
        let unjudged = "cannot be judged right or wrong by another reward";
        let whole = |(part, obstacle): (&Part, Option<&'static str>)| {
            obstacle.or((part.reward.needs_verdict() && !judged).then_some(unjudged))
        };
        self.parts.iter().zip(alone).map(whole).collect()
    }

    /// Scores completions, each by every reward once; the scores are in the order of `items`.
    ///
    /// Each reward is given all items together, and judges them on as many threads as there are. One that
    /// drops the groups it fails on is given each group by itself: completions of one problem that stand side by
    /// side.
    ///
    /// # Errors
    /// A reward that fails, that gives NaN or an infinity, named with the problem, or not a score for each item;
    /// one that drops groups, if it fails for many on end.
    pub fn score_batch(&self, items: &[Item]) -> Result<Vec<Score>, RewardError> {
        let mut each_of_item = vec![vec![None; self.parts.len()]; items.len()];
        let mut failed = vec![false; items.len()];
        // Those that ask whether an answer is right come when the others have said it.
        for asks in [false, true] {
            let verdicts: Vec<_> = each_of_item.iter().map(|each| self.verdict(each)).collect();
            for (at, part) in self.parts.iter().enumerate() {
                if part.reward.needs_verdict() == asks {
                    let scores = match part.reward.drops_groups() {
                        true => part.score_groups(items, &mut failed)?,
                        false => part.score_batch(items, &verdicts)?,
                    };
                    each_of_item.iter_mut().zip(scores).for_each(|(each, score)| each[at] = score);
                }
            }
        }
        let combined = |(each, failed)| Score { failed, ..self.combined(each) };
        Ok(each_of_item.into_iter().zip(failed).map(combined).collect())
    }

    /// Whether the first reward that judges answers and applies takes a completion for right.
    fn verdict(&self, each: &[Option<f64>]) -> Option<bool> {
        let judgement = |(part, score): (&Part, &Option<f64>)| {
            let full = part.reward.full_score()?;
            score.map(|score| score >= full)
        };
        self.parts.iter().zip(each).find_map(judgement)
    }

    /// What the rewards' own scores of a completion say together.
    fn combined(&self, each: Vec<Option<f64>>) -> Score {
        let pairs = || self.parts.iter().zip(&each);
        let weighted = pairs().filter_map(|(part, score)| Some(part.weight * (*score)?));
        let total = weighted.reduce(|sum, score| sum + score);
        let solved = self.verdict(&each);
        Score { each, total, solved, failed: false }
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
    /// The scores of all items; of several mistakes the first is reported.
    fn score_batch(
        &self,
        items: &[Item],
        verdicts: &[Option<bool>],
    ) -> Result<Vec<Option<f64>>, RewardError> {
        let scores = match self.reward.needs_verdict() {
            false => self.reward.score_batch(items)?,
            true => items
                .iter()
                .zip(verdicts)
                .map(|(item, solved)| {
                    self.reward.score_by_verdict(item.problem, &item.completion, *solved)
                })
                .collect(),
        };
        if scores.len() != items.len() {
            let (reward, given, asked) = (self.name.clone(), scores.len(), items.len());
            return Err(RewardError::Count { reward, given, asked });
        }
        match items.iter().zip(&scores).find_map(not_finite) {
            Some((problem_id, score)) => {
                Err(RewardError::NotFinite { reward: self.name.clone(), score, problem_id })
            }
            None => Ok(scores),
        }
    }

    /// The same group by group; where it fails for one, `failed` says so of its items.
    fn score_groups(
        &self,
        items: &[Item],
        failed: &mut [bool],
    ) -> Result<Vec<Option<f64>>, RewardError> {
        let mut scores = Vec::with_capacity(items.len());
        for group in items.chunk_by(|one, next| std::ptr::eq(one.problem, next.problem)) {
            let of_group = scores.len()..scores.len() + group.len();
            match self.score_batch(group, &[]) {
                Ok(found) => {
                    self.dropped.store(0, Ordering::Relaxed);
                    scores.extend(found);
                }
                Err(error) => {
                    self.drop_for(error)?;
                    failed[of_group.clone()].fill(true);
                    scores.resize(of_group.end, None);
                }
            }
        }
        Ok(scores)
    }

    /// Counts a group that is dropped for an error, which is the answer where there are too many.
    fn drop_for(&self, error: RewardError) -> Result<(), RewardError> {
        let groups = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
        match groups < MOST_DROPPED {
            true => Ok(()),
            false => {
                let (reward, last) = (self.name.clone(), Box::new(error));
                Err(RewardError::AlwaysFails { reward, groups, last })
            }
        }
    }
}

/// A problem and its score, if that is no number.
fn not_finite((item, score): (&Item, &Option<f64>)) -> Option<(u64, f64)> {
    score.filter(|score| !score.is_finite()).map(|score| (item.problem.id, score))
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

    /// A reward that forgets an item.
    struct Forgetful;

    impl Reward for Forgetful {
        fn name(&self) -> &'static str {
            "forgetful"
        }
        fn score_batch(&self, items: &[Item]) -> Result<Vec<Option<f64>>, RewardError> {
            Ok(vec![Some(1.0); items.len() - 1])
        }
    }

    #[test]
    fn a_batch_with_a_score_missing_is_refused_with_both_counts() {
        let error = score(&Rewards::only(Box::new(Forgetful)), &problem(None), "").unwrap_err();
        assert!(error.to_string().contains("forgetful gave 0 scores for 1 completions"), "{error}");
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
        assert_eq!(
            judged,
            Score { each: vec![None, None], total: None, solved: None, failed: false }
        );
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
    fn values_by_length_follow_the_first_judge_of_answers_wherever_it_stands() {
        let rewards =
            rewards(r#"[{"kind":"length","cosine":{"max_len":10}},{"kind":"exact","weight":0}]"#);
        // `completion` has 10 tokens, so each value is that of the longest.
        let total = |answer, text| score(&rewards, &problem(answer), text).unwrap().total;
        assert_eq!(total(Some("46"), "46"), Some(0.5));
        assert_eq!(total(Some("46"), "45"), Some(-0.5));
        assert_eq!(total(None, "45"), None);
        assert_eq!(
            rewards.obstacles(&problem(None)),
            [Some("cannot be judged right or wrong by another reward"), Some("have no answer")]
        );
        assert_eq!(rewards.obstacles(&problem(Some("46"))), [None, None]);
    }

    #[test]
    fn values_by_length_without_a_judge_of_answers_are_refused() {
        let cosine = r#"[{"kind":"length","cosine":{}},{"kind":"length","max":5}]"#;
        let configs: Vec<RewardConfig> = serde_json::from_str(cosine).unwrap();
        let error = Rewards::new(&configs).unwrap_err().to_string();
        assert!(error.contains("length.cosine") && error.contains("kind: exact"), "{error}");
    }

    #[test]
    fn without_a_judge_of_answers_there_is_no_accuracy() {
        let rewards = rewards(r#"[{"kind":"length","max":5}]"#);
        assert_eq!(solved(&rewards, &problem(Some("46")), "46"), None);
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
    /// Fails where a text says so.
    struct Fragile;

    impl Reward for Fragile {
        fn name(&self) -> &str {
            "fragile"
        }
        fn score_batch(&self, items: &[Item]) -> Result<Vec<Option<f64>>, RewardError> {
            match items.iter().any(|item| item.completion.text == "fail") {
                true => Err(RewardError::Failed { reward: "fragile".into(), message: "no".into() }),
                false => Ok(vec![Some(1.0); items.len()]),
            }
        }
        fn drops_groups(&self) -> bool {
            true
        }
    }

    /// Whether each completion of groups of two is of one that failed.
    fn failed(rewards: &Rewards, groups: &[[&str; 2]]) -> Result<Vec<bool>, RewardError> {
        let problems: Vec<Problem> = groups.iter().map(|_| problem(Some("1"))).collect();
        let mut items = Vec::new();
        for (problem, group) in problems.iter().zip(groups) {
            items.extend(group.map(|text| Item { problem, completion: completion(text) }));
        }
        Ok(rewards.score_batch(&items)?.iter().map(|score| score.failed).collect())
    }

    #[test]
    fn a_group_that_a_reward_fails_on_leaves_and_the_others_keep_their_scores() {
        let mut rewards = rewards(r#"[{"kind":"exact"}]"#);
        rewards.push(1.0, Box::new(Fragile)).unwrap();
        let found = failed(&rewards, &[["1", "1"], ["1", "fail"], ["1", "1"]]).unwrap();
        assert_eq!(found, [false, false, true, true, false, false]);
        let problem = problem(Some("1"));
        let items =
            ["1", "fail"].map(|text| Item { problem: &problem, completion: completion(text) });
        let scores = rewards.score_batch(&items).unwrap();
        assert_eq!(scores[0].each, [Some(1.0), None]);
    }

    #[test]
    fn a_reward_that_always_fails_ends_the_run_though_it_drops() {
        let rewards = Rewards::only(Box::new(Fragile));
        let bad = [["fail"; 2]; MOST_DROPPED - 1];
        assert!(failed(&rewards, &bad).unwrap().iter().all(|failed| *failed));
        assert!(failed(&rewards, &[["1", "1"]]).is_ok() && failed(&rewards, &bad).is_ok());
        let error = failed(&rewards, &[["fail"; 2]]).unwrap_err().to_string();
        assert!(error.contains("fragile failed for 16 groups"), "{error}");
    }
}
