//! One step of AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) in a single pass over memory.
//!
//! ```text
//! g ← g·grad_scale;  m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²
//! w ← w − lr·weight_decay·w − lr · (m / (1−β₁ᵗ)) / (√(v / (1−β₂ᵗ)) + ε)
//! ```

use burn::tensor::{Shape, Tensor};
use multiversion::multiversion;
use rayon::prelude::*;

use crate::kernel::check::{Case, N, Visitor, WIDTH, noise};
use crate::kernel::op::Elements;
use crate::kernel::{Kernels, Op, float, primitive};

/// A weight and its two moments after one AdamW step, in place where they are unshared. Moments and
/// gradient are flat, `[n]` for a weight of n elements.
pub fn adamw_step<B: Kernels, const D: usize>(
    hyper: AdamW,
    weight: Tensor<B, D>,
    moments: [Tensor<B, 1>; 2],
    gradient: &Tensor<B, 1>,
) -> (Tensor<B, D>, [Tensor<B, 1>; 2]) {
    let [first, second] = moments.map(|m| m.into_primitive().tensor());
    let weight = weight.into_primitive().tensor();
    let [weight, first, second] = B::run(hyper, [weight, first, second, primitive(gradient)]);
    (float(weight), [float(first), float(second)])
}

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

/// The numbers of a step with Adam's two bias corrections, `1 / (1 − βᵗ)`.
#[derive(Debug, Clone, Copy)]
pub struct Factors {
    /// The numbers themselves.
    pub hyper: AdamW,
    /// That of the first moment.
    pub correction_1: f32,
    /// That of the second moment.
    pub correction_2: f32,
}

impl AdamW {
    /// What every element of a step is computed from.
    pub fn factors(self) -> Factors {
        Factors {
            hyper: self,
            correction_1: 1.0 / (1.0 - self.beta_1.powi(self.step)),
            correction_2: 1.0 / (1.0 - self.beta_2.powi(self.step)),
        }
    }
}

// Weight of any shape, first and second moment [n], and gradient [n] to the first three.
impl Op<4, 3> for AdamW {
    const NAME: &'static str = "adamw_step";
    const IN_PLACE: usize = 3;

    fn shapes(&self, [weight, first, second, _]: [&Shape; 4]) -> [Shape; 3] {
        [weight, first, second].map(Shape::clone)
    }

    fn cpu(&self, [weight, first, second, gradient]: [Elements; 4]) -> [Vec<f32>; 3] {
        const CHUNK: usize = 32 * 1024;
        let [mut weight, mut first, mut second] = [weight, first, second].map(Elements::into_vec);
        weight
            .par_chunks_mut(CHUNK)
            .zip(first.par_chunks_mut(CHUNK))
            .zip(second.par_chunks_mut(CHUNK))
            .zip(gradient.par_chunks(CHUNK))
            .for_each(|(((w, m), v), g)| step_chunk(self.factors(), w, m, v, g));
        [weight, first, second]
    }
}

/// The row of `adamw_step` in the list of operations.
pub fn visit(visitor: &mut impl Visitor) {
    let hyper = AdamW {
        learning_rate: 0.1,
        beta_1: 0.9,
        beta_2: 0.99,
        epsilon: 1e-8,
        weight_decay: 0.01,
        grad_scale: 0.5,
        step: 3,
    };
    let flat = |seed| noise([N * WIDTH], seed);
    let squares = flat(28).iter().map(|x| x * x).collect::<Vec<f32>>();
    let second = Elements::new(squares, Shape::new([N * WIDTH]));
    let inputs = [noise([N, WIDTH], 29), flat(27), second, flat(26)];
    visitor.visit(Case::new("adamw_step", hyper, inputs));
}

#[multiversion(targets = "simd")]
fn step_chunk(factors: Factors, w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32]) {
    step_numbers(factors, w, m, v, g);
}

/// The step of as many numbers as there are weights.
#[inline(always)]
pub fn step_numbers(factors: Factors, w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32]) {
    let Factors { hyper, correction_1, correction_2 } = factors;
    let AdamW { learning_rate, beta_1, beta_2, epsilon, weight_decay, grad_scale, .. } = hyper;
    for (((w, m), v), g) in w.iter_mut().zip(m).zip(v).zip(g) {
        let g = g * grad_scale;
        *m = beta_1 * *m + (1.0 - beta_1) * g;
        *v = beta_2 * *v + (1.0 - beta_2) * g * g;
        let update = *m * correction_1 / ((*v * correction_2).sqrt() + epsilon);
        *w -= learning_rate * (weight_decay * *w + update);
    }
}
