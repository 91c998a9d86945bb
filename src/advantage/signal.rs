//! What a group of a given size makes of a known reward distribution, by exact enumeration.

use serde::Serialize;

use super::sign_flip::{Oracle, SignCount, count_sign_flips};
use super::{AdvantageError, AdvantageEstimator, DrGrpo, McGrpo, RewardBatch, RewardDistribution};
use crate::kernel::group_rule::{EvenMedian, Scale};

/// The most count vectors that are worth enumerating; half a million take seconds.
const MOST_OUTCOMES: f64 = 500_000.0;

/// The signs that an estimator gives under a distribution.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SignalRow {
    /// What was measured, as "median of g + 1".
    pub baseline: String,
    /// Rollouts of a prompt that reach the loss.
    pub group: usize,
    /// Rollouts of a prompt that are drawn.
    pub rollouts: usize,
    /// Share of flips among the kept rollouts whose advantage and oracle deviation are not zero.
    pub flip_rate: f64,
    /// Share of flips among all kept rollouts.
    pub flip_share: f64,
    /// Share of zero advantages among all kept rollouts.
    pub zero_rate: f64,
    /// Share of the groups in which every advantage is zero.
    pub no_signal_rate: f64,
}

/// Measures one estimator that draws `rollouts` of a prompt, against the distribution's oracle baseline.
///
/// Errors: too many outcomes to enumerate, or those of the estimator.
pub fn signal_row(
    baseline: &str,
    estimator: &dyn AdvantageEstimator,
    distribution: &RewardDistribution,
    rollouts: usize,
    oracle: Oracle,
) -> Result<SignalRow, AdvantageError> {
    if distribution.outcomes(rollouts) > MOST_OUTCOMES {
        let reason = "too many outcomes to enumerate; use a smaller group or fewer reward values";
        return Err(AdvantageError::setting("group", rollouts, reason));
    }
    let truth = distribution.oracle(oracle);
    let (mut total, mut no_signal, mut kept) = (SignCount::default(), 0.0, 0);
    let mut result = Ok(());
    distribution.for_each_outcome(rollouts, &mut |counts, prob| {
        let levels = counts.iter().zip(&distribution.rewards);
        let rewards: Vec<Option<f64>> =
            levels.flat_map(|(&count, &reward)| vec![Some(reward); count]).collect();
        match estimator.estimate(&RewardBatch::from_rewards([rewards.clone()])) {
            Ok(groups) => {
                let count = count_sign_flips(&groups[0], &rewards, truth);
                total += count.weighted(prob);
                no_signal += prob * f64::from(!groups[0].has_signal);
                kept = groups[0].kept.iter().filter(|&&kept| kept).count();
            }
            Err(error) => result = Err(error),
        }
    });
    result.map(|()| SignalRow {
        baseline: baseline.to_owned(),
        group: kept,
        rollouts,
        flip_rate: total.flip_rate(),
        flip_share: total.flip_share(),
        zero_rate: total.zero_rate(),
        no_signal_rate: no_signal,
    })
}

/// Side by side for every group size g: the mean of g, the median of g + 1 with its pivot dropped,
/// and the mean of g + 1, which costs as many rollouts.
///
/// `even_median` decides the median where g + 1 is even.
pub fn signal_table(
    distribution: &RewardDistribution,
    group_sizes: &[usize],
    oracle: Oracle,
    even_median: EvenMedian,
) -> Result<Vec<SignalRow>, AdvantageError> {
    let mean = DrGrpo { equal_tol: 0.0 };
    let median = McGrpo {
        scale: Scale::None,
        even_median: Some(even_median),
        equal_tol: 0.0,
        ..McGrpo::default()
    };
    let mut rows = Vec::new();
    for &g in group_sizes {
        median.validate(g)?;
        rows.push(signal_row("mean of g", &mean, distribution, g, oracle)?);
        rows.push(signal_row("median of g + 1", &median, distribution, g + 1, oracle)?);
        rows.push(signal_row("mean of g + 1", &mean, distribution, g + 1, oracle)?);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row of the table in the algorithm page: (flip, zero) for each of the three baselines.
    fn check(rewards: &[f64], probs: &[f64], g: usize, want: [(f64, f64); 3]) {
        let distribution = RewardDistribution::new(rewards.to_vec(), probs.to_vec()).unwrap();
        let rows = signal_table(&distribution, &[g], Oracle::Mean, EvenMedian::Lower).unwrap();
        for (row, (flip, zero)) in rows.iter().zip(want) {
            let close = |got: f64, want: f64| (got - want).abs() <= 0.000_501;
            assert!(close(row.flip_share, flip), "g {g}: flip {flip} expected, {row:?}");
            assert!(close(row.zero_rate, zero), "g {g}: zero {zero} expected, {row:?}");
        }
    }

    #[test]
    fn binary_rewards_never_flip() {
        check(&[0.0, 1.0], &[0.5, 0.5], 2, [(0.0, 0.5), (0.0, 0.625), (0.0, 0.25)]);
        check(&[0.0, 1.0], &[0.8, 0.2], 4, [(0.0, 0.411), (0.0, 0.768), (0.0, 0.328)]);
    }

    #[test]
    fn three_levels_flip_as_in_the_table() {
        let (rewards, probs) = ([0.0, 1.5, 2.0], [0.4, 0.2, 0.4]);
        check(&rewards, &probs, 2, [(0.08, 0.36), (0.048, 0.472), (0.064, 0.136)]);
        check(&rewards, &probs, 4, [(0.042, 0.053), (0.045, 0.435), (0.026, 0.041)]);
    }

    #[test]
    fn four_levels_flip_as_in_the_table() {
        let (rewards, probs) = ([0.0, 0.5, 1.0, 1.5], [0.3, 0.2, 0.2, 0.3]);
        check(&rewards, &probs, 2, [(0.12, 0.26), (0.054, 0.355), (0.084, 0.118)]);
        check(&rewards, &probs, 4, [(0.068, 0.081), (0.042, 0.313), (0.063, 0.052)]);
    }

    #[test]
    fn an_outlier_flips_the_mean_more_than_the_median_as_in_the_table() {
        let rewards = [0.0, 1.0, 2.0, 3.0, 4.0, 20.0];
        let probs = [0.19, 0.19, 0.19, 0.19, 0.19, 0.05];
        check(&rewards, &probs, 2, [(0.163, 0.183), (0.069, 0.257), (0.147, 0.089)]);
        // The page prints .030 for the first zero rate; rational arithmetic gives .029465593725.
        check(&rewards, &probs, 6, [(0.162, 0.0295), (0.044, 0.221), (0.169, 0.024)]);
    }

    #[test]
    fn the_extra_rollout_halves_the_groups_without_signal() {
        let distribution = RewardDistribution::new(vec![0.0, 1.0], vec![0.5, 0.5]).unwrap();
        let rows = signal_table(&distribution, &[2], Oracle::Mean, EvenMedian::Lower).unwrap();
        let rates: Vec<f64> = rows.iter().map(|row| row.no_signal_rate).collect();
        assert_eq!(rates, [0.5, 0.25, 0.25]);
        assert_eq!((rows[1].group, rows[1].rollouts), (2, 3));
    }

    #[test]
    fn levels_that_are_no_binary_fractions_give_the_signs_of_whole_numbers() {
        let third = vec![1.0 / 3.0; 3];
        let table = |rewards: Vec<f64>| {
            let distribution = RewardDistribution::new(rewards, third.clone()).unwrap();
            signal_table(&distribution, &[2, 3, 6], Oracle::Mean, EvenMedian::Lower).unwrap()
        };
        for (tenths, whole) in table(vec![0.1, 0.2, 0.3]).iter().zip(table(vec![1.0, 2.0, 3.0])) {
            let close = |got: f64, want: f64| (got - want).abs() < 1e-12;
            assert!(close(tenths.flip_rate, whole.flip_rate), "{tenths:?}, {whole:?}");
            assert!(close(tenths.flip_share, whole.flip_share), "{tenths:?}, {whole:?}");
            assert!(close(tenths.zero_rate, whole.zero_rate), "{tenths:?}, {whole:?}");
        }
    }

    #[test]
    fn an_endless_enumeration_is_refused() {
        let distribution =
            RewardDistribution::new((0..10).map(f64::from).collect(), vec![0.1; 10]).unwrap();
        let refused = signal_table(&distribution, &[64], Oracle::Mean, EvenMedian::Lower);
        assert!(refused.unwrap_err().to_string().contains("too many outcomes"));
    }
}
