//! Plain numbers, and blocks of 32 values with one scale.
//!
//! ```text
//! Q4_0, Q5_0, Q8_0:  value = scale · (q − half the range)
//! Q4_1, Q5_1:        value = scale · q + minimum
//! ```
//!
//! Where a value has four bits, byte i of a block holds those of value i, low, and of value i + 16, high. The fifth
//! bits of all 32 stand together in one u32.

use half::{bf16, f16};

/// f32 as it stands.
pub(super) fn f32s(bytes: &[u8], values: &mut [f32]) {
    each_block(bytes, values, |four, [value]| *value = f32::from_le_bytes(*four));
}

/// IEEE half precision.
pub(super) fn f16s(bytes: &[u8], values: &mut [f32]) {
    each_block(bytes, values, |two, [value]| *value = f16::from_le_bytes(*two).to_f32());
}

/// The upper half of an f32.
pub(super) fn bf16s(bytes: &[u8], values: &mut [f32]) {
    each_block(bytes, values, |two, [value]| *value = bf16::from_le_bytes(*two).to_f32());
}

/// Four bits about zero.
pub(super) fn q4_0(bytes: &[u8], values: &mut [f32]) {
    each_block(bytes, values, |block: &[u8; 18], values: &mut [f32; 32]| {
        let (scale, quants) = (half_at(block, 0), &block[2..]);
        for (i, byte) in quants.iter().enumerate() {
            values[i] = scale * (f32::from(byte & 15) - 8.0);
            values[i + 16] = scale * (f32::from(byte >> 4) - 8.0);
        }
    });
}

/// Four bits above a minimum.
pub(super) fn q4_1(bytes: &[u8], values: &mut [f32]) {
    each_block(bytes, values, |block: &[u8; 20], values: &mut [f32; 32]| {
        let (scale, minimum, quants) = (half_at(block, 0), half_at(block, 2), &block[4..]);
        for (i, byte) in quants.iter().enumerate() {
            values[i] = scale * f32::from(byte & 15) + minimum;
            values[i + 16] = scale * f32::from(byte >> 4) + minimum;
        }
    });
}

/// Five bits about zero.
pub(super) fn q5_0(bytes: &[u8], values: &mut [f32]) {
    each_block(bytes, values, |block: &[u8; 22], values: &mut [f32; 32]| {
        let scale = half_at(block, 0);
        let quants =
            five_bits(u32::from_le_bytes([block[2], block[3], block[4], block[5]]), &block[6..]);
        for (value, quant) in values.iter_mut().zip(quants) {
            *value = scale * (f32::from(quant) - 16.0);
        }
    });
}

/// Five bits above a minimum.
pub(super) fn q5_1(bytes: &[u8], values: &mut [f32]) {
    each_block(bytes, values, |block: &[u8; 24], values: &mut [f32; 32]| {
        let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
        let quants =
            five_bits(u32::from_le_bytes([block[4], block[5], block[6], block[7]]), &block[8..]);
        for (value, quant) in values.iter_mut().zip(quants) {
            *value = scale * f32::from(quant) + minimum;
        }
    });
}

/// Eight bits about zero.
pub(super) fn q8_0(bytes: &[u8], values: &mut [f32]) {
    each_block(bytes, values, |block: &[u8; 34], values: &mut [f32; 32]| {
        let scale = half_at(block, 0);
        for (value, quant) in values.iter_mut().zip(&block[2..]) {
            *value = scale * f32::from(quant.cast_signed());
        }
    });
}

/// Calls `decode` with each block and the place of its values.
pub(super) fn each_block<const BYTES: usize, const VALUES: usize>(
    bytes: &[u8],
    values: &mut [f32],
    decode: impl Fn(&[u8; BYTES], &mut [f32; VALUES]),
) {
    let places = values.as_chunks_mut().0;
    bytes.as_chunks().0.iter().zip(places).for_each(|(block, values)| decode(block, values));
}

/// The f16 at a place of a block.
pub(super) fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// The 32 values of five bits: the upper bits of all, and the lower four of each.
fn five_bits(upper: u32, lower: &[u8]) -> [u8; 32] {
    std::array::from_fn(|i| {
        let four = if i < 16 { lower[i] & 15 } else { lower[i - 16] >> 4 };
        four | if upper >> i & 1 == 1 { 16 } else { 0 }
    })
}
