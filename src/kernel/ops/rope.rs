//! Rotary position embedding in Hugging Face's half-rotation form (Su et al. 2021, arXiv 2104.09864).
//!
//! ```text
//! y[i]       = x[i]·cos(p·f_i) − x[i+d/2]·sin(p·f_i)
//! y[i + d/2] = x[i+d/2]·cos(p·f_i) + x[i]·sin(p·f_i),   f_i = θ^(−2i/d)
//! ```
//!
//! A model may have other frequencies, and a factor on what is rotated, which the gradient has, too.

use burn::tensor::ops::FloatTensor;
use burn::tensor::{Shape, Tensor};
use multiversion::multiversion;

use super::gather_rows::gather;
use crate::kernel::check::{Case, N, Visitor, WIDTH, noise};
use crate::kernel::cpu::simd::for_rows;
use crate::kernel::op::{Elements, Keeps, Saved};
use crate::kernel::{Kernels, Op, Table, float};

/// Rotates the heads of `x [n, heads · head_dim]` by their tokens' positions; in place where `x` is
/// unshared.
pub fn rope<B: Kernels>(x: Tensor<B, 2>, rotary: &Rotary) -> Tensor<B, 2> {
    let op = Rope { rotary: rotary.clone(), inverse: false };
    let [y] = B::run(op, [x.into_primitive().tensor()]);
    float(y)
}

/// y from x, both `[n, heads · head_dim]`.
#[derive(Debug, Clone)]
pub struct Rope {
    /// The angles.
    pub rotary: Rotary,
    /// Whether it turns back, which is the gradient.
    pub inverse: bool,
}

impl Op<1, 1> for Rope {
    const NAME: &'static str = "rope";
    const IN_PLACE: usize = 1;

    fn shapes(&self, [x]: [&Shape; 1]) -> [Shape; 1] {
        [x.clone()]
    }

    fn cpu(&self, [x]: [Elements; 1]) -> [Vec<f32>; 1] {
        let mut x = x.into_vec();
        self.rotary.rotate(&mut x, self.inverse);
        [x]
    }

    fn keeps(_: [bool; 1]) -> Option<Keeps<1>> {
        Some(Keeps::NOTHING)
    }

    fn gradients<B: Kernels>(
        &self,
        _: Saved<FloatTensor<B>, 1, 1>,
        dy: FloatTensor<B>,
        _: [bool; 1],
    ) -> [Option<FloatTensor<B>>; 1] {
        let back = Self { rotary: self.rotary.clone(), inverse: !self.inverse };
        B::run(back, [dy]).map(Some)
    }
}

/// The row of `rope` in the list of operations.
pub fn visit(visitor: &mut impl Visitor) {
    let positions: Vec<u32> = (0..N as u32).map(|i| i * 13 % 500).collect();
    let op = Rope { rotary: Rotary::new(&positions, 32, 10_000.0), inverse: false };
    visitor.visit(Case::new("rope", op, [noise([N, WIDTH], 7)]));
}

/// The frequencies θ^(−2i/d) of the pairs of a head `[head_dim / 2]`.
pub fn rope_frequencies(head_dim: usize, theta: f64) -> Vec<f64> {
    (0..head_dim / 2).map(|i| theta.powf(-2.0 * i as f64 / head_dim as f64)).collect()
}

/// Cosines and sines of every token's position, shared by all layers of a forward pass.
#[derive(Debug, Clone)]
pub struct Rotary {
    cos_nd: Table<f32>,
    sin_nd: Table<f32>,
    head_dim: usize,
}

impl Rotary {
    /// Tables `[n, head_dim / 2]` for tokens at `positions`.
    pub fn new(positions: &[u32], head_dim: usize, theta: f64) -> Self {
        Self::by_frequencies(positions, &rope_frequencies(head_dim, theta), 1.0)
    }

    /// Tables `[n, head_dim / 2]` for tokens at `positions`, by frequencies `[head_dim / 2]`; what is rotated is
    /// multiplied by `factor`.
    pub fn by_frequencies(positions: &[u32], frequencies: &[f64], factor: f64) -> Self {
        let (half, head_dim) = (frequencies.len(), 2 * frequencies.len());
        // Positions repeat over the rows of a batch and sines are slow: compute each one once.
        let mut distinct = positions.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let angles = distinct.iter().flat_map(|p| frequencies.iter().map(|f| f64::from(*p) * f));
        let scaled = |(sin, cos)| ((factor * sin) as f32, (factor * cos) as f32);
        let (sin, cos): (Vec<f32>, Vec<f32>) = angles.map(f64::sin_cos).map(scaled).unzip();
        let rows: Vec<u32> =
            positions.iter().map(|p| distinct.partition_point(|d| d < p) as u32).collect();
        let of_tokens = |table: &[f32]| Table::new(gather(table, half, &rows));
        Self { cos_nd: of_tokens(&cos), sin_nd: of_tokens(&sin), head_dim }
    }

    /// Number of tokens the tables were made for.
    pub fn tokens(&self) -> usize {
        self.cos_nd.len() * 2 / self.head_dim
    }

    /// Width of a head.
    #[cfg(feature = "cube")]
    pub(in crate::kernel) fn head_dim(&self) -> usize {
        self.head_dim
    }

    /// Cosines `[n, head_dim / 2]`.
    #[cfg(feature = "cube")]
    pub(in crate::kernel) fn cos(&self) -> &Table<f32> {
        &self.cos_nd
    }

    /// Sines `[n, head_dim / 2]`.
    #[cfg(feature = "cube")]
    pub(in crate::kernel) fn sin(&self) -> &Table<f32> {
        &self.sin_nd
    }

    /// Rotates `x [n, heads · head_dim]` in place; `inverse` turns back, which is the gradient.
    pub(super) fn rotate(&self, x: &mut [f32], inverse: bool) {
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
