//! Embeddings of tokens that were just drawn and are still on the device.
//!
//! ```text
//! out[i] = x[drawn[index[i]][0]]
//! ```

use std::sync::Arc;

use burn::tensor::{Shape, Tensor};

use super::gather_rows::gather;
use crate::kernel::check::{Case, N, Visitor, WIDTH, noise};
use crate::kernel::op::Elements;
use crate::kernel::{Kernels, Op, float, primitive};

/// Rows of `x [m, d]` whose numbers are the tokens in rows `index` of `drawn [n, 2]`, as
/// [`sample`](super::sample()) gives them: `[index.len(), d]`.
pub fn gather_drawn<B: Kernels>(
    x: &Tensor<B, 2>,
    drawn: &Tensor<B, 2>,
    index: &[u32],
) -> Tensor<B, 2> {
    let [out] = B::run(GatherDrawn { index: index.into() }, [primitive(x), primitive(drawn)]);
    float(out)
}

/// Rows of x `[m, d]` from drawn `[n, 2]`. Nobody differentiates it.
#[derive(Debug, Clone)]
pub struct GatherDrawn {
    /// Which rows of drawn.
    pub index: Arc<[u32]>,
}

impl Op<2, 1> for GatherDrawn {
    const NAME: &'static str = "gather_drawn";

    fn shapes(&self, [x, _]: [&Shape; 2]) -> [Shape; 1] {
        [Shape::new([self.index.len(), x[1]])]
    }

    fn cpu(&self, [x, drawn]: [Elements; 2]) -> [Vec<f32>; 1] {
        let [_, width] = x.dims();
        let tokens: Vec<u32> =
            self.index.iter().map(|row| drawn[*row as usize * 2] as u32).collect();
        [gather(&x, width, &tokens)]
    }
}

/// The row of `gather_drawn` in the list of operations.
pub fn visit(visitor: &mut impl Visitor) {
    let tokens: Vec<f32> = (0..N).flat_map(|i| [(i * 4 % 9) as f32, -0.5]).collect();
    let drawn = Elements::new(tokens, Shape::new([N, 2]));
    let index = (0..N as u32).rev().step_by(2).collect();
    visitor.visit(Case::new("gather_drawn", GatherDrawn { index }, [noise([9, WIDTH], 14), drawn]));
}
