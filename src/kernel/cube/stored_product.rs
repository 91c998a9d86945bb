//! Products of many rows with a weight in few bits, which is opened in tiles: it is never there in f32 as a whole.
//!
//! A cube computes a tile of the result. Its units bring a few columns of x and the same part of the weight into
//! memory that they share, and multiply that, until the inner dimension is done: so each element is one sum in the
//! order of that dimension.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::stored::{number_at, words_of};
use super::tensor::{dims, empty, grid};
use super::{LANES, array};
use crate::kernel::stored::Storage;

/// Rows and columns of a tile.
const TILE: usize = 64;

/// Of the inner dimension, what is in shared memory at a time.
const STEP: usize = 16;

/// Rows and columns of a unit, and units of a row of them.
const OWN: usize = 4;
const UNITS: usize = TILE / OWN;

#[cube(launch)]
fn stored_product_kernel(
    x: &Array<f32>,
    words: &Array<u32>,
    y: &mut Array<f32>,
    rows: u32,
    inner: u32,
    columns: u32,
    words_of_panel: u32,
    #[comptime] storage: Storage,
    #[comptime] is_transposed: bool,
) {
    let (rows, inner, columns) = (rows as usize, inner as usize, columns as usize);
    let words_of_panel = words_of_panel as usize;
    let tiles = columns.div_ceil(TILE);
    let first_row = CUBE_POS / tiles * TILE;
    if first_row >= rows {
        terminate!();
    }
    let first_column = CUBE_POS % tiles * TILE;
    let unit = UNIT_POS as usize;
    let (own_row, own_column) = (unit / UNITS * OWN, unit % UNITS * OWN);
    let mut of_x = SharedMemory::<f32>::new(STEP * TILE);
    let mut of_weight = SharedMemory::<f32>::new(STEP * TILE);
    let mut sums = Array::<f32>::new(OWN * OWN);
    #[unroll]
    for i in 0..OWN * OWN {
        sums[i] = 0.0;
    }
    let mut first = 0usize;
    while first < inner {
        #[unroll]
        for i in 0..STEP * TILE / LANES {
            let at = unit + i * LANES;
            let (row, k) = (first_row + at / STEP, first + at % STEP);
            let mut number = 0.0f32;
            if row < rows && k < inner {
                number = x[row * inner + k];
            }
            of_x[at % STEP * TILE + at / STEP] = number;
            let (column, k) = (first_column + at % TILE, first + at / TILE);
            let mut number = 0.0f32;
            if column < columns && k < inner {
                if comptime!(is_transposed) {
                    number = number_at(words, k, column, words_of_panel, storage);
                } else {
                    number = number_at(words, column, k, words_of_panel, storage);
                }
            }
            of_weight[at] = number;
        }
        sync_cube();
        for k in 0..STEP {
            #[unroll]
            for r in 0..OWN {
                let number = of_x[k * TILE + own_row + r];
                #[unroll]
                for c in 0..OWN {
                    sums[r * OWN + c] += number * of_weight[k * TILE + own_column + c];
                }
            }
        }
        sync_cube();
        first += STEP;
    }
    #[unroll]
    for r in 0..OWN {
        #[unroll]
        for c in 0..OWN {
            let (row, column) = (first_row + own_row + r, first_column + own_column + c);
            if row < rows && column < columns {
                y[row * columns + column] = sums[r * OWN + c];
            }
        }
    }
}

/// `x · weightᵀ` of x `[n, input]` and a weight `[output, input]` in few bits; or `x · weight` of x `[n, output]`.
pub(super) fn stored_product<R: CubeRuntime>(
    x: &CubeTensor<R>,
    words: &CubeTensor<R>,
    storage: Storage,
    [output, input]: [usize; 2],
    is_transposed: bool,
) -> CubeTensor<R> {
    let ([rows, inner], columns) = (dims(x), if is_transposed { input } else { output });
    let (y, client) = (empty(x, [rows, columns]), &x.client);
    if rows * columns > 0 {
        stored_product_kernel::launch(
            client,
            grid(rows.div_ceil(TILE) * columns.div_ceil(TILE)),
            CubeDim::new_1d(LANES as u32),
            array(x),
            words_of(words),
            array(&y),
            rows as u32,
            inner as u32,
            columns as u32,
            storage.words_of_panel(input) as u32,
            storage,
            is_transposed,
        );
    }
    y
}
