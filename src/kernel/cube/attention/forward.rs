//! The forward pass of attention on a device.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::tables::NUMBERS_OF_A_BLOCK;
use super::{
    TILE, TILE_STRIDE, blocks_beside, dots, key_row, keys_seen, load, pair_of_row, place_of_pair,
    query_rows, zero_sums,
};
use crate::kernel::cube::tensor::{dims, empty};
use crate::kernel::cube::{GpuForm, a_cube_each, array};
use crate::kernel::ops::attention::Attention;

/// The least score, of a key that is not seen.
const UNSEEN: f32 = -1.0e30;

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
