//! Rewards outside of this program, with programs and servers that do what they should not.

#[cfg(unix)]
mod programs;
mod python;
mod server;
mod web;

use std::time::{Duration, Instant};

use crate::data::Problem;
use crate::reward::test_support::{completion, problem};
use crate::reward::{Item, Reward, RewardConfig, RewardError};

fn built(settings: &str) -> Box<dyn Reward> {
    serde_json::from_str::<RewardConfig>(settings).unwrap().build().unwrap()
}

/// Why settings are refused.
fn refused(settings: &str) -> String {
    let config = serde_json::from_str::<RewardConfig>(settings).unwrap();
    config.build().err().unwrap().to_string()
}

/// The scores of completions of one problem, whose answer is `46`.
fn scores(reward: &dyn Reward, texts: &[&str]) -> Result<Vec<Option<f64>>, RewardError> {
    let problem = problem(Some("46"));
    reward.score_batch(&items(&problem, texts))
}

fn items<'a>(problem: &'a Problem, texts: &[&'a str]) -> Vec<Item<'a>> {
    texts.iter().map(|text| Item { problem, completion: completion(text) }).collect()
}

/// The message of a reward that must fail on two completions, within ten seconds.
#[track_caller]
fn failure(reward: &dyn Reward) -> String {
    let begun = Instant::now();
    let message = scores(reward, &["46", "47"]).unwrap_err().to_string();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}: {message}", begun.elapsed());
    assert!(!message.contains(char::is_control), "{message:?}");
    message
}

#[track_caller]
fn says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}
