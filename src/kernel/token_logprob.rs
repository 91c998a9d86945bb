//! Log-probability of given tokens and entropy of the whole distribution, straight from hidden states.
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
    let (mut out, mut lse) = (Vec::new(), Vec::new());
    for rows in inputs.blocks() {
        let tokens = &inputs.tokens[rows.clone()];
        let (block_out, block_lse) = of_logits(&inputs.logits(rows), tokens, inputs.temperature);
        out.extend(block_out);
        lse.extend(block_lse);
    }
    (out, lse)
}

/// The same from logits `[n, v]`: the CPU twin of `shaders/token_logprob.wgsl`.
pub fn of_logits(logits: &[f32], tokens: &[u32], temperature: f32) -> (Vec<f32>, Vec<f32>) {
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
    (out, lse)
}

/// What the forward pass gave and the gradient of its output.
#[derive(Clone, Copy)]
pub struct Saved<'a> {
    /// Log-probabilities and entropies `[n, 2]`.
    pub out: &'a [f32],
    /// Log-sum-exps `[n]`.
    pub lse: &'a [f32],
    /// Gradient of `out`.
    pub dout: &'a [f32],
}

impl Saved<'_> {
    fn rows(self, rows: std::ops::Range<usize>) -> Self {
        let pairs = rows.start * 2..rows.end * 2;
        Self { out: &self.out[pairs.clone()], lse: &self.lse[rows], dout: &self.dout[pairs] }
    }
}

/// Gradients of `hidden [n, d]` and `head [v, d]`.
pub fn backward(inputs: Inputs, saved: Saved) -> (Vec<f32>, Vec<f32>) {
    let (d, v) = (inputs.width(), inputs.vocabulary());
    let (mut dhidden, mut dhead) = (vec![0.0; inputs.hidden.len()], vec![0.0; inputs.head.len()]);
    let head = Matrix::new(inputs.head, v, d);
    for rows in inputs.blocks() {
        let (tokens, saved) = (&inputs.tokens[rows.clone()], saved.rows(rows.clone()));
        let mut dlogits = inputs.logits(rows.clone());
        turn_into_gradients(&mut dlogits, tokens, inputs.temperature, saved);
        let dlogits = Matrix::new(&dlogits, rows.len(), v);
        let hidden = Matrix::new(&inputs.hidden[rows.start * d..rows.end * d], rows.len(), d);
        let to = &mut dhidden[rows.start * d..rows.end * d];
        product_into(to, d, dlogits, head, 1.0, false, Threads::All);
        product_into(&mut dhead, d, dlogits.t(), hidden, 1.0, true, Threads::All);
    }
    (dhidden, dhead)
}

/// Puts the gradients of logits `[n, v]` in their place: the CPU twin of
/// `shaders/token_logprob_backward.wgsl`.
///
/// ```text
/// dz_v = (dlogp·(1[v = token] − p_v) − dentropy·p_v·(log p_v + entropy)) / T
/// ```
pub fn turn_into_gradients(logits: &mut [f32], tokens: &[u32], temperature: f32, saved: Saved) {
    let (v, inverse) = (logits.len() / tokens.len().max(1), 1.0 / temperature);
    logits.par_chunks_exact_mut(v.max(1)).enumerate().for_each(|(row, z)| {
        let [dlogp, dentropy] = [0, 1].map(|i| saved.dout[row * 2 + i] * inverse);
        logit_gradients(z, inverse, saved.lse[row], saved.out[row * 2 + 1], dlogp, dentropy);
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

#[cfg(feature = "wgpu")]
pub(super) mod wgsl {
    use crate::kernel::cube::tensor::{contiguous, dims, empty, upload};
    use crate::kernel::wgsl::{CubeTensor, Shader};

    const SHADER: Shader = Shader {
        name: "token_logprob",
        source: include_str!("../../shaders/token_logprob.wgsl"),
        lanes: 256,
    };
    const BACKWARD: Shader = Shader {
        name: "token_logprob_backward",
        source: include_str!("../../shaders/token_logprob_backward.wgsl"),
        lanes: 256,
    };

    /// Log-probabilities and entropies `[n, 2]` and log-sum-exps `[n]` of logits `[n, v]`.
    pub fn launch(logits: &CubeTensor, tokens: &[u32], temperature: f32) -> [CubeTensor; 2] {
        let logits = contiguous(logits);
        let [n, v] = shape(&logits, tokens);
        let (out, lse) = (empty(&logits, [n, 2]), empty(&logits, [n]));
        if n > 0 {
            let tokens = upload(&logits, tokens);
            SHADER.run(n, &[&logits, &tokens, &out, &lse], &info(n, v, temperature));
        }
        [out, lse]
    }

    /// Gradient `[n, v]` of the logits from `dout [n, 2]`.
    pub fn launch_backward(
        logits: &CubeTensor,
        tokens: &[u32],
        temperature: f32,
        saved: [&CubeTensor; 2],
        dout: &CubeTensor,
    ) -> CubeTensor {
        let ([out, lse], [logits, dout]) = (saved.map(contiguous), [logits, dout].map(contiguous));
        let [n, v] = shape(&logits, tokens);
        assert!(dims(&out) == [n, 2] && dims(&lse) == [n] && dims(&dout) == [n, 2]);
        let dlogits = empty(&logits, [n, v]);
        if n > 0 {
            let tokens = upload(&logits, tokens);
            let tensors = [&logits, &tokens, &out, &lse, &dout, &dlogits];
            BACKWARD.run_each(n * v, &tensors, &info(n, v, temperature));
        }
        dlogits
    }

    fn shape(logits: &CubeTensor, tokens: &[u32]) -> [usize; 2] {
        let [n, v] = dims(logits);
        assert!(n == tokens.len(), "{n} rows of logits, {} tokens", tokens.len());
        assert!(tokens.iter().all(|token| (*token as usize) < v), "a token beyond {v} words");
        [n, v]
    }

    fn info(n: usize, v: usize, temperature: f32) -> [u32; 3] {
        [n as u32, v as u32, (1.0 / temperature).to_bits()]
    }
}
