//! One step of AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) in a single pass over memory.
//!
//! ```text
//! g ← g·grad_scale;  m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²
//! w ← w − lr·weight_decay·w − lr · (m / (1−β₁ᵗ)) / (√(v / (1−β₂ᵗ)) + ε)
//! ```

use multiversion::multiversion;
use rayon::prelude::*;

/// The numbers of one step, the same for every parameter of a group.
#[derive(Debug, Clone, Copy)]
pub struct AdamW {
    /// Learning rate of this step.
    pub learning_rate: f32,
    /// Decay of the first moment.
    pub beta_1: f32,
    /// Decay of the second moment.
    pub beta_2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// Factor on the gradient: what clipping its global norm leaves of it.
    pub grad_scale: f32,
    /// Number of this step, from 1.
    pub step: i32,
}

/// Updates a parameter and its moments in place.
pub fn step(hyper: AdamW, weights: &mut [f32], moments: [&mut [f32]; 2], gradient: &[f32]) {
    const CHUNK: usize = 32 * 1024;
    let [first, second] = moments;
    weights
        .par_chunks_mut(CHUNK)
        .zip(first.par_chunks_mut(CHUNK))
        .zip(second.par_chunks_mut(CHUNK))
        .zip(gradient.par_chunks(CHUNK))
        .for_each(|(((w, m), v), g)| step_chunk(hyper, w, m, v, g));
}

#[multiversion(targets = "simd")]
fn step_chunk(hyper: AdamW, w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32]) {
    let AdamW { learning_rate, beta_1, beta_2, epsilon, weight_decay, grad_scale, step } = hyper;
    let correction_1 = 1.0 / (1.0 - beta_1.powi(step));
    let correction_2 = 1.0 / (1.0 - beta_2.powi(step));
    for (((w, m), v), g) in w.iter_mut().zip(m).zip(v).zip(g) {
        let g = g * grad_scale;
        *m = beta_1 * *m + (1.0 - beta_1) * g;
        *v = beta_2 * *v + (1.0 - beta_2) * g * g;
        let update = *m * correction_1 / ((*v * correction_2).sqrt() + epsilon);
        *w -= learning_rate * (weight_decay * *w + update);
    }
}
