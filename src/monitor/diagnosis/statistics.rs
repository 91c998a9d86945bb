//! Means of noisy steps, and whether two of them differ by more than noise.

/// Fewest steps whose noise says anything of the error of their mean.
pub(super) const FEWEST: usize = 10;

/// From how many standard errors on two parts of a run differ, where a rule makes many comparisons.
///
/// Three would be enough for one comparison. A run of 400 steps makes 40 looks at up to ten parts, in which a
/// chance of one in a thousand comes true now and then: of 4,000 simulated runs of pure noise 1 % had a finding
/// for that reason with 3, and with 4 one of 10,000 (`tests/noise.rs`).
pub(super) const APART: f64 = 4.0;

/// From how many on, where a rule makes one comparison of a kind.
pub(super) const SURE: f64 = 3.0;

/// A mean over steps, and how far off it may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Estimate {
    /// Steps that it is over.
    pub count: usize,
    /// The mean; NaN of no step.
    pub mean: f64,
    /// The variance of a step around it.
    variance: f64,
}

impl Estimate {
    /// Of the values that are finite.
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Self {
        let (mut count, mut mean, mut squares) = (0, 0.0, 0.0);
        for value in values.filter(|value| value.is_finite()) {
            count += 1;
            let apart = value - mean;
            mean += apart / count as f64;
            squares += apart * (value - mean);
        }
        let mean = if count == 0 { f64::NAN } else { mean };
        Self { count, mean, variance: squares / count.saturating_sub(1).max(1) as f64 }
    }

    /// How far the mean may be off, by the noise from step to step.
    pub(super) fn standard_error(&self) -> f64 {
        (self.variance / self.count.max(1) as f64).sqrt()
    }

    /// What the mean is above, almost surely.
    pub(super) fn low(&self) -> f64 {
        self.mean - SURE * self.standard_error()
    }
}

/// How far the mean rises from one part of a run to another, in standard errors of a normal variable; 0 where
/// a part is too short to say.
///
/// ```text
/// t = (b − a) / √(s²ₐ/nₐ + s²_b/n_b)      z ≈ (8ν + 1)/(8ν + 3) · √(ν · ln(1 + t²/ν))
/// ```
///
/// with ν by Welch and Satterthwaite; the second is Wallace's approximation (1959), so that the few steps of
/// a short part count for as little as they say.
pub(super) fn rise(from: &Estimate, to: &Estimate) -> f64 {
    if from.count < FEWEST || to.count < FEWEST || from.mean == to.mean {
        return 0.0;
    }
    let [a, b] = [from, to].map(|part| part.variance / part.count as f64);
    let difference = to.mean - from.mean;
    if a + b <= 0.0 {
        return f64::INFINITY.copysign(difference);
    }
    let freedom =
        (a + b).powi(2) / (a.powi(2) / (from.count - 1) as f64 + b.powi(2) / (to.count - 1) as f64);
    let squared = difference * difference / (a + b);
    let z = (8.0 * freedom + 1.0) / (8.0 * freedom + 3.0)
        * (freedom * (squared / freedom).ln_1p()).sqrt();
    z.copysign(difference)
}

/// What a share of `count` items is above, almost surely: by the noise from step to step or by that of so
/// many draws, whichever is more.
///
/// One item is added on either side, so that a few that are all the same do not look sure.
pub(super) fn low_of_share(steps: &Estimate, count: usize) -> f64 {
    let count = count.max(1) as f64;
    let share = (steps.mean * count + 1.0) / (count + 2.0);
    let of_draws = (share * (1.0 - share) / count).max(0.0).sqrt();
    share - SURE * of_draws.max(steps.standard_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, expected: f64, tolerance: f64) {
        assert!((got - expected).abs() < tolerance, "{got} {expected}");
    }

    #[test]
    fn mean_and_error_are_those_of_the_finite_values() {
        let found = Estimate::of([2.0, f64::NAN, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0].into_iter());
        assert_eq!((found.count, found.mean), (8, 5.0));
        // The squares add up to 32.
        close(found.standard_error(), (32.0_f64 / 7.0 / 8.0).sqrt(), 1e-12);
        assert!(Estimate::of(std::iter::empty()).mean.is_nan());
    }

    #[test]
    fn a_difference_has_the_probability_of_students_distribution() {
        // Ten steps each, alternating around means that differ by t standard errors, so 18 degrees of freedom.
        // P(T > 2.878) = 0.005 and P(T > 3.922) = 0.0005 by tables of Student's t; of a normal variable these are
        // 2.576 and 3.291.
        let part = |mean: f64| Estimate::of((0..10).map(|i| mean + [0.3, -0.3][i % 2]));
        let error = (2.0_f64 * 0.09 / 9.0).sqrt();
        for (t, z) in [(2.878, 2.576), (3.922, 3.291)] {
            close(rise(&part(1.0), &part(1.0 + t * error)), z, 0.01);
            close(rise(&part(1.0), &part(1.0 - t * error)), -z, 0.01);
        }
    }

    #[test]
    fn too_few_steps_say_nothing_and_steps_without_noise_all() {
        let part = |count: usize, value: f64| Estimate::of((0..count).map(|_| value));
        assert_eq!(rise(&part(9, 0.0), &part(10, 1.0)), 0.0);
        assert_eq!(rise(&part(10, 0.0), &part(10, 1.0)), f64::INFINITY);
        assert_eq!(rise(&part(10, 0.5), &part(10, 0.5)), 0.0);
        assert_eq!(rise(&part(0, 0.5), &part(10, 0.5)), 0.0);
    }

    #[test]
    fn a_share_of_few_items_is_not_sure() {
        let all = Estimate::of((0..10).map(|_| 1.0));
        assert!(low_of_share(&all, 10) < 0.75);
        assert!(low_of_share(&all, 80) > 0.9);
    }
}
