//! The sum of a tensor's squares, by which gradients are clipped.
//!
//! ```text
//! y = Σ x²
//! ```

use burn::tensor::{Shape, Tensor};
use rayon::prelude::*;

use crate::kernel::check::{Case, N, Visitor, WIDTH, noise};
use crate::kernel::op::Elements;
use crate::kernel::{Kernels, Op, float, primitive};

/// Σ x² as a tensor of one element, summed in double precision where the device has it.
pub fn sum_of_squares<B: Kernels, const D: usize>(x: &Tensor<B, D>) -> Tensor<B, 1> {
    let [sum] = B::run(SumOfSquares, [primitive(x)]);
    float(sum)
}

/// The sum `[1]` over a tensor of any shape, always in the same order.
#[derive(Debug, Clone)]
pub struct SumOfSquares;

impl Op<1, 1> for SumOfSquares {
    const NAME: &'static str = "sum_of_squares";

    fn shapes(&self, _: [&Shape; 1]) -> [Shape; 1] {
        [Shape::new([1])]
    }

    fn cpu(&self, [x]: [Elements; 1]) -> [Vec<f32>; 1] {
        let square =
            |chunk: &[f32]| chunk.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
        let parts: Vec<f64> = x.par_chunks(16 * 1024).map(square).collect();
        [vec![parts.iter().sum::<f64>() as f32]]
    }
}

/// The row of `sum_of_squares` in the list of operations.
pub fn visit(visitor: &mut impl Visitor) {
    visitor.visit(Case::new("sum_of_squares", SumOfSquares, [noise([N, WIDTH], 25)]));
}
