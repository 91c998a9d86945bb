//! Which tokens top-k and top-p leave.

use super::{Row, Sampling};

/// Tokens that top-k and top-p leave, most probable first; ties in the order of their ids.
pub(super) fn most_probable_set(row: &Row, sampling: Sampling) -> Vec<usize> {
    let mut tokens = Descending::new(row.logits);
    let count = match sampling.top_k {
        0 => row.logits.len(),
        k => k.min(row.logits.len()),
    };
    if sampling.top_p >= 1.0 {
        return tokens.first(count).to_vec();
    }
    let total: f64 = match count < row.logits.len() {
        true => tokens.first(count).iter().map(|token| row.mass(*token)).sum(),
        false => (0..count).map(|token| row.mass(token)).sum(),
    };
    let mut sum = 0.0;
    let enough = (0..count).find(|place| {
        sum += row.mass(tokens.at(*place));
        sum >= f64::from(sampling.top_p) * total
    });
    tokens.first(enough.map_or(count, |last| last + 1)).to_vec()
}

/// Tokens from the most probable down, sorted no further than somebody has looked: a few of them usually
/// hold most of the probability of a large vocabulary.
struct Descending<'a> {
    logits: &'a [f32],
    /// All tokens; the first `sorted` are in their places.
    tokens: Vec<usize>,
    sorted: usize,
}

impl<'a> Descending<'a> {
    fn new(logits: &'a [f32]) -> Self {
        Self { logits, tokens: (0..logits.len()).collect(), sorted: 0 }
    }

    fn first(&mut self, count: usize) -> &[usize] {
        if count > self.sorted {
            self.sort_to(count);
        }
        &self.tokens[..count]
    }

    fn at(&mut self, place: usize) -> usize {
        if place >= self.sorted {
            // Each selection walks over all that is left, so the next one takes many more.
            self.sort_to((8 * self.sorted).max(64).min(self.tokens.len()));
        }
        self.tokens[place]
    }

    fn sort_to(&mut self, count: usize) {
        let logits = self.logits;
        let larger = |a: &usize, b: &usize| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b));
        let (rest, more) = (&mut self.tokens[self.sorted..], count - self.sorted);
        if more < rest.len() {
            rest.select_nth_unstable_by(more - 1, larger);
        }
        rest[..more].sort_unstable_by(larger);
        self.sorted = count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Probabilities 2^-1, 2^-2, … of the tokens from the last on; their sums are exact.
    fn halves(v: usize) -> Vec<f32> {
        (0..v).map(|token| -std::f32::consts::LN_2 * (v - token) as f32).collect()
    }

    #[test]
    fn top_p_keeps_the_fewest_tokens_that_reach_it_and_sorts_little_beyond_them() {
        let v = 50_000;
        let logits = halves(v);
        let row = Row::new(&logits, 1.0);
        for first in [1, 5, 12] {
            // A little less than 1 − 2^-first, which rounding could leave just out of reach.
            let top_p = 1.0 - 0.5_f32.powi(first) - 1e-5;
            let sampling = Sampling { top_p, ..Sampling::default() };
            let first = first as usize;
            let expected: Vec<usize> = (v - first..v).rev().collect();
            assert_eq!(most_probable_set(&row, sampling), expected);
        }
        let mut tokens = Descending::new(&logits);
        assert_eq!((tokens.at(0), tokens.sorted), (v - 1, 64));
    }

    #[test]
    fn tokens_in_descending_order_are_those_of_a_whole_sort_with_ties_in_order() {
        let logits: Vec<f32> = (0..3000).map(|i| (i * 7919 % 601) as f32 / 8.0).collect();
        let mut expected: Vec<usize> = (0..3000).collect();
        // A stable sort leaves ties in the order of their ids.
        expected.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
        let mut tokens = Descending::new(&logits);
        let walked: Vec<usize> = (0..3000).map(|place| tokens.at(place)).collect();
        assert_eq!(walked, expected);
        for count in [0, 1, 40, 2999, 3000] {
            assert_eq!(Descending::new(&logits).first(count), &expected[..count]);
        }
    }

    #[test]
    fn top_p_of_a_flat_distribution_keeps_its_share_of_the_tokens() {
        let sampling = Sampling { top_p: 0.75, ..Sampling::default() };
        let row = [0.5; 4096];
        let kept = most_probable_set(&Row::new(&row, 1.0), sampling);
        assert_eq!(kept, (0..3072).collect::<Vec<_>>());
        let sampling = Sampling { top_k: 1000, ..sampling };
        assert_eq!(most_probable_set(&Row::new(&row, 1.0), sampling).len(), 750);
    }
}
