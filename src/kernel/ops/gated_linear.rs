//! The first half of a feed-forward block: two linear maps of one x, and the gated activation of both.
//!
//! ```text
//! y = silu(x · gateᵀ) · (x · upᵀ)
//! ```

use burn::tensor::{Shape, Tensor};

use super::swiglu::{SwiGlu, swiglu};
use super::weight::{Layout, Weight};
use crate::kernel::check::{Case, Visitor, WIDTH, noise};
use crate::kernel::cpu::gemm::Matrix;
use crate::kernel::op::Elements;
use crate::kernel::{Kernels, Op, float, primitive};

/// `silu(x · gateᵀ) · (x · upᵀ)`: x `[n, input]`, weights `[output, input]`, `[n, output]`.
pub fn gated_linear<B: Kernels>(x: &Tensor<B, 2>, gate: Weight<B>, up: Weight<B>) -> Tensor<B, 2> {
    // The backward pass needs what the two maps gave.
    if B::ad_enabled(&x.device()) {
        return swiglu(&gate.linear(x), &up.linear(x));
    }
    let op = GatedLinear { gate: gate.layout(), up: up.layout() };
    let [y] = B::run(op, [primitive(x), gate.elements(), up.elements()]);
    float(y)
}

/// y `[n, output]` from x `[n, input]` and two weights. Nobody differentiates it.
#[derive(Debug, Clone)]
pub struct GatedLinear {
    /// How the gate's weight is laid out.
    pub gate: Layout,
    /// How the other one is.
    pub up: Layout,
}

impl Op<3, 1> for GatedLinear {
    const NAME: &'static str = "gated_linear";

    fn shapes(&self, [x, gate, _]: [&Shape; 3]) -> [Shape; 1] {
        [Shape::new([x[0], self.gate.outputs(gate)])]
    }

    fn cpu(&self, [x, gate, up]: [Elements; 3]) -> [Vec<f32>; 1] {
        let [n, input] = x.dims();
        let products = [(self.gate, &gate), (self.up, &up)].map(|(layout, weight)| {
            layout.on_cpu(weight, input).product(Matrix::new(&x, n, input))
        });
        let outputs = Shape::new([n, self.gate.outputs(gate.shape())]);
        SwiGlu.cpu(products.map(|product| Elements::new(product, outputs.clone())))
    }
}

/// The row of `gated_linear` in the list of operations: few rows and many.
pub fn visit(visitor: &mut impl Visitor) {
    for rows in [7, 90] {
        let weight = |seed| noise([71, WIDTH], seed);
        let op = GatedLinear { gate: Layout::Rows, up: Layout::Rows };
        visitor.visit(Case::new(
            "gated_linear",
            op,
            [noise([rows, WIDTH], 44), weight(45), weight(46)],
        ));
    }
}
