//! A known distribution of rewards, and every way in which a group drawn from it can fall.

use super::{AdvantageError, Oracle};

/// A reward that takes a few values, each with its probability.
#[derive(Debug, Clone, PartialEq)]
pub struct RewardDistribution {
    pub(super) rewards: Vec<f64>,
    probs: Vec<f64>,
}

impl RewardDistribution {
    /// A distribution from values and their probabilities.
    ///
    /// Errors: columns of different lengths or none, values that are not finite, probabilities that
    /// are negative or do not sum to 1 within 1e-6.
    pub fn new(rewards: Vec<f64>, probs: Vec<f64>) -> Result<Self, AdvantageError> {
        if rewards.len() != probs.len() || rewards.is_empty() {
            let counts = format!("{} numbers for {} rewards", probs.len(), rewards.len());
            return Err(AdvantageError::setting("probs", counts, "give one for each reward"));
        }
        if let Some(reward) = rewards.iter().find(|reward| !reward.is_finite()) {
            return Err(AdvantageError::setting("rewards", reward, "use finite numbers"));
        }
        let sum: f64 = probs.iter().sum();
        let listed = format!("{probs:?}");
        if probs.iter().any(|&prob| prob.is_nan() || prob < 0.0) || (sum - 1.0).abs() > 1e-6 {
            let reason = "probabilities are 0 or above and sum to 1";
            return Err(AdvantageError::setting("probs", listed, reason));
        }
        Ok(Self { rewards, probs: probs.iter().map(|prob| prob / sum).collect() })
    }

    /// The distribution's own mean or median (the least value with at least half the mass up to it).
    pub fn oracle(&self, oracle: Oracle) -> f64 {
        let pairs = || self.rewards.iter().copied().zip(self.probs.iter().copied());
        match oracle {
            Oracle::Mean => pairs().map(|(reward, prob)| reward * prob).sum(),
            Oracle::Median => {
                let mass =
                    |level: f64| pairs().filter(|(r, _)| *r <= level).map(|(_, p)| p).sum::<f64>();
                let middle = pairs().map(|(r, _)| r).filter(|&level| mass(level) >= 0.5 - 1e-12);
                middle.fold(f64::MAX, f64::min)
            }
        }
    }

    /// Calls `visit(counts, probability)` for every way `rollouts` draws can fall.
    pub(super) fn for_each_outcome(&self, rollouts: usize, visit: &mut impl FnMut(&[usize], f64)) {
        let mut counts = vec![0; self.rewards.len()];
        self.fall(0, rollouts, 1.0, &mut counts, visit);
    }

    /// The multinomial as a chain of binomials: `left` draws over the values from `level` on.
    fn fall(
        &self,
        level: usize,
        left: usize,
        prob: f64,
        counts: &mut Vec<usize>,
        visit: &mut impl FnMut(&[usize], f64),
    ) {
        if level + 1 == counts.len() {
            counts[level] = left;
            visit(counts, prob * self.probs[level].powi(left as i32));
            return;
        }
        let mut ways = 1.0;
        for count in 0..=left {
            counts[level] = count;
            let here = ways * self.probs[level].powi(count as i32);
            self.fall(level + 1, left - count, prob * here, counts, visit);
            ways *= (left - count) as f64 / (count + 1) as f64;
        }
    }

    /// How many outcomes there are.
    pub(super) fn outcomes(&self, rollouts: usize) -> f64 {
        let levels = self.rewards.len() - 1;
        (1..=levels).map(|k| (rollouts + k) as f64 / k as f64).product()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_oracle_is_the_distributions_median() {
        let distribution =
            RewardDistribution::new(vec![2.0, 0.0, 1.5], vec![0.4, 0.4, 0.2]).unwrap();
        assert_eq!(distribution.oracle(Oracle::Median), 1.5);
        assert!((distribution.oracle(Oracle::Mean) - 1.1).abs() < 1e-12);
    }

    #[test]
    fn the_outcomes_of_a_distribution_have_probability_one_and_its_mean() {
        let distribution =
            RewardDistribution::new(vec![2.0, 0.0, 1.5], vec![0.4, 0.4, 0.2]).unwrap();
        let (mut outcomes, mut total, mut mean) = (0.0, 0.0, 0.0);
        distribution.for_each_outcome(5, &mut |counts, prob| {
            let sum: f64 =
                counts.iter().zip(&distribution.rewards).map(|(&n, r)| n as f64 * r).sum();
            outcomes += 1.0;
            total += prob;
            mean += prob * sum / 5.0;
        });
        assert_eq!(outcomes, distribution.outcomes(5));
        assert!((total - 1.0).abs() < 1e-12 && (mean - 1.1).abs() < 1e-12);
    }

    #[test]
    fn broken_distributions_are_refused() {
        assert!(RewardDistribution::new(vec![0.0, 1.0], vec![1.0]).is_err());
        assert!(RewardDistribution::new(vec![0.0, 1.0], vec![0.5, 0.6]).is_err());
        assert!(RewardDistribution::new(vec![0.0, f64::NAN], vec![0.5, 0.5]).is_err());
    }
}
