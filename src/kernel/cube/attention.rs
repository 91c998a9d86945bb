//! Attention over packed rows on a device: a cube for each query and head, keys in tiles.
//!
//! The softmax runs along with the keys (Milakov and Gimelshein 2018, arXiv 1805.02867), and the
//! backward pass recomputes probabilities from the saved log-sum-exp, so no score outlives its tile.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::tensor::{dims, empty};
use super::{ROW_UNITS, a_cube_each, array, upload};
use crate::kernel::AttentionPlan;

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

/// Output `[n, heads·d]` and log-sum-exp `[n, heads]`.
pub fn forward<R: CubeRuntime>(
    [q, k, v]: [&CubeTensor<R>; 3],
    plan: &AttentionPlan,
) -> [CubeTensor<R>; 2] {
    let ([n, width], heads, client) = (dims(q), plan.heads(), &q.client);
    let [out, lse] = [empty(q, [n, width]), empty(q, [n, heads])];
    if n > 0 {
        let (cubes, units) = a_cube_each(n * heads);
        forward_kernel::launch(
            client,
            cubes,
            units,
            array(q),
            array(k),
            array(v),
            upload(client, &plan.keys_of_queries()),
            array(&out),
            array(&lse),
            heads as u32,
            plan.kv_heads() as u32,
            plan.scale(),
            (n * heads) as u32,
            plan.head_dim(),
        );
    }
    [out, lse]
}

#[cube(launch)]
fn query_gradient_kernel(
    q: &Array<f32>,
    k: &Array<f32>,
    v: &Array<f32>,
    seen: &Array<u32>,
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
    let mut slope = SharedMemory::<f32>::new(head_dim);
    let mut changes = SharedMemory::<f32>::new(TILE);
    load(q, job * head_dim, &mut vector, head_dim);
    load(dout, job * head_dim, &mut slope, head_dim);
    sync_cube();
    // Σ dout·out of this query and head: what every score's gradient is measured against.
    let mean = dot(&slope, out, job * head_dim, head_dim);
    if unit == 0 {
        along[job] = mean;
    }
    let per_unit = comptime!(head_dim.div_ceil(TILE));
    let mut sums = Array::<f32>::new(per_unit);
    #[unroll]
    for c in 0..per_unit {
        sums[c] = 0.0;
    }
    let keys = keys_seen(seen, query);
    let mut start = 0usize;
    while start < keys {
        if start + unit < keys {
            let row = key_row(seen, query, start + unit) * kv_width + kv_column;
            let weight = (dot(&vector, k, row, head_dim) * scale - lse[job]).exp();
            changes[unit] = weight * (dot(&slope, v, row, head_dim) - mean) * scale;
        }
        sync_cube();
        let count = min(keys - start, TILE);
        for i in 0..count {
            let row = key_row(seen, query, start + i) * kv_width + kv_column;
            #[unroll]
            for c in 0..per_unit {
                if unit + c * TILE < head_dim {
                    sums[c] += changes[i] * k[row + unit + c * TILE];
                }
            }
        }
        sync_cube();
        start += TILE;
    }
    #[unroll]
    for c in 0..per_unit {
        if unit + c * TILE < head_dim {
            dq[job * head_dim + unit + c * TILE] = sums[c];
        }
    }
}

#[cube(launch)]
fn key_gradient_kernel(
    q: &Array<f32>,
    k: &Array<f32>,
    v: &Array<f32>,
    runs: &Array<u32>,
    run_starts: &Array<u32>,
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
) {
    let job = CUBE_POS;
    if job >= jobs as usize {
        terminate!();
    }
    let (heads, kv_heads) = (heads as usize, kv_heads as usize);
    let (key, kv_head, unit) = (job / kv_heads, job % kv_heads, UNIT_POS as usize);
    let sharing = heads / kv_heads;
    let mut key_vector = SharedMemory::<f32>::new(head_dim);
    let mut value_vector = SharedMemory::<f32>::new(head_dim);
    let mut weights = SharedMemory::<f32>::new(TILE);
    let mut changes = SharedMemory::<f32>::new(TILE);
    load(k, job * head_dim, &mut key_vector, head_dim);
    load(v, job * head_dim, &mut value_vector, head_dim);
    sync_cube();
    let per_unit = comptime!(head_dim.div_ceil(TILE));
    let mut key_sums = Array::<f32>::new(per_unit);
    let mut value_sums = Array::<f32>::new(per_unit);
    #[unroll]
    for c in 0..per_unit {
        key_sums[c] = 0.0;
        value_sums[c] = 0.0;
    }
    for run in run_starts[key]..run_starts[key + 1] {
        let first = runs[run as usize * 2] as usize;
        let pairs = runs[run as usize * 2 + 1] as usize * sharing;
        let mut start = 0usize;
        while start < pairs {
            let pair = start + unit;
            if pair < pairs {
                let at = (first + pair / sharing) * heads + kv_head * sharing + pair % sharing;
                let score = dot(&key_vector, q, at * head_dim, head_dim) * scale;
                let weight = (score - lse[at]).exp();
                let change = dot(&value_vector, dout, at * head_dim, head_dim) - along[at];
                weights[unit] = weight;
                changes[unit] = weight * change * scale;
            }
            sync_cube();
            let count = min(pairs - start, TILE);
            for i in 0..count {
                let pair = start + i;
                let at = (first + pair / sharing) * heads + kv_head * sharing + pair % sharing;
                #[unroll]
                for c in 0..per_unit {
                    if unit + c * TILE < head_dim {
                        let place = at * head_dim + unit + c * TILE;
                        value_sums[c] += weights[i] * dout[place];
                        key_sums[c] += changes[i] * q[place];
                    }
                }
            }
            sync_cube();
            start += TILE;
        }
    }
    #[unroll]
    for c in 0..per_unit {
        if unit + c * TILE < head_dim {
            dk[job * head_dim + unit + c * TILE] = key_sums[c];
            dv[job * head_dim + unit + c * TILE] = value_sums[c];
        }
    }
}

/// Gradients of `q`, `k` and `v`. Queries and keys must be the same tokens (a pass without a cache).
pub fn backward<R: CubeRuntime>(
    [q, k, v]: [&CubeTensor<R>; 3],
    plan: &AttentionPlan,
    [out, lse]: [&CubeTensor<R>; 2],
    dout: &CubeTensor<R>,
) -> [CubeTensor<R>; 3] {
    let ([n, width], [keys, kv_width], client) = (dims(q), dims(k), &q.client);
    assert_eq!(n, keys, "gradients need a pass without a cache");
    let [dq, dk, dv] = [[n, width], [n, kv_width], [n, kv_width]].map(|shape| empty(q, shape));
    if n == 0 {
        return [dq, dk, dv];
    }
    let (heads, kv_heads) = (plan.heads(), plan.kv_heads());
    let along = empty(q, [n, heads]);
    let (cubes, units) = a_cube_each(n * heads);
    query_gradient_kernel::launch(
        client,
        cubes,
        units,
        array(q),
        array(k),
        array(v),
        upload(client, &plan.keys_of_queries()),
        array(out),
        array(lse),
        array(dout),
        array(&dq),
        array(&along),
        heads as u32,
        kv_heads as u32,
        plan.scale(),
        (n * heads) as u32,
        plan.head_dim(),
    );
    let (runs, run_starts) = plan.queries_of_keys(n);
    let (cubes, units) = a_cube_each(n * kv_heads);
    key_gradient_kernel::launch(
        client,
        cubes,
        units,
        array(q),
        array(k),
        array(v),
        upload(client, &runs),
        upload(client, &run_starts),
        array(lse),
        array(dout),
        array(&along),
        array(&dk),
        array(&dv),
        heads as u32,
        kv_heads as u32,
        plan.scale(),
        (n * kv_heads) as u32,
        plan.head_dim(),
    );
    [dq, dk, dv]
}
