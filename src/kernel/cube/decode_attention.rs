//! Attention over a cache on a device: a cube for each row and head, keys in tiles, each found through
//! the list of its row's pages.
//!
//! The softmax runs along with the keys, as in the attention of a pass.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::tensor::{dims, empty, numbers};
use super::{GpuForm, ROW_UNITS, a_cube_each, array};
use crate::kernel::ops::decode_attention::{DecodeAttention, DecodePlan, PAGE};

/// Keys of a tile: one for each unit of the cube.
const TILE: usize = ROW_UNITS;

/// The slot of the `i`th key that a row sees: its prompt's, then its own.
#[cube]
fn slot(rows: &Array<u32>, pages: &Array<u32>, row: usize, i: usize) -> usize {
    let prompt_len = rows[row * 4 + 1] as usize;
    let is_prompt = i < prompt_len;
    let first = select(is_prompt, rows[row * 4], rows[row * 4 + 2]) as usize;
    let token = select(is_prompt, i, i - min(i, prompt_len));
    pages[first + token / PAGE] as usize * PAGE + token % PAGE
}

#[cube(launch)]
fn decode_kernel(
    q: &Array<f32>,
    k: &Array<f32>,
    v: &Array<f32>,
    rows: &Array<u32>,
    pages: &Array<u32>,
    out: &mut Array<f32>,
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
    let (row, head, unit) = (job / heads, job % heads, UNIT_POS as usize);
    let kv_width = kv_heads * head_dim;
    let kv_column = head / (heads / kv_heads) * head_dim;
    let mut query = SharedMemory::<f32>::new(head_dim);
    let mut scores = SharedMemory::<f32>::new(TILE);
    let mut places = SharedMemory::<u32>::new(TILE);
    let mut i = unit;
    while i < head_dim {
        query[i] = q[job * head_dim + i] * scale;
        i += TILE;
    }
    sync_cube();
    let per_unit = comptime!(head_dim.div_ceil(TILE));
    let mut sums = Array::<f32>::new(per_unit);
    #[unroll]
    for c in 0..per_unit {
        sums[c] = 0.0;
    }
    let mut largest = f32::new(-1.0e30);
    let mut mass = 0.0f32;
    let keys = (rows[row * 4 + 1] + rows[row * 4 + 3]) as usize;
    let mut start = 0usize;
    while start < keys {
        let mut score = f32::new(-1.0e30);
        if start + unit < keys {
            let place = slot(rows, pages, row, start + unit) * kv_width + kv_column;
            places[unit] = place as u32;
            score = 0.0f32;
            // Unrolled: lavapipe ends a shader's loops, silently, after 65,535 rounds in all.
            #[unroll]
            for i in 0..head_dim {
                score += query[i] * k[place + i];
            }
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
            let place = places[i] as usize;
            mass += weight;
            #[unroll]
            for c in 0..per_unit {
                if unit + c * TILE < head_dim {
                    sums[c] += weight * v[place + unit + c * TILE];
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
}

/// For each row, `[rows, 4]`: where the pages of its prompt are listed and how many tokens it has, then
/// the same of its own.
fn table(plan: &DecodePlan) -> Vec<u32> {
    let of_row = plan.rows.iter().flat_map(|row| {
        [row.prompt.first, row.prompt.tokens, row.own.first, row.own.tokens].map(|n| n as u32)
    });
    of_row.collect()
}

impl GpuForm<3, 1> for DecodeAttention {
    fn cubecl<R: CubeRuntime>(&self, [q, k, v]: [CubeTensor<R>; 3]) -> [CubeTensor<R>; 1] {
        let ([n, width], plan, client) = (dims(&q), &self.plan, &q.client);
        let out = empty(&q, [n, width]);
        if n > 0 {
            let make = || [numbers(&q, &table(plan)), numbers(&q, &plan.pages)];
            let [rows, pages] = plan.tables.beside(&q, make);
            let (cubes, units) = a_cube_each(n * plan.heads);
            decode_kernel::launch(
                client,
                cubes,
                units,
                array(&q),
                array(&k),
                array(&v),
                rows.into_array_arg(),
                pages.into_array_arg(),
                array(&out),
                plan.heads as u32,
                plan.kv_heads as u32,
                plan.scale(),
                (n * plan.heads) as u32,
                plan.head_dim,
            );
        }
        [out]
    }
}
