//! What a residual stream becomes between two blocks: the sum with what a block gave, and its norm for the
//! next one, in one pass over both.
//!
//! ```text
//! s = x + y,   n = γ · s / √(mean(s²) + ε)
//! ```

use burn::tensor::{Shape, Tensor};

use super::rms_norm::{RmsNorm, rms_norm};
use crate::kernel::check::{Case, N, Visitor, WIDTH, noise};
use crate::kernel::op::Elements;
use crate::kernel::{Kernels, Op, float, primitive};

/// `x + y` of `[n, d]` each and its root-mean-square norm with scale `gamma [d]`.
pub fn add_norm<B: Kernels>(
    x: Tensor<B, 2>,
    y: Tensor<B, 2>,
    gamma: &Tensor<B, 1>,
    epsilon: f32,
) -> [Tensor<B, 2>; 2] {
    // Both outputs have gradients, and a step of this program has one output that has.
    if B::ad_enabled(&x.device()) {
        let sum = x + y;
        let normed = rms_norm(&sum, gamma, epsilon);
        return [sum, normed];
    }
    let inputs = [x.into_primitive().tensor(), y.into_primitive().tensor(), primitive(gamma)];
    B::run(AddNorm { epsilon }, inputs).map(float)
}

/// Sum and norm `[n, d]` from x and y `[n, d]` and γ `[d]`. Nobody differentiates it.
#[derive(Debug, Clone)]
pub struct AddNorm {
    /// Added to the mean of the squares.
    pub epsilon: f32,
}

impl Op<3, 2> for AddNorm {
    const NAME: &'static str = "add_norm";
    const IN_PLACE: usize = 1;

    fn shapes(&self, [x, _, _]: [&Shape; 3]) -> [Shape; 2] {
        [x.clone(), x.clone()]
    }

    fn cpu(&self, [x, y, gamma]: [Elements; 3]) -> [Vec<f32>; 2] {
        let shape = x.shape().clone();
        let mut sum = x.into_vec();
        sum.iter_mut().zip(y.iter()).for_each(|(sum, y)| *sum += y);
        let [normed] =
            RmsNorm { epsilon: self.epsilon }.cpu([Elements::new(&sum[..], shape), gamma]);
        [sum, normed]
    }
}

/// The row of `add_norm` in the list of operations.
pub fn visit(visitor: &mut impl Visitor) {
    let inputs = [noise([N, WIDTH], 47), noise([N, WIDTH], 48), noise([WIDTH], 49)];
    visitor.visit(Case::new("add_norm", AddNorm { epsilon: 1e-5 }, inputs));
}
