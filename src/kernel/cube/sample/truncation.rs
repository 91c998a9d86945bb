//! Drawing among the most probable tokens on a device, without sorting them.
//!
//! The least logit that is kept is found digit by digit, from the highest on: 15 candidates are tried in a
//! walk over the row, 8 walks for each of top-k and top-p. Tokens above it are kept, and of those
//! that equal it as many as are missing, in the order of their ids.

use cubecl::prelude::*;

use super::{largest_of, mass_in_blocks, most_probable};
use crate::kernel::cube::{ROW_UNITS, cube_max, cube_sum};

/// Bits of a digit, and how many candidates differ in it.
const DIGIT: u32 = 4;
const CANDIDATES: usize = (1 << DIGIT) - 1;

/// A whole number that is larger for a larger logit.
#[cube]
fn order(logit: f32) -> u32 {
    let bits = u32::reinterpret(logit);
    select(bits >> 31 == 1, bits ^ 0xffff_ffffu32, bits ^ 0x8000_0000u32)
}

/// What a token counts: its probability relative to the largest, or 1.
#[cube]
fn weight(logit: f32, inverse: f32, largest: f32, #[comptime] by_mass: bool) -> f32 {
    let mut weight = 1.0f32;
    if comptime!(by_mass) {
        weight = (logit * inverse - largest).exp();
    }
    weight
}

/// The largest number whose tokens, of it and above, weigh enough together.
#[cube]
fn least_kept(
    logits: &Array<f32>,
    from: usize,
    to: usize,
    inverse: f32,
    largest: f32,
    enough: f32,
    shared: &mut SharedMemory<f32>,
    #[comptime] by_mass: bool,
) -> u32 {
    let mut sums = Array::<f32>::new(CANDIDATES);
    let mut found = 0u32;
    let mut shift = 32u32;
    while shift > 0 {
        shift -= DIGIT;
        #[unroll]
        for candidate in 0..CANDIDATES {
            sums[candidate] = 0.0;
        }
        for i in from..to {
            let (number, weight) = (order(logits[i]), weight(logits[i], inverse, largest, by_mass));
            #[unroll]
            for candidate in 0..CANDIDATES {
                let least = found + ((candidate as u32 + 1) << shift);
                sums[candidate] += select(number >= least, weight, 0.0);
            }
        }
        let mut digit = 0u32;
        #[unroll]
        for candidate in 0..CANDIDATES {
            let sum = cube_sum(sums[candidate], shared);
            digit = select(sum >= enough, candidate as u32 + 1, digit);
        }
        found += digit << shift;
    }
    found
}

/// What the tokens above a number weigh together.
#[cube]
fn weight_above(
    logits: &Array<f32>,
    from: usize,
    to: usize,
    inverse: f32,
    largest: f32,
    least: u32,
    shared: &mut SharedMemory<f32>,
    #[comptime] by_mass: bool,
) -> f32 {
    let mut sum = 0.0f32;
    for i in from..to {
        let weight = weight(logits[i], inverse, largest, by_mass);
        sum += select(order(logits[i]) > least, weight, 0.0);
    }
    cube_sum(sum, shared)
}

/// The probability of a token of this number, relative to the largest.
#[cube]
fn mass_of(
    logits: &Array<f32>,
    from: usize,
    to: usize,
    inverse: f32,
    largest: f32,
    number: u32,
    shared: &mut SharedMemory<f32>,
) -> f32 {
    let mut mass = 0.0f32;
    for i in from..to {
        let of_token = weight(logits[i], inverse, largest, true);
        mass = select(order(logits[i]) == number, of_token, mass);
    }
    cube_max(mass, shared)
}

#[cube(launch)]
pub(super) fn sample_truncated_kernel(
    logits: &Array<f32>,
    uniforms: &Array<f32>,
    out: &mut Array<f32>,
    inverse: f32,
    top_k: f32,
    top_p: f32,
    rows: u32,
    vocabulary: u32,
    #[comptime] by_count: bool,
    #[comptime] by_mass: bool,
) {
    let row = CUBE_POS;
    if row >= rows as usize {
        terminate!();
    }
    let (unit, v) = (UNIT_POS as usize, vocabulary as usize);
    let (first, share) = (row * v, v.div_ceil(ROW_UNITS));
    let from = first + min(unit * share, v);
    let to = first + min((unit + 1) * share, v);
    let mut shared = SharedMemory::<f32>::new(ROW_UNITS);
    let largest = cube_max(largest_of(logits, from, to, inverse), &mut shared);
    let mass = mass_in_blocks(logits, from, to, inverse, largest);
    let total = cube_sum(mass, &mut shared);

    // The least that is kept, and how many of those that equal it.
    let mut least = 0u32;
    let mut ties = f32::cast_from(vocabulary);
    let mut kept = total;
    if comptime!(by_count) {
        least = least_kept(logits, from, to, inverse, largest, top_k, &mut shared, false);
        ties = top_k - weight_above(logits, from, to, inverse, largest, least, &mut shared, false);
        let above = weight_above(logits, from, to, inverse, largest, least, &mut shared, true);
        kept = above + ties * mass_of(logits, from, to, inverse, largest, least, &mut shared);
    }
    if comptime!(by_mass) {
        let enough = top_p * kept;
        let of_mass = least_kept(logits, from, to, inverse, largest, enough, &mut shared, true);
        let of_mass = max(of_mass, least);
        let above = weight_above(logits, from, to, inverse, largest, of_mass, &mut shared, true);
        let each = mass_of(logits, from, to, inverse, largest, of_mass, &mut shared);
        let missing = max(((enough - above) / each).ceil(), 1.0);
        ties = select(of_mass > least, missing, min(ties, missing));
        least = of_mass;
    }

    // Each unit keeps its part of them, after those of the units before it.
    let mut equal = 0.0f32;
    for i in from..to {
        equal += select(order(logits[i]) == least, 1.0, 0.0);
    }
    shared[unit] = equal;
    sync_cube();
    let mut before = 0.0f32;
    for other in 0..unit {
        before += shared[other];
    }
    sync_cube();
    let own = max(min(ties - before, equal), 0.0);
    let mut quotas = SharedMemory::<f32>::new(ROW_UNITS);
    quotas[unit] = own;
    let mut mass = 0.0f32;
    let mut left = own;
    for i in from..to {
        let number = order(logits[i]);
        let is_tie = number == least && left > 0.5;
        if number > least || is_tie {
            mass += weight(logits[i], inverse, largest, true);
        }
        left -= select(is_tie, 1.0, 0.0);
    }
    let kept = cube_sum(mass, &mut shared);
    shared[unit] = mass;
    sync_cube();
    if unit == 0 {
        let mut rest = uniforms[row] * kept;
        let mut chosen = 0usize;
        while chosen < ROW_UNITS && shared[chosen] <= rest {
            rest -= shared[chosen];
            chosen += 1;
        }
        let mut token = v;
        if chosen < ROW_UNITS {
            let mut left = quotas[chosen];
            let end = min((chosen + 1) * share, v);
            let mut i = min(chosen * share, v);
            while i < end {
                let number = order(logits[first + i]);
                let is_tie = number == least && left > 0.5;
                if token == v && (number > least || is_tie) {
                    let mass = weight(logits[first + i], inverse, largest, true);
                    if mass > rest {
                        token = i;
                    }
                    rest -= mass;
                }
                left -= select(is_tie, 1.0, 0.0);
                i += 1;
            }
        }
        if token == v {
            token = most_probable(logits, first, v, inverse, largest);
        }
        out[row * 2] = token as f32;
        out[row * 2 + 1] = logits[first + token] * inverse - largest - total.ln();
    }
}
