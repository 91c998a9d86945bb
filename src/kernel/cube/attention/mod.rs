//! Attention over packed rows on a device: a cube for a few queries and heads that share their keys, and keys
//! in tiles that are read once for all of them.
//!
//! The softmax runs along with the keys (Milakov and Gimelshein 2018, arXiv 1805.02867), and the
//! backward pass recomputes probabilities from the saved log-sum-exp, so no score outlives its tile.

mod backward;
mod forward;
mod key_gradient;
mod tables;

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use self::tables::{NUMBERS_OF_A_BLOCK, query_blocks};
use super::ROW_UNITS;
use super::tensor::numbers;
use crate::kernel::ops::attention::AttentionPlan;

/// Keys of a tile: one for each unit of the cube.
const TILE: usize = ROW_UNITS;

/// Floats from one row of a tile in shared memory to the next: rows lie in different banks.
const TILE_STRIDE: usize = TILE + 1;

/// Floats of one tensor's rows that a cube holds in shared memory; with two tensors and their scores that is
/// within the 16 KiB of WebGPU.
const ROW_FLOATS: usize = 1024;

/// Most rows of a cube; a power of two.
const MOST_ROWS: usize = 8;

/// Rows of a cube for heads of this width; a power of two.
fn most_rows(head_dim: usize) -> usize {
    let mut rows = MOST_ROWS;
    while rows > 1 && rows * head_dim > ROW_FLOATS {
        rows /= 2;
    }
    rows
}

/// Rows of a cube over queries: no more than there are of a prompt or completion.
fn query_rows(plan: &AttentionPlan) -> usize {
    let sharing = plan.heads / plan.kv_heads;
    let longest = plan.spans.iter().map(|span| span.queries.len() * sharing).max().unwrap_or(1);
    longest.next_power_of_two().min(most_rows(plan.head_dim))
}

/// Elements of a head that are multiplied in a row without a loop. lavapipe ends a shader's loops,
/// silently, after 65,535 rounds in all, and a whole head without one is long to compile.
fn chunk(head_dim: usize) -> usize {
    1 << head_dim.trailing_zeros().min(4)
}

/// The row of the key tensor that is the `i`th one that a block sees: its prefix, then its own.
#[cube]
fn key_row(blocks: &Array<u32>, block: usize, i: usize) -> usize {
    let (prefix, prefix_len) = (blocks[block + 3] as usize, blocks[block + 4] as usize);
    let own = blocks[block + 5] as usize;
    select(i < prefix_len, prefix + i, own + i - min(i, prefix_len))
}

/// Which query and head row `r` of a block is, counted in its span; rows behind the last repeat it.
#[cube]
fn pair_of_row(blocks: &Array<u32>, block: usize, r: usize) -> usize {
    (blocks[block + 1] + min(r as u32, blocks[block + 2] - 1)) as usize
}

/// Where the head of a row lies among all heads of all queries.
#[cube]
fn place_of_pair(
    blocks: &Array<u32>,
    block: usize,
    pair: usize,
    heads: usize,
    kv_heads: usize,
    kv_head: usize,
) -> usize {
    let sharing = heads / kv_heads;
    (blocks[block] as usize + pair / sharing) * heads + kv_head * sharing + pair % sharing
}

/// Number of keys that a pair sees.
#[cube]
fn keys_seen(blocks: &Array<u32>, block: usize, pair: usize, sharing: usize) -> usize {
    blocks[block + 6] as usize + pair / sharing
}

/// Copies one head of one row to row `r` of shared memory; the caller synchronises.
#[cube]
fn load(
    from: &Array<f32>,
    first: usize,
    to: &mut SharedMemory<f32>,
    r: usize,
    #[comptime] head_dim: usize,
) {
    let mut i = UNIT_POS as usize;
    while i < head_dim {
        to[r * head_dim + i] = from[first + i];
        i += TILE;
    }
}

/// Products of one head of a row with each of the rows in shared memory: it is read once for all of them.
#[cube]
fn dots(
    shared: &SharedMemory<f32>,
    numbers: &Array<f32>,
    first: usize,
    #[comptime] head_dim: usize,
    #[comptime] rows: usize,
) -> Array<f32> {
    let mut sums = Array::<f32>::new(rows);
    #[unroll]
    for r in 0..rows {
        sums[r] = 0.0;
    }
    let step = comptime!(chunk(head_dim));
    for piece in 0..comptime!(head_dim / step) {
        #[unroll]
        for i in 0..step {
            let at = piece * step + i;
            let number = numbers[first + at];
            #[unroll]
            for r in 0..rows {
                sums[r] += number * shared[r * head_dim + at];
            }
        }
    }
    sums
}

/// Nothing yet, for each of `count` sums of a unit.
#[cube]
fn zero_sums(#[comptime] count: usize) -> Array<f32> {
    let mut sums = Array::<f32>::new(count);
    #[unroll]
    for i in 0..count {
        sums[i] = 0.0;
    }
    sums
}

/// The table of a plan's blocks on the device, and how many they are.
fn blocks_beside<R: CubeRuntime>(
    plan: &AttentionPlan,
    like: &CubeTensor<R>,
    rows: usize,
) -> (CubeTensor<R>, usize) {
    let make = || [numbers(like, &query_blocks(plan, rows))];
    let [blocks] = plan.forward_tables.beside(like, make);
    let count = blocks.meta.num_elements() / NUMBERS_OF_A_BLOCK;
    (blocks, count)
}

#[cfg(test)]
mod tests {
    use super::{MOST_ROWS, TILE_STRIDE, chunk, most_rows};

    #[test]
    fn the_rows_of_a_cube_and_their_scores_are_within_16_kib_up_to_heads_of_256() {
        for head_dim in 1..=256 {
            let rows = most_rows(head_dim);
            // Two tensors' rows, two tiles of scores and three numbers a row, as in the backward pass.
            let floats = 2 * rows * head_dim + 2 * rows * TILE_STRIDE + 3 * rows;
            assert!(rows.is_power_of_two() && 4 * floats <= 16 << 10, "{rows} rows of {head_dim}");
            assert!(rows > 1 && rows <= MOST_ROWS);
            assert_eq!(head_dim % chunk(head_dim), 0);
        }
    }
}
