//! What rules look at: the steps, evaluations and newest samples of a run, and what it was set to do.

use std::collections::VecDeque;

use super::repeats::repeated;
use super::statistics::{Estimate, FEWEST, low_of_share};
use crate::monitor::metrics::{EvalMetrics, SampleLine, StepMetrics};

/// Steps that say how a run is now.
const RECENT: usize = 20;
/// Samples that are kept.
const SAMPLES: usize = 24;
/// Fewest samples that a rule judges by.
pub(super) const FEW_SAMPLES: usize = 8;
/// Most parts that a run is divided into.
const PARTS: usize = 10;

/// What a run was set to do, as far as rules ask.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Setting {
    /// Training steps.
    pub max_steps: u64,
    /// Prompts of a step.
    pub prompts: usize,
    /// Completions of a prompt.
    pub completions: usize,
    /// Longest completion in tokens.
    pub response_length: usize,
    /// Longest completion that the model has positions for behind the longest prompt, where that is known.
    pub longest_response: Option<usize>,
    /// Steps over which the learning rate rises.
    pub warmup_steps: u64,
    /// Whether other prompts are drawn for groups of equal rewards.
    pub draws_again: bool,
    /// Whether the model has a chat template and prompts do not go through it.
    pub bypasses_template: bool,
    /// Whether a KL holds the policy near its reference.
    pub keeps_reference: bool,
    /// The rewards, in their order.
    pub rewards: Vec<RewardSetting>,
}

/// A reward as rules see it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RewardSetting {
    /// Its name in metrics.
    pub name: String,
    /// Its factor in the sum.
    pub weight: f64,
    /// The score of a right answer; none of a reward that judges no answers.
    pub full_score: Option<f64>,
}

/// What a run has logged before it was resumed.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// All steps.
    pub steps: Vec<StepMetrics>,
    /// All evaluations.
    pub evaluations: Vec<EvalMetrics>,
    /// The newest samples, the newest last.
    pub samples: Vec<SampleLine>,
    /// What was found.
    pub findings: Vec<super::Finding>,
}

impl Past {
    /// Samples that are of use.
    pub const SAMPLES: usize = SAMPLES;
}

/// A run so far.
#[derive(Debug, Default)]
pub(super) struct History {
    pub setting: Setting,
    pub steps: Vec<StepMetrics>,
    pub evaluations: Vec<EvalMetrics>,
    samples: VecDeque<Seen>,
}

/// A sample, and how much of it was said before in it.
#[derive(Debug)]
struct Seen {
    line: SampleLine,
    repeated: Option<f64>,
}

impl History {
    pub(super) fn new(setting: Setting) -> Self {
        Self { setting, ..Self::default() }
    }

    pub(super) fn add_samples(&mut self, samples: &[SampleLine]) {
        let seen =
            |line: &SampleLine| Seen { line: line.clone(), repeated: repeated(&line.completion) };
        self.samples.extend(samples.iter().map(seen));
        self.samples.drain(..self.samples.len().saturating_sub(SAMPLES));
    }

    /// Training steps done.
    pub(super) fn step(&self) -> u64 {
        self.steps.last().map_or(0, |metrics| metrics.step)
    }

    /// The steps that say how the run is now; none before there are ten, or all that there will be.
    pub(super) fn recent(&self) -> Option<&[StepMetrics]> {
        let enough = self.planned().min(FEWEST);
        (self.steps.len() >= enough).then(|| &self.steps[self.steps.len().saturating_sub(RECENT)..])
    }

    /// The first steps.
    pub(super) fn beginning(&self) -> &[StepMetrics] {
        &self.steps[..self.steps.len().min(FEWEST)]
    }

    /// At least one.
    fn planned(&self) -> usize {
        usize::try_from(self.setting.max_steps).unwrap_or(usize::MAX).max(1)
    }

    /// The mean of a metric over the recent steps; NaN where it has none.
    pub(super) fn recently(&self, metric: impl Fn(&StepMetrics) -> f64) -> f64 {
        self.recent().map_or(f64::NAN, |steps| mean(steps, metric))
    }

    /// The mean of a share of groups over the recent steps, and what the share is above, almost surely.
    pub(super) fn share_of_groups(&self, metric: impl Fn(&StepMetrics) -> f64) -> (f64, f64) {
        self.share(self.setting.prompts, metric)
    }

    /// The same of a share of completions.
    pub(super) fn share_of_completions(&self, metric: impl Fn(&StepMetrics) -> f64) -> (f64, f64) {
        self.share(self.completions_of_step(), metric)
    }

    fn share(&self, of_step: usize, metric: impl Fn(&StepMetrics) -> f64) -> (f64, f64) {
        let steps = Estimate::of(self.recent().unwrap_or_default().iter().map(metric));
        (steps.mean, low_of_share(&steps, steps.count * of_step))
    }

    /// Completions of a step.
    pub(super) fn completions_of_step(&self) -> usize {
        self.setting.prompts * self.setting.completions
    }

    /// The run in equal parts of ten steps or more, every tenth step; none while it makes fewer than two.
    ///
    /// Parts grow with the run, so that long runs are compared by long parts and the number of comparisons
    /// stays small.
    pub(super) fn parts(&self) -> Option<Vec<&[StepMetrics]>> {
        let steps = &self.steps[..];
        let count = (steps.len() / FEWEST).min(PARTS);
        (count >= 2 && steps.len().is_multiple_of(FEWEST)).then(|| {
            let at = |part: usize| part * steps.len() / count;
            (0..count).map(|part| &steps[at(part)..at(part + 1)]).collect()
        })
    }

    /// The first and the last of the parts.
    pub(super) fn ends(&self) -> Option<[&[StepMetrics]; 2]> {
        let parts = self.parts()?;
        Some([*parts.first()?, *parts.last()?])
    }

    /// The newest samples, the newest first.
    pub(super) fn samples(&self) -> impl Iterator<Item = &SampleLine> + Clone {
        self.samples.iter().rev().map(|seen| &seen.line)
    }

    /// Those of which more than half was said before in them.
    pub(super) fn repeating_samples(&self) -> impl Iterator<Item = &SampleLine> {
        let repeats = |seen: &&Seen| seen.repeated.is_some_and(|share| share > 0.5);
        self.samples.iter().rev().filter(repeats).map(|seen| &seen.line)
    }

    /// Whether a rule that goes by metrics had better wait for samples, which say more: some are logged, and
    /// not yet enough.
    pub(super) fn awaits_samples(&self) -> bool {
        let some = !self.samples.is_empty() && self.samples.len() < FEW_SAMPLES;
        some && self.steps.len() < RECENT.min(self.planned())
    }

    /// Whether a sample is judged and wrong; as in training, the first reward that judges answers and applies
    /// decides.
    pub(super) fn is_wrong(&self, sample: &SampleLine) -> bool {
        let verdict =
            |(name, full): (&str, f64)| Some(sample.rewards.get(name)?.as_ref()? + 1e-9 < full);
        self.judges().find_map(verdict).unwrap_or(false)
    }

    /// Names and full scores of the rewards that judge answers.
    pub(super) fn judges(&self) -> impl Iterator<Item = (&str, f64)> {
        let rewards = self.setting.rewards.iter();
        rewards.filter_map(|reward| Some((reward.name.as_str(), reward.full_score?)))
    }

    /// The newest wrong sample, or else the newest.
    pub(super) fn example(&self) -> Option<&SampleLine> {
        self.samples().find(|sample| self.is_wrong(sample)).or_else(|| self.samples().next())
    }
}

/// A mean with its error over some steps.
pub(super) fn estimate(steps: &[StepMetrics], metric: impl Fn(&StepMetrics) -> f64) -> Estimate {
    Estimate::of(steps.iter().map(metric))
}

/// The mean over the steps where the metric is finite; NaN where it never is.
pub(in crate::monitor) fn mean(steps: &[StepMetrics], metric: impl Fn(&StepMetrics) -> f64) -> f64 {
    estimate(steps, metric).mean
}

/// A share in a sentence.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(count: u64, max_steps: u64) -> History {
        let setting = Setting { max_steps, ..Setting::default() };
        let step = |step| StepMetrics { step, reward: step as f64, ..StepMetrics::default() };
        History { steps: (1..=count).map(step).collect(), ..History::new(setting) }
    }

    #[test]
    fn a_run_is_judged_by_its_last_twenty_steps_and_by_no_fewer_than_ten_or_all() {
        assert!(history(9, 100).recent().is_none());
        assert_eq!(history(10, 100).recent().unwrap().len(), 10);
        assert_eq!(history(2, 2).recent().unwrap().len(), 2);
        assert!(history(0, 0).recent().is_none());
        assert_eq!(history(50, 100).recently(|m| m.reward), 40.5);
    }

    #[test]
    fn parts_are_equal_whole_and_at_least_ten_steps_long() {
        assert!(history(19, 100).parts().is_none() && history(25, 100).parts().is_none());
        let lengths = |count: u64| -> Vec<usize> {
            history(count, 999).parts().unwrap().iter().map(|part| part.len()).collect()
        };
        assert_eq!(lengths(20), [10, 10]);
        assert_eq!(lengths(100), [10; 10]);
        assert_eq!(lengths(200), [20; 10]);
        assert_eq!(lengths(110).iter().sum::<usize>(), 110);
    }

    #[test]
    fn only_the_newest_samples_are_kept() {
        let mut history = history(1, 9);
        for step in 0..100 {
            history.add_samples(&[SampleLine { step, ..SampleLine::default() }]);
        }
        assert_eq!(history.samples().count(), SAMPLES);
        assert_eq!(history.samples().next().unwrap().step, 99);
    }
}
