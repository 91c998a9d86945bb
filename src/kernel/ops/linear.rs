//! The linear map of a layer, `y = x · wᵀ`, with `w` as Hugging Face stores it.

use burn::tensor::ops::FloatTensor;
use burn::tensor::{Shape, Tensor};

use super::weight::Layout;
use crate::kernel::check::{Case, N, Visitor, WIDTH, noise, stored_noise};
use crate::kernel::cpu::gemm::{Matrix, product};
use crate::kernel::op::{Elements, Keeps, Saved};
use crate::kernel::stored::Storage;
use crate::kernel::{Kernels, Op, float, primitive};

/// `x · weightᵀ`: `[n, input]` and `[output, input]` (as Hugging Face stores it) to `[n, output]`.
pub fn linear<B: Kernels>(x: &Tensor<B, 2>, weight: &Tensor<B, 2>) -> Tensor<B, 2> {
    let [y] = B::run(Linear { weight: Layout::Rows }, [primitive(x), primitive(weight)]);
    float(y)
}

/// `y [n, output]` from x `[n, input]` and weight `[output, input]`.
#[derive(Debug, Clone)]
pub struct Linear {
    /// How the weight is laid out.
    pub weight: Layout,
}

impl Op<2, 1> for Linear {
    const NAME: &'static str = "linear";

    fn shapes(&self, [x, weight]: [&Shape; 2]) -> [Shape; 1] {
        [Shape::new([x[0], self.weight.outputs(weight)])]
    }

    fn cpu(&self, [x, weight]: [Elements; 2]) -> [Vec<f32>; 1] {
        let [n, input] = x.dims();
        [self.weight.on_cpu(&weight, input).product(Matrix::new(&x, n, input))]
    }

    // A frozen weight keeps no activations: each gradient is made from the other input.
    fn keeps([of_x, of_weight]: [bool; 2]) -> Option<Keeps<2>> {
        Some(Keeps::some([of_weight, of_x]))
    }

    fn gradients<B: Kernels>(
        &self,
        saved: Saved<FloatTensor<B>, 2, 1>,
        dy: FloatTensor<B>,
        needs: [bool; 2],
    ) -> [Option<FloatTensor<B>>; 2] {
        let op = LinearInputGradient { weight: self.weight };
        let dx = needs[0].then(|| B::run(op, [dy.clone(), saved.input(1)]));
        assert!(!(needs[1] && self.weight.is_constant()), "a frozen weight has no gradient");
        let dweight = needs[1].then(|| B::run(LinearWeightGradient, [dy, saved.input(0)]));
        [dx, dweight].map(|gradient| gradient.map(|[gradient]| gradient))
    }
}

/// Gradient of x `[n, input]` from dy `[n, output]` and weight `[output, input]`.
#[derive(Debug, Clone)]
pub struct LinearInputGradient {
    /// How the weight is laid out.
    pub weight: Layout,
}

impl Op<2, 1> for LinearInputGradient {
    const NAME: &'static str = "linear_input_gradient";

    fn shapes(&self, [dy, weight]: [&Shape; 2]) -> [Shape; 1] {
        [Shape::new([dy[0], self.weight.inputs(weight)])]
    }

    fn cpu(&self, [dy, weight]: [Elements; 2]) -> [Vec<f32>; 1] {
        let ([n, output], input) = (dy.dims(), self.weight.inputs(weight.shape()));
        [self.weight.on_cpu(&weight, input).input_gradient(Matrix::new(&dy, n, output))]
    }
}

/// Gradient of weight `[output, input]` from dy `[n, output]` and x `[n, input]`.
#[derive(Debug, Clone)]
pub struct LinearWeightGradient;

impl Op<2, 1> for LinearWeightGradient {
    const NAME: &'static str = "linear_weight_gradient";

    fn shapes(&self, [dy, x]: [&Shape; 2]) -> [Shape; 1] {
        [Shape::new([dy[1], x[1]])]
    }

    fn cpu(&self, [dy, x]: [Elements; 2]) -> [Vec<f32>; 1] {
        let [_, input] = x.dims();
        [weight_gradient(&dy, &x, input)]
    }
}

/// The row of `linear` in the list of operations.
pub fn visit(visitor: &mut impl Visitor) {
    let inputs = [noise([N, WIDTH], 1), noise([130, WIDTH], 2)];
    visitor.visit(Case::new("linear", Linear { weight: Layout::Rows }, inputs));
    // A few rows, as in generation; the outputs fill no whole number of tiles.
    for rows in [1, 3, 21] {
        let inputs = [noise([rows, WIDTH + 1], 1), noise([131, WIDTH + 1], 2)];
        let op = Linear { weight: Layout::Rows };
        visitor.visit(Case::new("linear: a few rows", op, inputs).without_gradients());
    }
    // Neither panels nor blocks are whole.
    let (output, input) = (131, WIDTH + 1);
    for storage in Storage::ALL {
        let weight = Layout::Stored { storage, output, input };
        let words = stored_noise([output, input], storage, 2);
        for rows in [3, N] {
            let inputs = [noise([rows, input], 1), words.clone()];
            let case = Case::new("linear: few bits", Linear { weight }, inputs);
            visitor.visit(case.without_gradients());
        }
        let op = LinearInputGradient { weight };
        let inputs = [noise([N, output], 3), words];
        visitor.visit(Case::new("linear_input_gradient: few bits", op, inputs));
    }
}

fn weight_gradient(dy: &[f32], x: &[f32], input: usize) -> Vec<f32> {
    let n = x.len() / input;
    let output = dy.len() / n.max(1);
    product(Matrix::new(dy, n, output).t(), Matrix::new(x, n, input))
}
