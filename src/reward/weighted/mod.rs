//! Several rewards at once, over all completions of a step.

mod part;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::AtomicUsize;

use part::Part;

use super::{Asks, Item, Reward, RewardConfig, RewardError};
use crate::data::Problem;

/// More rewards are a mistake: each has its names and columns in every file of a run.
const MOST_REWARDS: usize = 1000;

/// The rewards of a run with their weights.
pub struct Rewards {
    parts: Vec<Part>,
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

    /// Whether a reward waits for somebody else, and none has to see all of a step at once.
    pub fn are_asked_by_group(&self) -> bool {
        let any = |asks| self.parts.iter().any(|part| part.reward.asks() == asks);
        any(Asks::ByGroup) && !any(Asks::Once)
    }

    /// The score of a right answer, in the order of [`Score::each`]; none of rewards that judge no answers.
    pub fn full_scores(&self) -> Vec<Option<f64>> {
        self.parts.iter().map(|part| part.reward.full_score()).collect()
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
