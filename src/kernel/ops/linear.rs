//! The linear map of a layer, `y = x · wᵀ`, with `w` as Hugging Face stores it.

use burn::module::Module;
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Shape, Tensor};

use crate::kernel::check::{Case, N, Visitor, WIDTH, noise};
use crate::kernel::cpu::gemm::{Matrix, Panels, pack, product, product_of_panels};
use crate::kernel::op::{Elements, Keeps, Saved};
use crate::kernel::{Kernels, Op, float, primitive};

/// `x · weightᵀ`: `[n, input]` and `[output, input]` (as Hugging Face stores it) to `[n, output]`.
pub fn linear<B: Kernels>(x: &Tensor<B, 2>, weight: &Tensor<B, 2>) -> Tensor<B, 2> {
    let [y] = B::run(Linear { weight: Layout::Rows }, [primitive(x), primitive(weight)]);
    float(y)
}

/// The same for a weight that was packed: the same numbers, to the last bit.
pub fn packed_linear<B: Kernels>(x: &Tensor<B, 2>, weight: &PackedWeight<B>) -> Tensor<B, 2> {
    let layout = Layout::Panels { output: weight.output };
    let [y] = B::run(Linear { weight: layout }, [primitive(x), primitive(&weight.panels)]);
    float(y)
}

/// A weight in the order in which products read it, for as long as it does not change.
///
/// A CPU lays a weight out anew for each product. Where rows are few, as in generation, that takes longer
/// than the product itself, so it is done once for a whole phase of rollouts.
#[derive(Module, Debug)]
pub struct PackedWeight<B: Backend> {
    panels: Tensor<B, 1>,
    output: usize,
}

impl<B: Kernels> PackedWeight<B> {
    /// A second copy of `weight` `[output, input]`; none where the backend gains nothing by it.
    pub fn of(weight: &Tensor<B, 2>) -> Option<Self> {
        let [output, _] = weight.dims();
        let panels = B::packed(primitive(weight))?;
        Some(Self { panels: float(panels), output })
    }
}

/// A weight `[output, input]` as products take it.
#[derive(Debug, Clone)]
pub enum Weight<'a, B: Backend> {
    /// As Hugging Face stores it.
    Rows(Tensor<B, 2>),
    /// Packed.
    Packed(&'a PackedWeight<B>),
}

impl<B: Kernels> Weight<'_, B> {
    /// The linear map of it alone.
    pub fn linear(&self, x: &Tensor<B, 2>) -> Tensor<B, 2> {
        match self {
            Self::Rows(weight) => linear(x, weight),
            Self::Packed(weight) => packed_linear(x, weight),
        }
    }

    pub(in crate::kernel) fn layout(&self) -> Layout {
        match self {
            Self::Rows(_) => Layout::Rows,
            Self::Packed(weight) => Layout::Panels { output: weight.output },
        }
    }

    pub(in crate::kernel) fn elements(&self) -> FloatTensor<B> {
        match self {
            Self::Rows(weight) => primitive(weight),
            Self::Packed(weight) => primitive(&weight.panels),
        }
    }
}

/// `y [n, output]` from x `[n, input]` and weight `[output, input]`.
#[derive(Debug, Clone)]
pub struct Linear {
    /// How the weight is laid out.
    pub weight: Layout,
}

/// How a weight `[output, input]` is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Row after row, as Hugging Face stores it.
    Rows,
    /// In the panels of [`packed`], flat. It has no gradient.
    Panels {
        /// Rows of the weight.
        output: usize,
    },
}

impl Layout {
    /// Rows of a weight that is laid out so.
    pub fn outputs(self, weight: &Shape) -> usize {
        match self {
            Self::Rows => weight[0],
            Self::Panels { output } => output,
        }
    }

    /// `x · weightᵀ` on the CPU.
    pub fn product(self, x: &Elements, weight: &Elements) -> Vec<f32> {
        let [n, input] = x.dims();
        let x = Matrix::new(x, n, input);
        match self {
            Self::Rows => {
                let [output, _] = weight.dims();
                product(x, Matrix::new(weight, output, input).t())
            }
            Self::Panels { output } => product_of_panels(x, Panels::new(weight, input, output)),
        }
    }
}

impl Op<2, 1> for Linear {
    const NAME: &'static str = "linear";

    fn shapes(&self, [x, weight]: [&Shape; 2]) -> [Shape; 1] {
        [Shape::new([x[0], self.weight.outputs(weight)])]
    }

    fn cpu(&self, [x, weight]: [Elements; 2]) -> [Vec<f32>; 1] {
        [self.weight.product(&x, &weight)]
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
        assert!(self.weight == Layout::Rows, "a packed weight has no gradient");
        let dx = needs[0].then(|| B::run(LinearInputGradient, [dy.clone(), saved.input(1)]));
        let dweight = needs[1].then(|| B::run(LinearWeightGradient, [dy, saved.input(0)]));
        [dx, dweight].map(|gradient| gradient.map(|[gradient]| gradient))
    }
}

/// Gradient of x `[n, input]` from dy `[n, output]` and weight `[output, input]`.
#[derive(Debug, Clone)]
pub struct LinearInputGradient;

impl Op<2, 1> for LinearInputGradient {
    const NAME: &'static str = "linear_input_gradient";

    fn shapes(&self, [dy, weight]: [&Shape; 2]) -> [Shape; 1] {
        [Shape::new([dy[0], weight[1]])]
    }

    fn cpu(&self, [dy, weight]: [Elements; 2]) -> [Vec<f32>; 1] {
        let [_, input] = weight.dims();
        [input_gradient(&dy, &weight, input)]
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
}

/// The panels of a weight `[output, input]`.
pub fn packed(weight: &[f32], output: usize, input: usize) -> Vec<f32> {
    pack(Matrix::new(weight, output, input).t())
}

fn input_gradient(dy: &[f32], w: &[f32], input: usize) -> Vec<f32> {
    let output = w.len() / input;
    product(Matrix::new(dy, dy.len() / output, output), Matrix::new(w, output, input))
}

fn weight_gradient(dy: &[f32], x: &[f32], input: usize) -> Vec<f32> {
    let n = x.len() / input;
    let output = dy.len() / n.max(1);
    product(Matrix::new(dy, n, output).t(), Matrix::new(x, n, input))
}
