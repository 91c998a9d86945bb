//! A block of a product: some rows of the left side with some panels of the right, on one thread.

use std::ops::Range;

use multiversion::multiversion;
use multiversion::target::match_target;

#[cfg(target_arch = "x86_64")]
use super::arithmetic::Pairs;
use super::arithmetic::{Arithmetic, Factors, Fused, Plain, pair};
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
    /// What is read after it, where that is not the next panels.
    pub next: Option<Next>,
}

/// What is to be fetched into the cache while panels are multiplied.
#[derive(Clone, Copy)]
pub struct Next {
    /// The first byte that follows the block's first panel; it may lie beyond the end.
    pub first: *const f32,
    /// Bytes from there to what follows the next panel.
    pub bytes_of_panel: usize,
    /// Bytes for each step of the inner dimension.
    pub bytes_of_step: usize,
}

/// Computes a block, in tiles that fit the registers.
///
/// # Safety
/// `block.out` must have room for the block, which nobody else touches meanwhile. A right side of bf16 is for
/// machines that multiply it.
pub unsafe fn compute(block: Block<'_>) {
    // SAFETY: as the caller promises.
    unsafe {
        match block.b.factors() {
            Factors::F32 => compute_f32(block),
            Factors::Bf16 => compute_bf16(block),
        }
    }
}

/// # Safety
/// As for [`compute`].
#[multiversion(targets = "simd")]
unsafe fn compute_f32(block: Block<'_>) {
    // SAFETY: as the caller promises.
    unsafe {
        match_target! {
            "x86_64+avx512f" => block.in_tiles::<Fused, 8, 2>(),
            "x86_64+fma" => block.in_tiles::<Fused, 6, 1>(),
            "aarch64" => block.in_tiles::<Fused, 6, 1>(),
            _ => block.in_tiles::<Plain, 2, 1>(),
        }
    }
}

/// # Safety
/// As for [`compute`]; the machine must have these instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,fma,bmi2")]
unsafe fn compute_bf16(block: Block<'_>) {
    // SAFETY: as the caller promises.
    unsafe { block.in_tiles::<Pairs, 8, 2>() }
}

/// # Safety
/// None: it is never called.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn compute_bf16(_: Block<'_>) {
    unreachable!("this machine does not multiply bf16")
}

impl Block<'_> {
    /// # Safety
    /// As for [`compute`].
    #[inline(always)]
    unsafe fn in_tiles<S: Arithmetic, const M: usize, const P: usize>(self) {
        let steps = S::FACTORS.steps(self.a.cols);
        let mut copy = Vec::new();
        let most = if self.a.col_stride == 1 { INNER } else { INNER_OF_COLUMNS };
        for k in (0..steps.max(1)).step_by(most) {
            let range = k..steps.min(k + most);
            let a = match S::FACTORS {
                Factors::F32 => self.rows::<M>(range.clone(), &mut copy),
                Factors::Bf16 => self.pairs(range.clone(), &mut copy),
            };
            let go_on = k > 0 || self.accumulate;
            let start = if go_on { Start::Result } else { Start::Zero };
            let piece = Piece { block: self, a, steps: range, start };
            let (first, end) = self.panels;
            let full = end.min(self.b.columns() / LANES);
            let mut panel = first;
            // SAFETY: panels of the block, each to its own columns.
            unsafe {
                while panel + P <= full {
                    piece.strip::<S, M, P>(panel, self.out.at(0, (panel - first) * LANES));
                    panel += P;
                }
                while panel < full {
                    piece.strip::<S, M, 1>(panel, self.out.at(0, (panel - first) * LANES));
                    panel += 1;
                }
                if panel < end {
                    let out = self.out.at(0, (panel - first) * LANES);
                    piece.last_strip::<S, M>(panel, out);
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

    /// The same, rounded to bf16 and in pairs along the inner dimension: row by row where a row's elements lie
    /// one after another, else step by step.
    #[inline(always)]
    fn pairs(&self, steps: Range<usize>, copy: &mut Vec<f32>) -> Rows {
        let (a, length) = (self.a, steps.len());
        // Without steps there may be no data either.
        let rows = if steps.is_empty() { 0 } else { a.rows };
        copy.clear();
        copy.reserve(rows * length);
        if a.col_stride == 1 {
            for row in 0..rows {
                let row = &a.data[row * a.row_stride..][2 * steps.start..a.cols.min(2 * steps.end)];
                let (pairs, rest) = row.as_chunks::<2>();
                copy.extend(pairs.iter().map(|[low, high]| pair(*low, *high)));
                copy.extend(rest.iter().map(|last| pair(*last, 0.0)));
            }
            return Rows {
                first: copy.as_ptr(),
                step: length,
                row_stride: length,
                inner_stride: 1,
            };
        }
        for step in steps {
            let low = &a.data[2 * step * a.col_stride..];
            let high = if 2 * step + 1 < a.cols { &low[a.col_stride..] } else { &[] };
            match (a.row_stride, high.is_empty()) {
                (1, false) => {
                    let both = low[..a.rows].iter().zip(&high[..a.rows]);
                    copy.extend(both.map(|(low, high)| pair(*low, *high)));
                }
                (stride, _) => copy.extend((0..a.rows).map(|row| {
                    pair(low[row * stride], high.get(row * stride).copied().unwrap_or(0.0))
                })),
            }
        }
        Rows { first: copy.as_ptr(), step: 1, row_stride: 1, inner_stride: a.rows }
    }
}

/// A block's product over some part of the inner dimension.
struct Piece<'a> {
    block: Block<'a>,
    a: Rows,
    steps: Range<usize>,
    start: Start,
}

impl Piece<'_> {
    /// All rows of `P` panels, to `y`.
    ///
    /// # Safety
    /// The panels must be those of the block, and `y` have room for all rows of them.
    #[inline(always)]
    unsafe fn strip<S: Arithmetic, const M: usize, const P: usize>(&self, panel: usize, y: Place) {
        let panels: [*const Lanes; P] = std::array::from_fn(|p| self.panel(panel + p));
        let rows = self.block.a.rows;
        let mut row = 0;
        // Each tile fetches its share of what follows, so that memory and arithmetic do not wait in turn.
        let (tiles, width) = (rows.div_ceil(M), P * self.block.b.steps());
        let (next, bytes_of_step) = match self.block.next {
            None => (panels.map(|panel| panel.wrapping_add(width)), size_of::<Lanes>()),
            Some(Next { first, bytes_of_panel, bytes_of_step }) => {
                let of = |p| first.wrapping_byte_add((panel + p) * bytes_of_panel).cast();
                (std::array::from_fn(of), bytes_of_step)
            }
        };
        let ahead = |row: usize| {
            let first = row / M * self.steps.len() * bytes_of_step / tiles;
            let panels = next.map(|panel| panel.wrapping_byte_add(first));
            Ahead { panels, step: bytes_of_step.div_ceil(tiles) }
        };
        // SAFETY: rows of the block, which begin with whole tiles.
        unsafe {
            while row + M <= rows {
                self.tile::<S, M, P>(row, panels, ahead(row), y.at(row, 0));
                row += M;
            }
            let y = y.at(row, 0);
            match rows - row {
                0 => {}
                1 => self.tile::<S, 1, P>(row, panels, ahead(row), y),
                2 => self.tile::<S, 2, P>(row, panels, ahead(row), y),
                3 => self.tile::<S, 3, P>(row, panels, ahead(row), y),
                4 => self.tile::<S, 4, P>(row, panels, ahead(row), y),
                5 => self.tile::<S, 5, P>(row, panels, ahead(row), y),
                6 => self.tile::<S, 6, P>(row, panels, ahead(row), y),
                _ => self.tile::<S, 7, P>(row, panels, ahead(row), y),
            }
        }
    }

    /// All rows of a panel that is not full, by way of rows that are.
    ///
    /// # Safety
    /// The panel must be one of the block, and `y` have room for all rows of its columns.
    #[inline(always)]
    unsafe fn last_strip<S: Arithmetic, const M: usize>(&self, panel: usize, y: Place) {
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
            self.strip::<S, M, 1>(panel, place);
            for (row, full) in full.iter().enumerate() {
                row_of(row).copy_from_slice(&full[..width]);
            }
        }
    }

    fn panel(&self, index: usize) -> *const Lanes {
        self.block.b.panel(index, self.steps.start).as_ptr()
    }

    /// # Safety
    /// `M` rows from `row` on and the panels must be those of the block, and `y` their place.
    #[inline(always)]
    unsafe fn tile<S: Arithmetic, const M: usize, const P: usize>(
        &self,
        row: usize,
        panels: [*const Lanes; P],
        ahead: Ahead<P>,
        y: Place,
    ) {
        // SAFETY: the piece's part of the inner dimension is inside `a` and the panels.
        unsafe {
            let a = self.a.at(row);
            tile::<S, M, P>(a, panels, self.steps.len(), y, self.start, ahead);
        }
    }
}
