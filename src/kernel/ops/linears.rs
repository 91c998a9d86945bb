//! Three linear maps of one x, as queries, keys and values are: on a GPU a few rows take one launch.
//!
//! ```text
//! y_i = x · w_iᵀ
//! ```

use burn::tensor::{Shape, Tensor};

use super::weight::{Layout, Weight};
use crate::kernel::check::{Case, Visitor, WIDTH, noise};
use crate::kernel::cpu::gemm::Matrix;
use crate::kernel::op::Elements;
use crate::kernel::{Kernels, Op, float, primitive};

/// `x · w_iᵀ` for weights `[output_i, input]` and x `[n, input]`: `[n, output_i]` each.
pub fn linears<B: Kernels>(x: &Tensor<B, 2>, weights: [Weight<B>; 3]) -> [Tensor<B, 2>; 3] {
    // A step with one output each is what has gradients.
    if B::ad_enabled(&x.device()) {
        return weights.map(|weight| weight.linear(x));
    }
    let op = Linears { weights: weights.each_ref().map(Weight::layout) };
    let [a, b, c] = weights.each_ref().map(Weight::elements);
    B::run(op, [primitive(x), a, b, c]).map(float)
}

/// y `[n, output_i]` from x `[n, input]` and three weights. Nobody differentiates it.
#[derive(Debug, Clone)]
pub struct Linears {
    /// How each weight is laid out.
    pub weights: [Layout; 3],
}

impl Op<4, 3> for Linears {
    const NAME: &'static str = "linears";

    fn shapes(&self, [x, a, b, c]: [&Shape; 4]) -> [Shape; 3] {
        let [of_a, of_b, of_c] = self.weights;
        [of_a.outputs(a), of_b.outputs(b), of_c.outputs(c)]
            .map(|outputs| Shape::new([x[0], outputs]))
    }

    fn cpu(&self, [x, a, b, c]: [Elements; 4]) -> [Vec<f32>; 3] {
        let ([of_a, of_b, of_c], [n, input]) = (self.weights, x.dims());
        [(of_a, a), (of_b, b), (of_c, c)].map(|(layout, weight)| {
            layout.on_cpu(&weight, input).product(Matrix::new(&x, n, input))
        })
    }
}

/// The row of `linears` in the list of operations: few rows and many.
pub fn visit(visitor: &mut impl Visitor) {
    for rows in [5, 90] {
        let weight = |outputs, seed| noise([outputs, WIDTH], seed);
        let inputs = [noise([rows, WIDTH], 40), weight(66, 41), weight(33, 42), weight(31, 43)];
        let op = Linears { weights: [Layout::Rows; 3] };
        visitor.visit(Case::new("linears", op, inputs));
    }
}
