//! The gated activation of the feed-forward block (Shazeer 2020, arXiv 2002.05202).
//!
//! ```text
//! y = silu(gate) · up,   silu(x) = x · σ(x)
//! ```

use burn::tensor::ops::FloatTensor;
use burn::tensor::{Shape, Tensor};
use multiversion::multiversion;

use crate::kernel::check::{Case, N, Visitor, WIDTH, noise};
use crate::kernel::cpu::simd::{for_rows, for_rows2, sigmoid};
use crate::kernel::op::{Elements, Keeps, Saved, needed, only};
use crate::kernel::{Kernels, Op, float, primitive};

/// `silu(gate) · up`, element by element of `[n, d]`.
pub fn swiglu<B: Kernels>(gate: &Tensor<B, 2>, up: &Tensor<B, 2>) -> Tensor<B, 2> {
    let [y] = B::run(SwiGlu, [primitive(gate), primitive(up)]);
    float(y)
}

/// y from gate and up, all of one shape.
#[derive(Debug, Clone)]
pub struct SwiGlu;

// The pass is element-wise; "rows" of this many elements only set the size of a chunk.
const ROW: usize = 1024;

impl Op<2, 1> for SwiGlu {
    const NAME: &'static str = "swiglu";

    fn shapes(&self, [gate, _]: [&Shape; 2]) -> [Shape; 1] {
        [gate.clone()]
    }

    fn cpu(&self, [gate, up]: [Elements; 2]) -> [Vec<f32>; 1] {
        let mut y = vec![0.0; gate.len()];
        for_rows(&mut y, ROW, |first, y| {
            let range = first * ROW..first * ROW + y.len();
            activate(&gate[range.clone()], &up[range], y)
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
        let [gate, up] = saved.inputs();
        only(needs, B::run(SwiGluBackward { needs }, [gate, up, dy]))
    }
}

/// Gradients of gate and up from gate, up and dy, all of one shape.
#[derive(Debug, Clone)]
pub struct SwiGluBackward {
    /// Which of the two are computed.
    pub needs: [bool; 2],
}

impl Op<3, 2> for SwiGluBackward {
    const NAME: &'static str = "swiglu_backward";

    fn shapes(&self, [gate, up, _]: [&Shape; 3]) -> [Shape; 2] {
        [needed(self.needs[0], gate), needed(self.needs[1], up)]
    }

    fn cpu(&self, [gate, up, dy]: [Elements; 3]) -> [Vec<f32>; 2] {
        match self.needs {
            [true, true] => both_gradients(&gate, &up, &dy),
            [true, false] => [one_gradient(&gate, &up, &dy, gate_gradients), Vec::new()],
            [false, true] => [Vec::new(), one_gradient(&gate, &up, &dy, up_gradients)],
            [false, false] => [Vec::new(), Vec::new()],
        }
    }
}

/// The row of `swiglu` in the list of operations.
pub fn visit(visitor: &mut impl Visitor) {
    let inputs = [noise([N, WIDTH], 5), noise([N, WIDTH], 6)];
    visitor.visit(Case::new("swiglu", SwiGlu, inputs));
}

/// In one pass, which reads its inputs once.
fn both_gradients(gate: &[f32], up: &[f32], dy: &[f32]) -> [Vec<f32>; 2] {
    let (mut dgate, mut dup) = (vec![0.0; gate.len()], vec![0.0; gate.len()]);
    for_rows2(&mut dgate, ROW, &mut dup, ROW, |first, dgate, dup| {
        let range = first * ROW..first * ROW + dgate.len();
        gradients(&gate[range.clone()], &up[range.clone()], &dy[range], dgate, dup)
    });
    [dgate, dup]
}

fn one_gradient(
    gate: &[f32],
    up: &[f32],
    dy: &[f32],
    gradients: impl Fn(&[f32], &[f32], &[f32], &mut [f32]) + Sync,
) -> Vec<f32> {
    let mut out = vec![0.0; gate.len()];
    for_rows(&mut out, ROW, |first, out| {
        let range = first * ROW..first * ROW + out.len();
        gradients(&gate[range.clone()], &up[range.clone()], &dy[range], out)
    });
    out
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

#[multiversion(targets = "simd")]
fn gate_gradients(gate: &[f32], up: &[f32], dy: &[f32], dgate: &mut [f32]) {
    for (((g, u), dy), dgate) in gate.iter().zip(up).zip(dy).zip(dgate) {
        let s = sigmoid(*g);
        *dgate = dy * u * s * (1.0 + g * (1.0 - s));
    }
}

#[multiversion(targets = "simd")]
fn up_gradients(gate: &[f32], _: &[f32], dy: &[f32], dup: &mut [f32]) {
    for ((g, dy), dup) in gate.iter().zip(dy).zip(dup) {
        *dup = dy * g * sigmoid(*g);
    }
}
