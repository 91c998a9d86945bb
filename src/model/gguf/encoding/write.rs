//! How f32 becomes the encodings that are written, to the bit as ggml does it.
//!
//! ```text
//! Q8_0:  scale = max|x| / 127,              q = round(x / scale), half away from zero
//! Q4_0:  scale = (x of greatest |x|) / −8,  q = min(15, trunc(x / scale + 8.5))
//! ```
//!
//! Both divide by the scale in f32 and store it in f16, and both multiply by its reciprocal instead of dividing.
//! As in `quantize_row_q8_0_ref` and `quantize_row_q4_0_ref` of ggml.

use half::{bf16, f16};

use super::Encoding;
use crate::kernel::stored::{quantise_q4_0, quantise_q8_0};

/// Values of a block of few bits.
pub(in crate::model::gguf) use crate::kernel::stored::BLOCK;

/// An encoding that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model::gguf) enum Encoder {
    F32,
    F16,
    Bf16,
    Q8_0,
    Q4_0,
}

impl Encoder {
    /// The format's number for it.
    pub fn id(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q8_0 => 8,
            Self::Bf16 => 30,
        }
    }

    /// Bytes of so many values, which fill blocks.
    pub fn size(self, values: usize) -> usize {
        let encoding = Encoding::of(self.id());
        encoding.map_or(0, |encoding| values / encoding.block * encoding.bytes)
    }

    /// Whether rows of this width fill blocks.
    pub fn takes(self, width: usize) -> bool {
        !matches!(self, Self::Q8_0 | Self::Q4_0) || width.is_multiple_of(BLOCK)
    }

    /// Appends the bytes of values that fill blocks; says whether all of them fitted into it.
    pub fn encode(self, values: &[f32], bytes: &mut Vec<u8>) -> bool {
        match self {
            Self::F32 => each(values, bytes, |value| (value.to_le_bytes(), value.is_finite())),
            Self::F16 => each(values, bytes, half),
            Self::Bf16 => each(values, bytes, |value| {
                let short = bf16::from_f32(value);
                (short.to_le_bytes(), short.is_finite())
            }),
            Self::Q8_0 => each_block(values, bytes, q8_0),
            Self::Q4_0 => each_block(values, bytes, q4_0),
        }
    }
}

fn each<const N: usize>(
    values: &[f32],
    bytes: &mut Vec<u8>,
    encode: impl Fn(f32) -> ([u8; N], bool),
) -> bool {
    values.iter().fold(true, |fitted, value| {
        let (encoded, fits) = encode(*value);
        bytes.extend(encoded);
        fitted && fits
    })
}

fn each_block(
    values: &[f32],
    bytes: &mut Vec<u8>,
    encode: impl Fn(&[f32; BLOCK], &mut Vec<u8>) -> f32,
) -> bool {
    let finite = values.iter().all(|value| value.is_finite());
    values.as_chunks().0.iter().fold(finite, |fitted, block| {
        let scale = encode(block, bytes);
        fitted && half(scale).1
    })
}

fn half(value: f32) -> ([u8; 2], bool) {
    let short = f16::from_f32(value);
    (short.to_le_bytes(), short.is_finite())
}

/// Appends a block and gives its scale.
fn q8_0(values: &[f32; BLOCK], bytes: &mut Vec<u8>) -> f32 {
    let (scale, quants) = quantise_q8_0(values);
    bytes.extend(scale.to_le_bytes());
    bytes.extend(quants.map(i8::cast_unsigned));
    scale.to_f32()
}

/// Appends a block and gives its scale.
fn q4_0(values: &[f32; BLOCK], bytes: &mut Vec<u8>) -> f32 {
    let (scale, quants) = quantise_q4_0(values);
    bytes.extend(scale.to_le_bytes());
    let (low, high) = quants.split_at(BLOCK / 2);
    bytes.extend(low.iter().zip(high).map(|(low, high)| low | high << 4));
    scale.to_f32()
}
