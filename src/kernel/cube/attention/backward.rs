//! The backward pass of attention on a device.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::tables::{keys_of_queries, queries_of_keys};
use super::{TILE, dot, key_row, keys_seen, load};
use crate::kernel::cube::tensor::{dims, empty, empty_if};
use crate::kernel::cube::{GpuForm, a_cube_each, array, upload};
use crate::kernel::ops::attention::AttentionBackward;

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
    #[comptime] of_q: bool,
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
    if comptime!(of_q) {
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
    #[comptime] of_k: bool,
    #[comptime] of_v: bool,
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
                weights[unit] = weight;
                if comptime!(of_k) {
                    let change = dot(&value_vector, dout, at * head_dim, head_dim) - along[at];
                    changes[unit] = weight * change * scale;
                }
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
                        if comptime!(of_v) {
                            value_sums[c] += weights[i] * dout[place];
                        }
                        if comptime!(of_k) {
                            key_sums[c] += changes[i] * q[place];
                        }
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
            if comptime!(of_k) {
                dk[job * head_dim + unit + c * TILE] = key_sums[c];
            }
            if comptime!(of_v) {
                dv[job * head_dim + unit + c * TILE] = value_sums[c];
            }
        }
    }
}

/// `q`, `k`, `v`, `out`, `lse` and `dout`.
type Given<R> = [CubeTensor<R>; 6];

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
            self.key_gradients(&given, &along, [&dk, &dv]);
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
        let ([n, _], plan, client) = (dims(q), &self.plan, &q.client);
        let (cubes, units) = a_cube_each(n * plan.heads);
        query_gradient_kernel::launch(
            client,
            cubes,
            units,
            array(q),
            array(k),
            array(v),
            upload(client, &keys_of_queries(plan)),
            array(out),
            array(lse),
            array(dout),
            array(dq),
            array(along),
            plan.heads as u32,
            plan.kv_heads as u32,
            plan.scale(),
            (n * plan.heads) as u32,
            plan.head_dim,
            self.needs[0],
        );
    }

    fn key_gradients<R: CubeRuntime>(
        &self,
        [q, k, v, _, lse, dout]: &Given<R>,
        along: &CubeTensor<R>,
        [dk, dv]: [&CubeTensor<R>; 2],
    ) {
        let ([n, _], plan, client) = (dims(q), &self.plan, &q.client);
        let (runs, run_starts) = queries_of_keys(plan, n);
        let (cubes, units) = a_cube_each(n * plan.kv_heads);
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
            array(along),
            array(dk),
            array(dv),
            plan.heads as u32,
            plan.kv_heads as u32,
            plan.scale(),
            (n * plan.kv_heads) as u32,
            plan.head_dim,
            self.needs[1],
            self.needs[2],
        );
    }
}
