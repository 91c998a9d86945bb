//! Rotary position embedding in Hugging Face's half-rotation form (Su et al. 2021, arXiv 2104.09864).
//!
//! ```text
//! y[i]       = x[i]·cos(p·f_i) − x[i+d/2]·sin(p·f_i)
//! y[i + d/2] = x[i+d/2]·cos(p·f_i) + x[i]·sin(p·f_i),   f_i = θ^(−2i/d)
//! ```

use std::sync::Arc;

use multiversion::multiversion;

use super::math::for_rows;
use super::rows::gather;

/// Cosines and sines of every token's position, shared by all layers of a forward pass.
#[derive(Debug, Clone)]
pub struct Rotary {
    cos_nd: Arc<[f32]>,
    sin_nd: Arc<[f32]>,
    head_dim: usize,
}

impl Rotary {
    /// Tables `[n, head_dim / 2]` for tokens at `positions`.
    pub fn new(positions: &[u32], head_dim: usize, theta: f64) -> Self {
        let half = head_dim / 2;
        let frequencies: Vec<f64> =
            (0..half).map(|i| theta.powf(-2.0 * i as f64 / head_dim as f64)).collect();
        // Positions repeat over the rows of a batch and sines are slow: compute each one once.
        let mut distinct = positions.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let angles = distinct.iter().flat_map(|p| frequencies.iter().map(|f| f64::from(*p) * f));
        let (sin, cos): (Vec<f32>, Vec<f32>) =
            angles.map(f64::sin_cos).map(|(sin, cos)| (sin as f32, cos as f32)).unzip();
        let rows: Vec<u32> =
            positions.iter().map(|p| distinct.partition_point(|d| d < p) as u32).collect();
        let of_tokens = |table: &[f32]| Arc::from(gather(table, half, &rows));
        Self { cos_nd: of_tokens(&cos), sin_nd: of_tokens(&sin), head_dim }
    }

    /// Number of tokens the tables were made for.
    pub fn tokens(&self) -> usize {
        self.cos_nd.len() * 2 / self.head_dim
    }

    /// Width of a head.
    #[cfg(feature = "cube")]
    pub(super) fn head_dim(&self) -> usize {
        self.head_dim
    }

    /// Cosines `[n, head_dim / 2]`.
    #[cfg(feature = "cube")]
    pub(super) fn cos(&self) -> &[f32] {
        &self.cos_nd
    }

    /// Sines `[n, head_dim / 2]`.
    #[cfg(feature = "cube")]
    pub(super) fn sin(&self) -> &[f32] {
        &self.sin_nd
    }

    /// Rotates `x [n, heads · head_dim]` in place; `inverse` turns back, which is the gradient.
    pub fn rotate(&self, x: &mut [f32], inverse: bool) {
        let (half, width) = (self.head_dim / 2, x.len() / self.tokens().max(1));
        let sign = if inverse { -1.0 } else { 1.0 };
        for_rows(x, width, |first, rows| {
            let range = first * half..(first + rows.len() / width) * half;
            turn(rows, width, &self.cos_nd[range.clone()], &self.sin_nd[range], half, sign)
        });
    }
}

#[multiversion(targets = "simd")]
fn turn(x: &mut [f32], width: usize, cos: &[f32], sin: &[f32], half: usize, sign: f32) {
    let tokens = x.chunks_exact_mut(width).zip(cos.chunks_exact(half)).zip(sin.chunks_exact(half));
    for ((token, cos), sin) in tokens {
        for head in token.chunks_exact_mut(2 * half) {
            let (low, high) = head.split_at_mut(half);
            for i in 0..half {
                let (a, b, s) = (low[i], high[i], sin[i] * sign);
                low[i] = a * cos[i] - b * s;
                high[i] = b * cos[i] + a * s;
            }
        }
    }
}
