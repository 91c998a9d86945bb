//! Numbers that judge nothing: what a step costs is measured with them, for every row of it is trained then.

use std::sync::{Mutex, PoisonError};

use super::{Completion, Item, Reward, RewardError};
use crate::data::Problem;
use crate::random::Stream;

/// What the stream of seeded rewards is for, beside those of weights and rollouts.
const REWARDS: u32 = 0x7277;

/// A seeded uniform number whatever was written.
#[derive(Debug)]
pub struct UniformReward(Mutex<Stream>);

impl UniformReward {
    /// The numbers of this seed.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(Stream::new(seed, REWARDS)))
    }

    fn next(&self) -> f64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).uniform().into()
    }
}

impl Reward for UniformReward {
    fn name(&self) -> &'static str {
        "uniform"
    }

    fn score(&self, _: &Problem, _: &Completion) -> Option<f64> {
        Some(self.next())
    }

    /// In the order of the items, which threads would shuffle.
    fn score_batch(&self, items: &[Item]) -> Result<Vec<Option<f64>>, RewardError> {
        Ok(items.iter().map(|_| Some(self.next())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::test_support;

    #[test]
    fn seeded_rewards_differ_within_a_batch_and_are_the_same_for_the_same_seed() {
        let problem = test_support::problem(None);
        let items = [Item { problem: &problem, completion: test_support::completion("") }; 5];
        let [first, again] = [UniformReward::new(7), UniformReward::new(7)]
            .map(|reward| reward.score_batch(&items).unwrap());
        assert_eq!(first, again);
        assert!(first.windows(2).all(|pair| pair[0] != pair[1]), "{first:?}");
        assert!(first.iter().all(|score| score.is_some_and(|score| (0.0..1.0).contains(&score))));
    }
}
