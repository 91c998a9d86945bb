//! A metric over the steps of a run, thinned so that its smallest and largest values stay to be seen.

use serde::Serialize;

/// Buckets that are held while a log is read, however long it is.
const MOST_HELD: usize = 2048;

/// The largest number that is drawn: the distance of two of them, and its parts, are numbers still.
const LARGEST: f64 = 1e300;

/// What neighbouring steps come to.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bucket {
    first: u64,
    last: u64,
    count: u64,
    sum: f64,
    low: f64,
    high: f64,
}

impl Bucket {
    fn of(step: u64, value: f64) -> Self {
        Self { first: step, last: step, count: 1, sum: value, low: value, high: value }
    }

    fn with(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            count: self.count + other.count,
            sum: self.sum + other.sum,
            low: self.low.min(other.low),
            high: self.high.max(other.high),
        }
    }

    fn middle(&self) -> u64 {
        self.first + (self.last - self.first) / 2
    }

    fn mean(&self) -> f64 {
        // A sum of many huge numbers may be beyond all numbers; what lies between them is not.
        (self.sum / self.count as f64).clamp(self.low, self.high)
    }
}

/// A metric as it is read, step by step: of bounded size.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Curve {
    buckets: Vec<Bucket>,
    /// Steps in a full bucket.
    width: u64,
}

/// A curve as it is drawn, at most so many points.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Thinned {
    /// The steps, each in the middle of those that it stands for.
    #[serde(skip)]
    pub steps: Vec<u64>,
    /// The mean at each.
    pub mean: Vec<f64>,
    /// The smallest value at each; none where each is one step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<Vec<f64>>,
    /// The largest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<Vec<f64>>,
}

impl Default for Curve {
    fn default() -> Self {
        Self { buckets: Vec::new(), width: 1 }
    }
}

impl Curve {
    /// Adds the value of the next step. What is not finite, or hardly, has no place on a curve.
    pub(super) fn push(&mut self, step: u64, value: f64) {
        if value.is_nan() || value.abs() > LARGEST {
            return;
        }
        let next = Bucket::of(step, value);
        match self.buckets.last_mut() {
            Some(last) if last.count < self.width => *last = last.with(next),
            _ => self.buckets.push(next),
        }
        if self.buckets.len() > MOST_HELD {
            self.buckets = merged(&self.buckets, 2);
            self.width *= 2;
        }
    }

    /// The curve in at most `most` points: every value where there are no more of them, else pairs of a
    /// smallest and a largest, with the mean between.
    pub(super) fn thinned(&self, most: usize) -> Thinned {
        let is_exact = self.width == 1 && self.buckets.len() <= most;
        let buckets = match is_exact {
            true => self.buckets.clone(),
            false => merged(&self.buckets, self.buckets.len().div_ceil((most / 2).max(1))),
        };
        let all = |of: fn(&Bucket) -> f64| buckets.iter().map(|b| five_digits(of(b))).collect();
        Thinned {
            steps: buckets.iter().map(Bucket::middle).collect(),
            mean: all(Bucket::mean),
            low: (!is_exact).then(|| all(|bucket| bucket.low)),
            high: (!is_exact).then(|| all(|bucket| bucket.high)),
        }
    }
}

fn merged(buckets: &[Bucket], width: usize) -> Vec<Bucket> {
    let parts = buckets.chunks(width.max(1));
    parts.filter_map(|part| part.iter().copied().reduce(Bucket::with)).collect()
}

/// The number to five digits, which is more than can be seen.
pub(super) fn five_digits(value: f64) -> f64 {
    format!("{value:.4e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(steps: u64, value: impl Fn(u64) -> f64) -> Curve {
        let mut curve = Curve::default();
        (1..=steps).for_each(|step| curve.push(step, value(step)));
        curve
    }

    #[test]
    fn a_short_curve_is_drawn_as_it_is() {
        let drawn = curve(4, |step| step as f64 / 8.0).thinned(500);
        assert_eq!(drawn.steps, [1, 2, 3, 4]);
        assert_eq!(drawn.mean, [0.125, 0.25, 0.375, 0.5]);
        assert_eq!((drawn.low, drawn.high), (None, None));
    }

    #[test]
    fn a_long_curve_keeps_its_smallest_and_largest_values() {
        for steps in [1_000, 100_000] {
            let spiked = |step| match step {
                700 => 50.0,
                900 => -50.0,
                _ => (step % 10) as f64,
            };
            let drawn = curve(steps, spiked).thinned(500);
            let (low, high) = (drawn.low.unwrap(), drawn.high.unwrap());
            assert!(drawn.steps.len() <= 250 && low.len() == drawn.steps.len(), "{steps}");
            assert!(low.contains(&-50.0) && high.contains(&50.0), "{steps}");
            assert!(drawn.steps.is_sorted() && drawn.steps.iter().all(|step| *step <= steps));
        }
    }

    #[test]
    fn the_mean_of_a_thinned_curve_is_that_of_its_steps() {
        let drawn = curve(1_000, |step| step as f64).thinned(500);
        assert_eq!(drawn.steps[0], 2);
        assert_eq!(drawn.mean[0], 2.5);
        assert_eq!((drawn.low.unwrap()[0], drawn.high.unwrap()[0]), (1.0, 4.0));
    }

    #[test]
    fn numbers_without_end_leave_a_curve_that_can_be_drawn() {
        let mut curve = Curve::default();
        for (step, value) in
            [(u64::MAX, 1.0), (0, f64::MAX), (5, 1e300), (6, f64::NAN), (1, -1e300)]
        {
            curve.push(step, value);
        }
        let drawn = curve.thinned(2);
        assert_eq!((drawn.low.unwrap()[0], drawn.high.unwrap()[0]), (-1e300, 1e300));
        assert!(drawn.mean[0].is_finite());
        assert_eq!(Curve::default().thinned(500).steps, Vec::<u64>::new());
    }

    #[test]
    fn five_digits_stay_of_a_number() {
        let cases = [(0.123456789, 0.12346), (123_456.0, 123_460.0), (1e-9, 1e-9), (0.0, 0.0)];
        assert!(cases.iter().all(|(value, expected)| five_digits(*value) == *expected));
    }
}
