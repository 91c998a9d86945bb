//! A sampled completion as the page has it: its texts cut to what a person reads, its numbers to what is seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::curve::five_digits;

/// Characters at the end of a prompt.
const PROMPT: usize = 600;
/// Characters of a completion: so many of its beginning,
const BEGINNING: usize = 3_000;
/// and so many of its end, where the answer is.
const END: usize = 1_000;
/// Characters of an answer, a name or a problem's identifier.
const SHORT: usize = 300;
/// Tokens that are coloured.
const MOST_TOKENS: usize = 1_000;
/// Rewards by name.
const MOST_REWARDS: usize = 30;

/// A line of `samples.jsonl`, of whichever version.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SampleText {
    step: u64,
    problem: String,
    prompt: String,
    completion: String,
    answer: Option<String>,
    reward: Option<f64>,
    rewards: BTreeMap<String, Option<f64>>,
    advantage: Option<f64>,
    finish: String,
    tokens: u64,
    extracted: Option<String>,
    token_logps: Option<Vec<(String, Option<f64>)>>,
}

/// A completion in the page's table.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Row {
    step: u64,
    problem: String,
    prompt: String,
    /// None where the tokens say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    completion: Option<String>,
    answer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extracted: Option<String>,
    rewards: BTreeMap<String, Option<f64>>,
    reward: Option<f64>,
    advantage: Option<f64>,
    finish: String,
    tokens: u64,
    /// The texts of the tokens, and the log-probability of each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    texts: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logps: Vec<Option<f64>>,
}

/// The row of a line; none where it is no line of ours.
pub(super) fn row(line: &[u8]) -> Option<Row> {
    let found: SampleText = serde_json::from_slice(line).ok()?;
    let tokens = found.token_logps.unwrap_or_default();
    // Tokens may say more than the text: the end of it.
    let is_said = joined(&tokens).starts_with(&found.completion) && tokens.len() <= MOST_TOKENS;
    let shown = tokens.into_iter().take(MOST_TOKENS);
    let (texts, logps) =
        shown.map(|(text, logp)| (beginning(&text, SHORT), logp.map(three_places))).unzip();
    let rewards = found.rewards.into_iter().take(MOST_REWARDS);
    Some(Row {
        step: found.step,
        problem: beginning(&found.problem, SHORT),
        prompt: end(&found.prompt, PROMPT),
        completion: (!is_said).then(|| both_ends(&found.completion)),
        answer: found.answer.map(|text| beginning(&text, SHORT)),
        extracted: found.extracted.map(|text| beginning(&text, SHORT)),
        rewards: rewards
            .map(|(name, score)| (beginning(&name, SHORT), score.map(five_digits)))
            .collect(),
        reward: found.reward.map(five_digits),
        advantage: found.advantage.map(five_digits),
        finish: beginning(&found.finish, SHORT),
        tokens: found.tokens,
        texts,
        logps,
    })
}

fn joined(tokens: &[(String, Option<f64>)]) -> String {
    tokens.iter().map(|(text, _)| text.as_str()).collect()
}

/// A log-probability to a thousandth of a nat.
fn three_places(logp: f64) -> f64 {
    (logp * 1e3).round() / 1e3
}

fn beginning(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn end(text: &str, most: usize) -> String {
    let Some(last) = most.checked_sub(1) else { return String::new() };
    match text.char_indices().rev().nth(last) {
        Some((at, _)) if at > 0 => format!("…{}", &text[at..]),
        _ => text.to_owned(),
    }
}

fn both_ends(text: &str) -> String {
    let count = text.chars().count();
    match count > BEGINNING + END {
        true => {
            let left_out = count - BEGINNING - END;
            format!("{} [{left_out} characters] {}", beginning(text, BEGINNING), end(text, END))
        }
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::SampleLine;
    use serde_json::{Value, json};

    fn of(line: &Value) -> Value {
        serde_json::to_value(row(line.to_string().as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn what_a_run_writes_is_what_the_row_says() {
        let line = SampleLine {
            step: 3,
            problem: "p7".into(),
            completion: "2".into(),
            answer: Some("2".into()),
            reward: 1.5,
            rewards: [("exact".into(), Some(1.0)), ("length".into(), None)].into(),
            advantage: -0.25,
            finish: "eos".into(),
            tokens: 2,
            ..SampleLine::default()
        };
        let found = of(&serde_json::to_value(line).unwrap());
        let expected = json!({
            "step": 3, "problem": "p7", "prompt": "", "completion": "2", "answer": "2",
            "rewards": {"exact": 1.0, "length": null}, "reward": 1.5, "advantage": -0.25,
            "finish": "eos", "tokens": 2,
        });
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(found.get(key), Some(value), "{key}");
        }
    }

    #[test]
    fn tokens_that_say_the_completion_stand_in_its_place() {
        let line = json!({
            "step": 1, "completion": "4 2", "extracted": "42",
            "token_logps": [["4", -0.12345], [" 2", null], ["<eos>", 0]],
        });
        let found = of(&line);
        assert_eq!(found["texts"], json!(["4", " 2", "<eos>"]));
        assert_eq!(found["logps"], json!([-0.123, null, 0.0]));
        assert_eq!((found.get("completion"), &found["extracted"]), (None, &json!("42")));
        let other = of(&json!({"completion": "4 2", "token_logps": [["4", -1.0]]}));
        assert_eq!(other["completion"], "4 2");
    }

    #[test]
    fn fields_that_another_version_lacks_or_adds_do_no_harm() {
        let found = of(&json!({"step": 4, "reward": null, "token_logps": null, "more": [1]}));
        assert_eq!((&found["reward"], &found["finish"]), (&Value::Null, &json!("")));
        assert!(row(b"oops").is_none() && row(b"{\"step\":-1}").is_none());
    }

    #[test]
    fn long_texts_are_cut_where_a_person_needs_them_least() {
        let line = json!({
            "prompt": format!("{}é?", "x".repeat(PROMPT)), "answer": "7".repeat(SHORT + 1),
            "completion": format!("a{}b", "é".repeat(9_000)),
        });
        let found = of(&line);
        let text = |key: &str| found[key].as_str().unwrap().to_owned();
        assert!(text("prompt").starts_with("…xx") && text("prompt").ends_with("é?"));
        assert_eq!(text("prompt").chars().count(), PROMPT + 1);
        assert_eq!(text("answer"), format!("{}…", "7".repeat(SHORT)));
        let cut = text("completion");
        assert!(cut.starts_with("aé") && cut.ends_with("éb") && cut.contains("[5002 characters]"));
    }
}
