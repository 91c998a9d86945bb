//! The right side of a product, laid out in the order in which tiles read it.

use std::mem::MaybeUninit;

use multiversion::multiversion;
use rayon::prelude::*;

use super::Matrix;
use crate::kernel::cpu::WORTH_A_THREAD;
use crate::kernel::cpu::dots::{LANES, Lanes};

/// Panels of a matrix `[inner, columns]`: 16 columns each, row after row; the last is filled up with zeros.
#[derive(Clone, Copy)]
pub struct Panels<'a> {
    lanes: &'a [Lanes],
    inner: usize,
    columns: usize,
}

impl<'a> Panels<'a> {
    /// Panels that were written by [`pack`].
    pub fn new(values: &'a [f32], inner: usize, columns: usize) -> Self {
        let lanes = values.as_chunks::<LANES>().0;
        assert_eq!(lanes.len(), inner * columns.div_ceil(LANES), "panels of [{inner}, {columns}]");
        Self { lanes, inner, columns }
    }

    pub(super) fn inner(self) -> usize {
        self.inner
    }

    pub(super) fn columns(self) -> usize {
        self.columns
    }

    /// Panel `index` from row `k` on.
    pub(super) fn panel(self, index: usize, k: usize) -> &'a [Lanes] {
        &self.lanes[index * self.inner + k..(index + 1) * self.inner]
    }
}

/// The panels of a matrix, one after another.
pub fn pack(b: Matrix) -> Vec<f32> {
    let len = b.rows * b.cols.div_ceil(LANES);
    let mut lanes: Vec<Lanes> = Vec::with_capacity(len);
    let places = &mut lanes.spare_capacity_mut()[..len];
    let write = |(index, panel): (usize, &mut [_])| write_panel(b, index * LANES, panel);
    match len * LANES {
        0 => {}
        1..WORTH_A_THREAD => places.chunks_mut(b.rows).enumerate().for_each(write),
        _ => places.par_chunks_mut(b.rows).enumerate().with_min_len(4).for_each(write),
    }
    // SAFETY: each panel was written whole.
    unsafe { lanes.set_len(len) };
    lanes.into_flattened()
}

/// Writes the panel that begins with column `first`.
#[multiversion(targets = "simd")]
fn write_panel(b: Matrix<'_>, first: usize, panel: &mut [MaybeUninit<Lanes>]) {
    let width = LANES.min(b.cols - first);
    let data = &b.data[first * b.col_stride..];
    match (width, b.row_stride, b.col_stride) {
        (LANES, stride, 1) => {
            for (k, lanes) in panel.iter_mut().enumerate() {
                lanes.write(std::array::from_fn(|lane| data[k * stride..][..LANES][lane]));
            }
        }
        (LANES, 1, stride) => {
            let columns: [&[f32]; LANES] =
                std::array::from_fn(|lane| &data[lane * stride..][..panel.len()]);
            for (k, lanes) in panel.iter_mut().enumerate() {
                lanes.write(std::array::from_fn(|lane| columns[lane][k]));
            }
        }
        (_, row_stride, stride) => {
            for (k, lanes) in panel.iter_mut().enumerate() {
                let at = |lane: usize| data[k * row_stride + lane * stride];
                lanes.write(std::array::from_fn(|lane| if lane < width { at(lane) } else { 0.0 }));
            }
        }
    }
}
