//! A weight `[output, input]` in the forms that products take, and what each of them computes on a CPU.

use std::ops::Range;

use burn::module::Module;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Shape, Tensor};

use super::gather_rows::{GatherRows, gather};
use super::linear::Linear;
use crate::kernel::cpu::gemm::{
    Matrix, Panels, StoredMatrix, add_product, add_product_of_panels, add_product_of_stored,
    add_product_of_stored_transposed, pack, product, product_of_panels, product_of_stored,
    product_of_stored_transposed,
};
use crate::kernel::cpu::simd::for_rows;
use crate::kernel::stored::{PANEL, Storage, StoredWeight, open_row};
use crate::kernel::{Kernels, float, primitive};

/// A weight `[output, input]` as products take it.
#[derive(Debug, Clone)]
pub enum Weight<B: Backend> {
    /// As Hugging Face stores it.
    Rows(Tensor<B, 2>),
    /// Packed.
    Packed(PackedWeight<B>),
    /// In few bits.
    Stored(StoredWeight<B>),
}

impl<B: Kernels> Weight<B> {
    /// `x · weightᵀ`: `[n, output]` of x `[n, input]`.
    pub fn linear(&self, x: &Tensor<B, 2>) -> Tensor<B, 2> {
        let [y] = B::run(Linear { weight: self.layout() }, [primitive(x), self.elements()]);
        float(y)
    }

    /// Rows `index` of it: `[index.len(), input]`.
    ///
    /// # Panics
    /// A packed weight.
    pub fn rows(&self, index: &[u32]) -> Tensor<B, 2> {
        let op = GatherRows { index: index.into(), of: self.layout() };
        let [out] = B::run(op, [self.elements()]);
        float(out)
    }

    /// All of it, `[output, input]`.
    ///
    /// # Panics
    /// A packed weight.
    pub fn matrix(&self) -> Tensor<B, 2> {
        match self {
            Self::Rows(weight) => weight.clone(),
            Self::Stored(weight) => self.rows(&(0..weight.shape()[0] as u32).collect::<Vec<_>>()),
            Self::Packed(_) => panic!("the rows of a packed weight are not to be had"),
        }
    }

    pub(in crate::kernel) fn layout(&self) -> Layout {
        match self {
            Self::Rows(_) => Layout::Rows,
            Self::Packed(weight) => Layout::Panels { output: weight.output },
            Self::Stored(weight) => {
                let [output, input] = weight.shape();
                Layout::Stored { storage: weight.storage(), output, input }
            }
        }
    }

    pub(in crate::kernel) fn elements(&self) -> FloatTensor<B> {
        match self {
            Self::Rows(weight) => primitive(weight),
            Self::Packed(weight) => primitive(&weight.panels),
            Self::Stored(weight) => primitive(weight.words()),
        }
    }
}

impl<B: AutodiffBackend> Weight<B> {
    /// A weight of the inner backend as a constant among tensors that carry gradients.
    ///
    /// # Panics
    /// A packed weight.
    pub fn from_inner(weight: Weight<B::InnerBackend>) -> Self {
        match weight {
            Weight::Rows(weight) => Self::Rows(Tensor::from_inner(weight)),
            Weight::Stored(weight) => Self::Stored(StoredWeight::from_inner(weight)),
            Weight::Packed(_) => panic!("a packed weight has no gradient"),
        }
    }
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
    /// A second copy of `weight` `[output, input]`; none where the backend gains nothing by it, and of what is
    /// stored in that order.
    pub fn of(weight: &Weight<B>) -> Option<Self> {
        let Weight::Rows(weight) = weight else { return None };
        let [output, _] = weight.dims();
        let panels = B::packed(primitive(weight))?;
        Some(Self { panels: float(panels), output })
    }
}

/// The panels of a weight `[output, input]`.
pub fn packed(weight: &[f32], output: usize, input: usize) -> Vec<f32> {
    pack(Matrix::new(weight, output, input).t())
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
    /// In few bits, flat. It is frozen.
    Stored {
        /// In which.
        storage: Storage,
        /// Rows of the weight.
        output: usize,
        /// Columns of the weight.
        input: usize,
    },
}

impl Layout {
    /// Output of a weight that is laid out so.
    pub fn outputs(self, weight: &Shape) -> usize {
        match self {
            Self::Rows => weight[0],
            Self::Panels { output } | Self::Stored { output, .. } => output,
        }
    }

    /// Input of a weight that is laid out so.
    ///
    /// # Panics
    /// Packed weights, which nothing asks for it.
    pub fn inputs(self, weight: &Shape) -> usize {
        match self {
            Self::Rows => weight[1],
            Self::Stored { input, .. } => input,
            Self::Panels { .. } => panic!("the input of a packed weight is that of its x"),
        }
    }

    /// Whether it has no gradient.
    pub fn is_constant(self) -> bool {
        self != Self::Rows
    }

    /// A weight on the CPU, of so many inputs.
    pub fn on_cpu(self, elements: &[f32], input: usize) -> CpuWeight<'_> {
        match self {
            Self::Rows => {
                CpuWeight::Rows(Matrix::new(elements, elements.len() / input.max(1), input))
            }
            Self::Panels { output } => CpuWeight::Panels(Panels::new(elements, input, output)),
            Self::Stored { storage, output, input } => {
                CpuWeight::Stored(StoredMatrix::new(elements, storage, [output, input]))
            }
        }
    }
}

/// A weight `[output, input]` in slices.
#[derive(Clone, Copy)]
pub enum CpuWeight<'a> {
    /// Row after row.
    Rows(Matrix<'a>),
    /// In panels.
    Panels(Panels<'a>),
    /// In few bits.
    Stored(StoredMatrix<'a>),
}

impl CpuWeight<'_> {
    /// `x · weightᵀ`.
    pub fn product(self, x: Matrix) -> Vec<f32> {
        match self {
            Self::Rows(weight) => product(x, weight.t()),
            Self::Panels(weight) => product_of_panels(x, weight),
            Self::Stored(weight) => product_of_stored(x, weight),
        }
    }

    /// `y ← y + x · weightᵀ`.
    pub fn add_product(self, y: &mut [f32], x: Matrix) {
        match self {
            Self::Rows(weight) => add_product(y, x, weight.t()),
            Self::Panels(weight) => add_product_of_panels(y, x, weight),
            Self::Stored(weight) => add_product_of_stored(y, x, weight),
        }
    }

    /// `dy · weight`.
    pub fn input_gradient(self, dy: Matrix) -> Vec<f32> {
        match self {
            Self::Rows(weight) => product(dy, weight),
            Self::Stored(weight) => product_of_stored_transposed(dy, weight),
            Self::Panels(_) => panic!("a packed weight has no gradient"),
        }
    }

    /// `dx ← dx + dy · weight`.
    pub fn add_input_gradient(self, dx: &mut [f32], dy: Matrix) {
        match self {
            Self::Rows(weight) => add_product(dx, dy, weight),
            Self::Stored(weight) => add_product_of_stored_transposed(dx, dy, weight),
            Self::Panels(_) => panic!("a packed weight has no gradient"),
        }
    }

    /// Some of the outputs, from a multiple of 16 on.
    pub fn outputs(self, range: Range<usize>) -> Self {
        match self {
            Self::Rows(weight) => Self::Rows(weight.some_rows(range.start, range.end)),
            Self::Stored(weight) => Self::Stored(weight.outputs(range)),
            Self::Panels(_) => panic!("a packed weight is taken whole"),
        }
    }
}

/// Rows `index` of a weight, `[index.len(), input]`.
pub fn rows_of(layout: Layout, elements: &[f32], input: usize, index: &[u32]) -> Vec<f32> {
    let Layout::Stored { storage, .. } = layout else { return gather(elements, input, index) };
    let words = storage.words_of_panel(input);
    let mut out = vec![0.0; index.len() * input];
    for_rows(&mut out, input, |first, rows| {
        for (row, from) in rows.chunks_exact_mut(input).zip(&index[first..]) {
            let from = *from as usize;
            open_row(&elements[from / PANEL * words..][..words], storage, from % PANEL, row);
        }
    });
    out
}
