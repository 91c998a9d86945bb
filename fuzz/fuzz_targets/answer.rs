//! Answers: a reference and a completion, by every rule that compares answers.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, json};
use wgrpo::data::{Problem, Prompt};
use wgrpo::reward::{Completion, Item, RewardConfig, Rewards};
use wgrpo_fuzz::parts;

static REWARDS: LazyLock<Rewards> = LazyLock::new(|| {
    let kinds = json!([
        {"kind": "math"}, {"kind": "number"}, {"kind": "exact"}, {"kind": "contains"}, {"kind": "choice"},
        {"kind": "countdown"}, {"kind": "json"}, {"kind": "repetition"},
    ]);
    let kinds: Vec<RewardConfig> = serde_json::from_value(kinds).expect("rewards");
    Rewards::new(&kinds).expect("rewards")
});

fuzz_target!(|input: &[u8]| {
    let [answer, text] = parts(input);
    let problem =
        Problem { id: 0, prompt: Prompt::Text(String::new()), answer: Some(answer), columns: Map::new() };
    let completion =
        Completion { text: &text, tokens: 1, finished: true, max_tokens: 1, ids: &[] };
    let scores = REWARDS.score_batch(&[Item { problem: &problem, completion }]);
    let scores = scores.expect("rules do not fail");
    assert!(scores[0].total.is_none_or(f64::is_finite));
    REWARDS.extracted(&problem, &text);
});
