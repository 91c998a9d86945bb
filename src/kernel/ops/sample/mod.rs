//! Draws one token a row by inverting the cumulative distribution at a given uniform number.
//!
//! The noise comes from the caller, so what is drawn never depends on the order of rows or on a
//! generator hidden in a device. The reported log-probability is that of the temperature-scaled distribution
//! before top-k and top-p, which is the distribution that the trainer differentiates.

mod truncation;

use std::sync::Arc;

use burn::tensor::{Shape, Tensor};
use multiversion::multiversion;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::truncation::most_probable_set;
use super::logit_logprob::{SUM_BLOCK, block_sums, log_sum_exp};
use crate::kernel::check::{Case, N, Visitor, noise};
use crate::kernel::cpu::simd::{exp, largest};
use crate::kernel::op::Elements;
use crate::kernel::{Kernels, Op, float, primitive};

/// One token for each row of `logits [n, v]` and its log-probability, `[n, 2]`, from `uniforms` in
/// (0, 1). Ids stand among floats so that one readback brings both; they are exact below 16.7
/// million.
pub fn sample<B: Kernels>(
    logits: &Tensor<B, 2>,
    uniforms: &[f32],
    sampling: Sampling,
) -> Tensor<B, 2> {
    let op = Sample { uniforms: uniforms.into(), sampling };
    let [drawn] = B::run(op, [primitive(logits)]);
    float(drawn)
}

/// How completions are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sampling {
    /// Divides the logits; 0 takes the most probable token.
    pub temperature: f32,
    /// Keep only this many most probable tokens; 0 keeps all.
    pub top_k: usize,
    /// Keep the fewest most probable tokens whose probabilities reach this sum; 1 keeps all.
    pub top_p: f32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 1.0, top_k: 0, top_p: 1.0 }
    }
}

impl Sampling {
    /// The most probable token every time.
    pub fn greedy() -> Self {
        Self { temperature: 0.0, ..Self::default() }
    }

    /// Whether tokens are drawn from another distribution than the one whose log-probability is reported.
    pub fn truncates(&self) -> bool {
        self.top_k > 0 || self.top_p < 1.0
    }
}

/// Rows (token, log-probability) `[n, 2]` of logits `[n, v]`.
#[derive(Debug, Clone)]
pub struct Sample {
    /// A number in (0, 1) for each row.
    pub uniforms: Arc<[f32]>,
    /// How tokens are drawn.
    pub sampling: Sampling,
}

impl Op<1, 1> for Sample {
    const NAME: &'static str = "sample";

    fn shapes(&self, _: [&Shape; 1]) -> [Shape; 1] {
        [Shape::new([self.uniforms.len(), 2])]
    }

    fn cpu(&self, [logits]: [Elements; 1]) -> [Vec<f32>; 1] {
        let (tokens, logps) = forward(&logits, &self.uniforms, self.sampling);
        let rows = tokens.iter().zip(&logps).flat_map(|(token, logp)| [*token as f32, *logp]);
        [rows.collect()]
    }
}

/// The row of `sample` in the list of operations: greedy, drawn and truncated; uniforms that lie well
/// inside a token's share.
pub fn visit(visitor: &mut impl Visitor) {
    let values: Vec<f32> = noise([N, 301], 20).iter().map(|x| x * 4.0).collect();
    let logits = Elements::new(values, Shape::new([N, 301]));
    let uniforms: Arc<[f32]> = noise([N], 21).iter().map(|x| 0.5 + 0.49 * x).collect();
    let of = |top_k, top_p| Sampling { top_k, top_p, ..Sampling::default() };
    let all = [Sampling::greedy(), of(0, 1.0), of(20, 0.9), of(20, 1.0), of(0, 0.6), of(400, 1.0)];
    for sampling in all.into_iter().chain([Sampling { temperature: 0.7, ..of(30, 0.8) }]) {
        let op = Sample { uniforms: uniforms.clone(), sampling };
        let titles = &["sample: tokens", "sample: log-probabilities"];
        visitor.visit(Case::new("", op, [logits.clone()]).in_columns(titles));
    }
    // Logits of nine values: of most of those that equal the least that is kept, only some are kept.
    let steps: Vec<f32> = noise([N, 301], 22).iter().map(|x| (x * 4.0).round()).collect();
    let steps = Elements::new(steps, Shape::new([N, 301]));
    for sampling in [of(40, 1.0), of(0, 0.3), of(60, 0.7)] {
        let op = Sample { uniforms: uniforms.clone(), sampling };
        let titles = &["sample of ties: tokens", "sample of ties: log-probabilities"];
        visitor.visit(Case::new("", op, [steps.clone()]).in_columns(titles));
    }
}

/// Token and log-probability of every row of `logits [n, v]`, from `uniforms [n]` in (0, 1).
fn forward(logits: &[f32], uniforms: &[f32], sampling: Sampling) -> (Vec<u32>, Vec<f32>) {
    // Fewer logits are drawn from before a second thread has woken.
    const LOGITS_OF_JOB: usize = 8 * 1024;
    let v = (logits.len() / uniforms.len().max(1)).max(1);
    logits
        .par_chunks_exact(v)
        .zip(uniforms)
        .with_min_len(LOGITS_OF_JOB.div_ceil(v))
        .map(|(row, uniform)| draw(row, *uniform, sampling))
        .unzip()
}

fn draw(logits: &[f32], uniform: f32, sampling: Sampling) -> (u32, f32) {
    if sampling.temperature == 0.0 {
        let token = most_probable(logits);
        return (token as u32, log_sum_exp(logits, 1.0).logp(logits[token]));
    }
    let row = Row::new(logits, 1.0 / sampling.temperature);
    let token = match sampling.truncates() {
        true => row.token_among(most_probable_set(&row, sampling), uniform),
        false => row.token_at(uniform),
    };
    (token as u32, row.logp(token))
}

/// A row of logits with the sums of its exponentials, block after block. Running sums are of f64, so that
/// the smallest probability counts beside the largest.
struct Row<'a> {
    logits: &'a [f32],
    inverse: f32,
    max: f32,
    /// `Σ e^(z − max)` of every block of [`SUM_BLOCK`] logits.
    masses: Vec<f64>,
    total: f64,
}

impl<'a> Row<'a> {
    fn new(logits: &'a [f32], inverse: f32) -> Self {
        let (max, masses) = masses(logits, inverse);
        let total = masses.iter().sum();
        Self { logits, inverse, max, masses, total }
    }

    fn mass(&self, token: usize) -> f64 {
        f64::from(exp(self.logits[token] * self.inverse - self.max))
    }

    fn logp(&self, token: usize) -> f32 {
        (self.logits[token] * self.inverse - self.max) - self.total.ln() as f32
    }

    /// The token at this share of all probability.
    fn token_at(&self, uniform: f32) -> usize {
        let target = f64::from(uniform) * self.total;
        let block = place_of(target, self.masses.iter().copied());
        let Some((block, rest)) = block else { return most_probable(self.logits) };
        let first = block * SUM_BLOCK;
        let tokens = first..(first + SUM_BLOCK).min(self.logits.len());
        // The block's mass was added up in f32; its share is taken of the same sum in f64.
        let exact: f64 = tokens.clone().map(|token| self.mass(token)).sum();
        let target = rest / self.masses[block] * exact;
        let place = place_of(target, tokens.map(|token| self.mass(token)));
        place.map_or_else(|| most_probable(self.logits), |(place, _)| first + place)
    }

    /// The same among some of the tokens.
    fn token_among(&self, mut tokens: Vec<usize>, uniform: f32) -> usize {
        // In the order of their ids, which a GPU has without sorting them.
        tokens.sort_unstable();
        let total: f64 = tokens.iter().map(|token| self.mass(*token)).sum();
        let masses = tokens.iter().map(|token| self.mass(*token));
        let place = place_of(f64::from(uniform) * total, masses);
        place.map_or_else(|| most_probable(self.logits), |(place, _)| tokens[place])
    }
}

/// The largest z of a row and the sums of its blocks.
#[multiversion(targets = "simd")]
fn masses(logits: &[f32], inverse: f32) -> (f32, Vec<f64>) {
    let max = largest(logits) * inverse;
    let blocks = logits.chunks(SUM_BLOCK);
    (max, blocks.map(|block| block_sums(block, inverse, max)[0]).collect())
}

/// Which of the masses, laid one after another, holds `target`, and how far inside; none where they end
/// before it, which only rounding can do: the caller then takes the most probable token, whose probability
/// that changes least.
fn place_of(target: f64, masses: impl Iterator<Item = f64>) -> Option<(usize, f64)> {
    let mut before = 0.0;
    for (place, mass) in masses.enumerate() {
        if before + mass > target {
            return Some((place, target - before));
        }
        before += mass;
    }
    None
}

/// The first of the largest logits.
#[multiversion(targets = "simd")]
fn most_probable(logits: &[f32]) -> usize {
    // Whole chunks are looked through without a branch, so that the compiler takes several at once.
    const CHUNK: usize = 64;
    let max = largest(logits);
    let holds = |chunk: &[f32]| chunk.iter().fold(false, |found, logit| found | (*logit == max));
    let first = logits.chunks(CHUNK).position(holds).unwrap_or(0) * CHUNK;
    first + logits[first..].iter().position(|logit| *logit == max).unwrap_or(0)
}

#[cfg(test)]
pub(in crate::kernel) mod tests {
    use super::*;

    // Probabilities 0.5, 0.3, 0.15, 0.05 in a shuffled order.
    fn logits() -> Vec<f32> {
        [0.15_f32, 0.5, 0.05, 0.3].iter().map(|p| p.ln()).collect()
    }

    fn shares(sampling: Sampling) -> Vec<f32> {
        let n = 2000;
        let rows: Vec<f32> = (0..n).flat_map(|_| logits()).collect();
        let uniforms: Vec<f32> = (0..n).map(|i| (i as f32 + 0.5) / n as f32).collect();
        let (tokens, _) = forward(&rows, &uniforms, sampling);
        let share = |t| tokens.iter().filter(|x| **x == t).count() as f32 / n as f32;
        (0..4).map(share).collect()
    }

    #[test]
    fn tokens_are_drawn_with_their_probabilities() {
        for (share, p) in shares(Sampling::default()).iter().zip([0.15, 0.5, 0.05, 0.3]) {
            assert!((share - p).abs() < 2e-3, "{share} against {p}");
        }
    }

    #[test]
    fn top_k_and_top_p_keep_the_most_probable_and_renormalise() {
        let top_k = Sampling { top_k: 2, ..Sampling::default() };
        let top_p = Sampling { top_p: 0.7, ..Sampling::default() };
        for sampling in [top_k, top_p] {
            for (share, p) in shares(sampling).iter().zip([0.0, 0.625, 0.0, 0.375]) {
                assert!((share - p).abs() < 2e-3, "{sampling:?}: {share} against {p}");
            }
        }
    }

    #[test]
    fn temperature_zero_takes_the_first_of_the_largest() {
        assert_eq!(forward(&[1.0, 3.0, 3.0], &[0.9], Sampling::greedy()).0, [1]);
    }

    #[test]
    fn the_most_probable_token_is_the_first_of_the_largest_wherever_it_stands() {
        for length in [1, 15, 63, 64, 65, 200] {
            for at in [0, length / 2, length - 1] {
                let mut logits = vec![-1.0; length];
                logits[at] = 2.0;
                logits[length - 1] = 2.0;
                assert_eq!(most_probable(&logits), at, "{length}");
            }
        }
        assert_eq!(most_probable(&[f32::NAN; 70]), 0);
    }

    #[test]
    fn the_log_probability_is_that_of_the_scaled_distribution_before_truncation() {
        let sampling = Sampling { temperature: 0.5, top_k: 1, top_p: 1.0 };
        let (tokens, logps) = forward(&logits(), &[0.2], sampling);
        let exact = (0.25_f32 / (0.25 + 0.09 + 0.0225 + 0.0025)).ln();
        assert_eq!(tokens, [1]);
        assert!((logps[0] - exact).abs() < 1e-5);
    }

    /// Logits of a vocabulary of which one token has a probability of 0.9, the others are log-normal and
    /// the last has 1.7e-13, and the exact share of all probability before each token.
    pub struct Tail {
        pub logits: Vec<f32>,
        before: Vec<f64>,
    }

    impl Tail {
        pub fn new(v: usize) -> Self {
            let mut stream = crate::random::Stream::new(11, 5);
            let tail: Vec<f64> = (1..v).map(|_| (2.0 * f64::from(stream.normal())).exp()).collect();
            let sum: f64 = tail.iter().sum();
            let mut probabilities: Vec<f64> = tail.iter().map(|p| 0.1 * p / sum).collect();
            probabilities.insert(v / 3, 0.9);
            probabilities[v - 1] = 1.7e-13;
            let logits: Vec<f32> = probabilities.iter().map(|p| (p.ln() + 17.0) as f32).collect();
            let masses: Vec<f64> = logits.iter().map(|z| (f64::from(*z) - 17.0).exp()).collect();
            let total: f64 = masses.iter().sum();
            let mut sum = 0.0;
            let before = std::iter::once(0.0).chain(masses.iter().map(|mass| {
                sum += mass / total;
                sum
            }));
            Self { before: before.collect(), logits }
        }

        /// Asserts that the uniform number lies in the share of the token that it drew.
        pub fn assert_drawn(&self, uniform: f32, token: usize, allowed: f64) {
            let (u, share) = (f64::from(uniform), &self.before[token..=token + 1]);
            let inside = share[0] - allowed <= u && u <= share[1] + allowed;
            assert!(inside, "{u} drew token {token}, whose share is {share:?}");
            assert!(token + 1 < self.logits.len(), "{u} drew the last token, of 1.7e-13");
        }
    }

    #[test]
    fn a_tail_beside_a_peak_is_drawn_with_its_probability_and_the_last_token_gets_no_more() {
        let tail = Tail::new(151_936);
        let row = Row::new(&tail.logits, 1.0);
        for i in 0..16_000 {
            let uniform = (i as f32 + 0.5) / 16_000.0;
            tail.assert_drawn(uniform, row.token_at(uniform), 2e-7);
        }
    }
}
