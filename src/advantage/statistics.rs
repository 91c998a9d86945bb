//! Statistics of a few rewards in f64.

use serde::Serialize;

use crate::kernel::group_rule::EvenMedian;

/// What the scored rewards of a group look like, for logs and for normalising.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct RewardStatistics {
    /// Scored rewards.
    pub count: usize,
    /// Their mean; 0 for none.
    pub mean: f64,
    /// Their standard deviation about the mean with Bessel's correction; 0 for fewer than two.
    pub std: f64,
    /// Their median.
    pub median: f64,
    /// The median absolute distance from the median, without factor.
    pub mad: f64,
    /// The largest less the smallest.
    pub spread: f64,
}

impl RewardStatistics {
    /// The statistics of these values; zeros for none.
    pub fn of(values: &[f64], even: EvenMedian) -> Self {
        let mean = mean(values);
        let median = median(values, even);
        Self {
            count: values.len(),
            mean,
            std: deviation(values, mean),
            median,
            mad: median_distance(values, median, even),
            spread: spread(values),
        }
    }
}

/// The mean; 0 for no values.
pub(super) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.iter().sum::<f64>() / values.len() as f64
}

/// `sqrt(sum((x - centre)^2) / (n - 1))`; 0 for fewer than two values.
pub(super) fn deviation(values: &[f64], centre: f64) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
    (squares / (values.len() - 1) as f64).sqrt()
}

/// The middle value; 0 for no values.
pub(super) fn median(values: &[f64], even: EvenMedian) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let lower = sorted[(sorted.len() - 1) / 2];
    match even {
        EvenMedian::Lower => lower,
        EvenMedian::MeanOfTwo => 0.5 * lower + 0.5 * sorted[sorted.len() / 2],
    }
}

/// The median of the distances from a centre.
pub(super) fn median_distance(values: &[f64], centre: f64, even: EvenMedian) -> f64 {
    let distances: Vec<f64> = values.iter().map(|value| (value - centre).abs()).collect();
    median(&distances, even)
}

/// The mean of the distances from a centre.
pub(super) fn mean_distance(values: &[f64], centre: f64) -> f64 {
    let distances: Vec<f64> = values.iter().map(|value| (value - centre).abs()).collect();
    mean(&distances)
}

/// The largest value less the smallest; 0 for no values.
pub(super) fn spread(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::MIN, f64::max);
    let smallest = values.iter().copied().fold(f64::MAX, f64::min);
    (largest - smallest).max(0.0)
}

/// Mean and standard deviation of values that each stand for `weights[i]` tokens, with Bessel's
/// correction over the tokens; `None` for fewer than two tokens.
pub(super) fn token_moments(values: &[f64], weights: &[usize]) -> Option<(f64, f64)> {
    let tokens: usize = weights.iter().sum();
    if tokens < 2 {
        return None;
    }
    let pairs = || values.iter().zip(weights.iter().map(|&weight| weight as f64));
    let mean = pairs().map(|(value, weight)| value * weight).sum::<f64>() / tokens as f64;
    let squares: f64 = pairs().map(|(value, weight)| weight * (value - mean).powi(2)).sum();
    Some((mean, (squares / (tokens - 1) as f64).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_median_is_the_lower_or_the_average() {
        let values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!(median(&values, EvenMedian::Lower), 2.0);
        assert_eq!(median(&values, EvenMedian::MeanOfTwo), 2.5);
    }

    #[test]
    fn no_values_give_zeros() {
        assert_eq!(RewardStatistics::of(&[], EvenMedian::Lower), RewardStatistics::default());
    }

    #[test]
    fn the_deviation_has_bessels_correction() {
        let statistics = RewardStatistics::of(&[1.0, 0.0], EvenMedian::Lower);
        assert!((statistics.std - 0.5f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn token_moments_count_every_token() {
        let (mean, std) = token_moments(&[1.0, -1.0], &[3, 1]).unwrap();
        assert_eq!((mean, std), (0.5, 1.0));
        assert_eq!(token_moments(&[1.0, 2.0], &[1, 0]), None);
    }
}
