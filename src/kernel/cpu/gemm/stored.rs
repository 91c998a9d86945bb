//! Products with a weight in few bits. Each task opens the panels it needs into f32, a piece at a time, and
//! multiplies it as any others; so the numbers are those of the opened weight, to the last bit. For many rows a piece
//! is whole panels, as many as a core's second cache holds; for few, where opening takes about as long as multiplying,
//! it is part of two panels, which stays in the first.

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use super::arithmetic::Factors;
use super::block::{self, Block, Next};
use super::panels::Panels;
use super::{Matrix, Place, ROWS};
use crate::kernel::cpu::WORTH_A_THREAD;
use crate::kernel::cpu::dots::{LANES, Lanes};
use crate::kernel::stored::{BLOCK, Storage, open_outputs, open_transposed};

/// Numbers that a task opens at once: 256 KiB of f32.
const OPENED: usize = 1 << 16;

/// Rows for which that is worth more than staying in the first cache.
const MANY_ROWS: usize = 48;

/// Panels that the widest tile takes at once.
const PANELS_OF_TILE: usize = 2;

/// Steps of the inner dimension that a piece for few rows has: whole blocks of every storage.
const INNER_OF_PIECE: usize = 128;

/// A frozen weight `[output, input]`, from one of its panels on.
#[derive(Clone, Copy)]
pub struct StoredMatrix<'a> {
    words: &'a [f32],
    storage: Storage,
    output: usize,
    input: usize,
}

impl<'a> StoredMatrix<'a> {
    /// A weight of this shape in its words.
    pub fn new(words: &'a [f32], storage: Storage, [output, input]: [usize; 2]) -> Self {
        let expected = storage.words([output, input]);
        assert_eq!(words.len(), expected, "words of a weight [{output}, {input}] in {storage}");
        Self { words, storage, output, input }
    }

    /// Some of the outputs, from a whole panel on.
    pub fn outputs(self, range: Range<usize>) -> Self {
        assert!(range.start.is_multiple_of(LANES), "a part of a stored weight begins with a panel");
        let words = &self.words[range.start / LANES * self.words_of_panel()..];
        let output = range.len();
        Self { words: &words[..self.storage.words([output, self.input])], output, ..self }
    }

    /// The words of a panel.
    pub fn panel(self, index: usize) -> &'a [f32] {
        &self.words[index * self.words_of_panel()..][..self.words_of_panel()]
    }

    fn words_of_panel(self) -> usize {
        self.storage.words_of_panel(self.input)
    }
}

/// `x · weightᵀ` as a new contiguous row-major buffer `[n, output]`.
pub fn product_of_stored(x: Matrix, weight: StoredMatrix) -> Vec<f32> {
    product(x, Right { weight, side: Side::Outputs })
}

/// `dy · weight` as a new contiguous row-major buffer `[n, input]`.
pub fn product_of_stored_transposed(dy: Matrix, weight: StoredMatrix) -> Vec<f32> {
    product(dy, Right { weight, side: Side::Inputs })
}

fn product(a: Matrix, b: Right) -> Vec<f32> {
    let len = a.rows * b.columns();
    let mut out = Vec::with_capacity(len);
    // SAFETY: the pointer owns room for all elements, and each of them is written and not read.
    unsafe {
        multiply(Place { first: out.as_mut_ptr(), stride: b.columns() }, a, b, false);
        out.set_len(len);
    }
    out
}

/// `out ← out + x · weightᵀ`, for a contiguous row-major `out [n, output]`.
pub fn add_product_of_stored(out: &mut [f32], x: Matrix, weight: StoredMatrix) {
    add_product(out, x, Right { weight, side: Side::Outputs });
}

/// `out ← out + dy · weight`, for a contiguous row-major `out [n, input]`.
pub fn add_product_of_stored_transposed(out: &mut [f32], dy: Matrix, weight: StoredMatrix) {
    add_product(out, dy, Right { weight, side: Side::Inputs });
}

fn add_product(out: &mut [f32], a: Matrix, b: Right) {
    assert_eq!(out.len(), a.rows * b.columns(), "the product does not fit its output");
    let place = Place { first: out.as_mut_ptr(), stride: b.columns() };
    // SAFETY: the assertion above keeps every element inside `out`.
    unsafe { multiply(place, a, b, true) }
}

/// Which side of a weight becomes the columns of a product.
#[derive(Clone, Copy)]
enum Side {
    Outputs,
    Inputs,
}

/// The right side of a product.
#[derive(Clone, Copy)]
struct Right<'a> {
    weight: StoredMatrix<'a>,
    side: Side,
}

impl Right<'_> {
    fn inner(self) -> usize {
        match self.side {
            Side::Outputs => self.weight.input,
            Side::Inputs => self.weight.output,
        }
    }

    fn columns(self) -> usize {
        match self.side {
            Side::Outputs => self.weight.output,
            Side::Inputs => self.weight.input,
        }
    }

    /// The words that are opened after these.
    fn next(self, panels: Range<usize>, steps: Range<usize>) -> Option<Next> {
        let (weight, storage) = (self.weight, self.weight.storage);
        let Side::Outputs = self.side else { return None };
        let words = weight.words_of_panel();
        let at = match steps.end < weight.input {
            true => panels.start * words + steps.end / BLOCK * storage.words_of_block(),
            false => panels.end * words,
        };
        Some(Next {
            first: weight.words.as_ptr().wrapping_add(at),
            bytes_of_panel: words * size_of::<f32>(),
            bytes_of_step: (storage.words_of_block() * size_of::<f32>()).div_ceil(BLOCK),
        })
    }

    /// Opens some steps of panel `index` of 16 columns; they begin with a block.
    fn open(self, index: usize, steps: Range<usize>, out: &mut [Lanes]) {
        let (weight, storage) = (self.weight, self.weight.storage);
        match self.side {
            Side::Outputs => {
                let words = steps.start / BLOCK * storage.words_of_block();
                open_outputs(&weight.panel(index)[words..], storage, out);
            }
            Side::Inputs => {
                for (panel, out) in (steps.start / LANES..).zip(out.chunks_mut(LANES)) {
                    open_transposed(weight.panel(panel), storage, index, out);
                }
            }
        }
    }
}

/// # Safety
/// `out` must be valid for writes (and reads where `accumulate`) of `a.rows` rows of as many elements as `b` has
/// columns.
unsafe fn multiply(out: Place, a: Matrix, b: Right, accumulate: bool) {
    thread_local!(static SCRATCH: RefCell<Vec<Lanes>> = const { RefCell::new(Vec::new()) });
    let inner = b.inner();
    assert_eq!(a.cols, inner, "inner dimensions of a matrix product differ");
    let panels = b.columns().div_ceil(LANES);
    let work_of_panel = (a.rows * inner * LANES).max(1);
    let fair = panels.div_ceil(8 * rayon::current_num_threads());
    let worth_it = WORTH_A_THREAD.div_ceil(work_of_panel);
    let most = (OPENED / (inner * LANES).max(1)).max(1);
    let group = fair.max(worth_it).next_multiple_of(PANELS_OF_TILE).min(most);
    let work = |task: usize| {
        let panels = task * group..panels.min((task + 1) * group);
        SCRATCH.with_borrow_mut(|scratch| {
            // SAFETY: tasks have columns of their own.
            unsafe { Task { out, a, b, accumulate }.compute(panels, scratch) }
        });
    };
    let tasks = if a.rows == 0 { 0 } else { panels.div_ceil(group) };
    let least = WORTH_A_THREAD.div_ceil(work_of_panel * group);
    match tasks {
        2.. => (0..tasks).into_par_iter().with_min_len(least).for_each(work),
        _ => (0..tasks).for_each(work),
    }
}

/// A product, some panels of which are computed on one thread.
#[derive(Clone, Copy)]
struct Task<'a> {
    out: Place,
    a: Matrix<'a>,
    b: Right<'a>,
    accumulate: bool,
}

impl Task<'_> {
    /// # Safety
    /// As for [`multiply`]; nobody else touches the columns of these panels meanwhile.
    unsafe fn compute(self, panels: Range<usize>, scratch: &mut Vec<Lanes>) {
        let inner = self.a.cols;
        let (width, most) = match self.a.rows {
            MANY_ROWS.. => (panels.len(), inner),
            _ => (PANELS_OF_TILE, INNER_OF_PIECE),
        };
        for first in panels.clone().step_by(width.max(1)) {
            for step in (0..inner.max(1)).step_by(most.max(1)) {
                let (panels, steps) =
                    (first..panels.end.min(first + width), step..inner.min(step + most));
                // SAFETY: as the caller promises.
                unsafe { self.piece(panels, steps, scratch) }
            }
        }
    }

    /// # Safety
    /// As for [`Task::compute`]; pieces of the same panels come in the order of their steps.
    unsafe fn piece(self, panels: Range<usize>, steps: Range<usize>, scratch: &mut Vec<Lanes>) {
        let Self { out, a, b, accumulate } = self;
        let needed = panels.len() * steps.len();
        scratch.resize(scratch.len().max(needed), [0.0; LANES]);
        let opened = &mut scratch[..needed];
        for (panel, opened) in panels.clone().zip(opened.chunks_mut(steps.len().max(1))) {
            b.open(panel, steps.clone(), opened);
        }
        let columns = b.columns().min(panels.end * LANES) - panels.start * LANES;
        let opened = Panels::of(opened.as_flattened(), steps.len(), columns, Factors::F32);
        let accumulate = accumulate || steps.start > 0;
        let next = b.next(panels.clone(), steps.clone());
        for row in (0..a.rows).step_by(ROWS) {
            let a = a.some_rows(row, a.rows.min(row + ROWS)).some_columns(steps.clone());
            // SAFETY: blocks of a task have rows of their own.
            unsafe {
                let out = out.at(row, panels.start * LANES);
                let panels = (0, panels.len());
                block::compute(Block { out, a, b: opened, panels, accumulate, next });
            }
        }
    }
}
