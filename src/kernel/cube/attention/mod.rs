//! Attention over packed rows on a device: a cube for each query and head, keys in tiles.
//!
//! The softmax runs along with the keys (Milakov and Gimelshein 2018, arXiv 1805.02867), and the
//! backward pass recomputes probabilities from the saved log-sum-exp, so no score outlives its tile.

mod backward;
mod tables;

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use self::tables::keys_of_queries;
use super::tensor::{dims, empty};
use super::{GpuForm, ROW_UNITS, a_cube_each, array, upload};
use crate::kernel::ops::attention::Attention;

/// Keys of a tile: one for each unit of the cube.
const TILE: usize = ROW_UNITS;

/// The row of the key tensor that is the `i`th one a query sees: its prefix, then its own.
#[cube]
fn key_row(seen: &Array<u32>, query: usize, i: usize) -> usize {
    let (prefix, prefix_len) = (seen[query * 4] as usize, seen[query * 4 + 1] as usize);
    let own = seen[query * 4 + 2] as usize;
    select(i < prefix_len, prefix + i, own + i - min(i, prefix_len))
}

#[cube]
fn keys_seen(seen: &Array<u32>, query: usize) -> usize {
    (seen[query * 4 + 1] + seen[query * 4 + 3]) as usize
}

/// Copies one head of one row to shared memory; the caller synchronises.
#[cube]
fn load(from: &Array<f32>, first: usize, to: &mut SharedMemory<f32>, #[comptime] head_dim: usize) {
    let mut i = UNIT_POS as usize;
    while i < head_dim {
        to[i] = from[first + i];
        i += TILE;
    }
}

#[cube]
fn dot(
    vector: &SharedMemory<f32>,
    rows: &Array<f32>,
    first: usize,
    #[comptime] head_dim: usize,
) -> f32 {
    let mut sum = 0.0f32;
    // Unrolled: faster, and lavapipe ends a shader's loops, silently, after 65,535 rounds in all.
    #[unroll]
    for i in 0..head_dim {
        sum += vector[i] * rows[first + i];
    }
    sum
}

#[cube(launch)]
fn forward_kernel(
    q: &Array<f32>,
    k: &Array<f32>,
    v: &Array<f32>,
    seen: &Array<u32>,
    out: &mut Array<f32>,
    lse: &mut Array<f32>,
    heads: u32,
    kv_heads: u32,
    scale: f32,
    jobs: u32,
    #[comptime] head_dim: usize,
) {
    let job = CUBE_POS;
    if job >= jobs as usize {
        terminate!();
    }
    let (heads, kv_heads) = (heads as usize, kv_heads as usize);
    let (query, head, unit) = (job / heads, job % heads, UNIT_POS as usize);
    let kv_width = kv_heads * head_dim;
    let kv_column = head / (heads / kv_heads) * head_dim;
    let mut vector = SharedMemory::<f32>::new(head_dim);
    let mut scores = SharedMemory::<f32>::new(TILE);
    load(q, job * head_dim, &mut vector, head_dim);
    sync_cube();
    let per_unit = comptime!(head_dim.div_ceil(TILE));
    let mut sums = Array::<f32>::new(per_unit);
    #[unroll]
    for c in 0..per_unit {
        sums[c] = 0.0;
    }
    let mut largest = f32::new(-1.0e30);
    let mut mass = 0.0f32;
    let keys = keys_seen(seen, query);
    let mut start = 0usize;
    while start < keys {
        let mut score = f32::new(-1.0e30);
        if start + unit < keys {
            let row = key_row(seen, query, start + unit) * kv_width + kv_column;
            score = dot(&vector, k, row, head_dim) * scale;
        }
        scores[unit] = score;
        sync_cube();
        let before = largest;
        for i in 0..TILE {
            largest = max(largest, scores[i]);
        }
        let shrink = (before - largest).exp();
        mass *= shrink;
        #[unroll]
        for c in 0..per_unit {
            sums[c] *= shrink;
        }
        let count = min(keys - start, TILE);
        for i in 0..count {
            let weight = (scores[i] - largest).exp();
            let row = key_row(seen, query, start + i) * kv_width + kv_column;
            mass += weight;
            #[unroll]
            for c in 0..per_unit {
                if unit + c * TILE < head_dim {
                    sums[c] += weight * v[row + unit + c * TILE];
                }
            }
        }
        sync_cube();
        start += TILE;
    }
    #[unroll]
    for c in 0..per_unit {
        if unit + c * TILE < head_dim {
            out[job * head_dim + unit + c * TILE] = sums[c] / mass;
        }
    }
    if unit == 0 {
        lse[job] = largest + mass.ln();
    }
}

impl GpuForm<3, 2> for Attention {
    fn cubecl<R: CubeRuntime>(&self, [q, k, v]: [CubeTensor<R>; 3]) -> [CubeTensor<R>; 2] {
        let ([n, width], plan, client) = (dims(&q), &self.plan, &q.client);
        let [out, lse] = [empty(&q, [n, width]), empty(&q, [n, plan.heads])];
        if n > 0 {
            let (cubes, units) = a_cube_each(n * plan.heads);
            forward_kernel::launch(
                client,
                cubes,
                units,
                array(&q),
                array(&k),
                array(&v),
                upload(client, &keys_of_queries(plan)),
                array(&out),
                array(&lse),
                plan.heads as u32,
                plan.kv_heads as u32,
                plan.scale(),
                (n * plan.heads) as u32,
                plan.head_dim,
            );
        }
        [out, lse]
    }
}
