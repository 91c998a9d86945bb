//! Why nothing is learned, told while a run goes: one small rule for each known cause.
//!
//! docs/findings.md says of each rule what it tells, from which threshold, why, and what to change.

mod answers;
mod finding;
mod groups;
mod history;
mod length;
mod numbers;
mod policy;
mod repeats;
mod results;
mod signal;
mod statistics;
#[cfg(test)]
mod tests;

pub use finding::{Example, Finding};
pub use history::{Past, RewardSetting, Setting};

pub(super) use history::mean;

use history::History;

use super::event::Event;

/// Looks at a run, in which at least one step was made or held-out problems were tried.
type Rule = fn(&History) -> Option<Finding>;

/// Every rule with its name; the surest first.
const RULES: [(&str, Rule); 22] = [
    ("no_reward_applies", numbers::no_reward_applies),
    ("not_finite", numbers::not_finite),
    ("zero_learning_rate", numbers::zero_learning_rate),
    ("answers_in_sentences", signal::answers_in_sentences),
    ("plain_prompts", signal::plain_prompts),
    ("never_ends", length::never_ends),
    ("cut_off", length::cut_off),
    ("repetition", length::repetition),
    ("task_too_hard", signal::task_too_hard),
    ("task_too_easy", signal::task_too_easy),
    ("equal_groups", signal::equal_groups),
    ("small_group", signal::small_group),
    ("format_only", signal::format_only),
    ("skipped_updates", numbers::skipped_updates),
    ("no_gradient", numbers::no_gradient),
    ("moves_nothing", policy::moves_nothing),
    ("moves_too_much", policy::moves_too_much),
    ("entropy_collapsed", policy::entropy_collapsed),
    ("far_from_reference", policy::far_from_reference),
    ("reward_fell_back", results::reward_fell_back),
    ("reward_without_accuracy", results::reward_without_accuracy),
    ("held_out_falls", results::held_out_falls),
];

/// What is found in a run, each rule's finding once.
///
/// It hears of steps and evaluations as they come. A run that has ended is judged by what was found while it went, so
/// the report and the screen never disagree.
#[derive(Debug)]
pub struct Findings {
    history: History,
    told: Vec<Finding>,
}

impl Findings {
    /// Those of a run that begins.
    pub fn new(setting: Setting) -> Self {
        Self { history: History::new(setting), told: Vec::new() }
    }

    /// Those of a run that goes on. What it found before is not found again.
    pub fn resumed(setting: Setting, past: Past) -> Self {
        let mut history = History::new(setting);
        history.add_samples(&past.samples);
        history.steps = past.steps;
        history.evaluations = past.evaluations;
        Self { history, told: past.findings }
    }

    /// Takes note of an event; what was found by it.
    pub fn take(&mut self, event: &Event<'_>) -> Vec<Finding> {
        match event {
            Event::Step(step) => {
                self.history.add_samples(step.samples);
                self.history.steps.push(step.metrics.clone());
            }
            Event::Evaluated(found) => self.history.evaluations.push((*found).clone()),
            _ => return Vec::new(),
        }
        self.look()
    }

    /// All that was found so far, those of before a resume included.
    pub fn told(&self) -> &[Finding] {
        &self.told
    }

    fn look(&mut self) -> Vec<Finding> {
        let step = self.history.step();
        let is_new = |name: &str| self.told.iter().all(|finding| finding.rule != name);
        let found = RULES.iter().filter(|(name, _)| is_new(name)).filter_map(|(name, rule)| {
            Some(Finding { step, rule: (*name).to_owned(), ..rule(&self.history)? })
        });
        let found: Vec<Finding> = found.collect();
        self.told.extend(found.iter().cloned());
        found
    }
}
