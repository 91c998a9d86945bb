//! What the facts of a trial mean, each with the key that changes it: one small rule for each cause.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use super::facts::Facts;
use crate::advantage::Estimator;
use crate::config::RunConfig;

/// Largest group that is advised.
const LARGEST_GROUP: usize = 16;

/// Something to know of a run before it begins.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What was found.
    pub problem: String,
    /// The key that changes it, where one does,
    pub key: Option<String>,
    /// and its value; none where the file has to say.
    pub value: Option<Value>,
    /// Whether nothing can be learned as it is.
    pub is_fatal: bool,
}

impl Finding {
    fn new(problem: impl Into<String>, key: &str, value: impl Into<Option<Value>>) -> Self {
        Self {
            problem: problem.into(),
            key: Some(key.to_owned()),
            value: value.into(),
            is_fatal: false,
        }
    }

    fn fatal(self) -> Self {
        Self { is_fatal: true, ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)?;
        match (&self.key, &self.value) {
            (Some(key), Some(value)) => write!(f, " → --set {key}={value}"),
            (Some(key), None) => write!(f, " → change {key}"),
            (None, _) => Ok(()),
        }
    }
}

/// What a rule looks at.
pub(super) struct Case<'a> {
    pub facts: &'a Facts,
    pub config: &'a RunConfig,
    /// Tokens of a prompt and its completion that the model has positions for.
    pub positions: usize,
}

/// All that there is to say, what keeps a run from learning first.
///
/// What a model does before its warm start says nothing of what it does after; then only what lengths show is said.
pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    type Rule = fn(&Case<'_>) -> Option<Finding>;
    const OF_DATA: [Rule; 2] = [failing_rewards, prompts_left_out];
    const OF_POLICY: [Rule; 9] = [
        nothing_scored,
        all_cut_off,
        equal_rewards,
        all_right,
        some_cut_off,
        no_variety,
        small_group,
        median_of_two_levels,
        roomy,
    ];
    let of_policy: &[Rule] = if case.config.warm_start.is_some() { &[] } else { &OF_POLICY };
    let mut found: Vec<Finding> =
        of_policy.iter().chain(&OF_DATA).filter_map(|rule| rule(case)).collect();
    found.sort_by_key(|finding| !finding.is_fatal);
    found
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

fn nothing_scored(Case { facts, .. }: &Case<'_>) -> Option<Finding> {
    (facts.scored == 0.0 && facts.problems > 0).then(|| {
        let problem = "no reward applies to any of the completions, so none of them is worth more than another";
        Finding::new(problem, "rewards", None).fatal()
    })
}

/// A response length that leaves the room that is asked for, or twice as much where nothing says how much; four times as
/// much at most, and within the model's positions.
fn longer(Case { facts, config, positions }: &Case<'_>) -> Option<usize> {
    let most = positions.saturating_sub(facts.prompts.max).min(4 * config.response_length);
    let asked = facts.asks_for.filter(|tokens| *tokens > config.response_length);
    let longer =
        asked.map_or(2 * config.response_length, |tokens| tokens.next_multiple_of(16)).min(most);
    (longer > config.response_length).then_some(longer)
}

fn all_cut_off(case: &Case<'_>) -> Option<Finding> {
    let Case { facts, config, .. } = case;
    (facts.cut_off == 1.0 && facts.accuracy.unwrap_or(0.0) == 0.0).then(|| {
        let problem = format!(
            "every completion is cut off at {} tokens before it ends, and none is right",
            config.response_length
        );
        Finding::new(problem, "response_length", longer(case).map(Value::from)).fatal()
    })
}

fn some_cut_off(case: &Case<'_>) -> Option<Finding> {
    let Case { facts, config, .. } = case;
    let is_fatal = all_cut_off(case).is_some();
    (facts.cut_off > 0.05 && !is_fatal).then(|| {
        let problem = format!(
            "{} of the completions are cut off at {} tokens, and judged by what stands there",
            percent(facts.cut_off),
            config.response_length
        );
        Finding::new(problem, "response_length", longer(case).map(Value::from))
    })
}

fn equal_rewards(case: &Case<'_>) -> Option<Finding> {
    let Case { facts, .. } = case;
    let rewards = facts.rewards.filter(|rewards| rewards.levels == 1)?;
    if facts.accuracy == Some(1.0) || all_cut_off(case).is_some() {
        return None;
    }
    let problem = format!(
        "all {} completions earn the same reward, {}, so there is nothing to learn from",
        facts.problems * facts.samples,
        rewards.min
    );
    let finding = match facts.accuracy {
        Some(_) => Finding::new(
            format!(
                "{problem}; the model needs to be right now and then: show it answers first, or add a reward for part \
                 of one"
            ),
            "warm_start",
            json!({ "max_steps": 200 }),
        ),
        None => Finding::new(problem, "rewards", None),
    };
    Some(finding.fatal())
}

fn all_right(Case { facts, .. }: &Case<'_>) -> Option<Finding> {
    let accuracy = facts.accuracy.filter(|accuracy| *accuracy >= 0.95)?;
    let rewards = facts.rewards.filter(|rewards| rewards.levels == 1);
    let problem = format!("{} of the completions are right already", percent(accuracy));
    let finding = Finding::new(format!("{problem}: harder problems teach more"), "data", None);
    Some(if rewards.is_some() { finding.fatal() } else { finding })
}

fn no_variety(Case { facts, config, .. }: &Case<'_>) -> Option<Finding> {
    let has_levels = facts.rewards.is_some_and(|rewards| rewards.levels > 1);
    let is_low = config.sampling.temperature < 1.0;
    (facts.distinct < 0.5 && facts.samples > 1 && has_levels && is_low).then(|| {
        let problem = format!(
            "{} of the completions repeat another one of their group word for word",
            percent(1.0 - facts.distinct)
        );
        Finding::new(problem, "sampling.temperature", json!(1.0))
    })
}

fn small_group(Case { facts, config, .. }: &Case<'_>) -> Option<Finding> {
    const MANY: f64 = 0.5;
    let own = config.training.num_return_sequences_in_group;
    let has_levels = facts.rewards.is_some_and(|rewards| rewards.levels > 1);
    let share = facts.without_signal_at(own).filter(|share| *share > MANY && has_levels)?;
    let larger = || facts.without_signal.iter().filter(|found| found.group > own);
    let enough = larger().find(|found| found.share <= MANY).or_else(|| larger().next_back());
    let problem = format!(
        "in {} of the groups of {own} all rewards are equal, and teach nothing",
        percent(share)
    );
    Some(match enough.filter(|found| found.group <= LARGEST_GROUP) {
        Some(found) => Finding::new(
            format!("{problem}; with {} it would be {}", found.group, percent(found.share)),
            "num_return_sequences_in_group",
            json!(found.group),
        ),
        None => Finding::new(
            format!("{problem}; draw other prompts in their place"),
            "dynamic_sampling",
            json!({}),
        ),
    })
}

fn median_of_two_levels(Case { facts, config, .. }: &Case<'_>) -> Option<Finding> {
    let other = match config.adv_estimator.0 {
        Estimator::McGrpo(_) => "grpo",
        Estimator::McGpg(_) => "gpg",
        _ => return None,
    };
    let rewards = facts.rewards.filter(|rewards| rewards.levels == 2)?;
    let problem = format!(
        "rewards are {} or {} and nothing between: no baseline gets a sign wrong then, and the median drops a \
         rollout of each group for nothing",
        rewards.min, rewards.max
    );
    Some(Finding::new(problem, "adv_estimator", json!(other)))
}

fn failing_rewards(Case { facts, .. }: &Case<'_>) -> Option<Finding> {
    (facts.failed > 0).then(|| {
        let problem = format!(
            "a reward failed on {} of {} groups, which leave the step",
            facts.failed,
            facts.failed + facts.problems
        );
        Finding::new(problem, "rewards", None)
    })
}

fn prompts_left_out(Case { facts, config, positions }: &Case<'_>) -> Option<Finding> {
    (facts.prompts_left_out > 0).then(|| {
        let problem = format!(
            "{} prompts are longer than {} tokens and left out",
            facts.prompts_left_out, config.prompt_length
        );
        let longer =
            (2 * config.prompt_length).min(positions.saturating_sub(config.response_length));
        let value = (longer > config.prompt_length).then(|| json!(longer));
        Finding::new(problem, "prompt_length", value)
    })
}

/// Memory and time follow `response_length` where rows are cut into micro-batches by it.
fn roomy(Case { facts, config, .. }: &Case<'_>) -> Option<Finding> {
    let enough = (facts.completions.max * 3 / 2).next_multiple_of(8);
    (facts.cut_off == 0.0 && facts.completions.max > 0 && 2 * enough < config.response_length).then(|| {
        let problem = format!(
            "no completion has more than {} tokens, of {} that are allowed and that memory is kept for",
            facts.completions.max, config.response_length
        );
        Finding::new(problem, "response_length", json!(enough))
    })
}

#[cfg(test)]
mod tests {
    use super::super::facts::{Lengths, PassAt, RewardFacts, WithoutSignal};
    use super::*;

    /// A run of which there is nothing to say.
    fn facts() -> Facts {
        let lengths = |median, p95, max, limit| Lengths { median, p95, max, limit };
        let without_signal = [(2, 0.5), (4, 0.3), (8, 0.1), (16, 0.02)];
        Facts {
            problems: 8,
            failed: 0,
            samples: 8,
            prompts: lengths(50, 90, 100, 128),
            prompts_left_out: 0,
            completions: lengths(30, 50, 60, 64),
            cut_off: 0.0,
            asks_for: Some(50),
            distinct: 1.0,
            scored: 1.0,
            rewards: Some(RewardFacts { min: 0.0, mean: 0.4, max: 1.0, levels: 3 }),
            each: vec![("exact".into(), Some(0.4))],
            accuracy: Some(0.4),
            pass_at: vec![PassAt { k: 1, share: 0.4 }],
            without_signal: without_signal
                .map(|(group, share)| WithoutSignal { group, share })
                .to_vec(),
        }
    }

    fn config(set: &str) -> RunConfig {
        let text = "response_length: 64\nprompt_length: 128\nnum_return_sequences_in_group: 4\n\
             model: {path: some}\ndata: {kind: arithmetic, digits: 2, held_out: 9}\n\
             rewards: [{kind: exact}]";
        let set: Vec<String> = (!set.is_empty()).then(|| set.to_owned()).into_iter().collect();
        RunConfig::parse("run.yaml".as_ref(), text, &set).unwrap()
    }

    fn found(facts: &Facts, set: &str) -> Vec<Finding> {
        findings(&Case { facts, config: &config(set), positions: 512 })
    }

    /// The only finding: its key, its value, and whether it is fatal.
    fn only(facts: &Facts, set: &str) -> (String, Option<Value>, bool) {
        let [finding] = &found(facts, set)[..] else { panic!("{:?}", found(facts, set)) };
        (finding.key.clone().unwrap(), finding.value.clone(), finding.is_fatal)
    }

    fn one_level(reward: f64) -> Option<RewardFacts> {
        Some(RewardFacts { min: reward, mean: reward, max: reward, levels: 1 })
    }

    #[test]
    fn a_run_that_can_learn_has_no_finding() {
        assert_eq!(found(&facts(), ""), []);
    }

    #[test]
    fn equal_rewards_teach_nothing_and_what_to_do_follows_from_the_run() {
        let wrong = Facts { rewards: one_level(0.0), accuracy: Some(0.0), ..facts() };
        assert_eq!(only(&wrong, ""), ("warm_start".into(), Some(json!({"max_steps": 200})), true));
        let unjudged = Facts { rewards: one_level(0.5), accuracy: None, ..facts() };
        assert_eq!(only(&unjudged, ""), ("rewards".into(), None, true));
        let right = Facts { rewards: one_level(1.0), accuracy: Some(1.0), ..facts() };
        assert_eq!(only(&right, ""), ("data".into(), None, true));
    }

    #[test]
    fn before_a_warm_start_nothing_is_said_of_what_the_model_does() {
        let wrong = Facts { rewards: one_level(0.0), accuracy: Some(0.0), ..facts() };
        assert_eq!(found(&wrong, "warm_start={}"), []);
    }

    #[test]
    fn what_no_reward_applies_to_is_fatal() {
        let none =
            Facts { scored: 0.0, rewards: None, accuracy: None, without_signal: vec![], ..facts() };
        assert_eq!(only(&none, ""), ("rewards".into(), None, true));
    }

    #[test]
    fn groups_that_a_reward_fails_on_are_told() {
        let failing = Facts { failed: 2, ..facts() };
        assert_eq!(only(&failing, ""), ("rewards".into(), None, false));
        assert!(found(&failing, "")[0].problem.contains("on 2 of 10 groups"));
    }

    #[test]
    fn cut_off_completions_ask_for_more_tokens_as_far_as_the_model_has_positions() {
        let some = Facts { cut_off: 0.2, ..facts() };
        assert_eq!(only(&some, ""), ("response_length".into(), Some(json!(128)), false));
        let all = Facts { cut_off: 1.0, accuracy: Some(0.0), rewards: one_level(0.0), ..facts() };
        assert_eq!(only(&all, ""), ("response_length".into(), Some(json!(128)), true));
        let case = |positions| findings(&Case { facts: &some, config: &config(""), positions });
        assert_eq!(case(180)[0].value, Some(json!(80)));
        let asking = Facts { asks_for: Some(75), ..some.clone() };
        assert_eq!(only(&asking, "").1, Some(json!(80)));
        assert_eq!(case(164)[0].value, None);
    }

    #[test]
    fn a_group_without_signal_asks_for_the_smallest_that_has_one_or_for_other_prompts() {
        let shares = |of_4: f64, of_8: f64, of_16: f64| Facts {
            without_signal: [(4, of_4), (8, of_8), (16, of_16)]
                .map(|(group, share)| WithoutSignal { group, share })
                .to_vec(),
            ..facts()
        };
        let key = "num_return_sequences_in_group".to_owned();
        assert_eq!(only(&shares(0.6, 0.4, 0.2), ""), (key.clone(), Some(json!(8)), false));
        assert_eq!(only(&shares(0.9, 0.8, 0.7), ""), (key, Some(json!(16)), false));
        let large = "num_return_sequences_in_group=16";
        assert_eq!(only(&shares(0.9, 0.8, 0.7), large).0, "dynamic_sampling");
    }

    #[test]
    fn a_median_is_no_help_where_rewards_have_two_levels() {
        let binary = RewardFacts { min: 0.0, mean: 0.5, max: 1.0, levels: 2 };
        let facts = Facts { rewards: Some(binary), ..facts() };
        let of = |estimator: &str| found(&facts, &format!("adv_estimator={estimator}"));
        assert_eq!(of("mc_grpo")[0].value, Some(json!("grpo")));
        assert_eq!(of("mc_gpg")[0].value, Some(json!("gpg")));
        assert_eq!(of("grpo"), []);
    }

    #[test]
    fn lengths_that_are_far_from_what_is_allowed_are_told() {
        let left_out = Facts { prompts_left_out: 3, ..facts() };
        assert_eq!(only(&left_out, ""), ("prompt_length".into(), Some(json!(256)), false));
        let short = Lengths { median: 5, p95: 9, max: 10, limit: 64 };
        let roomy = Facts { completions: short, ..facts() };
        assert_eq!(only(&roomy, ""), ("response_length".into(), Some(json!(16)), false));
    }

    #[test]
    fn the_same_words_over_and_over_ask_for_more_noise() {
        let same = Facts { distinct: 0.2, ..facts() };
        assert_eq!(only(&same, "sampling.temperature=0.3").0, "sampling.temperature");
        assert_eq!(found(&same, ""), []);
    }
}
