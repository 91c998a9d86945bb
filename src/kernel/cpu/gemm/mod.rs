//! Matrix products on slices.
//!
//! The right side is laid out in panels of 16 columns, once for a product or once for many; the left side
//! is read where it lies. Each element is added up in the order of the inner dimension, in one chain of
//! multiply-adds: however many rows and columns a product has, and however they are spread over threads
//! and registers, an element depends on its row and its column alone. Where the machine has fused
//! multiply-adds (all but very old ones) it is also the same on every machine. Under `compute_dtype: bf16` both
//! sides are rounded to 16 bits first, and a chain takes two products at a time.

mod arithmetic;
mod block;
mod panels;
mod stored;
mod tile;

use std::ops::Range;

use rayon::prelude::*;

use self::arithmetic::Factors;
pub use self::arithmetic::has_bf16;
use self::block::Block;
use self::panels::pack_as;
pub use self::panels::{Panels, pack};
pub use self::stored::{
    StoredMatrix, add_product_of_stored, add_product_of_stored_transposed, product_of_stored,
    product_of_stored_transposed,
};
use super::WORTH_A_THREAD;
use super::dots::LANES;

/// Rows of the left side that stay in a core's second cache while panels pass: whole tiles of 6 and of 8.
const ROWS: usize = 96;

/// The same for a left side whose columns are contiguous. Parts of them are copied first, in longer runs.
const ROWS_OF_COLUMNS: usize = 384;

/// A matrix inside a slice: element `(row, col)` is `data[row * row_stride + col * col_stride]`.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A row-major matrix whose rows start `row_stride` elements apart.
    pub fn strided(data: &'a [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        let end = if rows * cols == 0 { 0 } else { (rows - 1) * row_stride + cols };
        assert!(
            end <= data.len(),
            "a [{rows}, {cols}] matrix of stride {row_stride} needs {end} elements"
        );
        Self { data, rows, cols, row_stride, col_stride: 1 }
    }

    /// A contiguous row-major matrix.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// Some of its rows.
    pub fn some_rows(self, first: usize, end: usize) -> Self {
        let data = self.data.get(first * self.row_stride..).unwrap_or_default();
        Self { data, rows: end - first, ..self }
    }

    /// Some of its columns.
    fn some_columns(self, columns: Range<usize>) -> Self {
        let data = self.data.get(columns.start * self.col_stride..).unwrap_or_default();
        Self { data, cols: columns.len(), ..self }
    }

    /// The transpose, without a copy.
    pub fn t(self) -> Self {
        let Self { data, rows, cols, row_stride, col_stride } = self;
        Self { data, rows: cols, cols: rows, row_stride: col_stride, col_stride: row_stride }
    }
}

/// `a · b` as a new contiguous row-major buffer.
pub fn product(a: Matrix, b: Matrix) -> Vec<f32> {
    product_as(a, b, Factors::current())
}

/// The same of such factors.
fn product_as(a: Matrix, b: Matrix, factors: Factors) -> Vec<f32> {
    assert_eq!(a.cols, b.rows, "inner dimensions of a matrix product differ");
    let panels = pack_as(b, factors);
    product_of_panels(a, Panels::of(&panels, b.rows, b.cols, factors))
}

/// `a · b` as a new contiguous row-major buffer, for a right side that was packed before.
pub fn product_of_panels(a: Matrix, b: Panels) -> Vec<f32> {
    let len = a.rows * b.columns();
    let mut out = Vec::with_capacity(len);
    // SAFETY: the pointer owns room for `len` elements, and each of them is written and not read.
    unsafe {
        let place = Place { first: out.as_mut_ptr(), stride: b.columns() };
        multiply(place, a, b, false);
        out.set_len(len);
    }
    out
}

/// `out ← out + a · b`, for a contiguous row-major `out`.
pub fn add_product(out: &mut [f32], a: Matrix, b: Matrix) {
    assert_eq!(a.cols, b.rows, "inner dimensions of a matrix product differ");
    let factors = Factors::current();
    let panels = pack_as(b, factors);
    add_product_of_panels(out, a, Panels::of(&panels, b.rows, b.cols, factors));
}

/// The same for a right side that was packed before.
pub fn add_product_of_panels(out: &mut [f32], a: Matrix, b: Panels) {
    assert_eq!(out.len(), a.rows * b.columns(), "the product does not fit its output");
    let place = Place { first: out.as_mut_ptr(), stride: b.columns() };
    // SAFETY: the assertion above keeps every element inside `out`.
    unsafe { multiply(place, a, b, true) }
}

/// Where an element of a result lies; rows are `stride` apart.
#[derive(Clone, Copy)]
struct Place {
    first: *mut f32,
    stride: usize,
}

// SAFETY: tasks write disjoint blocks, and nobody reads before they have ended.
unsafe impl Send for Place {}
// SAFETY: as above.
unsafe impl Sync for Place {}

impl Place {
    /// # Safety
    /// The element must lie inside the result.
    #[inline(always)]
    unsafe fn at(self, row: usize, column: usize) -> Self {
        // SAFETY: as the caller promises.
        Self { first: unsafe { self.first.add(row * self.stride + column) }, ..self }
    }
}

/// # Safety
/// `out` must be valid for writes (and reads where `accumulate`) of `a.rows` rows of `b.columns()`
/// elements.
unsafe fn multiply(out: Place, a: Matrix, b: Panels, accumulate: bool) {
    assert_eq!(a.cols, b.inner(), "inner dimensions of a matrix product differ");
    let grid = Grid::new(a, b);
    let work = |task: usize| {
        let (rows, panels) = grid.task(task);
        // SAFETY: tasks of a grid are disjoint blocks of the result.
        unsafe {
            let out = out.at(rows.0, panels.0 * LANES);
            let a = a.some_rows(rows.0, rows.1);
            block::compute(Block { out, a, b, panels, accumulate, next: None });
        }
    };
    match grid.tasks() {
        tasks @ 2.. => (0..tasks).into_par_iter().with_min_len(grid.least).for_each(work),
        tasks => (0..tasks).for_each(work),
    }
}

/// A result cut into blocks of rows and panels, one a task.
struct Grid {
    rows: usize,
    panels: usize,
    rows_of_task: usize,
    panels_of_task: usize,
    /// Tasks that are worth handing to a thread.
    least: usize,
}

impl Grid {
    /// A block of rows takes all panels where there are blocks enough for the threads; else its panels are
    /// shared out too.
    fn new(a: Matrix, b: Panels) -> Self {
        let (rows, panels) = (a.rows, b.columns().div_ceil(LANES));
        let most_rows = if a.col_stride == 1 { ROWS } else { ROWS_OF_COLUMNS };
        let row_blocks = rows.div_ceil(most_rows).max(1);
        let rows_of_task = rows.div_ceil(row_blocks).next_multiple_of(24);
        let work_of_panel = (rows.min(rows_of_task) * b.inner() * LANES).max(1);
        let fair = (row_blocks * panels).div_ceil(8 * rayon::current_num_threads());
        let worth_it = WORTH_A_THREAD.div_ceil(work_of_panel);
        // A tile takes up to two panels at once.
        let panels_of_task = fair.max(worth_it).next_multiple_of(2).min(panels.max(1));
        let least = WORTH_A_THREAD.div_ceil(work_of_panel * panels_of_task);
        Self { rows, panels, rows_of_task, panels_of_task, least }
    }

    fn tasks(&self) -> usize {
        match self.rows * self.panels {
            0 => 0,
            _ => self.row_blocks() * self.panels.div_ceil(self.panels_of_task),
        }
    }

    fn row_blocks(&self) -> usize {
        self.rows.div_ceil(self.rows_of_task)
    }

    /// The rows and the panels of a task, from the first to the one after the last.
    fn task(&self, index: usize) -> ((usize, usize), (usize, usize)) {
        let (row, panel) = (index % self.row_blocks(), index / self.row_blocks());
        let (row, panel) = (row * self.rows_of_task, panel * self.panels_of_task);
        (
            (row, self.rows.min(row + self.rows_of_task)),
            (panel, self.panels.min(panel + self.panels_of_task)),
        )
    }
}

#[cfg(test)]
mod tests;
