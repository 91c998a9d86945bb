//! The closing report of a run: what it reached, what it took, where its files are.

use std::fmt::Write;
use std::path::PathBuf;

use super::diagnosis::{Finding, mean};
use super::metrics::StepMetrics;
use super::progress::duration_text;

/// What a run knows about itself when it ends.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunFacts {
    /// Held-out accuracy of the policy before reinforcement learning.
    pub accuracy_before: Option<f64>,
    /// Held-out accuracy of the final policy.
    pub accuracy_after: Option<f64>,
    /// Number of held-out problems behind both.
    pub problems: u64,
    /// Optimiser steps done.
    pub steps: u64,
    /// Optimiser steps asked for.
    pub planned_steps: u64,
    /// Seconds the run took.
    pub elapsed_secs: f64,
    /// Largest resident memory in MiB, where it is known.
    pub peak_rss_mib: Option<f64>,
    /// Problems left out because their prompt is longer than `prompt_length`.
    pub long_prompts: u64,
    /// What each file is, and where it lies.
    pub files: Vec<(&'static str, PathBuf)>,
}

/// The closing report; when nothing was learned it says why, as far as was found while the run went.
pub fn report(facts: &RunFacts, history: &[StepMetrics], found: &[Finding]) -> String {
    let mut text = accuracy_text(facts);
    text.push_str(&effort_text(facts, history));
    if has_learned(facts, history) == Some(false) {
        text.push_str(&reasons_text(facts, found));
    }
    for (what, path) in &facts.files {
        push_line(&mut text, format_args!("{what:<10} {}", path.display()));
    }
    text
}

/// Whether accuracy, or the reward where no accuracy was measured, rose; `None` when neither is known.
fn has_learned(facts: &RunFacts, history: &[StepMetrics]) -> Option<bool> {
    const SMALLEST_RISE: f64 = 0.01;
    match (facts.accuracy_before, facts.accuracy_after) {
        // Nothing was left to learn.
        (Some(before), Some(after)) if before.min(after) >= 1.0 - SMALLEST_RISE => Some(true),
        (Some(before), Some(after)) => Some(after - before > SMALLEST_RISE),
        _ if history.is_empty() => None,
        _ => Some(reward_at(last(history)) - reward_at(first(history)) > SMALLEST_RISE),
    }
}

fn accuracy_text(facts: &RunFacts) -> String {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let of = format!("on {} held-out problems", facts.problems);
    match (facts.accuracy_before, facts.accuracy_after) {
        (Some(before), Some(after)) => {
            format!("accuracy   {} before, {} after, {of}\n", percent(before), percent(after))
        }
        (None, Some(after)) => format!("accuracy   {} {of}\n", percent(after)),
        (Some(before), None) => format!("accuracy   {} before, {of}\n", percent(before)),
        (None, None) => String::new(),
    }
}

fn effort_text(facts: &RunFacts, history: &[StepMetrics]) -> String {
    let mut text = String::new();
    if !history.is_empty() {
        let (start, end) = (reward_at(first(history)), reward_at(last(history)));
        push_line(&mut text, format_args!("reward     {start:.3} at first, {end:.3} at last"));
    }
    let steps = steps_text(facts);
    let elapsed = duration_text(facts.elapsed_secs);
    let memory = facts.peak_rss_mib.map_or(String::new(), |mib| format!(", at most {mib:.0} MiB"));
    push_line(&mut text, format_args!("steps      {steps} in {elapsed}{memory}"));
    if facts.long_prompts > 0 {
        let count = facts.long_prompts;
        push_line(
            &mut text,
            format_args!("left out   {count} problems whose prompt is longer than prompt_length"),
        );
    }
    text
}

fn steps_text(facts: &RunFacts) -> String {
    let (done, planned) = (facts.steps, facts.planned_steps);
    match done {
        _ if done >= planned => done.to_string(),
        0 => format!("0 of {planned}, stopped before the first"),
        _ => format!("{done} of {planned}, stopped early (--resume goes on),"),
    }
}

fn reasons_text(facts: &RunFacts, found: &[Finding]) -> String {
    let learned = |why: &str| wrapped("learned", &format!("nothing that shows{why}"));
    match found {
        _ if facts.steps == 0 => learned(": no step was trained → change max_steps"),
        [] => learned(", and no cause was found: try more steps, or another learning rate"),
        _ => {
            found.iter().map(|it| learned(&format!(": {it} (found at step {})", it.step))).collect()
        }
    }
}

/// A labelled paragraph in lines of at most 79 columns.
fn wrapped(label: &str, text: &str) -> String {
    const COLUMNS: usize = 79;
    let mut line = format!("{label:<10}");
    let mut lines = String::new();
    for word in text.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > COLUMNS {
            lines.push_str(&line);
            lines.push('\n');
            line = " ".repeat(10);
        }
        line.push(' ');
        line.push_str(word);
    }
    lines + &line + "\n"
}

/// The first tenth of a run, at least one step.
fn first(history: &[StepMetrics]) -> &[StepMetrics] {
    &history[..history.len().div_ceil(10)]
}

/// The last tenth of a run, at least one step.
fn last(history: &[StepMetrics]) -> &[StepMetrics] {
    &history[history.len() - history.len().div_ceil(10)..]
}

fn reward_at(steps: &[StepMetrics]) -> f64 {
    mean(steps, |metrics| metrics.reward)
}

fn push_line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(before: f64, after: f64) -> RunFacts {
        RunFacts {
            accuracy_before: Some(before),
            accuracy_after: Some(after),
            problems: 200,
            steps: 2,
            planned_steps: 2,
            elapsed_secs: 65.0,
            peak_rss_mib: Some(120.4),
            files: vec![("model", "runs/first/model".into())],
            ..RunFacts::default()
        }
    }

    fn history(rewards: [f64; 2]) -> Vec<StepMetrics> {
        let step = |(index, reward)| StepMetrics {
            step: index as u64 + 1,
            reward,
            ..StepMetrics::default()
        };
        rewards.into_iter().enumerate().map(step).collect()
    }

    #[test]
    fn a_run_that_learned_is_told_in_four_lines() {
        let expected = "\
            accuracy   42.0 % before, 91.5 % after, on 200 held-out problems\n\
            reward     0.400 at first, 0.900 at last\n\
            steps      2 in 1 min 05 s, at most 120 MiB\n\
            model      runs/first/model\n";
        assert_eq!(report(&facts(0.42, 0.915), &history([0.4, 0.9]), &[]), expected);
    }

    #[test]
    fn a_run_that_learned_nothing_says_why() {
        let problem =
            "in nearly every group all rewards were equal, so there was no gradient".into();
        let found = Finding { step: 2, problem, key: Some("data".into()), ..Finding::default() };
        let text = report(&facts(0.0, 0.0), &history([0.0, 0.0]), std::slice::from_ref(&found));
        assert!(text.contains("nothing that shows: in nearly every group"), "{text}");
        assert!(text.contains("→ change data (found at step 2)"), "{text}");
        let learned = report(&facts(0.0, 0.5), &history([0.0, 0.5]), &[found]);
        assert!(!learned.contains("nothing that shows"), "{learned}");
        assert!(text.lines().all(|line| line.chars().count() < 80), "{text}");
        assert!(text.contains("\n           "), "continued below the text, not the label: {text}");
    }

    #[test]
    fn without_a_known_cause_the_report_still_gives_advice() {
        let text = report(&facts(0.3, 0.3), &history([0.3, 0.3]), &[]);
        assert!(text.contains("no cause was found"), "{text}");
        let none = RunFacts { steps: 0, ..facts(0.3, 0.3) };
        assert!(report(&none, &[], &[]).contains("no step was trained"));
    }

    #[test]
    fn a_policy_that_was_perfect_had_nothing_to_learn() {
        assert_eq!(has_learned(&facts(1.0, 0.995), &history([1.0, 1.0])), Some(true));
    }

    #[test]
    fn without_evaluation_the_reward_decides() {
        let facts = RunFacts::default();
        assert_eq!(has_learned(&facts, &history([0.2, 0.6])), Some(true));
        assert_eq!(has_learned(&facts, &history([0.6, 0.2])), Some(false));
        assert_eq!(has_learned(&facts, &[]), None);
    }

    #[test]
    fn a_stopped_run_and_left_out_prompts_are_told() {
        let facts = RunFacts { planned_steps: 9, long_prompts: 4, ..facts(0.1, 0.5) };
        let text = report(&facts, &history([0.1, 0.5]), &[]);
        assert!(text.contains("2 of 9, stopped early") && text.contains("left out   4"), "{text}");
    }
}
