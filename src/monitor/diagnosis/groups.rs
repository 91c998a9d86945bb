//! What the share of groups without signal would be for groups of another size.

/// Success rates of problems as a beta distribution, of which the mean is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Odds {
    /// Its two parameters.
    right: f64,
    wrong: f64,
}

/// The widest and the narrowest distribution that are looked at, by the sum of the parameters.
const SPREADS: [f64; 2] = [1e-3, 1e4];

impl Odds {
    /// The distribution with the mean `accuracy` under which a `share` of groups of `size` has equal rewards, right
    /// and wrong being the only two; none where none or all are right.
    ///
    /// ```text
    /// E[q^k + (1 − q)^k] = Π_{i<k} (a + i)/(a + b + i) + Π_{i<k} (b + i)/(a + b + i),    q ~ Beta(a, b)
    /// ```
    pub(super) fn of(accuracy: f64, size: usize, share: f64) -> Option<Self> {
        let is_between = |x: f64| x > 0.0 && x < 1.0;
        if !is_between(accuracy) || !is_between(share) {
            return None;
        }
        let at = |sum: f64| Self { right: accuracy * sum, wrong: (1.0 - accuracy) * sum };
        let [mut low, mut high] = SPREADS.map(f64::ln);
        // The share falls with the sum: equal problems have mixed groups.
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            match at(middle.exp()).without_signal(size) > share {
                true => low = middle,
                false => high = middle,
            }
        }
        Some(at(high.exp()))
    }

    /// The share of groups of `size` whose completions are all right or all wrong.
    pub(super) fn without_signal(&self, size: usize) -> f64 {
        let all = self.right + self.wrong;
        let of =
            |part: f64| (0..size).map(|i| (part + i as f64) / (all + i as f64)).product::<f64>();
        of(self.right) + of(self.wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, expected: f64) {
        assert!((got - expected).abs() < 1e-3, "{got} {expected}");
    }

    #[test]
    fn of_equal_problems_it_is_the_binomial_distribution() {
        // 0.9^4 + 0.1^4 = 0.6562 and 0.9^8 + 0.1^8 = 0.4305.
        let odds = Odds::of(0.1, 4, 0.6562).unwrap();
        close(odds.without_signal(4), 0.6562);
        close(odds.without_signal(8), 0.4305);
    }

    #[test]
    fn of_uniform_success_rates_it_is_two_over_one_more_than_the_size() {
        let odds = Odds::of(0.5, 2, 2.0 / 3.0).unwrap();
        close(odds.without_signal(4), 0.4);
        close(odds.without_signal(16), 2.0 / 17.0);
    }

    #[test]
    fn problems_that_are_always_right_or_always_wrong_stay_so() {
        let odds = Odds::of(0.5, 8, 0.98).unwrap();
        assert!(odds.without_signal(16) > 0.97);
    }

    #[test]
    fn a_share_that_cannot_be_gives_what_comes_next() {
        // Rewards of more than two values are equal less often than right and wrong.
        close(Odds::of(0.5, 2, 0.1).unwrap().without_signal(2), 0.5);
        assert!(Odds::of(0.0, 4, 0.9).is_none() && Odds::of(f64::NAN, 4, 0.9).is_none());
    }
}
