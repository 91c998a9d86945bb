//! The backward pass of attention on a device: the gradients of keys and values. A cube has a few keys that
//! follow one another, and each query that sees them is read once for all of them.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::backward::Given;
use super::tables::{NUMBERS_OF_A_RUN, NUMBERS_OF_KEYS, key_blocks};
use super::{TILE, TILE_STRIDE, dots, load, most_rows, zero_sums};
use crate::kernel::cube::tensor::{dims, numbers};
use crate::kernel::cube::{a_cube_each, array};
use crate::kernel::ops::attention::AttentionBackward;

#[cube(launch)]
fn key_gradient_kernel(
    q: &Array<f32>,
    k: &Array<f32>,
    v: &Array<f32>,
    blocks: &Array<u32>,
    runs: &Array<u32>,
    lse: &Array<f32>,
    dout: &Array<f32>,
    along: &Array<f32>,
    dk: &mut Array<f32>,
    dv: &mut Array<f32>,
    heads: u32,
    kv_heads: u32,
    scale: f32,
    jobs: u32,
    #[comptime] head_dim: usize,
    #[comptime] rows: usize,
    #[comptime] of_k: bool,
    #[comptime] of_v: bool,
) {
    let job = CUBE_POS;
    if job >= jobs as usize {
        terminate!();
    }
    let (heads, kv_heads) = (heads as usize, kv_heads as usize);
    let (block, kv_head) = (job / kv_heads * NUMBERS_OF_KEYS, job % kv_heads);
    let (unit, sharing) = (UNIT_POS as usize, heads / kv_heads);
    let (first_key, key_count) = (blocks[block] as usize, blocks[block + 1] as usize);
    let mut keys = SharedMemory::<f32>::new(comptime!(rows * head_dim));
    let mut values = SharedMemory::<f32>::new(comptime!(rows * head_dim));
    let mut weights = SharedMemory::<f32>::new(comptime!(rows * TILE_STRIDE));
    let mut changes = SharedMemory::<f32>::new(comptime!(rows * TILE_STRIDE));
    #[unroll]
    for r in 0..rows {
        // Rows behind the last repeat it.
        let place = (first_key + min(r, key_count - 1)) * kv_heads + kv_head;
        load(k, place * head_dim, &mut keys, r, head_dim);
        load(v, place * head_dim, &mut values, r, head_dim);
    }
    sync_cube();
    let per_unit = comptime!(head_dim.div_ceil(TILE));
    let mut key_sums = zero_sums(comptime!(rows * per_unit));
    let mut value_sums = zero_sums(comptime!(rows * per_unit));
    for run in blocks[block + 2]..blocks[block + 3] {
        let run = run as usize * NUMBERS_OF_A_RUN;
        let (first, is_causal) = (runs[run] as usize, runs[run + 2]);
        let pairs = runs[run + 1] as usize * sharing;
        let mut start = 0usize;
        while start < pairs {
            let pair = start + unit;
            let inside = min(pair, pairs - 1);
            let place = (first + inside / sharing) * heads + kv_head * sharing + inside % sharing;
            let scores = dots(&keys, q, place * head_dim, head_dim, rows);
            #[unroll]
            for r in 0..rows {
                // Of a key's own sequence only what comes after it sees it.
                let is_seen = pair < pairs && inside / sharing >= r * is_causal as usize;
                let weight = (scores[r] * scale - lse[place]).exp();
                weights[r * TILE_STRIDE + unit] = select(is_seen, weight, 0.0f32);
            }
            if comptime!(of_k) {
                let slopes = dots(&values, dout, place * head_dim, head_dim, rows);
                #[unroll]
                for r in 0..rows {
                    let change = (slopes[r] - along[place]) * scale;
                    changes[r * TILE_STRIDE + unit] = weights[r * TILE_STRIDE + unit] * change;
                }
            }
            sync_cube();
            let count = min(pairs - start, TILE);
            for i in 0..count {
                let pair = start + i;
                let place = (first + pair / sharing) * heads + kv_head * sharing + pair % sharing;
                #[unroll]
                for c in 0..per_unit {
                    let column = unit + c * TILE;
                    if column < head_dim {
                        let at = place * head_dim + column;
                        if comptime!(of_v) {
                            let number = dout[at];
                            #[unroll]
                            for r in 0..rows {
                                value_sums[r * per_unit + c] +=
                                    weights[r * TILE_STRIDE + i] * number;
                            }
                        }
                        if comptime!(of_k) {
                            let number = q[at];
                            #[unroll]
                            for r in 0..rows {
                                key_sums[r * per_unit + c] += changes[r * TILE_STRIDE + i] * number;
                            }
                        }
                    }
                }
            }
            sync_cube();
            start += TILE;
        }
    }
    #[unroll]
    for r in 0..rows {
        if r < key_count {
            let place = (first_key + r) * kv_heads + kv_head;
            #[unroll]
            for c in 0..per_unit {
                let column = unit + c * TILE;
                if column < head_dim {
                    if comptime!(of_k) {
                        dk[place * head_dim + column] = key_sums[r * per_unit + c];
                    }
                    if comptime!(of_v) {
                        dv[place * head_dim + column] = value_sums[r * per_unit + c];
                    }
                }
            }
        }
    }
}

/// Writes dk and dv, those of them that are needed.
pub(super) fn key_gradients<R: CubeRuntime>(
    op: &AttentionBackward,
    [q, k, v, _, lse, dout]: &Given<R>,
    along: &CubeTensor<R>,
    [dk, dv]: [&CubeTensor<R>; 2],
) {
    let ([n, _], plan) = (dims(q), &op.plan);
    let rows = most_rows(plan.head_dim).min(n.next_power_of_two());
    let [blocks, runs] = plan.backward_tables.beside(q, || {
        let (blocks, runs) = key_blocks(plan, n, rows);
        [blocks, runs].map(|table| numbers(q, &table))
    });
    let jobs = blocks.meta.num_elements() / NUMBERS_OF_KEYS * plan.kv_heads;
    let (cubes, units) = a_cube_each(jobs);
    key_gradient_kernel::launch(
        &q.client,
        cubes,
        units,
        array(q),
        array(k),
        array(v),
        blocks.into_array_arg(),
        runs.into_array_arg(),
        array(lse),
        array(dout),
        array(along),
        array(dk),
        array(dv),
        plan.heads as u32,
        plan.kv_heads as u32,
        plan.scale(),
        jobs as u32,
        plan.head_dim,
        rows,
        op.needs[1],
        op.needs[2],
    );
}
