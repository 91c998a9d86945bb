//! What a low-rank adapter (Hu et al. 2021, arXiv 2106.09685) adds to the output of a linear map.
//!
//! ```text
//! out = y + scale · x·wᵀ
//! ```

use burn::tensor::ops::FloatTensor;
use burn::tensor::{Shape, Tensor};

use super::linear::{LinearInputGradient, LinearWeightGradient};
use super::weight::{Layout, Weight};
use crate::kernel::check::{Case, N, Visitor, WIDTH, noise};
use crate::kernel::cpu::gemm::Matrix;
use crate::kernel::op::{Elements, Keeps, Saved};
use crate::kernel::{Kernels, Op, float, primitive};

/// `y + scale · x·weightᵀ`: y `[n, output]`, x `[n, input]`, weight `[output, input]`; in place where `y` is
/// unshared.
pub fn add_linear<B: Kernels>(
    y: Tensor<B, 2>,
    x: &Tensor<B, 2>,
    weight: &Weight<B>,
    scale: f32,
) -> Tensor<B, 2> {
    let y = y.into_primitive().tensor();
    let op = AddLinear { scale, weight: weight.layout() };
    let [out] = B::run(op, [y, primitive(x), weight.elements()]);
    float(out)
}

/// `out [n, output]` from y of that shape, x `[n, input]` and weight `[output, input]`.
#[derive(Debug, Clone)]
pub struct AddLinear {
    /// Factor on the product.
    pub scale: f32,
    /// How the weight is laid out.
    pub weight: Layout,
}

impl Op<3, 1> for AddLinear {
    const NAME: &'static str = "add_linear";
    const IN_PLACE: usize = 1;

    fn shapes(&self, [y, ..]: [&Shape; 3]) -> [Shape; 1] {
        [y.clone()]
    }

    fn cpu(&self, [y, x, weight]: [Elements; 3]) -> [Vec<f32>; 1] {
        let [n, input] = x.dims();
        // x has few columns here: it is what is cheap to scale.
        let x: Vec<f32> = x.iter().map(|x| x * self.scale).collect();
        let mut out = y.into_vec();
        self.weight.on_cpu(&weight, input).add_product(&mut out, Matrix::new(&x, n, input));
        [out]
    }

    fn keeps([_, of_x, of_weight]: [bool; 3]) -> Option<Keeps<3>> {
        Some(Keeps::some([false, of_weight, of_x]))
    }

    fn gradients<B: Kernels>(
        &self,
        saved: Saved<FloatTensor<B>, 3, 1>,
        dout: FloatTensor<B>,
        needs: [bool; 3],
    ) -> [Option<FloatTensor<B>>; 3] {
        let scaled = |gradient: FloatTensor<B>| B::float_mul_scalar(gradient, self.scale.into());
        let of_x = needs[1].then(|| {
            let op = LinearInputGradient { weight: self.weight };
            let [dx] = B::run(op, [dout.clone(), saved.input(2)]);
            scaled(dx)
        });
        assert!(!(needs[2] && self.weight.is_constant()), "a frozen weight has no gradient");
        let of_weight = needs[2].then(|| {
            let [dweight] = B::run(LinearWeightGradient, [dout.clone(), saved.input(1)]);
            scaled(dweight)
        });
        [needs[0].then_some(dout), of_x, of_weight]
    }
}

/// The row of `add_linear` in the list of operations: few rows and many.
pub fn visit(visitor: &mut impl Visitor) {
    for rows in [7, N] {
        let inputs = [noise([rows, WIDTH], 50), noise([rows, 8], 51), noise([WIDTH, 8], 52)];
        visitor.visit(Case::new(
            "add_linear",
            AddLinear { scale: 2.0, weight: Layout::Rows },
            inputs,
        ));
    }
}
