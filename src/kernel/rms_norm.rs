//! Root-mean-square normalisation of rows (Zhang and Sennrich 2019, arXiv 1910.07467).
//!
//! ```text
//! y = γ · x / √(mean(x²) + ε)
//! ```

use multiversion::multiversion;

use super::math::{dot, for_rows, sum_over_rows};

/// `y [n, d]` from `x [n, d]` and `γ [d]`.
pub fn forward(x: &[f32], gamma: &[f32], epsilon: f32) -> Vec<f32> {
    let d = gamma.len();
    let mut y = vec![0.0; x.len()];
    for_rows(&mut y, d, |first, rows| {
        normalise(&x[first * d..first * d + rows.len()], gamma, epsilon, rows)
    });
    y
}

/// Gradients with respect to `x [n, d]` and `γ [d]`, from `dy [n, d]`.
pub fn backward(x: &[f32], gamma: &[f32], epsilon: f32, dy: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let d = gamma.len();
    let mut dx = vec![0.0; x.len()];
    for_rows(&mut dx, d, |first, rows| {
        let range = first * d..first * d + rows.len();
        input_gradient(&x[range.clone()], gamma, epsilon, &dy[range], rows)
    });
    let dgamma = sum_over_rows(x.len() / d, d, |rows, sums| {
        let range = rows.start * d..rows.end * d;
        add_scale_gradient(&x[range.clone()], epsilon, &dy[range], sums)
    });
    (dx, dgamma)
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
