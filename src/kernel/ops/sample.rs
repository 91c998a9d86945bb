//! Draws one token a row by inverting the cumulative distribution at a given uniform number.
//!
//! The noise comes from the caller, so what is drawn never depends on the order of rows or on a
//! generator hidden in a device. The reported log-probability is that of the temperature-scaled distribution
//! before top-k and top-p, which is the distribution that the trainer differentiates.

use std::sync::Arc;

use burn::tensor::{Shape, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::logit_logprob::log_sum_exp;
use crate::kernel::check::{Case, N, Visitor, noise};
use crate::kernel::cpu::simd::exp;
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
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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
    let truncated = Sampling { top_k: 20, top_p: 0.9, ..Sampling::default() };
    for sampling in [Sampling::greedy(), Sampling::default(), truncated] {
        let op = Sample { uniforms: uniforms.clone(), sampling };
        let titles = &["sample: tokens", "sample: log-probabilities"];
        visitor.visit(Case::new("", op, [logits.clone()]).in_columns(titles));
    }
}

/// Token and log-probability of every row of `logits [n, v]`, from `uniforms [n]` in (0, 1).
fn forward(logits: &[f32], uniforms: &[f32], sampling: Sampling) -> (Vec<u32>, Vec<f32>) {
    let v = logits.len() / uniforms.len().max(1);
    logits
        .par_chunks_exact(v.max(1))
        .zip(uniforms)
        .with_min_len(16)
        .map(|(row, uniform)| draw(row, *uniform, sampling))
        .unzip()
}

fn draw(logits: &[f32], uniform: f32, sampling: Sampling) -> (u32, f32) {
    if sampling.temperature == 0.0 {
        let token = most_probable(logits);
        return (token as u32, logits[token] - log_sum_exp(logits, 1.0).0);
    }
    let inverse = 1.0 / sampling.temperature;
    let (lse, _) = log_sum_exp(logits, inverse);
    let probability = |token: usize| exp(logits[token] * inverse - lse);
    let token = if sampling.truncates() {
        let kept = most_probable_set(logits, sampling, probability);
        invert(&kept, uniform, probability)
    } else {
        invert_all(logits.len(), uniform, probability)
    };
    (token as u32, logits[token] * inverse - lse)
}

/// The first of the largest logits.
fn most_probable(logits: &[f32]) -> usize {
    (0..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best })
}

/// Tokens that top-k and top-p leave, most probable first; ties in the order of their ids.
fn most_probable_set(
    logits: &[f32],
    sampling: Sampling,
    probability: impl Fn(usize) -> f32,
) -> Vec<usize> {
    let mut tokens: Vec<usize> = (0..logits.len()).collect();
    let larger = |a: &usize, b: &usize| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b));
    if (1..tokens.len()).contains(&sampling.top_k) {
        tokens.select_nth_unstable_by(sampling.top_k - 1, larger);
        tokens.truncate(sampling.top_k);
    }
    tokens.sort_unstable_by(larger);
    if sampling.top_p < 1.0 {
        let total: f32 = tokens.iter().map(|t| probability(*t)).sum();
        let mut sum = 0.0;
        let enough = tokens.iter().position(|t| {
            sum += probability(*t);
            sum >= sampling.top_p * total
        });
        tokens.truncate(enough.map_or(tokens.len(), |last| last + 1));
    }
    tokens
}

fn invert_all(len: usize, uniform: f32, probability: impl Fn(usize) -> f32) -> usize {
    let mut sum = 0.0;
    let found = (0..len).find(|t| {
        sum += probability(*t);
        sum > uniform
    });
    // Rounding can leave the sum a little below 1: then the last token that has any probability.
    found.or_else(|| (0..len).rev().find(|t| probability(*t) > 0.0)).unwrap_or(0)
}

fn invert(tokens: &[usize], uniform: f32, probability: impl Fn(usize) -> f32) -> usize {
    let total: f32 = tokens.iter().map(|t| probability(*t)).sum();
    tokens[invert_all(tokens.len(), uniform, |i| probability(tokens[i]) / total)]
}

#[cfg(test)]
mod tests {
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
    fn the_log_probability_is_that_of_the_scaled_distribution_before_truncation() {
        let sampling = Sampling { temperature: 0.5, top_k: 1, top_p: 1.0 };
        let (tokens, logps) = forward(&logits(), &[0.2], sampling);
        let exact = (0.25_f32 / (0.25 + 0.09 + 0.0225 + 0.0025)).ln();
        assert_eq!(tokens, [1]);
        assert!((logps[0] - exact).abs() < 1e-5);
    }
}
