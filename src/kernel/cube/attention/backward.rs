//! The backward pass of attention on a device: the gradient of queries.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::key_gradient::key_gradients;
use super::tables::NUMBERS_OF_A_BLOCK;
use super::{
    TILE, TILE_STRIDE, blocks_beside, dots, key_row, keys_seen, load, pair_of_row, place_of_pair,
    query_rows, zero_sums,
};
use crate::kernel::cube::tensor::{dims, empty, empty_if};
use crate::kernel::cube::{GpuForm, a_cube_each, array};
use crate::kernel::ops::attention::AttentionBackward;

#[cube(launch)]
fn query_gradient_kernel(
    q: &Array<f32>,
    k: &Array<f32>,
    v: &Array<f32>,
    blocks: &Array<u32>,
    out: &Array<f32>,
    lse: &Array<f32>,
    dout: &Array<f32>,
    dq: &mut Array<f32>,
    along: &mut Array<f32>,
    heads: u32,
    kv_heads: u32,
    scale: f32,
    jobs: u32,
    #[comptime] head_dim: usize,
    #[comptime] rows: usize,
    #[comptime] of_q: bool,
) {
    let job = CUBE_POS;
    if job >= jobs as usize {
        terminate!();
    }
    let (heads, kv_heads) = (heads as usize, kv_heads as usize);
    let (block, kv_head) = (job / kv_heads * NUMBERS_OF_A_BLOCK, job % kv_heads);
    let (unit, sharing) = (UNIT_POS as usize, heads / kv_heads);
    let (kv_width, kv_column) = (kv_heads * head_dim, kv_head * head_dim);
    let pairs = blocks[block + 2] as usize;
    let mut queries = SharedMemory::<f32>::new(comptime!(rows * head_dim));
    let mut slopes = SharedMemory::<f32>::new(comptime!(rows * head_dim));
    let mut changes = SharedMemory::<f32>::new(comptime!(rows * TILE_STRIDE));
    let mut means = SharedMemory::<f32>::new(rows);
    let mut masses = SharedMemory::<f32>::new(rows);
    #[unroll]
    for r in 0..rows {
        let pair = pair_of_row(blocks, block, r);
        let place = place_of_pair(blocks, block, pair, heads, kv_heads, kv_head);
        load(q, place * head_dim, &mut queries, r, head_dim);
        load(dout, place * head_dim, &mut slopes, r, head_dim);
    }
    sync_cube();
    if unit < rows {
        let pair = pair_of_row(blocks, block, unit);
        let place = place_of_pair(blocks, block, pair, heads, kv_heads, kv_head);
        // Σ dout·out of this query and head: what every score's gradient is measured against.
        let mut mean = 0.0f32;
        for i in 0..head_dim {
            mean += slopes[unit * head_dim + i] * out[place * head_dim + i];
        }
        means[unit] = mean;
        masses[unit] = lse[place];
        if unit < pairs {
            along[place] = mean;
        }
    }
    sync_cube();
    if comptime!(of_q) {
        let per_unit = comptime!(head_dim.div_ceil(TILE));
        let mut sums = zero_sums(comptime!(rows * per_unit));
        let last = pair_of_row(blocks, block, comptime!(rows - 1));
        let keys = keys_seen(blocks, block, last, sharing);
        let mut start = 0usize;
        while start < keys {
            let key = start + unit;
            let row = key_row(blocks, block, min(key, keys - 1)) * kv_width + kv_column;
            let scores = dots(&queries, k, row, head_dim, rows);
            let values = dots(&slopes, v, row, head_dim, rows);
            #[unroll]
            for r in 0..rows {
                let pair = pair_of_row(blocks, block, r);
                let is_seen = key < keys_seen(blocks, block, pair, sharing);
                let weight = (scores[r] * scale - masses[r]).exp();
                let change = weight * (values[r] - means[r]) * scale;
                changes[r * TILE_STRIDE + unit] = select(is_seen, change, 0.0f32);
            }
            sync_cube();
            let count = min(keys - start, TILE);
            for i in 0..count {
                let row = key_row(blocks, block, start + i) * kv_width + kv_column;
                #[unroll]
                for c in 0..per_unit {
                    let column = unit + c * TILE;
                    if column < head_dim {
                        let number = k[row + column];
                        #[unroll]
                        for r in 0..rows {
                            sums[r * per_unit + c] += changes[r * TILE_STRIDE + i] * number;
                        }
                    }
                }
            }
            sync_cube();
            start += TILE;
        }
        #[unroll]
        for r in 0..rows {
            if r < pairs {
                let pair = pair_of_row(blocks, block, r);
                let place = place_of_pair(blocks, block, pair, heads, kv_heads, kv_head);
                #[unroll]
                for c in 0..per_unit {
                    let column = unit + c * TILE;
                    if column < head_dim {
                        dq[place * head_dim + column] = sums[r * per_unit + c];
                    }
                }
            }
        }
    }
}

/// `q`, `k`, `v`, `out`, `lse` and `dout`.
pub(super) type Given<R> = [CubeTensor<R>; 6];

impl GpuForm<6, 3> for AttentionBackward {
    fn cubecl<R: CubeRuntime>(&self, given: Given<R>) -> [CubeTensor<R>; 3] {
        let [q, k, v, ..] = &given;
        let ([n, _], [keys, _]) = (dims(q), dims(k));
        assert_eq!(n, keys, "gradients need a pass without a cache");
        let [of_q, of_k, of_v] = self.needs;
        let [dq, dk, dv] = [empty_if(of_q, q), empty_if(of_k, k), empty_if(of_v, v)];
        let along = empty(q, [n, self.plan.heads]);
        // The gradient of the keys needs what the pass over the queries finds along the way.
        if n > 0 && (of_q || of_k) {
            self.query_gradient(&given, &dq, &along);
        }
        if n > 0 && (of_k || of_v) {
            key_gradients(self, &given, &along, [&dk, &dv]);
        }
        [dq, dk, dv]
    }
}

impl AttentionBackward {
    fn query_gradient<R: CubeRuntime>(
        &self,
        [q, k, v, out, lse, dout]: &Given<R>,
        dq: &CubeTensor<R>,
        along: &CubeTensor<R>,
    ) {
        let (plan, rows) = (&self.plan, query_rows(&self.plan));
        let (blocks, count) = blocks_beside(plan, q, rows);
        let (cubes, units) = a_cube_each(count * plan.kv_heads);
        query_gradient_kernel::launch(
            &q.client,
            cubes,
            units,
            array(q),
            array(k),
            array(v),
            blocks.into_array_arg(),
            array(out),
            array(lse),
            array(dout),
            array(dq),
            array(along),
            plan.heads as u32,
            plan.kv_heads as u32,
            plan.scale(),
            (count * plan.kv_heads) as u32,
            plan.head_dim,
            rows,
            self.needs[0],
        );
    }
}
