//! `x · wᵀ` for up to a few hundred rows of x: what every step of generation is made of.
//!
//! A general matrix product packs its operands first, which for a large `w` moves more memory than the
//! product itself, and at every token again. Both operands have contiguous rows, so tiles of dot
//! products read them in place and `w` comes from memory once.

use multiversion::multiversion;
use multiversion::target::match_target;
use rayon::prelude::*;

use super::dots::dots;

/// Most rows of x for which this is used; more are a general matrix product.
pub const MOST_ROWS: usize = 256;

/// Rows of x that stay in a core's cache while a part of `w` passes.
const BLOCK: usize = 64;

/// Multiplications that are worth handing to a thread.
const WORTH_A_THREAD: usize = 1 << 16;

/// `[n, output]` from `x [n, input]` and `w [output, input]`, both contiguous.
///
/// Every element is summed in an order that depends on `input` alone, so a row's result does not
/// depend on the rows beside it.
pub fn product(x: &[f32], w: &[f32], input: usize) -> Vec<f32> {
    let (n, output) = (x.len() / input, w.len() / input);
    let mut y = Vec::with_capacity(n * output);
    let columns = Columns { first: y.as_mut_ptr(), output };
    let rows = rows_of_task(n, output, input);
    w.par_chunks(rows * input).enumerate().for_each(|(task, w)| {
        for (block, x) in x.chunks(BLOCK * input).enumerate() {
            multiply(x, w, input, columns.at(block * BLOCK, task * rows));
        }
    });
    // SAFETY: the tasks wrote their columns of all rows, and their columns are all that there are.
    unsafe { y.set_len(n * output) };
    y
}

/// Rows of `w` that one task takes: whole tiles, several tasks for each thread, and not below the work
/// that a thread is woken for.
fn rows_of_task(n: usize, output: usize, input: usize) -> usize {
    let fair = output.div_ceil(8 * rayon::current_num_threads());
    fair.min(64).max(WORTH_A_THREAD.div_ceil((n * input).max(1))).next_multiple_of(4)
}

/// The place of some rows and columns in a result `[n, output]` that is not written yet.
#[derive(Clone, Copy)]
struct Columns {
    first: *mut f32,
    output: usize,
}

// SAFETY: tasks write disjoint columns, and nobody reads before they have ended.
unsafe impl Send for Columns {}
// SAFETY: as above.
unsafe impl Sync for Columns {}

impl Columns {
    fn at(self, row: usize, column: usize) -> Self {
        // SAFETY: rows and columns are counted off from the operands, whose product has room for all.
        Self { first: unsafe { self.first.add(row * self.output + column) }, ..self }
    }

    #[inline(always)]
    fn write<const W: usize, const X: usize>(self, tile: [[f32; W]; X]) {
        for (row, values) in tile.into_iter().enumerate() {
            for (column, value) in values.into_iter().enumerate() {
                // SAFETY: as for `at`; a tile has as many rows and columns as operands were read.
                unsafe { self.first.add(row * self.output + column).write(value) };
            }
        }
    }
}

/// The products of all rows of x and w that are given, in tiles that fit the registers.
#[multiversion(targets = "simd")]
fn multiply(x: &[f32], w: &[f32], input: usize, y: Columns) {
    match_target! {
        "x86_64+avx512f" => in_tiles::<true, 4, 4>(x, w, input, y),
        "x86_64+fma" => in_tiles::<true, 2, 2>(x, w, input, y),
        "aarch64" => in_tiles::<true, 2, 2>(x, w, input, y),
        _ => in_tiles::<false, 1, 1>(x, w, input, y),
    }
}

#[inline(always)]
fn in_tiles<const FUSED: bool, const W: usize, const X: usize>(
    x: &[f32],
    w: &[f32],
    input: usize,
    y: Columns,
) {
    let tiles = w.chunks_exact(W * input);
    let rest = tiles.remainder().chunks_exact(input);
    for (tile, w) in tiles.enumerate() {
        strip::<FUSED, W, X>(x, rows(w, input), y.at(0, tile * W));
    }
    let first = w.len() / (W * input) * W;
    for (row, w) in rest.enumerate() {
        strip::<FUSED, 1, X>(x, [w], y.at(0, first + row));
    }
}

/// `W` columns of the result.
#[inline(always)]
fn strip<const FUSED: bool, const W: usize, const X: usize>(
    x: &[f32],
    ws: [&[f32]; W],
    y: Columns,
) {
    let input = ws[0].len();
    let tiles = x.chunks_exact(X * input);
    let rest = tiles.remainder().chunks_exact(input);
    for (tile, x) in tiles.enumerate() {
        y.at(tile * X, 0).write(dots::<FUSED, W, X>(rows(x, input), ws));
    }
    let first = x.len() / (X * input) * X;
    for (row, x) in rest.enumerate() {
        y.at(first + row, 0).write(dots::<FUSED, W, 1>([x], ws));
    }
}

#[inline(always)]
fn rows<const N: usize>(matrix: &[f32], width: usize) -> [&[f32]; N] {
    std::array::from_fn(|i| &matrix[i * width..(i + 1) * width])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_the_dot_product_of_its_rows() {
        let shapes = [(1, 1, 1), (3, 70, 17), (5, 130, 16), (9, 2, 40), (70, 67, 33)];
        for (n, output, input) in shapes {
            let number = |i: usize| (i * 7 % 11) as f32 - 5.0;
            let x: Vec<f32> = (0..n * input).map(number).collect();
            let w: Vec<f32> = (0..output * input).map(|i| number(i + 3)).collect();
            let y = product(&x, &w, input);
            for (at, y) in y.iter().enumerate() {
                let (row, column) = (at / output, at % output);
                let exact: f32 =
                    (0..input).map(|i| x[row * input + i] * w[column * input + i]).sum();
                assert_eq!(*y, exact, "[{n}, {input}] times [{output}, {input}] at {at}");
            }
        }
    }

    #[test]
    fn a_row_does_not_depend_on_the_rows_beside_it() {
        let x: Vec<f32> = (0..7 * 33).map(|i| (i as f32 * 0.7).sin()).collect();
        let w: Vec<f32> = (0..90 * 33).map(|i| (i as f32 * 0.3).cos()).collect();
        let together = product(&x, &w, 33);
        for (row, x) in x.chunks_exact(33).enumerate() {
            assert_eq!(product(x, &w, 33), together[row * 90..(row + 1) * 90]);
        }
    }

    #[test]
    fn no_rows_and_no_weights_make_empty_products() {
        assert!(product(&[], &[1.0, 2.0], 2).is_empty());
        assert!(product(&[1.0, 2.0], &[], 2).is_empty());
    }
}
