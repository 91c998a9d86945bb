//! Attention over a cache on a device: a cube for each row, head and [`SPLIT`] keys, which it takes in
//! tiles, each key found through the list of its row's pages.
//!
//! The softmax runs along with the keys, as in the attention of a pass. Where a row has more keys than one
//! cube takes, cubes leave their sums as they are, and a second kernel weighs them against each other. What
//! a row's cubes compute depends on that row alone.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::tensor::{dims, empty, numbers};
use super::{GpuForm, ROW_UNITS, a_cube_each, alone, array};
use crate::kernel::ops::decode_attention::{DecodeAttention, DecodePlan, PAGE};

/// Keys of a tile: one for each unit of the cube.
const TILE: usize = ROW_UNITS;

/// Keys of one cube, in whole tiles: few enough that a long row keeps many cubes busy.
const SPLIT: usize = 8 * TILE;

/// What a cube leaves behind its sums: its largest score, and its mass relative to that.
const LEFT: usize = 2;

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
    splits: u32,
    #[comptime] head_dim: usize,
    #[comptime] is_split: bool,
) {
    if CUBE_POS >= (jobs * splits) as usize {
        terminate!();
    }
    let (job, split) = (CUBE_POS / splits as usize, CUBE_POS % splits as usize);
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
    let mut start = split * SPLIT;
    let keys = min(keys, start + SPLIT);
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
    if comptime!(is_split) {
        let first = CUBE_POS * (head_dim + LEFT);
        #[unroll]
        for c in 0..per_unit {
            if unit + c * TILE < head_dim {
                out[first + unit + c * TILE] = sums[c];
            }
        }
        if unit == 0 {
            out[first + head_dim] = largest;
            out[first + head_dim + 1] = mass;
        }
    } else {
        #[unroll]
        for c in 0..per_unit {
            if unit + c * TILE < head_dim {
                out[job * head_dim + unit + c * TILE] = sums[c] / mass;
            }
        }
    }
}

/// Weighs the sums of a row's and head's cubes against each other: a unit an element.
#[cube(launch)]
fn combine_kernel(
    parts: &Array<f32>,
    out: &mut Array<f32>,
    splits: u32,
    count: u32,
    #[comptime] head_dim: usize,
) {
    let at = ABSOLUTE_POS;
    if at >= count as usize {
        terminate!();
    }
    let width = comptime!(head_dim + LEFT);
    let first = at / head_dim * splits as usize * width;
    let column = at % head_dim;
    let mut largest = f32::new(-1.0e30);
    for split in 0..splits as usize {
        largest = max(largest, parts[first + split * width + head_dim]);
    }
    let mut sum = 0.0f32;
    let mut mass = 0.0f32;
    for split in 0..splits as usize {
        let part = first + split * width;
        let weight = (parts[part + head_dim] - largest).exp();
        sum += weight * parts[part + column];
        mass += weight * parts[part + head_dim + 1];
    }
    out[at] = sum / mass;
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
            let keys = plan.rows.iter().map(|row| row.keys()).max().unwrap_or(0);
            let (jobs, splits) = (n * plan.heads, keys.div_ceil(SPLIT).max(1));
            let parts = match splits {
                1 => out.clone(),
                _ => empty(&q, [jobs * splits, plan.head_dim + LEFT]),
            };
            let (cubes, units) = a_cube_each(jobs * splits);
            decode_kernel::launch(
                client,
                cubes,
                units,
                array(&q),
                array(&k),
                array(&v),
                rows.into_array_arg(),
                pages.into_array_arg(),
                array(&parts),
                plan.heads as u32,
                plan.kv_heads as u32,
                plan.scale(),
                jobs as u32,
                splits as u32,
                plan.head_dim,
                splits > 1,
            );
            if splits > 1 {
                let ((cubes, units), count) = (alone(client, n * width), (n * width) as u32);
                let (parts, out) = (array(&parts), array(&out));
                let splits = splits as u32;
                combine_kernel::launch(
                    client,
                    cubes,
                    units,
                    parts,
                    out,
                    splits,
                    count,
                    plan.head_dim,
                );
            }
        }
        [out]
    }
}
