//! One reward of several, and what becomes of its mistakes.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::reward::{Item, Reward, RewardError};

/// Groups on end that a reward may drop; a longer series is no accident.
pub(super) const MOST_DROPPED: usize = 16;

/// A reward with its weight.
pub(super) struct Part {
    pub(super) name: String,
    pub(super) weight: f64,
    pub(super) reward: Box<dyn Reward>,
    /// Groups on end that it could not judge and dropped.
    pub(super) dropped: AtomicUsize,
}

impl Part {
    /// The scores of all items; of several mistakes the first is reported.
    pub(super) fn score_batch(
        &self,
        items: &[Item],
        verdicts: &[Option<bool>],
    ) -> Result<Vec<Option<f64>>, RewardError> {
        let scores = match self.reward.needs_verdict() {
            false => self.reward.score_batch(items)?,
            true => items
                .iter()
                .zip(verdicts)
                .map(|(item, solved)| {
                    self.reward.score_by_verdict(item.problem, &item.completion, *solved)
                })
                .collect(),
        };
        if scores.len() != items.len() {
            let (reward, given, asked) = (self.name.clone(), scores.len(), items.len());
            return Err(RewardError::Count { reward, given, asked });
        }
        match items.iter().zip(&scores).find_map(not_finite) {
            Some((problem_id, score)) => {
                Err(RewardError::NotFinite { reward: self.name.clone(), score, problem_id })
            }
            None => Ok(scores),
        }
    }

    /// The same group by group; where it fails for one, `failed` says so of its items.
    pub(super) fn score_groups(
        &self,
        items: &[Item],
        failed: &mut [bool],
    ) -> Result<Vec<Option<f64>>, RewardError> {
        let mut scores = Vec::with_capacity(items.len());
        for group in items.chunk_by(|one, next| std::ptr::eq(one.problem, next.problem)) {
            let of_group = scores.len()..scores.len() + group.len();
            match self.score_batch(group, &[]) {
                Ok(found) => {
                    self.dropped.store(0, Ordering::Relaxed);
                    scores.extend(found);
                }
                Err(error) => {
                    self.drop_for(error)?;
                    failed[of_group.clone()].fill(true);
                    scores.resize(of_group.end, None);
                }
            }
        }
        Ok(scores)
    }

    /// Counts a group that is dropped for an error, which is the answer where there are too many.
    fn drop_for(&self, error: RewardError) -> Result<(), RewardError> {
        let groups = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
        match groups < MOST_DROPPED {
            true => Ok(()),
            false => {
                let (reward, last) = (self.name.clone(), Box::new(error));
                Err(RewardError::AlwaysFails { reward, groups, last })
            }
        }
    }
}

/// A problem and its score, if that is no number.
fn not_finite((item, score): (&Item, &Option<f64>)) -> Option<(u64, f64)> {
    score.filter(|score| !score.is_finite()).map(|score| (item.problem.id, score))
}
