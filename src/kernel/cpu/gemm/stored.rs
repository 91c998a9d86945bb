//! Products with a weight in few bits. Each task opens the panels it needs into f32, as much as a core's second
//! cache holds, and multiplies them as any others; so the numbers are those of the opened weight, to the last bit.

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use super::arithmetic::Factors;
use super::block::{self, Block};
use super::panels::Panels;
use super::{Matrix, Place, ROWS};
use crate::kernel::cpu::WORTH_A_THREAD;
use crate::kernel::cpu::dots::{LANES, Lanes};
use crate::kernel::stored::{Storage, open_outputs, open_transposed};

/// Numbers that a task opens at once: 256 KiB of f32.
const OPENED: usize = 1 << 16;

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

/// `out ← out + dy · weight`, for a contiguous row-major `out [n, input]`.
pub fn add_product_of_stored_transposed(out: &mut [f32], dy: Matrix, weight: StoredMatrix) {
    assert_eq!(out.len(), dy.rows * weight.input, "the product does not fit its output");
    let place = Place { first: out.as_mut_ptr(), stride: weight.input };
    // SAFETY: the assertion above keeps every element inside `out`.
    unsafe { multiply(place, dy, Right { weight, side: Side::Inputs }, true) }
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

    /// Opens panel `index` of 16 columns.
    fn open(self, index: usize, out: &mut [Lanes]) {
        let (weight, storage) = (self.weight, self.weight.storage);
        match self.side {
            Side::Outputs => open_outputs(weight.panel(index), storage, out),
            Side::Inputs => {
                for (panel, out) in out.chunks_mut(LANES).enumerate() {
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
    let (inner, columns) = (b.inner(), b.columns());
    assert_eq!(a.cols, inner, "inner dimensions of a matrix product differ");
    let panels = columns.div_ceil(LANES);
    let work_of_panel = (a.rows * inner * LANES).max(1);
    let fair = panels.div_ceil(8 * rayon::current_num_threads());
    let worth_it = WORTH_A_THREAD.div_ceil(work_of_panel);
    let most = (OPENED / (inner * LANES).max(1)).max(1);
    // A tile takes up to two panels at once.
    let group = fair.max(worth_it).next_multiple_of(2).min(most);
    let work = |task: usize| {
        let (first, end) = (task * group, panels.min((task + 1) * group));
        SCRATCH.with_borrow_mut(|opened| {
            let steps = (end - first) * inner;
            opened.resize(opened.len().max(steps), [0.0; LANES]);
            for (index, panel) in opened[..steps].chunks_mut(inner.max(1)).enumerate() {
                b.open(first + index, panel);
            }
            let columns = columns.min(end * LANES) - first * LANES;
            let opened = Panels::of(opened[..steps].as_flattened(), inner, columns, Factors::F32);
            for row in (0..a.rows).step_by(ROWS) {
                let (rows, panels) = (row..a.rows.min(row + ROWS), (0, end - first));
                // SAFETY: tasks have columns of their own, blocks of a task rows.
                unsafe {
                    let out = out.at(row, first * LANES);
                    let a = a.some_rows(rows.start, rows.end);
                    block::compute(Block { out, a, b: opened, panels, accumulate });
                }
            }
        });
    };
    let tasks = if a.rows == 0 { 0 } else { panels.div_ceil(group) };
    let least = WORTH_A_THREAD.div_ceil(work_of_panel * group);
    match tasks {
        2.. => (0..tasks).into_par_iter().with_min_len(least).for_each(work),
        _ => (0..tasks).for_each(work),
    }
}
