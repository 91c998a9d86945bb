//! The gated activation of the feed-forward block (Shazeer 2020, arXiv 2002.05202).
//!
//! ```text
//! y = silu(gate) · up,   silu(x) = x · σ(x)
//! ```

use multiversion::multiversion;

use super::math::{for_rows, for_rows2, sigmoid};

// The pass is element-wise; "rows" of this many elements only set the size of a chunk.
const ROW: usize = 1024;

/// `y` from `gate` and `up`, all of one shape.
pub fn forward(gate: &[f32], up: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; gate.len()];
    for_rows(&mut y, ROW, |first, y| {
        let range = first * ROW..first * ROW + y.len();
        activate(&gate[range.clone()], &up[range], y)
    });
    y
}

/// Gradients with respect to `gate` and `up`, from `dy`.
pub fn backward(gate: &[f32], up: &[f32], dy: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (mut dgate, mut dup) = (vec![0.0; gate.len()], vec![0.0; gate.len()]);
    for_rows2(&mut dgate, ROW, &mut dup, ROW, |first, dgate, dup| {
        let range = first * ROW..first * ROW + dgate.len();
        gradients(&gate[range.clone()], &up[range.clone()], &dy[range], dgate, dup)
    });
    (dgate, dup)
}

#[multiversion(targets = "simd")]
fn activate(gate: &[f32], up: &[f32], y: &mut [f32]) {
    for ((y, g), u) in y.iter_mut().zip(gate).zip(up) {
        *y = g * sigmoid(*g) * u;
    }
}

#[multiversion(targets = "simd")]
fn gradients(gate: &[f32], up: &[f32], dy: &[f32], dgate: &mut [f32], dup: &mut [f32]) {
    for ((((g, u), dy), dgate), dup) in gate.iter().zip(up).zip(dy).zip(dgate).zip(dup) {
        let s = sigmoid(*g);
        *dup = dy * g * s;
        *dgate = dy * u * s * (1.0 + g * (1.0 - s));
    }
}
