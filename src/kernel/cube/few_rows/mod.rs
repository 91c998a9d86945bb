//! Products of a few rows with large weights, as in generation: each weight, in f32 or in few bits, is read once for up
//! to sixteen rows, and several weights of one x share a launch.
//!
//! A cube has a few outputs. Its units share the inner dimension, neighbours reading neighbours, keep a sum
//! for each row and output, and add these up at the end. The order of every sum is fixed by the inner
//! dimension alone, so a row's numbers do not depend on how many rows there are.

mod launch;

use cubecl::prelude::*;

pub(super) use self::launch::{gated_product, product, three_products};
use super::ROW_UNITS;
use super::stored::weight_at;
use super::swiglu::sigmoid;
use crate::kernel::stored::Storage;

/// Above so many rows a product in tiles is faster.
const MOST_ROWS: usize = 64;

/// Rows that share one reading of the weight.
const ROWS: usize = 16;

/// Outputs of a cube.
const OUTPUTS: usize = 4;

/// Neighbouring units whose sums are added first.
const PART: usize = 4;
const PARTS: usize = ROW_UNITS / PART;

/// Whether a product of `rows` rows is one of a few.
pub(super) fn are_few(rows: usize) -> bool {
    (1..=MOST_ROWS).contains(&rows)
}

/// Sums of this unit's share of the inner dimension, `[rows, outputs]` of the tile that begins there.
#[cube]
fn sums_of_unit(
    x: &Array<f32>,
    weight: &Array<u32>,
    first_row: usize,
    first_output: usize,
    rows: usize,
    inner: usize,
    outputs: usize,
    #[comptime] tile_rows: usize,
    #[comptime] storage: Option<Storage>,
) -> Array<f32> {
    let mut sums = Array::<f32>::new(comptime!(tile_rows * OUTPUTS));
    #[unroll]
    for i in 0..comptime!(tile_rows * OUTPUTS) {
        sums[i] = 0.0;
    }
    // What lies beyond the last row or output is computed from the last one, and written nowhere.
    let mut at = UNIT_POS as usize;
    while at < inner {
        let mut columns = Array::<f32>::new(OUTPUTS);
        #[unroll]
        for o in 0..OUTPUTS {
            columns[o] = weight_at(weight, min(first_output + o, outputs - 1), at, inner, storage);
        }
        #[unroll]
        for r in 0..tile_rows {
            let number = x[min(first_row + r, rows - 1) * inner + at];
            #[unroll]
            for o in 0..OUTPUTS {
                sums[r * OUTPUTS + o] += number * columns[o];
            }
        }
        at += ROW_UNITS;
    }
    sums
}

/// The sum over all units of one row's sums; unit `o` gets that of output `o`.
#[cube]
fn total_of_row(
    sums: &Array<f32>,
    row: usize,
    of_units: &mut SharedMemory<f32>,
    of_parts: &mut SharedMemory<f32>,
) -> f32 {
    let unit = UNIT_POS as usize;
    #[unroll]
    for o in 0..OUTPUTS {
        of_units[o * ROW_UNITS + unit] = sums[row * OUTPUTS + o];
    }
    sync_cube();
    // There are as many parts of outputs as units.
    let mut part = 0.0f32;
    #[unroll]
    for i in 0..PART {
        part += of_units[unit * PART + i];
    }
    of_parts[unit] = part;
    sync_cube();
    let mut total = 0.0f32;
    if unit < OUTPUTS {
        #[unroll]
        for i in 0..PARTS {
            total += of_parts[unit * PARTS + i];
        }
    }
    total
}

#[cube]
fn write_product(
    x: &Array<f32>,
    weight: &Array<u32>,
    y: &mut Array<f32>,
    first_row: usize,
    first_output: usize,
    rows: usize,
    inner: usize,
    outputs: usize,
    #[comptime] tile_rows: usize,
    #[comptime] storage: Option<Storage>,
) {
    let mut of_units = SharedMemory::<f32>::new(ROW_UNITS * OUTPUTS);
    let mut of_parts = SharedMemory::<f32>::new(ROW_UNITS);
    let sums =
        sums_of_unit(x, weight, first_row, first_output, rows, inner, outputs, tile_rows, storage);
    let output = first_output + UNIT_POS as usize;
    #[unroll]
    for r in 0..tile_rows {
        let total = total_of_row(&sums, r, &mut of_units, &mut of_parts);
        if (UNIT_POS as usize) < OUTPUTS && output < outputs && first_row + r < rows {
            y[(first_row + r) * outputs + output] = total;
        }
    }
}

#[cube(launch)]
fn one_weight_kernel(
    x: &Array<f32>,
    weight: &Array<u32>,
    y: &mut Array<f32>,
    rows: u32,
    inner: u32,
    outputs: u32,
    #[comptime] tile_rows: usize,
    #[comptime] storage: Option<Storage>,
) {
    let (rows, inner, outputs) = (rows as usize, inner as usize, outputs as usize);
    let tiles = outputs.div_ceil(OUTPUTS);
    let first_row = CUBE_POS / tiles * tile_rows;
    if first_row >= rows {
        terminate!();
    }
    let first_output = CUBE_POS % tiles * OUTPUTS;
    write_product(x, weight, y, first_row, first_output, rows, inner, outputs, tile_rows, storage);
}

#[cube(launch)]
fn three_weights_kernel(
    x: &Array<f32>,
    weight_a: &Array<u32>,
    weight_b: &Array<u32>,
    weight_c: &Array<u32>,
    y_a: &mut Array<f32>,
    y_b: &mut Array<f32>,
    y_c: &mut Array<f32>,
    rows: u32,
    inner: u32,
    outputs_a: u32,
    outputs_b: u32,
    outputs_c: u32,
    #[comptime] tile_rows: usize,
    #[comptime] of_a: Option<Storage>,
    #[comptime] of_b: Option<Storage>,
    #[comptime] of_c: Option<Storage>,
) {
    let (rows, inner) = (rows as usize, inner as usize);
    let (a, b, c) = (outputs_a as usize, outputs_b as usize, outputs_c as usize);
    let (tiles_a, tiles_b) = (a.div_ceil(OUTPUTS), b.div_ceil(OUTPUTS));
    let tiles = tiles_a + tiles_b + c.div_ceil(OUTPUTS);
    let first_row = CUBE_POS / tiles * tile_rows;
    if first_row >= rows {
        terminate!();
    }
    let at = CUBE_POS % tiles;
    if at < tiles_a {
        let first_output = at * OUTPUTS;
        write_product(x, weight_a, y_a, first_row, first_output, rows, inner, a, tile_rows, of_a);
    } else if at < tiles_a + tiles_b {
        let first_output = (at - tiles_a) * OUTPUTS;
        write_product(x, weight_b, y_b, first_row, first_output, rows, inner, b, tile_rows, of_b);
    } else {
        let first_output = (at - tiles_a - tiles_b) * OUTPUTS;
        write_product(x, weight_c, y_c, first_row, first_output, rows, inner, c, tile_rows, of_c);
    }
}

#[cube(launch)]
fn gated_kernel(
    x: &Array<f32>,
    gate: &Array<u32>,
    up: &Array<u32>,
    y: &mut Array<f32>,
    rows: u32,
    inner: u32,
    outputs: u32,
    #[comptime] tile_rows: usize,
    #[comptime] of_gate: Option<Storage>,
    #[comptime] of_up: Option<Storage>,
) {
    let (rows, inner, outputs) = (rows as usize, inner as usize, outputs as usize);
    let tiles = outputs.div_ceil(OUTPUTS);
    let first_row = CUBE_POS / tiles * tile_rows;
    if first_row >= rows {
        terminate!();
    }
    let first_output = CUBE_POS % tiles * OUTPUTS;
    let mut of_units = SharedMemory::<f32>::new(ROW_UNITS * OUTPUTS);
    let mut of_parts = SharedMemory::<f32>::new(ROW_UNITS);
    let gates =
        sums_of_unit(x, gate, first_row, first_output, rows, inner, outputs, tile_rows, of_gate);
    let ups = sums_of_unit(x, up, first_row, first_output, rows, inner, outputs, tile_rows, of_up);
    let output = first_output + UNIT_POS as usize;
    #[unroll]
    for r in 0..tile_rows {
        let g = total_of_row(&gates, r, &mut of_units, &mut of_parts);
        let u = total_of_row(&ups, r, &mut of_units, &mut of_parts);
        if (UNIT_POS as usize) < OUTPUTS && output < outputs && first_row + r < rows {
            y[(first_row + r) * outputs + output] = g * sigmoid(g) * u;
        }
    }
}
