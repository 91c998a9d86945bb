//! What rewards say together.

use super::part::MOST_DROPPED;
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
    assert_eq!(judged, Score { each: vec![None, None], total: None, solved: None, failed: false });
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
    let items = ["1", "fail"].map(|text| Item { problem: &problem, completion: completion(text) });
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
