//! The K encodings: 256 values in eight or sixteen sub-blocks, whose scales are themselves stored in few bits.
//!
//! ```text
//! Q4_K, Q5_K:  value = (d · scale) · q − (dmin · minimum)     eight sub-blocks of 32
//! Q6_K:        value = (d · scale) · (q − 32)                 sixteen sub-blocks of 16
//! ```

use super::blocks::{each_block, half_at};

/// Four bits: each 32 bytes hold one sub-block low and the next high.
pub(super) fn q4_k(bytes: &[u8], values: &mut [f32]) {
    each_block(bytes, values, |block: &[u8; 144], values: &mut [f32; 256]| {
        let quants = &block[16..];
        fill_sub_blocks(block, values, |sub, i| nibble(quants, sub, i));
    });
}

/// Five bits: the four of Q4_K, and bit s of byte i for value i of sub-block s.
pub(super) fn q5_k(bytes: &[u8], values: &mut [f32]) {
    each_block(bytes, values, |block: &[u8; 176], values: &mut [f32; 256]| {
        let (upper, lower) = block[16..].split_at(32);
        fill_sub_blocks(block, values, |sub, i| nibble(lower, sub, i) | (upper[i] >> sub & 1) << 4);
    });
}

/// Six bits: in each half of the block, 64 bytes hold the lower four and 32 bytes the upper two.
pub(super) fn q6_k(bytes: &[u8], values: &mut [f32]) {
    each_block(bytes, values, |block: &[u8; 210], values: &mut [f32; 256]| {
        let (lower, rest) = block.split_at(128);
        let (upper, scales) = rest.split_at(64);
        let d = half_at(block, 208);
        for (at, value) in values.iter_mut().enumerate() {
            let (half, quarter, i) = (at / 128, at / 32 % 4, at % 32);
            let low = lower[64 * half + 32 * (quarter % 2) + i] >> (4 * (quarter / 2)) & 15;
            let high = upper[32 * half + i] >> (2 * quarter) & 3;
            let scale = d * f32::from(scales[at / 16].cast_signed());
            *value = scale * (f32::from(low | high << 4) - 32.0);
        }
    });
}

/// The values of a block that begins with d, dmin and twelve bytes of scales and minimums.
fn fill_sub_blocks(block: &[u8], values: &mut [f32; 256], quant: impl Fn(usize, usize) -> u8) {
    let (d, dmin) = (half_at(block, 0), half_at(block, 2));
    for (sub, values) in values.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, minimum) = scale_and_minimum(&block[4..16], sub);
        let (scale, minimum) = (d * f32::from(scale), dmin * f32::from(minimum));
        for (i, value) in values.iter_mut().enumerate() {
            *value = scale * f32::from(quant(sub, i)) - minimum;
        }
    }
}

/// Six bits of each for a sub-block: of the first four sub-blocks in a byte's lower six bits, of the others four
/// bits in the last four bytes and two on top of the first eight.
fn scale_and_minimum(packed: &[u8], sub: usize) -> (u8, u8) {
    match sub.checked_sub(4) {
        None => (packed[sub] & 63, packed[sub + 4] & 63),
        Some(sub) => {
            let lower = packed[sub + 8];
            (lower & 15 | packed[sub] >> 6 << 4, lower >> 4 | packed[sub + 4] >> 6 << 4)
        }
    }
}

fn nibble(quants: &[u8], sub: usize, i: usize) -> u8 {
    quants[32 * (sub / 2) + i] >> (4 * (sub % 2)) & 15
}
