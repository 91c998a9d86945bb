//! Log-probability of given tokens and entropy of the whole law, straight from hidden states.
//!
//! ```text
//! z = h·Wᵀ / T      logp = z[token] − lse(z)      entropy = lse(z) − Σ_v softmax(z)_v · z_v
//! ```
//!
//! Logits exist for one block of rows at a time and are computed again in the backward pass from
//! the saved log-sum-exp: an [n, v] tensor of 16 × 96 tokens over 49,152 words would be 300 MB.

use multiversion::multiversion;
use rayon::prelude::*;

use super::gemm::{Matrix, Threads, product, product_into};
use super::math::exp;

/// The rows whose log-probabilities are wanted.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// Hidden states `[n, d]`, after the final norm.
    pub hidden: &'a [f32],
    /// Output head `[v, d]`.
    pub head: &'a [f32],
    /// Chosen token of each row `[n]`.
    pub tokens: &'a [u32],
    /// Sampling temperature that divides the logits.
    pub temperature: f32,
}

impl Inputs<'_> {
    fn width(&self) -> usize {
        self.hidden.len() / self.tokens.len().max(1)
    }

    fn vocabulary(&self) -> usize {
        self.head.len() / self.width().max(1)
    }

    /// Rows of a block: as many as keep its logits within 8 MiB.
    fn block(&self) -> usize {
        ((2 << 20) / self.vocabulary().max(1)).clamp(1, self.tokens.len().max(1))
    }

    fn logits(&self, rows: std::ops::Range<usize>) -> Vec<f32> {
        let d = self.width();
        let hidden = Matrix::new(&self.hidden[rows.start * d..rows.end * d], rows.len(), d);
        let head = Matrix::new(self.head, self.vocabulary(), d);
        product(hidden, head.t(), Threads::All)
    }

    fn blocks(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let (n, step) = (self.tokens.len(), self.block());
        (0..n).step_by(step).map(move |start| start..n.min(start + step))
    }
}

/// `[n, 2]` rows of (log-probability, entropy), and the log-sum-exp of every row `[n]`.
pub fn forward(inputs: Inputs) -> (Vec<f32>, Vec<f32>) {
    let (v, inverse) = (inputs.vocabulary(), 1.0 / inputs.temperature);
    let (mut out, mut lse) = (vec![0.0; inputs.tokens.len() * 2], vec![0.0; inputs.tokens.len()]);
    for rows in inputs.blocks() {
        let logits = inputs.logits(rows.clone());
        out[rows.start * 2..rows.end * 2]
            .par_chunks_exact_mut(2)
            .zip(&mut lse[rows.clone()])
            .zip(logits.par_chunks_exact(v).zip(&inputs.tokens[rows]))
            .for_each(|((out, lse), (logits, token))| {
                let (log_sum, mean) = log_sum_exp(logits, inverse);
                *lse = log_sum;
                out[0] = logits[*token as usize] * inverse - log_sum;
                out[1] = log_sum - mean;
            });
    }
    (out, lse)
}

/// Gradients of `hidden [n, d]` and `head [v, d]` from `dout [n, 2]`.
///
/// ```text
/// dz_v = (dlogp·(1[v = token] − p_v) − dentropy·p_v·(log p_v + entropy)) / T
/// ```
pub fn backward(inputs: Inputs, lse: &[f32], out: &[f32], dout: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (d, v, inverse) = (inputs.width(), inputs.vocabulary(), 1.0 / inputs.temperature);
    let (mut dhidden, mut dhead) = (vec![0.0; inputs.hidden.len()], vec![0.0; inputs.head.len()]);
    let head = Matrix::new(inputs.head, v, d);
    for rows in inputs.blocks() {
        let mut dlogits = inputs.logits(rows.clone());
        dlogits.par_chunks_exact_mut(v).zip(rows.clone().into_par_iter()).for_each(|(z, row)| {
            let [dlogp, dentropy] = [dout[row * 2] * inverse, dout[row * 2 + 1] * inverse];
            logit_gradients(z, inverse, lse[row], out[row * 2 + 1], dlogp, dentropy);
            z[inputs.tokens[row] as usize] += dlogp;
        });
        let dlogits = Matrix::new(&dlogits, rows.len(), v);
        let hidden = Matrix::new(&inputs.hidden[rows.start * d..rows.end * d], rows.len(), d);
        let to = &mut dhidden[rows.start * d..rows.end * d];
        product_into(to, d, dlogits, head, 1.0, false, Threads::All);
        product_into(&mut dhead, d, dlogits.t(), hidden, 1.0, true, Threads::All);
    }
    (dhidden, dhead)
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
