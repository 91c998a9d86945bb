//! Attention over packed rows on a device: a cube for a few queries and heads that share their keys, and keys
//! in tiles that are read once for all of them.
//!
//! The softmax runs along with the keys (Milakov and Gimelshein 2018, arXiv 1805.02867), and the
//! backward pass recomputes probabilities from the saved log-sum-exp, so no score outlives its tile.

mod backward;
mod key_gradient;
mod tables;

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use self::tables::{NUMBERS_OF_A_BLOCK, query_blocks};
use super::tensor::{dims, empty, numbers};
use super::{GpuForm, ROW_UNITS, a_cube_each, array};
use crate::kernel::ops::attention::{Attention, AttentionPlan};

/// Keys of a tile: one for each unit of the cube.
const TILE: usize = ROW_UNITS;

/// Floats from one row of a tile in shared memory to the next: rows lie in different banks.
const TILE_STRIDE: usize = TILE + 1;

/// The least score, of a key that is not seen.
const UNSEEN: f32 = -1.0e30;

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

#[cube(launch)]
fn forward_kernel(
    q: &Array<f32>,
    k: &Array<f32>,
    v: &Array<f32>,
    blocks: &Array<u32>,
    out: &mut Array<f32>,
    lse: &mut Array<f32>,
    heads: u32,
    kv_heads: u32,
    scale: f32,
    jobs: u32,
    #[comptime] head_dim: usize,
    #[comptime] rows: usize,
) {
    let job = CUBE_POS;
    if job >= jobs as usize {
        terminate!();
    }
    let (heads, kv_heads) = (heads as usize, kv_heads as usize);
    let (block, kv_head) = (job / kv_heads * NUMBERS_OF_A_BLOCK, job % kv_heads);
    let (unit, sharing) = (UNIT_POS as usize, heads / kv_heads);
    let (kv_width, kv_column) = (kv_heads * head_dim, kv_head * head_dim);
    let mut queries = SharedMemory::<f32>::new(comptime!(rows * head_dim));
    let mut scores = SharedMemory::<f32>::new(comptime!(rows * TILE_STRIDE));
    let mut tops = SharedMemory::<f32>::new(rows);
    let mut shrinks = SharedMemory::<f32>::new(rows);
    #[unroll]
    for r in 0..rows {
        let pair = pair_of_row(blocks, block, r);
        let place = place_of_pair(blocks, block, pair, heads, kv_heads, kv_head);
        load(q, place * head_dim, &mut queries, r, head_dim);
    }
    sync_cube();
    let per_unit = comptime!(head_dim.div_ceil(TILE));
    let mut sums = zero_sums(comptime!(rows * per_unit));
    // Of the row that this unit keeps the softmax of, if any.
    let mut largest = f32::new(UNSEEN);
    let mut mass = 0.0f32;
    let last = pair_of_row(blocks, block, comptime!(rows - 1));
    let keys = keys_seen(blocks, block, last, sharing);
    let mut start = 0usize;
    while start < keys {
        let key = start + unit;
        let row = key_row(blocks, block, min(key, keys - 1)) * kv_width + kv_column;
        let products = dots(&queries, k, row, head_dim, rows);
        #[unroll]
        for r in 0..rows {
            let pair = pair_of_row(blocks, block, r);
            let is_seen = key < keys_seen(blocks, block, pair, sharing);
            scores[r * TILE_STRIDE + unit] = select(is_seen, products[r] * scale, f32::new(UNSEEN));
        }
        sync_cube();
        if unit < rows {
            let before = largest;
            #[unroll]
            for i in 0..TILE {
                largest = max(largest, scores[unit * TILE_STRIDE + i]);
            }
            tops[unit] = largest;
            shrinks[unit] = (before - largest).exp();
        }
        sync_cube();
        #[unroll]
        for r in 0..rows {
            let at = r * TILE_STRIDE + unit;
            scores[at] = (scores[at] - tops[r]).exp();
            #[unroll]
            for c in 0..per_unit {
                sums[r * per_unit + c] *= shrinks[r];
            }
        }
        sync_cube();
        if unit < rows {
            mass *= shrinks[unit];
            #[unroll]
            for i in 0..TILE {
                mass += scores[unit * TILE_STRIDE + i];
            }
        }
        let count = min(keys - start, TILE);
        for i in 0..count {
            let row = key_row(blocks, block, start + i) * kv_width + kv_column;
            #[unroll]
            for c in 0..per_unit {
                let column = unit + c * TILE;
                if column < head_dim {
                    let number = v[row + column];
                    #[unroll]
                    for r in 0..rows {
                        sums[r * per_unit + c] += scores[r * TILE_STRIDE + i] * number;
                    }
                }
            }
        }
        sync_cube();
        start += TILE;
    }
    let pairs = blocks[block + 2] as usize;
    if unit < rows {
        shrinks[unit] = mass;
        if unit < pairs {
            let pair = pair_of_row(blocks, block, unit);
            let place = place_of_pair(blocks, block, pair, heads, kv_heads, kv_head);
            lse[place] = largest + mass.ln();
        }
    }
    sync_cube();
    #[unroll]
    for r in 0..rows {
        if r < pairs {
            let pair = pair_of_row(blocks, block, r);
            let place = place_of_pair(blocks, block, pair, heads, kv_heads, kv_head);
            #[unroll]
            for c in 0..per_unit {
                let column = unit + c * TILE;
                if column < head_dim {
                    out[place * head_dim + column] = sums[r * per_unit + c] / shrinks[r];
                }
            }
        }
    }
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

impl GpuForm<3, 2> for Attention {
    fn cubecl<R: CubeRuntime>(&self, [q, k, v]: [CubeTensor<R>; 3]) -> [CubeTensor<R>; 2] {
        let ([n, width], plan) = (dims(&q), &self.plan);
        let [out, lse] = [empty(&q, [n, width]), empty(&q, [n, plan.heads])];
        if n > 0 {
            let rows = query_rows(plan);
            let (blocks, count) = blocks_beside(plan, &q, rows);
            let (cubes, units) = a_cube_each(count * plan.kv_heads);
            forward_kernel::launch(
                &q.client,
                cubes,
                units,
                array(&q),
                array(&k),
                array(&v),
                blocks.into_array_arg(),
                array(&out),
                array(&lse),
                plan.heads as u32,
                plan.kv_heads as u32,
                plan.scale(),
                (count * plan.kv_heads) as u32,
                plan.head_dim,
                rows,
            );
        }
        [out, lse]
    }
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
