//! What a few samples of some problems say of groups of other sizes.

/// The mean probability that all rewards of a group of `size` are equal, from how often each of the possible rewards
/// came for each problem. None of no problem.
///
/// Up to as many as were sampled it is the share of the subsets that are equal, which is unbiased:
///
/// ```text
/// Σ_level C(c_level, size) / C(n, size)
/// ```
///
/// Beyond that it is the expectation under a Dirichlet posterior, whose prior counts one sample, shared by all
/// levels: a reward that was not seen in n samples may still come.
pub(super) fn without_signal(problems: &[Vec<usize>], size: usize) -> Option<f64> {
    let of_problem = |counts: &Vec<usize>| {
        let n: usize = counts.iter().sum();
        let of_level = |count: usize| match size <= n {
            true => all_of(count, n, size),
            false => all_by_posterior(count as f64, n as f64, counts.len() as f64, size),
        };
        counts.iter().map(|count| of_level(*count)).sum::<f64>()
    };
    let sum: f64 = problems.iter().map(of_problem).sum();
    (!problems.is_empty()).then(|| sum / problems.len() as f64)
}

/// `C(c, k) / C(n, k)`: how likely k of n are all among c of them.
fn all_of(c: usize, n: usize, k: usize) -> f64 {
    if c < k {
        return 0.0;
    }
    (0..k).map(|i| (c - i) as f64 / (n - i) as f64).product()
}

/// `E[p^k]` of a level that came c times of n, with a prior of `1 / levels`.
fn all_by_posterior(c: f64, n: f64, levels: f64, k: usize) -> f64 {
    (0..k).map(|i| (c + 1.0 / levels + i as f64) / (n + 1.0 + i as f64)).product()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, expected: f64) {
        assert!((got - expected).abs() < 1e-12, "{got} {expected}");
    }

    #[test]
    fn groups_no_larger_than_the_sample_are_its_subsets() {
        // 3 right of 8: of the 28 pairs 3 are both right and 10 both wrong; of the 70 fours 5 are all wrong.
        let counts = [vec![5, 3]];
        close(without_signal(&counts, 2).unwrap(), 13.0 / 28.0);
        close(without_signal(&counts, 4).unwrap(), 5.0 / 70.0);
        close(without_signal(&[vec![8, 0], vec![4, 4]], 8).unwrap(), 0.5);
        assert_eq!(without_signal(&[], 2), None);
    }

    #[test]
    fn a_reward_that_was_not_seen_may_come_in_a_larger_group() {
        // The moments of Beta and Dirichlet posteriors, by the gamma function of Python's `math`.
        close(without_signal(&[vec![4, 0]], 8).unwrap(), 0.589_855_957_031_25);
        close(without_signal(&[vec![4, 0]], 64).unwrap(), 0.249_755_093_876_308_98);
        close(without_signal(&[vec![4, 0, 0]], 8).unwrap(), 0.490_243_695_913_664_7);
    }
}
