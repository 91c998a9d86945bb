//! Log-probability of given tokens and entropy of the whole distribution, from logits.
//!
//! ```text
//! z = logits / T      logp = z[token] − lse(z)      entropy = lse(z) − Σ_v softmax(z)_v · z_v
//! ```

use std::sync::Arc;

use burn::tensor::ops::FloatTensor;
use burn::tensor::{Shape, Tensor};
use multiversion::multiversion;
use rayon::prelude::*;

use crate::kernel::check::{Case, N, Visitor, noise, tokens};
use crate::kernel::cpu::dots::sum_of_lanes;
use crate::kernel::cpu::simd::{exp, largest};
use crate::kernel::op::{Elements, Keeps, Saved};
use crate::kernel::{Kernels, Op, float, primitive};

/// Log-probability of `tokens [n]` and entropy of their distributions: two tensors `[n]`, in nats, from
/// logits `[n, v]` divided by `temperature`; no `[n, v]` log-softmax is ever stored.
pub fn logit_logprob<B: Kernels>(
    logits: &Tensor<B, 2>,
    tokens: &[u32],
    temperature: f32,
) -> [Tensor<B, 1>; 2] {
    let op = LogitLogprob { tokens: tokens.into(), temperature };
    let [out, _] = B::run(op, [primitive(logits)]);
    columns(out)
}

/// The two columns of a tensor `[n, 2]`.
pub(super) fn columns<B: Kernels>(out: FloatTensor<B>) -> [Tensor<B, 1>; 2] {
    let out: Tensor<B, 2> = float(out);
    [0, 1].map(|column| out.clone().narrow(1, column, 1).squeeze_dim(1))
}

/// Rows of (log-probability, entropy) `[n, 2]` and log-sum-exps `[n]` of logits `[n, v]`.
#[derive(Debug, Clone)]
pub struct LogitLogprob {
    /// Chosen token of each row `[n]`.
    pub tokens: Arc<[u32]>,
    /// Sampling temperature that divides the logits.
    pub temperature: f32,
}

impl Op<1, 2> for LogitLogprob {
    const NAME: &'static str = "logit_logprob";

    fn shapes(&self, _: [&Shape; 1]) -> [Shape; 2] {
        [Shape::new([self.tokens.len(), 2]), Shape::new([self.tokens.len()])]
    }

    fn cpu(&self, [logits]: [Elements; 1]) -> [Vec<f32>; 2] {
        of_logits(&logits, &self.tokens, self.temperature)
    }

    fn keeps(_: [bool; 1]) -> Option<Keeps<1>> {
        Some(Keeps::EVERYTHING)
    }

    fn gradients<B: Kernels>(
        &self,
        saved: Saved<FloatTensor<B>, 1, 2>,
        dout: FloatTensor<B>,
        _: [bool; 1],
    ) -> [Option<FloatTensor<B>>; 1] {
        let ([logits], [out, lse]) = (saved.inputs(), saved.outputs());
        // What the backward pass holds is given up, so that the gradient can take its place.
        drop(saved);
        let (tokens, temperature) = (self.tokens.clone(), self.temperature);
        let op = LogitLogprobBackward { tokens, temperature, first: 0 };
        B::run(op, [logits, out, lse, dout]).map(Some)
    }
}

/// The gradient of logits `[n, v]`, which may be a part of a row's, from them, what the forward pass gave of whole rows,
/// and the gradient of those `[n, 2]`.
///
/// ```text
/// dz_v = (dlogp·(1[v = token] − p_v) − dentropy·p_v·(log p_v + entropy)) / T
/// ```
#[derive(Debug, Clone)]
pub struct LogitLogprobBackward {
    /// As in the forward pass.
    pub tokens: Arc<[u32]>,
    /// As in the forward pass.
    pub temperature: f32,
    /// The token of the first column.
    pub first: usize,
}

impl Op<4, 1> for LogitLogprobBackward {
    const NAME: &'static str = "logit_logprob_backward";
    const IN_PLACE: usize = 1;

    fn shapes(&self, [logits, ..]: [&Shape; 4]) -> [Shape; 1] {
        [logits.clone()]
    }

    fn cpu(&self, [logits, out, lse, dout]: [Elements; 4]) -> [Vec<f32>; 1] {
        let mut dlogits = logits.into_vec();
        let rows = Rows { out: &out, lse: &lse, dout: &dout };
        let count = dlogits.len() / self.tokens.len().max(1);
        let part = Part { tokens: &self.tokens, first: self.first, count };
        turn_into_gradients(&mut dlogits, part, self.temperature, rows);
        [dlogits]
    }
}

/// The row of `logit_logprob` in the list of operations.
pub fn visit(visitor: &mut impl Visitor) {
    let op = LogitLogprob { tokens: tokens(301), temperature: 0.7 };
    visitor.visit(Case::new("logit_logprob", op.clone(), [noise([N, 301], 19)]));
    // Columns 100 to 199 of the same rows.
    let logits = noise([N, 301], 19);
    let [out, lse] = op.cpu([logits.clone()]);
    let columns: Vec<f32> =
        logits.chunks_exact(301).flat_map(|row| row[100..200].to_vec()).collect();
    let LogitLogprob { tokens, temperature } = op;
    let op = LogitLogprobBackward { tokens, temperature, first: 100 };
    let inputs = [
        Elements::new(columns, Shape::new([N, 100])),
        Elements::new(out, Shape::new([N, 2])),
        Elements::new(lse, Shape::new([N])),
        noise([N, 2], 54),
    ];
    visitor.visit(Case::new("logit_logprob_backward: some columns", op, inputs));
}

/// The CPU reference of `shaders/logit_logprob.wgsl`.
pub(super) fn of_logits(logits: &[f32], tokens: &[u32], temperature: f32) -> [Vec<f32>; 2] {
    let (v, inverse) = (logits.len() / tokens.len().max(1), 1.0 / temperature);
    let (mut out, mut lse) = (vec![0.0; tokens.len() * 2], vec![0.0; tokens.len()]);
    out.par_chunks_exact_mut(2)
        .zip(&mut lse)
        .zip(logits.par_chunks_exact(v.max(1)).zip(tokens))
        .for_each(|((out, lse), (logits, token))| {
            let found = log_sum_exp(logits, inverse);
            *lse = found.max + found.log_sum;
            out[0] = found.logp(logits[*token as usize] * inverse);
            out[1] = found.log_sum - found.mean;
        });
    [out, lse]
}

/// What the forward pass gave and the gradient of its output.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    /// Log-probabilities and entropies `[n, 2]`.
    pub out: &'a [f32],
    /// Log-sum-exps `[n]`.
    pub lse: &'a [f32],
    /// Gradient of `out`.
    pub dout: &'a [f32],
}

/// The part of the vocabulary that logits are of, and the chosen token of each row.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    /// Chosen tokens `[n]`.
    pub tokens: &'a [u32],
    /// The part's first token.
    pub first: usize,
    /// Its number of tokens.
    pub count: usize,
}

/// Puts the gradients of logits `[n, count]` in their place: the CPU reference of
/// `shaders/logit_logprob_backward.wgsl`.
pub(super) fn turn_into_gradients(logits: &mut [f32], part: Part, temperature: f32, given: Rows) {
    let inverse = 1.0 / temperature;
    logits.par_chunks_exact_mut(part.count.max(1)).enumerate().for_each(|(row, z)| {
        let [dlogp, dentropy] = [0, 1].map(|i| given.dout[row * 2 + i] * inverse);
        logit_gradients(z, inverse, given.lse[row], given.out[row * 2 + 1], dlogp, dentropy);
        let place = (part.tokens[row] as usize).checked_sub(part.first);
        if let Some(z) = place.and_then(|place| z.get_mut(place)) {
            *z += dlogp;
        }
    });
}

/// What a row's softmax divides by, `Σ e^(z − max)` with `z = logits · inverse`, and what it is relative to.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogSumExp {
    /// The largest z.
    pub max: f32,
    /// `ln Σ e^(z − max)`.
    pub log_sum: f32,
    /// Mean of `z − max` under the softmax.
    pub mean: f32,
}

impl LogSumExp {
    /// The log-probability of a token, from its logit · inverse.
    ///
    /// Near the largest z the difference is exact, and a probability near 1 keeps its digits.
    pub fn logp(&self, z: f32) -> f32 {
        (z - self.max) - self.log_sum
    }
}

/// Exponentials that are added in f32 before their sum goes into one of f64. Beside a probability near 1 a
/// running sum in f32 would lose every smaller one.
pub(super) const SUM_BLOCK: usize = 256;

/// The log-sum-exp of a row, with the mean that its entropy needs.
#[multiversion(targets = "simd")]
pub(super) fn log_sum_exp(logits: &[f32], inverse: f32) -> LogSumExp {
    let max = largest(logits) * inverse;
    let (mut sum, mut mean) = (0.0, 0.0);
    for block in logits.chunks(SUM_BLOCK) {
        let [block_sum, block_mean] = block_sums(block, inverse, max);
        sum += block_sum;
        mean += block_mean;
    }
    LogSumExp { max, log_sum: f64::ln(sum) as f32, mean: (mean / sum) as f32 }
}

/// `Σ e^(z − max)` and `Σ e^(z − max)·(z − max)` over at most [`SUM_BLOCK`] logits.
#[inline(always)]
pub(super) fn block_sums(block: &[f32], inverse: f32, max: f32) -> [f64; 2] {
    let (mut sums, mut means) = ([0.0_f32; 16], [0.0_f32; 16]);
    let (chunks, tail) = block.as_chunks::<16>();
    for chunk in chunks {
        for lane in 0..16 {
            let z = chunk[lane] * inverse - max;
            let e = exp(z);
            sums[lane] += e;
            means[lane] += e * z;
        }
    }
    for (lane, logit) in tail.iter().enumerate() {
        let z = logit * inverse - max;
        let e = exp(z);
        sums[lane] += e;
        means[lane] += e * z;
    }
    [sums, means].map(|lanes| sum_of_lanes(lanes.map(f64::from)))
}

#[multiversion(targets = "simd")]
fn logit_gradients(z: &mut [f32], inverse: f32, lse: f32, entropy: f32, dlogp: f32, dentropy: f32) {
    for z in z.iter_mut() {
        let logp = *z * inverse - lse;
        *z = -exp(logp) * (dlogp + dentropy * (logp + entropy));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    /// A row with one logit above the others by `lead`, the others uniform over six units.
    fn row(v: usize, lead: f32) -> Vec<f32> {
        let mut stream = Stream::new(3, v as u32);
        let mut uniform = || (stream.next_u32() >> 8) as f32 / (1u32 << 24) as f32;
        let mut logits: Vec<f32> = (0..v).map(|_| 6.0 * uniform() - 3.0).collect();
        logits[v / 2] = 3.0 + lead;
        logits
    }

    /// Log-probability of `token` and entropy, by f64.
    fn exact(logits: &[f32], inverse: f32, token: usize) -> [f64; 2] {
        let z: Vec<f64> = logits.iter().map(|z| f64::from(*z) * f64::from(inverse)).collect();
        let max = z.iter().fold(f64::MIN, |a, b| a.max(*b));
        let lse = max + z.iter().map(|z| (z - max).exp()).sum::<f64>().ln();
        [z[token] - lse, -z.iter().map(|z| (z - lse).exp() * (z - lse)).sum::<f64>()]
    }

    #[test]
    fn log_probabilities_and_entropies_are_those_of_f64_for_every_vocabulary() {
        for v in [2, 17, 1_000, 50_257, 151_936, 262_144] {
            // From all tokens alike to a probability of nearly 1: the tail beside it must not be lost.
            for lead in [0.0, 3.0, 9.0, 14.0, 17.0] {
                let (logits, inverse) = (row(v, lead), 1.0);
                for token in [v / 2, 0, v - 1] {
                    let [out, _] = of_logits(&logits, &[token as u32], 1.0 / inverse);
                    let [logp, entropy] = exact(&logits, inverse, token);
                    let error = (f64::from(out[0]) - logp).abs();
                    // A difference of logits of about 20 is itself rounded by 1e-6.
                    let allowed = if token == v / 2 { 4e-7 } else { 2e-6 };
                    let allowed = allowed + 1e-7 * logp.abs();
                    assert!(
                        error <= allowed,
                        "v {v}, lead {lead}, token {token}: {error:e} of {logp}"
                    );
                    let error = (f64::from(out[1]) - entropy).abs();
                    assert!(
                        error <= 1e-6 + 1e-6 * entropy,
                        "v {v}, lead {lead}: entropy {error:e}"
                    );
                }
            }
        }
    }
}
