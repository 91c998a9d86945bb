//! Writing whole rows, as generation does with its cache of keys and values.
//!
//! ```text
//! x[index[i]] ← rows[i]
//! ```

use std::sync::Arc;

use burn::tensor::{Shape, Tensor};

use crate::kernel::check::{Case, Visitor, WIDTH, noise};
use crate::kernel::op::Elements;
use crate::kernel::{Kernels, Op, float, primitive};

/// `x [m, d]` with rows `index` replaced by `rows [index.len(), d]`; in place where `x` is unshared.
/// Nobody differentiates it: a cache is written while generating.
pub fn write_rows<B: Kernels>(x: Tensor<B, 2>, index: &[u32], rows: &Tensor<B, 2>) -> Tensor<B, 2> {
    let inputs = [x.into_primitive().tensor(), primitive(rows)];
    let [x] = B::run(WriteRows { index: index.into() }, inputs);
    float(x)
}

/// x `[m, d]` after the rows `[index.len(), d]` were written to it.
#[derive(Debug, Clone)]
pub struct WriteRows {
    /// Where each row goes.
    pub index: Arc<[u32]>,
}

impl Op<2, 1> for WriteRows {
    const NAME: &'static str = "write_rows";
    const IN_PLACE: usize = 1;

    fn shapes(&self, [x, _]: [&Shape; 2]) -> [Shape; 1] {
        [x.clone()]
    }

    fn cpu(&self, [x, rows]: [Elements; 2]) -> [Vec<f32>; 1] {
        let [_, width] = x.dims();
        let mut x = x.into_vec();
        write(&mut x, width, &self.index, &rows);
        [x]
    }
}

/// Rows of this width to where they go.
pub(super) fn write(x: &mut [f32], width: usize, index: &[u32], rows: &[f32]) {
    for (row, to) in rows.chunks_exact(width).zip(index) {
        x[*to as usize * width..(*to as usize + 1) * width].copy_from_slice(row);
    }
}

/// The row of `write_rows` in the list of operations.
pub fn visit(visitor: &mut impl Visitor) {
    let op = WriteRows { index: [7, 0, 4].into() };
    visitor.visit(Case::new("write_rows", op, [noise([9, WIDTH], 15), noise([3, WIDTH], 16)]));
}
