//! Embeddings of tokens that were just drawn and are still on the device.
//!
//! ```text
//! out[i] = x[drawn[index[i]][0]]
//! ```

use std::sync::Arc;

use burn::tensor::{Shape, Tensor};

use super::weight::{Layout, Weight, rows_of};
use crate::kernel::check::{Case, N, Visitor, WIDTH, noise, stored_noise};
use crate::kernel::op::Elements;
use crate::kernel::stored::Storage;
use crate::kernel::{Kernels, Op, float, primitive};

/// Rows of `x [m, d]` whose numbers are the tokens in rows `index` of `drawn [n, 2]`, as
/// [`sample`](super::sample()) gives them: `[index.len(), d]`.
pub fn gather_drawn<B: Kernels>(
    x: &Weight<B>,
    drawn: &Tensor<B, 2>,
    index: &[u32],
) -> Tensor<B, 2> {
    let op = GatherDrawn { index: index.into(), of: x.layout() };
    let [out] = B::run(op, [x.elements(), primitive(drawn)]);
    float(out)
}

/// Rows of x `[m, d]` from drawn `[n, 2]`. Nobody differentiates it.
#[derive(Debug, Clone)]
pub struct GatherDrawn {
    /// Which rows of drawn.
    pub index: Arc<[u32]>,
    /// How x is laid out.
    pub of: Layout,
}

impl Op<2, 1> for GatherDrawn {
    const NAME: &'static str = "gather_drawn";

    fn shapes(&self, [x, _]: [&Shape; 2]) -> [Shape; 1] {
        [Shape::new([self.index.len(), self.of.inputs(x)])]
    }

    fn cpu(&self, [x, drawn]: [Elements; 2]) -> [Vec<f32>; 1] {
        let tokens: Vec<u32> =
            self.index.iter().map(|row| drawn[*row as usize * 2] as u32).collect();
        [rows_of(self.of, &x, self.of.inputs(x.shape()), &tokens)]
    }
}

/// The row of `gather_drawn` in the list of operations.
pub fn visit(visitor: &mut impl Visitor) {
    let tokens: Vec<f32> = (0..N).flat_map(|i| [(i * 4 % 9) as f32, -0.5]).collect();
    let drawn = Elements::new(tokens, Shape::new([N, 2]));
    let index = (0..N as u32).rev().step_by(2).collect();
    visitor.visit(Case::new(
        "gather_drawn",
        GatherDrawn { index, of: Layout::Rows },
        [noise([9, WIDTH], 14), drawn.clone()],
    ));
    let (output, input) = (37, WIDTH + 1);
    for storage in Storage::ALL {
        let index = (0..N as u32).rev().step_by(2).collect();
        let op = GatherDrawn { index, of: Layout::Stored { storage, output, input } };
        let words = stored_noise([output, input], storage, 14);
        visitor.visit(Case::new("gather_drawn: few bits", op, [words, drawn.clone()]));
    }
}
