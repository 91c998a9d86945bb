//! Picking whole rows: embedding look-up, hidden states, logits.
//!
//! ```text
//! out[i] = x[index[i]]
//! ```

use std::sync::Arc;

use burn::tensor::ops::FloatTensor;
use burn::tensor::{Shape, Tensor};

use super::weight::{Layout, rows_of};
use crate::kernel::check::{Case, N, Visitor, WIDTH, noise, stored_noise};
use crate::kernel::cpu::simd::for_rows;
use crate::kernel::op::{Elements, Keeps, Saved};
use crate::kernel::stored::Storage;
use crate::kernel::{Kernels, Op, float, primitive};

/// Rows `index` of `x [m, d]`: `[index.len(), d]`.
pub fn gather_rows<B: Kernels>(x: &Tensor<B, 2>, index: &[u32]) -> Tensor<B, 2> {
    let [out] = B::run(GatherRows { index: index.into(), of: Layout::Rows }, [primitive(x)]);
    float(out)
}

/// Rows of x `[m, d]`.
#[derive(Debug, Clone)]
pub struct GatherRows {
    /// Which rows.
    pub index: Arc<[u32]>,
    /// How x is laid out.
    pub of: Layout,
}

impl Op<1, 1> for GatherRows {
    const NAME: &'static str = "gather_rows";

    fn shapes(&self, [x]: [&Shape; 1]) -> [Shape; 1] {
        [Shape::new([self.index.len(), self.of.inputs(x)])]
    }

    fn cpu(&self, [x]: [Elements; 1]) -> [Vec<f32>; 1] {
        [rows_of(self.of, &x, self.of.inputs(x.shape()), &self.index)]
    }

    fn keeps(_: [bool; 1]) -> Option<Keeps<1>> {
        Some(Keeps::NOTHING)
    }

    fn gradients<B: Kernels>(
        &self,
        saved: Saved<FloatTensor<B>, 1, 1>,
        dout: FloatTensor<B>,
        _: [bool; 1],
    ) -> [Option<FloatTensor<B>>; 1] {
        assert!(!self.of.is_constant(), "a frozen weight has no gradient");
        let op = ScatterRows { index: self.index.clone(), rows: saved.shape(0)[0] };
        B::run(op, [dout]).map(Some)
    }
}

/// The gradient of [`GatherRows`]: rows of dout `[index.len(), d]` summed where they came from, in
/// order, into `[rows, d]`.
#[derive(Debug, Clone)]
pub struct ScatterRows {
    /// Where each row goes.
    pub index: Arc<[u32]>,
    /// Rows there are.
    pub rows: usize,
}

impl Op<1, 1> for ScatterRows {
    const NAME: &'static str = "scatter_rows";

    fn shapes(&self, [dout]: [&Shape; 1]) -> [Shape; 1] {
        [Shape::new([self.rows, dout[1]])]
    }

    fn cpu(&self, [dout]: [Elements; 1]) -> [Vec<f32>; 1] {
        let [_, width] = dout.dims();
        [scatter_add(&dout, width, &self.index, self.rows)]
    }
}

/// The row of `gather_rows` in the list of operations.
pub fn visit(visitor: &mut impl Visitor) {
    let index = (0..N as u32).map(|i| i * 5 % 8).collect();
    visitor.visit(Case::new(
        "gather_rows",
        GatherRows { index, of: Layout::Rows },
        [noise([9, WIDTH], 14)],
    ));
    let (output, input) = (37, WIDTH + 1);
    for storage in Storage::ALL {
        let index = (0..N as u32).map(|i| i * 5 % 37).collect();
        let op = GatherRows { index, of: Layout::Stored { storage, output, input } };
        let words = stored_noise([output, input], storage, 14);
        visitor.visit(Case::new("gather_rows: few bits", op, [words]).without_gradients());
    }
}

/// `out[i] = x[index[i]]` for rows of `width`.
pub fn gather(x: &[f32], width: usize, index: &[u32]) -> Vec<f32> {
    let mut out = vec![0.0; index.len() * width];
    for_rows(&mut out, width, |first, rows| {
        for (row, from) in rows.chunks_exact_mut(width).zip(&index[first..]) {
            row.copy_from_slice(&x[*from as usize * width..(*from as usize + 1) * width]);
        }
    });
    out
}

/// Rows of `dout` summed where they came from, in order.
fn scatter_add(dout: &[f32], width: usize, index: &[u32], rows: usize) -> Vec<f32> {
    let mut dx = vec![0.0; rows * width];
    for (row, to) in dout.chunks_exact(width).zip(index) {
        let to = &mut dx[*to as usize * width..(*to as usize + 1) * width];
        for (sum, g) in to.iter_mut().zip(row) {
            *sum += g;
        }
    }
    dx
}
