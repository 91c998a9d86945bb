//! Log-probability of given tokens and entropy of the whole distribution, from logits.
//!
//! ```text
//! z = logits / T      logp = z[token] − lse(z)      entropy = lse(z) − Σ_v softmax(z)_v · z_v
//! ```

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::ops::FloatTensor;
use burn::tensor::{Shape, Tensor};
use multiversion::multiversion;
use rayon::prelude::*;

use crate::kernel::check::{Case, N, Visitor, noise, tokens};
use crate::kernel::cpu::simd::exp;
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
        let op = LogitLogprobBackward { tokens, temperature };
        B::run(op, [logits, out, lse, dout]).map(Some)
    }
}

/// The gradient of logits `[n, v]` from them, what the forward pass gave, and the gradient of its rows
/// `[n, 2]`.
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
        turn_into_gradients(&mut dlogits, &self.tokens, self.temperature, rows);
        [dlogits]
    }
}

/// The row of `logit_logprob` in the list of operations.
pub fn visit(visitor: &mut impl Visitor) {
    let op = LogitLogprob { tokens: tokens(301), temperature: 0.7 };
    visitor.visit(Case::new("logit_logprob", op, [noise([N, 301], 19)]));
}

/// The CPU reference of `shaders/logit_logprob.wgsl`.
pub(super) fn of_logits(logits: &[f32], tokens: &[u32], temperature: f32) -> [Vec<f32>; 2] {
    let (v, inverse) = (logits.len() / tokens.len().max(1), 1.0 / temperature);
    let (mut out, mut lse) = (vec![0.0; tokens.len() * 2], vec![0.0; tokens.len()]);
    out.par_chunks_exact_mut(2)
        .zip(&mut lse)
        .zip(logits.par_chunks_exact(v.max(1)).zip(tokens))
        .for_each(|((out, lse), (logits, token))| {
            let (log_sum, mean) = log_sum_exp(logits, inverse);
            *lse = log_sum;
            out[0] = logits[*token as usize] * inverse - log_sum;
            out[1] = log_sum - mean;
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

impl Rows<'_> {
    /// Some of them.
    pub fn of(self, rows: Range<usize>) -> Self {
        let pairs = rows.start * 2..rows.end * 2;
        Self { out: &self.out[pairs.clone()], lse: &self.lse[rows], dout: &self.dout[pairs] }
    }
}

/// Puts the gradients of logits `[n, v]` in their place: the CPU reference of
/// `shaders/logit_logprob_backward.wgsl`.
pub(super) fn turn_into_gradients(
    logits: &mut [f32],
    tokens: &[u32],
    temperature: f32,
    given: Rows,
) {
    let (v, inverse) = (logits.len() / tokens.len().max(1), 1.0 / temperature);
    logits.par_chunks_exact_mut(v.max(1)).enumerate().for_each(|(row, z)| {
        let [dlogp, dentropy] = [0, 1].map(|i| given.dout[row * 2 + i] * inverse);
        logit_gradients(z, inverse, given.lse[row], given.out[row * 2 + 1], dlogp, dentropy);
        z[tokens[row] as usize] += dlogp;
    });
}

/// Log-sum-exp of `logits · inverse` and the mean of them under their own softmax.
#[multiversion(targets = "simd")]
pub(super) fn log_sum_exp(logits: &[f32], inverse: f32) -> (f32, f32) {
    let max = logits.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b)) * inverse;
    let (mut sums, mut means) = ([0.0_f32; 16], [0.0_f32; 16]);
    let chunks = logits.chunks_exact(16);
    let tail = chunks.remainder();
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
    let (sum, mean): (f32, f32) = (sums.iter().sum(), means.iter().sum());
    (max + sum.ln(), max + mean / sum)
}

#[multiversion(targets = "simd")]
fn logit_gradients(z: &mut [f32], inverse: f32, lse: f32, entropy: f32, dlogp: f32, dentropy: f32) {
    for z in z.iter_mut() {
        let logp = *z * inverse - lse;
        *z = -exp(logp) * (dlogp + dentropy * (logp + entropy));
    }
}
