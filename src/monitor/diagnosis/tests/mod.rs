//! Each rule by a run that provokes it and one close by that must not, and all of them by noise.

mod noise;
mod numbers;
mod policy;
mod results;
mod signal;

use super::*;
use crate::monitor::{EvalMetrics, SampleLine, StepEvent, StepMetrics};

/// A run of 100 steps of 4 prompts × 8 completions, judged by `exact` and paid a little for `format`.
pub(super) fn setting() -> Setting {
    Setting {
        max_steps: 100,
        prompts: 4,
        completions: 8,
        response_length: 64,
        rewards: vec![
            RewardSetting { name: "exact".into(), weight: 1.0, full_score: Some(1.0) },
            RewardSetting { name: "format".into(), weight: 0.1, full_score: None },
        ],
        ..Setting::default()
    }
}

/// The metrics of a step of a run that learns.
pub(super) fn healthy(step: u64) -> StepMetrics {
    let done = (step as f64 / 100.0).min(1.0);
    StepMetrics {
        step,
        reward: 0.3 + 0.4 * done,
        reward_std: 0.4,
        accuracy: 0.2 + 0.4 * done,
        frac_reward_zero_std: 0.2,
        entropy: 0.8,
        grad_norm: 0.5,
        learning_rate: 1e-5,
        reward_means: [("exact".to_owned(), 0.2 + 0.4 * done), ("format".to_owned(), 0.9)].into(),
        ..StepMetrics::default()
    }
}

/// A wrong completion that says nothing of its answer.
pub(super) fn sample(number: u64) -> SampleLine {
    SampleLine {
        step: number,
        prompt: format!("What is problem {number}?"),
        completion: format!("I cannot say anything about number {number}."),
        answer: Some((1000 + 7 * number).to_string()),
        reward: 0.1,
        rewards: [("exact".to_owned(), Some(0.0)), ("format".to_owned(), Some(1.0))].into(),
        finish: "eos".into(),
        ..SampleLine::default()
    }
}

/// A run to be told to the rules.
pub(super) struct Told {
    pub setting: Setting,
    pub findings: Findings,
}

impl Told {
    pub(super) fn new(setting: Setting) -> Self {
        Self { findings: Findings::new(setting.clone()), setting }
    }

    pub(super) fn step(&mut self, metrics: &StepMetrics, samples: &[SampleLine]) -> Vec<Finding> {
        self.findings.take(&Event::Step(StepEvent { metrics, samples, shown: None }))
    }

    pub(super) fn evaluated(&mut self, step: u64, accuracy: f64, problems: u64) -> Vec<Finding> {
        let found = EvalMetrics { step, accuracy, problems, ..EvalMetrics::default() };
        self.findings.take(&Event::Evaluated(&found))
    }
}

/// What is found in a whole run of healthy steps and samples that are changed, one sample a step.
pub(super) fn found_in(
    setting: Setting,
    change: impl Fn(&mut StepMetrics),
    change_sample: impl Fn(&mut SampleLine),
) -> Vec<Finding> {
    let mut run = Told::new(setting);
    for step in 1..=run.setting.max_steps {
        let (mut metrics, mut sample) = (healthy(step), sample(step));
        change(&mut metrics);
        change_sample(&mut sample);
        run.step(&metrics, &[sample]);
    }
    run.findings.told().to_vec()
}

/// The rules that find something in a run.
pub(super) fn rules(found: &[Finding]) -> Vec<&str> {
    found.iter().map(|finding| finding.rule.as_str()).collect()
}

/// The finding of a rule.
#[track_caller]
pub(super) fn of<'a>(found: &'a [Finding], rule: &str) -> &'a Finding {
    let of_rule = found.iter().find(|finding| finding.rule == rule);
    of_rule.unwrap_or_else(|| panic!("no {rule} in {found:#?}"))
}

/// Changes nothing.
pub(super) fn as_is<T>(_: &mut T) {}

#[test]
fn a_run_that_learns_has_no_finding() {
    assert_eq!(found_in(setting(), as_is, as_is), []);
}

#[test]
fn each_rule_tells_once_with_its_step_its_key_and_an_example() {
    let mut run = Told::new(setting());
    let mut told = Vec::new();
    for step in 1..=60 {
        let metrics = StepMetrics { clipped_ratio: 0.8, ..healthy(step) };
        let cut = SampleLine { finish: "length".into(), ..sample(step) };
        told.extend(run.step(&metrics, &[cut]));
    }
    let [finding] = &told[..] else { panic!("{told:#?}") };
    assert_eq!((finding.step, finding.rule.as_str()), (10, "cut_off"));
    assert_eq!(finding.key.as_deref(), Some("response_length"));
    assert_eq!(finding.example.as_ref().unwrap().answer.as_deref(), Some("1070"));
    assert_eq!(run.findings.told(), told);
}

#[test]
fn a_resumed_run_finds_what_one_that_never_stopped_does_and_nothing_again() {
    let steps = |step: u64| StepMetrics {
        clipped_ratio: 0.8,
        kl: Some(0.04 * step as f64),
        ..healthy(step)
    };
    let mut whole = Told::new(setting());
    let mut past = Past::default();
    for step in 1..=100 {
        let found = whole.step(&steps(step), &[sample(step)]);
        if step <= 30 {
            past.steps.push(steps(step));
            past.samples.push(sample(step));
            past.findings.extend(found);
        }
    }
    assert_eq!(rules(whole.findings.told()), ["cut_off", "far_from_reference"]);
    let mut resumed = Told { setting: setting(), findings: Findings::resumed(setting(), past) };
    for step in 31..=100 {
        resumed.step(&steps(step), &[sample(step)]);
    }
    assert_eq!(resumed.findings.told(), whole.findings.told());
}

#[test]
fn no_event_makes_a_rule_panic() {
    // Every number that a log can hold, in every metric at once.
    for value in [0.0, -1.0, 1.0, 1e308, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for setting in [setting(), Setting::default(), Setting { max_steps: 1, ..setting() }] {
            let mut run = Told::new(setting);
            run.evaluated(0, value, 0);
            for step in [1, 1, 2, 9, u64::MAX].into_iter().chain(10..50) {
                let all = |m: StepMetrics| StepMetrics {
                    reward: value,
                    reward_std: value,
                    accuracy: value,
                    frac_reward_zero_std: value,
                    entropy: value,
                    kl: Some(value),
                    loss: value,
                    grad_norm: value,
                    learning_rate: value,
                    clipped_ratio: value,
                    extra: [("update/relative".to_owned(), value)].into(),
                    ..m
                };
                let odd = SampleLine { answer: Some("é".into()), reward: value, ..sample(3) };
                run.step(&all(healthy(step)), &[odd, SampleLine::default()]);
                run.evaluated(step, value, step);
            }
            run.findings.told().iter().for_each(|finding| assert!(!finding.to_string().is_empty()));
        }
    }
}

#[test]
fn every_rule_stands_in_the_document_and_no_other() {
    let document = include_str!("../../../../docs/findings.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let mut told: Vec<&str> = rows.collect();
    let mut rules: Vec<&str> = RULES.iter().map(|(name, _)| *name).collect();
    told.sort_unstable();
    rules.sort_unstable();
    assert_eq!(told, rules);
}
