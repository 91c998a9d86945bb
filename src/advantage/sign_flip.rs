//! How often the sign of an advantage disagrees with a baseline from many more rollouts.

use std::ops::AddAssign;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::statistics::{mean, median};
use super::{AdvantageError, AdvantageEstimator, GroupAdvantages, GroupRewards, RewardBatch};
use crate::kernel::group_rule::{EvenMedian, pivot_draw};

/// Advantages this much smaller than a batch's largest are rounding, not signs.
const ROUNDING: f64 = 1e-9;

/// Which statistic of many rollouts counts as the true baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Oracle {
    /// Their mean.
    Mean,
    /// Their median; the mean of the two middle ones of an even count.
    Median,
}

impl Oracle {
    /// The baseline that many rewards of one prompt give.
    pub fn baseline(&self, rewards: &[f64]) -> f64 {
        match self {
            Self::Mean => mean(rewards),
            Self::Median => median(rewards, EvenMedian::MeanOfTwo),
        }
    }
}

/// Counts of signs; weights in an enumeration, whole numbers online.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct SignCount {
    /// Kept, scored rollouts.
    pub rollouts: f64,
    /// Of these, the ones whose advantage and oracle deviation differ from zero.
    pub both_non_zero: f64,
    /// Of these, the ones with opposite signs.
    pub flips: f64,
    /// Kept, scored rollouts whose advantage is zero.
    pub zeros: f64,
}

impl SignCount {
    /// Flips among the rollouts that have both signs; 0 for none.
    pub fn flip_rate(&self) -> f64 {
        ratio(self.flips, self.both_non_zero)
    }

    /// Flips among all kept rollouts; 0 for none.
    pub fn flip_share(&self) -> f64 {
        ratio(self.flips, self.rollouts)
    }

    /// Zeros among all kept rollouts; 0 for none.
    pub fn zero_rate(&self) -> f64 {
        ratio(self.zeros, self.rollouts)
    }

    /// The same counts, each times `weight`.
    pub(super) fn weighted(self, weight: f64) -> Self {
        Self {
            rollouts: self.rollouts * weight,
            both_non_zero: self.both_non_zero * weight,
            flips: self.flips * weight,
            zeros: self.zeros * weight,
        }
    }
}

impl AddAssign for SignCount {
    fn add_assign(&mut self, other: Self) {
        self.rollouts += other.rollouts;
        self.both_non_zero += other.both_non_zero;
        self.flips += other.flips;
        self.zeros += other.zeros;
    }
}

/// Compares the signs of one group's advantages with those of `reward - oracle`.
pub fn count_sign_flips(
    group: &GroupAdvantages,
    rewards: &[Option<f64>],
    oracle: f64,
) -> SignCount {
    let largest = group.advantages.iter().fold(0.0f64, |largest, a| largest.max(a.abs()));
    let mut count = SignCount::default();
    for (i, reward) in rewards.iter().enumerate().filter(|(i, _)| group.kept[*i]) {
        let Some(reward) = reward else { continue };
        let used = sign(group.advantages[i], largest * ROUNDING);
        let truth = sign(reward - oracle, (reward.abs() + oracle.abs()) * ROUNDING);
        count.rollouts += 1.0;
        count.zeros += f64::from(used == 0);
        count.both_non_zero += f64::from(used * truth != 0);
        count.flips += f64::from(used * truth < 0);
    }
    count
}

/// A cheap stand-in where no oracle rollouts are drawn: the estimator on random subsets of a group
/// against the mean or median of the whole group.
///
/// `draws` subsets of `size` scored rewards each, decided by `seed`. Nothing is counted where the
/// group has fewer scored rewards.
/// Errors: those of the estimator.
pub fn subset_sign_flips(
    estimator: &dyn AdvantageEstimator,
    group: &GroupRewards,
    oracle: Oracle,
    size: usize,
    draws: u32,
    seed: u32,
) -> Result<SignCount, AdvantageError> {
    let scored = group.scored();
    let mut count = SignCount::default();
    if size == 0 || scored.len() < size {
        return Ok(count);
    }
    let truth = oracle.baseline(&scored);
    for draw in 0..draws {
        let subset = random_subset(&scored, size, pivot_draw(seed, draw));
        let batch = RewardBatch::from_rewards([subset.clone()]);
        count += count_sign_flips(&estimator.estimate(&batch)?[0], &subset, truth);
    }
    Ok(count)
}

/// The first `size` places of a seeded Fisher-Yates shuffle.
fn random_subset(values: &[f64], size: usize, seed: u32) -> Vec<Option<f64>> {
    let mut values = values.to_vec();
    for place in 0..size {
        let rest = (values.len() - place) as u32;
        values.swap(place, place + (pivot_draw(seed, place as u32) % rest) as usize);
    }
    values[..size].iter().copied().map(Some).collect()
}

fn sign(value: f64, rounding: f64) -> i32 {
    if value.abs() <= rounding {
        0
    } else if value > 0.0 {
        1
    } else {
        -1
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::{DrGrpo, McGrpo};

    #[test]
    fn a_reward_between_its_groups_mean_and_the_oracle_is_a_flip() {
        let rewards = vec![Some(0.0), Some(1.5), Some(2.0), None];
        let batch = RewardBatch::from_rewards([rewards.clone()]);
        let group = &DrGrpo::default().estimate(&batch).unwrap()[0];
        let count = count_sign_flips(group, &rewards, 1.8);
        let want = SignCount { rollouts: 3.0, both_non_zero: 3.0, flips: 1.0, zeros: 0.0 };
        assert_eq!(count, want);
        assert_eq!(count.flip_rate(), 1.0 / 3.0);
    }

    #[test]
    fn a_pivot_is_not_counted_and_a_zero_is_no_flip() {
        let rewards = vec![Some(0.0), Some(0.0), Some(1.0)];
        let batch = RewardBatch::from_rewards([rewards.clone()]);
        let group = &McGrpo::default().estimate(&batch).unwrap()[0];
        let count = count_sign_flips(group, &rewards, 0.5);
        let want = SignCount { rollouts: 2.0, both_non_zero: 1.0, flips: 0.0, zeros: 1.0 };
        assert_eq!(count, want);
    }

    #[test]
    fn a_reward_that_is_the_oracle_but_for_rounding_has_no_true_sign() {
        let rewards = vec![Some(0.3), Some(0.0)];
        let batch = RewardBatch::from_rewards([rewards.clone()]);
        let group = &DrGrpo::default().estimate(&batch).unwrap()[0];
        let count = count_sign_flips(group, &rewards, 0.1 + 0.2);
        assert_eq!((count.both_non_zero, count.flips), (1.0, 0.0));
    }

    #[test]
    fn subsets_of_the_whole_group_never_flip_against_it() {
        let group = GroupRewards::new(vec![Some(0.0), Some(1.5), None, Some(2.0), Some(0.0)]);
        let flips = |size| {
            subset_sign_flips(&DrGrpo::default(), &group, Oracle::Mean, size, 200, 3).unwrap()
        };
        assert_eq!(flips(4).flips, 0.0);
        assert_eq!(flips(2).rollouts, 400.0);
        // Of the pairs, only (1.5, 2) flips a sign: 1.5 is above the mean .875. One of six.
        assert!((flips(2).flip_share() - 1.0 / 12.0).abs() < 0.04, "{:?}", flips(2));
        assert_eq!(flips(5), SignCount::default());
    }
}
