//! The right side of a product, laid out in the order in which tiles read it.

use std::mem::MaybeUninit;

use multiversion::multiversion;
use rayon::prelude::*;

use super::Matrix;
use super::arithmetic::{Factors, pair};
use crate::kernel::cpu::WORTH_A_THREAD;
use crate::kernel::cpu::dots::{LANES, Lanes};

/// Panels of a matrix `[inner, columns]`: 16 columns each, row after row, or two rows after two where they are
/// of bf16; the last is filled up with zeros.
#[derive(Clone, Copy)]
pub struct Panels<'a> {
    lanes: &'a [Lanes],
    inner: usize,
    columns: usize,
    factors: Factors,
}

impl<'a> Panels<'a> {
    /// Panels that were written by [`pack`].
    pub fn new(values: &'a [f32], inner: usize, columns: usize) -> Self {
        Self::of(values, inner, columns, Factors::current())
    }

    /// Panels that were written by [`pack_as`].
    pub(super) fn of(values: &'a [f32], inner: usize, columns: usize, factors: Factors) -> Self {
        let lanes = values.as_chunks::<LANES>().0;
        let expected = factors.steps(inner) * columns.div_ceil(LANES);
        assert_eq!(lanes.len(), expected, "panels of [{inner}, {columns}]");
        Self { lanes, inner, columns, factors }
    }

    pub(super) fn factors(self) -> Factors {
        self.factors
    }

    /// Steps of the inner dimension, each a row of a panel.
    pub(super) fn steps(self) -> usize {
        self.factors.steps(self.inner)
    }

    pub(super) fn inner(self) -> usize {
        self.inner
    }

    pub(super) fn columns(self) -> usize {
        self.columns
    }

    /// Panel `index` from a step on.
    pub(super) fn panel(self, index: usize, step: usize) -> &'a [Lanes] {
        &self.lanes[index * self.steps() + step..(index + 1) * self.steps()]
    }
}

/// The panels of a matrix, one after another.
pub fn pack(b: Matrix) -> Vec<f32> {
    pack_as(b, Factors::current())
}

/// The same of such factors.
pub(super) fn pack_as(b: Matrix, factors: Factors) -> Vec<f32> {
    let steps = factors.steps(b.rows);
    let len = steps * b.cols.div_ceil(LANES);
    let mut lanes: Vec<Lanes> = Vec::with_capacity(len);
    let places = &mut lanes.spare_capacity_mut()[..len];
    let write = |(index, panel): (usize, &mut [_])| match factors {
        Factors::F32 => write_panel(b, index * LANES, panel),
        Factors::Bf16 => write_panel_of_pairs(b, index * LANES, panel),
    };
    match len * LANES {
        0 => {}
        1..WORTH_A_THREAD => places.chunks_mut(steps).enumerate().for_each(write),
        _ => places.par_chunks_mut(steps).enumerate().with_min_len(4).for_each(write),
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

/// Writes the panel of bf16 that begins with column `first`.
#[multiversion(targets = "simd")]
fn write_panel_of_pairs(b: Matrix<'_>, first: usize, panel: &mut [MaybeUninit<Lanes>]) {
    let width = LANES.min(b.cols - first);
    let data = &b.data[first * b.col_stride..];
    match (width, b.row_stride, b.col_stride) {
        (LANES, 1, stride) => {
            let columns: [&[f32]; LANES] =
                std::array::from_fn(|lane| &data[lane * stride..][..b.rows]);
            for (step, lanes) in panel.iter_mut().enumerate() {
                let of = |lane: usize, row: usize| columns[lane].get(row).copied().unwrap_or(0.0);
                lanes.write(std::array::from_fn(|lane| {
                    pair(of(lane, 2 * step), of(lane, 2 * step + 1))
                }));
            }
        }
        (_, row_stride, stride) => {
            for (step, lanes) in panel.iter_mut().enumerate() {
                let at = |row: usize, lane: usize| match row < b.rows && lane < width {
                    true => data[row * row_stride + lane * stride],
                    false => 0.0,
                };
                let of = |lane| pair(at(2 * step, lane), at(2 * step + 1, lane));
                lanes.write(std::array::from_fn(of));
            }
        }
    }
}
