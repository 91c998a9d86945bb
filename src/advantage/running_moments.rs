//! Mean and deviation of rewards, of one step or since the run began.

use serde::{Deserialize, Serialize};

use super::statistics::{deviation, mean, spread};

/// Rewards that differ by no more are equal, as for the estimators.
const EQUAL_TOL: f64 = 1e-6;

/// Count, mean and sum of squared deviations of all rewards so far; belongs into a checkpoint.
///
/// Source: Chan, Golub and LeVeque, 1979, for merging a batch.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct RunningMoments {
    /// Rewards seen.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// The sum of their squared distances from it.
    pub squares: f64,
}

impl RunningMoments {
    /// Takes in the rewards of one step.
    pub fn extend(&mut self, rewards: &[f64]) {
        if rewards.is_empty() {
            return;
        }
        let batch_mean = mean(rewards);
        let batch_squares: f64 = rewards.iter().map(|reward| (reward - batch_mean).powi(2)).sum();
        let (old, new) = (self.count as f64, rewards.len() as f64);
        let shift = batch_mean - self.mean;
        self.count += rewards.len() as u64;
        self.mean += shift * new / (old + new);
        self.squares += batch_squares + shift * shift * old * new / (old + new);
    }

    /// The moments so far.
    pub(super) fn moments(&self) -> Moments {
        let std = match self.count {
            0 | 1 => 0.0,
            count => (self.squares / (count - 1) as f64).sqrt(),
        };
        // Their largest and smallest are not kept; rounding leaves about 1e-16 of what they are.
        let rounding = 1e-9 * self.mean.abs().max(1.0);
        Moments { mean: self.mean, std, equal: self.count > 0 && std <= rounding }
    }
}

/// What rewards are normalised with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moments {
    /// The mean.
    pub(super) mean: f64,
    /// The standard deviation, with Bessel's correction.
    pub(super) std: f64,
    /// Whether the values are all the same, so that none of them tells anything.
    pub(super) equal: bool,
}

impl Moments {
    /// The moments of these values.
    pub(super) fn of(values: &[f64]) -> Self {
        let mean = mean(values);
        Self { mean, std: deviation(values, mean), equal: spread(values) <= EQUAL_TOL }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_moments_over_two_steps_equal_those_of_all_rewards() {
        let (first, second) = ([1.0, 2.0, 4.0], [8.0, -3.0]);
        let mut running = RunningMoments::default();
        running.extend(&first);
        running.extend(&[]);
        running.extend(&second);
        let all: Vec<f64> = first.into_iter().chain(second).collect();
        let want = Moments::of(&all);
        assert!((running.moments().mean - want.mean).abs() < 1e-12);
        assert!((running.moments().std - want.std).abs() < 1e-12);
    }
}
