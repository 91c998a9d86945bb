//! A block of a product: some rows of the left side with some panels of the right, on one thread.

use std::ops::Range;

use multiversion::multiversion;
use multiversion::target::match_target;

use super::panels::Panels;
use super::tile::{Ahead, Rows, Start, tile};
use super::{Matrix, Place};
use crate::kernel::cpu::dots::{LANES, Lanes};

/// Rows of a panel that stay in the first cache while rows of the left side pass.
const INNER: usize = 256;

/// The same where parts of the left side are copied to the second cache.
const INNER_OF_COLUMNS: usize = 128;

/// What one task computes.
#[derive(Clone, Copy)]
pub struct Block<'a> {
    /// The place of its first element, with room for all of them.
    pub out: Place,
    /// Rows of the left side.
    pub a: Matrix<'a>,
    /// The right side,
    pub b: Panels<'a>,
    /// of which these panels count.
    pub panels: (usize, usize),
    /// Whether the product is added to what is there.
    pub accumulate: bool,
}

/// Computes a block, in tiles that fit the registers.
///
/// # Safety
/// `block.out` must have room for the block, which nobody else touches meanwhile.
#[multiversion(targets = "simd")]
pub unsafe fn compute(block: Block<'_>) {
    // SAFETY: as the caller promises.
    unsafe {
        match_target! {
            "x86_64+avx512f" => block.in_tiles::<true, 8, 2>(),
            "x86_64+fma" => block.in_tiles::<true, 6, 1>(),
            "aarch64" => block.in_tiles::<true, 6, 1>(),
            _ => block.in_tiles::<false, 2, 1>(),
        }
    }
}

impl Block<'_> {
    /// # Safety
    /// As for [`compute`].
    #[inline(always)]
    unsafe fn in_tiles<const FUSED: bool, const M: usize, const P: usize>(self) {
        let inner = self.a.cols;
        let mut copy = Vec::new();
        let most = if self.a.col_stride == 1 { INNER } else { INNER_OF_COLUMNS };
        for k in (0..inner.max(1)).step_by(most) {
            let range = k..inner.min(k + most);
            let a = self.rows::<M>(range.clone(), &mut copy);
            let go_on = k > 0 || self.accumulate;
            let start = if go_on { Start::Result } else { Start::Zero };
            let piece = Piece { block: self, a, inner: range, start };
            let (first, end) = self.panels;
            let full = end.min(self.b.columns() / LANES);
            let mut panel = first;
            // SAFETY: panels of the block, each to its own columns.
            unsafe {
                while panel + P <= full {
                    piece.strip::<FUSED, M, P>(panel, self.out.at(0, (panel - first) * LANES));
                    panel += P;
                }
                while panel < full {
                    piece.strip::<FUSED, M, 1>(panel, self.out.at(0, (panel - first) * LANES));
                    panel += 1;
                }
                if panel < end {
                    let out = self.out.at(0, (panel - first) * LANES);
                    piece.last_strip::<FUSED, M>(panel, out);
                }
            }
        }
    }

    /// Some columns of the left side. Where a row's elements do not lie one after another, they are copied
    /// tile by tile, so that a tile reads a few lines of the cache and not one for each of its columns.
    #[inline(always)]
    fn rows<const M: usize>(&self, inner: Range<usize>, copy: &mut Vec<f32>) -> Rows {
        let a = self.a;
        let (panels, length) = (self.panels.1 - self.panels.0, inner.len());
        if a.col_stride == 1 || panels < 3 {
            let first = a.data[inner.start * a.col_stride..].as_ptr();
            let (step, row_stride) = (a.row_stride, a.row_stride);
            return Rows { first, step, row_stride, inner_stride: a.col_stride };
        }
        copy.resize(a.rows.next_multiple_of(M) * length, 0.0);
        for (k, at) in inner.enumerate() {
            let column = &a.data[at * a.col_stride..];
            for row in (0..a.rows).step_by(M) {
                let place = &mut copy[row * length + k * M..][..M];
                match column.get(row..row + M) {
                    // Beyond the last row it copies what no tile reads.
                    Some(next) if a.row_stride == 1 => place.copy_from_slice(next),
                    _ => {
                        for (i, place) in place.iter_mut().enumerate().take(a.rows - row) {
                            *place = column[(row + i) * a.row_stride];
                        }
                    }
                }
            }
        }
        Rows { first: copy.as_ptr(), step: length, row_stride: 1, inner_stride: M }
    }
}

/// A block's product over some part of the inner dimension.
struct Piece<'a> {
    block: Block<'a>,
    a: Rows,
    inner: Range<usize>,
    start: Start,
}

impl Piece<'_> {
    /// All rows of `P` panels, to `y`.
    ///
    /// # Safety
    /// The panels must be those of the block, and `y` have room for all rows of them.
    #[inline(always)]
    unsafe fn strip<const FUSED: bool, const M: usize, const P: usize>(
        &self,
        panel: usize,
        y: Place,
    ) {
        let panels = std::array::from_fn(|p| self.panel(panel + p));
        let rows = self.block.a.rows;
        let mut row = 0;
        // Each tile fetches its share of the next panels, so that memory and arithmetic do not wait in turn.
        let (tiles, width) = (rows.div_ceil(M), P * self.block.b.inner());
        let ahead = |row: usize| {
            let first = row / M * self.inner.len() / tiles;
            let panels = panels.map(|panel: *const Lanes| panel.wrapping_add(width + first));
            Ahead { panels, step: size_of::<Lanes>() / tiles }
        };
        // SAFETY: rows of the block, which begin with whole tiles.
        unsafe {
            while row + M <= rows {
                self.tile::<FUSED, M, P>(row, panels, ahead(row), y.at(row, 0));
                row += M;
            }
            let y = y.at(row, 0);
            match rows - row {
                0 => {}
                1 => self.tile::<FUSED, 1, P>(row, panels, ahead(row), y),
                2 => self.tile::<FUSED, 2, P>(row, panels, ahead(row), y),
                3 => self.tile::<FUSED, 3, P>(row, panels, ahead(row), y),
                4 => self.tile::<FUSED, 4, P>(row, panels, ahead(row), y),
                5 => self.tile::<FUSED, 5, P>(row, panels, ahead(row), y),
                6 => self.tile::<FUSED, 6, P>(row, panels, ahead(row), y),
                _ => self.tile::<FUSED, 7, P>(row, panels, ahead(row), y),
            }
        }
    }

    /// All rows of a panel that is not full, by way of rows that are.
    ///
    /// # Safety
    /// The panel must be one of the block, and `y` have room for all rows of its columns.
    #[inline(always)]
    unsafe fn last_strip<const FUSED: bool, const M: usize>(&self, panel: usize, y: Place) {
        let width = self.block.b.columns() - panel * LANES;
        let mut full: Vec<Lanes> = vec![[0.0; LANES]; self.block.a.rows];
        let place = Place { first: full.as_mut_ptr().cast(), stride: LANES };
        // SAFETY: rows of the block and the columns that the panel has.
        unsafe {
            let row_of = |row| std::slice::from_raw_parts_mut(y.at(row, 0).first, width);
            if self.start == Start::Result {
                for (row, full) in full.iter_mut().enumerate() {
                    full[..width].copy_from_slice(row_of(row));
                }
            }
            self.strip::<FUSED, M, 1>(panel, place);
            for (row, full) in full.iter().enumerate() {
                row_of(row).copy_from_slice(&full[..width]);
            }
        }
    }

    fn panel(&self, index: usize) -> *const Lanes {
        self.block.b.panel(index, self.inner.start).as_ptr()
    }

    /// # Safety
    /// `M` rows from `row` on and the panels must be those of the block, and `y` their place.
    #[inline(always)]
    unsafe fn tile<const FUSED: bool, const M: usize, const P: usize>(
        &self,
        row: usize,
        panels: [*const Lanes; P],
        ahead: Ahead<P>,
        y: Place,
    ) {
        // SAFETY: the piece's part of the inner dimension is inside `a` and the panels.
        unsafe {
            let a = self.a.at(row);
            tile::<FUSED, M, P>(a, panels, self.inner.len(), y, self.start, ahead);
        }
    }
}
