//! Drawing tokens on a device: a cube a row.

mod truncation;

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use self::truncation::sample_truncated_kernel;
use super::tensor::{dims, empty};
use super::{GpuForm, ROW_UNITS, a_cube_each, array, cube_max, cube_sum, upload};
use crate::kernel::ops::sample::{Sample, Sampling};
use crate::readback::traffic::{self, Crossing};

/// Neighbours whose probabilities are summed before they meet the others.
const BLOCK: usize = 64;

#[cube(launch)]
fn sample_kernel(
    logits: &Array<f32>,
    uniforms: &Array<f32>,
    out: &mut Array<f32>,
    inverse: f32,
    rows: u32,
    vocabulary: u32,
    #[comptime] greedy: bool,
) {
    let row = CUBE_POS;
    if row >= rows as usize {
        terminate!();
    }
    let (unit, v) = (UNIT_POS as usize, vocabulary as usize);
    let (first, share) = (row * v, v.div_ceil(ROW_UNITS));
    let (from, to) = (min(unit * share, v), min((unit + 1) * share, v));
    let mut shared = SharedMemory::<f32>::new(ROW_UNITS);
    let largest = largest_of(logits, first + from, first + to, inverse);
    let largest = cube_max(largest, &mut shared);
    // The first of the largest: each unit looks through its share from behind.
    let mut nearest = f32::cast_from(v as u32 - 1);
    if comptime!(greedy) {
        for i in from..to {
            let at = to - 1 - (i - from);
            if logits[first + at] * inverse == largest {
                nearest = f32::cast_from(at as u32);
            }
        }
        nearest = -cube_max(-nearest, &mut shared);
    }
    let mass = mass_in_blocks(logits, first + from, first + to, inverse, largest);
    let total = cube_sum(mass, &mut shared);
    shared[unit] = mass;
    sync_cube();
    if unit == 0 {
        let mut token = v;
        if comptime!(greedy) {
            token = u32::cast_from(nearest) as usize;
        } else {
            // What is left of the target is compared, not a growing sum: after a probability near 1 a
            // sum would no longer see the small ones.
            let mut rest = uniforms[row] * total;
            let mut chosen = 0usize;
            while chosen < ROW_UNITS && shared[chosen] <= rest {
                rest -= shared[chosen];
                chosen += 1;
            }
            let end = min((chosen + 1) * share, v);
            let mut block = chosen * share;
            let mut inside = false;
            while block < end && !inside {
                let to = min(block + BLOCK, end);
                let mass = block_mass(logits, first + block, first + to, inverse, largest);
                if mass > rest {
                    inside = true;
                } else {
                    rest -= mass;
                    block += BLOCK;
                }
            }
            let to = min(block + BLOCK, end);
            let mut i = block;
            while i < to {
                let mass = (logits[first + i] * inverse - largest).exp();
                if token == v {
                    if mass > rest {
                        token = i;
                    } else {
                        rest -= mass;
                    }
                }
                i += 1;
            }
            if token == v {
                token = most_probable(logits, first, v, inverse, largest);
            }
        }
        out[row * 2] = token as f32;
        out[row * 2 + 1] = logits[first + token] * inverse - largest - total.ln();
    }
}

/// The largest of some logits, over the temperature.
#[cube]
fn largest_of(logits: &Array<f32>, from: usize, to: usize, inverse: f32) -> f32 {
    let mut largest = f32::new(-3.0e38);
    for i in from..to {
        largest = max(largest, logits[i] * inverse);
    }
    largest
}

/// The first of a row's most probable tokens, for what rounding leaves behind the last of those that are
/// drawn from: its probability that changes least.
#[cube]
fn most_probable(logits: &Array<f32>, first: usize, v: usize, inverse: f32, largest: f32) -> usize {
    let mut token = v;
    let mut i = 0usize;
    while token == v {
        if logits[first + i] * inverse == largest || i + 1 == v {
            token = i;
        }
        i += 1;
    }
    token
}

/// The probabilities of one unit's tokens, relative to the largest of the row, block by block.
#[cube]
fn mass_in_blocks(logits: &Array<f32>, from: usize, to: usize, inverse: f32, largest: f32) -> f32 {
    let mut mass = 0.0f32;
    let mut block = from;
    while block < to {
        mass += block_mass(logits, block, min(block + BLOCK, to), inverse, largest);
        block += BLOCK;
    }
    mass
}

/// The probabilities of some neighbours, relative to the largest of the row.
#[cube]
fn block_mass(logits: &Array<f32>, from: usize, to: usize, inverse: f32, largest: f32) -> f32 {
    let mut mass = 0.0f32;
    for i in from..to {
        mass += (logits[i] * inverse - largest).exp();
    }
    mass
}

impl GpuForm<1, 1> for Sample {
    fn cubecl<R: CubeRuntime>(&self, [logits]: [CubeTensor<R>; 1]) -> [CubeTensor<R>; 1] {
        let out = empty(&logits, [self.uniforms.len(), 2]);
        if !self.uniforms.is_empty() {
            draw(&logits, &self.uniforms, self.sampling, &out);
        }
        traffic::note(Crossing::Draw);
        [out]
    }
}

/// A temperature of 0 takes the first of the largest, which top-k and top-p always leave.
fn draw<R: CubeRuntime>(
    logits: &CubeTensor<R>,
    uniforms: &[f32],
    sampling: Sampling,
    out: &CubeTensor<R>,
) {
    let ([n, v], Sampling { temperature, top_k, top_p }) = (dims(logits), sampling);
    let greedy = temperature == 0.0;
    let ((cubes, units), client) = (a_cube_each(n), &logits.client);
    let inverse = if greedy { 1.0 } else { 1.0 / temperature };
    let uniforms = upload(client, uniforms);
    let (logits, rows, n, vocabulary) = (array(logits), array(out), n as u32, v as u32);
    if greedy || !sampling.truncates() {
        sample_kernel::launch(
            client, cubes, units, logits, uniforms, rows, inverse, n, vocabulary, greedy,
        );
    } else {
        let (by_count, by_mass) = (top_k > 0 && top_k < v, top_p < 1.0);
        let top_k = top_k.min(v) as f32;
        sample_truncated_kernel::launch(
            client, cubes, units, logits, uniforms, rows, inverse, top_k, top_p, n, vocabulary,
            by_count, by_mass,
        );
    }
}
