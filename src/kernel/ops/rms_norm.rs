//! Root-mean-square normalisation of rows (Zhang and Sennrich 2019, arXiv 1910.07467).
//!
//! ```text
//! y = γ · x / √(mean(x²) + ε)
//! ```

use burn::tensor::ops::FloatTensor;
use burn::tensor::{Shape, Tensor};
use multiversion::multiversion;

use crate::kernel::check::{Case, N, Visitor, WIDTH, noise};
use crate::kernel::cpu::simd::{dot, for_rows, sum_over_rows};
use crate::kernel::op::{Elements, Keeps, Saved, needed, only};
use crate::kernel::{Kernels, Op, float, primitive};

/// Root-mean-square normalisation of the rows of `x [n, d]` with scale `gamma [d]`.
pub fn rms_norm<B: Kernels>(x: &Tensor<B, 2>, gamma: &Tensor<B, 1>, epsilon: f32) -> Tensor<B, 2> {
    let [y] = B::run(RmsNorm { epsilon }, [primitive(x), primitive(gamma)]);
    float(y)
}

/// y `[n, d]` from x `[n, d]` and γ `[d]`.
#[derive(Debug, Clone)]
pub struct RmsNorm {
    /// Added to the mean of the squares.
    pub epsilon: f32,
}

impl Op<2, 1> for RmsNorm {
    const NAME: &'static str = "rms_norm";

    fn shapes(&self, [x, _]: [&Shape; 2]) -> [Shape; 1] {
        [x.clone()]
    }

    fn cpu(&self, [x, gamma]: [Elements; 2]) -> [Vec<f32>; 1] {
        let d = gamma.len();
        let mut y = vec![0.0; x.len()];
        for_rows(&mut y, d, |first, rows| {
            normalise(&x[first * d..first * d + rows.len()], &gamma, self.epsilon, rows)
        });
        [y]
    }

    fn keeps(_: [bool; 2]) -> Option<Keeps<2>> {
        Some(Keeps::INPUTS)
    }

    fn gradients<B: Kernels>(
        &self,
        saved: Saved<FloatTensor<B>, 2, 1>,
        dy: FloatTensor<B>,
        needs: [bool; 2],
    ) -> [Option<FloatTensor<B>>; 2] {
        let [x, gamma] = saved.inputs();
        only(needs, B::run(RmsNormBackward { epsilon: self.epsilon, needs }, [x, gamma, dy]))
    }
}

/// Gradients of x `[n, d]` and γ `[d]` from x, γ and dy.
#[derive(Debug, Clone)]
pub struct RmsNormBackward {
    /// As in the forward pass.
    pub epsilon: f32,
    /// Which of the two are computed.
    pub needs: [bool; 2],
}

impl Op<3, 2> for RmsNormBackward {
    const NAME: &'static str = "rms_norm_backward";

    fn shapes(&self, [x, gamma, _]: [&Shape; 3]) -> [Shape; 2] {
        [needed(self.needs[0], x), needed(self.needs[1], gamma)]
    }

    fn cpu(&self, [x, gamma, dy]: [Elements; 3]) -> [Vec<f32>; 2] {
        let [of_x, of_gamma] = self.needs;
        let dx = of_x.then(|| input_gradients(&x, &gamma, self.epsilon, &dy));
        let dgamma = of_gamma.then(|| scale_gradient(&x, gamma.len(), self.epsilon, &dy));
        [dx, dgamma].map(Option::unwrap_or_default)
    }
}

/// The row of `rms_norm` in the list of operations.
pub fn visit(visitor: &mut impl Visitor) {
    let inputs = [noise([N, WIDTH], 3), noise([WIDTH], 4)];
    visitor.visit(Case::new("rms_norm", RmsNorm { epsilon: 1e-5 }, inputs));
}

fn input_gradients(x: &[f32], gamma: &[f32], epsilon: f32, dy: &[f32]) -> Vec<f32> {
    let d = gamma.len();
    let mut dx = vec![0.0; x.len()];
    for_rows(&mut dx, d, |first, rows| {
        let range = first * d..first * d + rows.len();
        input_gradient(&x[range.clone()], gamma, epsilon, &dy[range], rows)
    });
    dx
}

fn scale_gradient(x: &[f32], d: usize, epsilon: f32, dy: &[f32]) -> Vec<f32> {
    sum_over_rows(x.len() / d, d, |rows, sums| {
        let range = rows.start * d..rows.end * d;
        add_scale_gradient(&x[range.clone()], epsilon, &dy[range], sums)
    })
}

#[inline(always)]
fn inverse_rms(row: &[f32], epsilon: f32) -> f32 {
    1.0 / (dot(row, row) / row.len() as f32 + epsilon).sqrt()
}

#[multiversion(targets = "simd")]
fn normalise(x: &[f32], gamma: &[f32], epsilon: f32, y: &mut [f32]) {
    let d = gamma.len();
    for (x, y) in x.chunks_exact(d).zip(y.chunks_exact_mut(d)) {
        let scale = inverse_rms(x, epsilon);
        for ((y, x), g) in y.iter_mut().zip(x).zip(gamma) {
            *y = x * scale * g;
        }
    }
}

// dx = s·(γ·dy) − x·s³/d · Σ x·γ·dy, with s the inverse root mean square of the row.
#[multiversion(targets = "simd")]
fn input_gradient(x: &[f32], gamma: &[f32], epsilon: f32, dy: &[f32], dx: &mut [f32]) {
    let d = gamma.len();
    for ((x, dy), dx) in x.chunks_exact(d).zip(dy.chunks_exact(d)).zip(dx.chunks_exact_mut(d)) {
        for ((out, g), gamma) in dx.iter_mut().zip(dy).zip(gamma) {
            *out = g * gamma;
        }
        let scale = inverse_rms(x, epsilon);
        let along = dot(x, dx) * scale * scale * scale / d as f32;
        for (out, x) in dx.iter_mut().zip(x) {
            *out = *out * scale - x * along;
        }
    }
}

#[multiversion(targets = "simd")]
fn add_scale_gradient(x: &[f32], epsilon: f32, dy: &[f32], dgamma: &mut [f32]) {
    let d = dgamma.len();
    for (x, dy) in x.chunks_exact(d).zip(dy.chunks_exact(d)) {
        let scale = inverse_rms(x, epsilon);
        for ((sum, x), g) in dgamma.iter_mut().zip(x).zip(dy) {
            *sum += x * scale * g;
        }
    }
}
