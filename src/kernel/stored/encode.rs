//! From f32 to few bits.

use half::{bf16, f16};

use super::storage::{BLOCK, GROUP, PANEL, Storage};

/// Codes of a block's numbers, and the bits of its scale where it has one.
type Codes = ([u32; BLOCK], u16);

/// Appends the panels of some rows `[n, input]` of a weight; n is a multiple of 16 but at the weight's end.
pub fn encode_rows(rows: &[f32], input: usize, storage: Storage, words: &mut Vec<f32>) {
    for panel in rows.chunks((PANEL * input).max(1)) {
        for first in (0..input).step_by(BLOCK) {
            let codes: [Codes; PANEL] = std::array::from_fn(|output| {
                let row = panel.get(output * input..).unwrap_or_default();
                block_codes(&row[first.min(row.len())..input.min(row.len())], storage)
            });
            append_block(&codes, storage, words);
        }
    }
}

/// The codes of up to 32 numbers; those that are missing are zeros.
fn block_codes(numbers: &[f32], storage: Storage) -> Codes {
    let mut block = [0.0; BLOCK];
    let count = numbers.len().min(BLOCK);
    block[..count].copy_from_slice(&numbers[..count]);
    match storage {
        Storage::Bf16 => (block.map(|x| bf16::from_f32(x).to_bits().into()), 0),
        Storage::F16 => (block.map(|x| f16::from_f32(x).to_bits().into()), 0),
        Storage::Q8_0 => {
            let (scale, numbers) = quantise_q8_0(&block);
            (numbers.map(|number| number.cast_unsigned().into()), scale.to_bits())
        }
        Storage::Q4_0 => {
            let (scale, numbers) = quantise_q4_0(&block);
            (numbers.map(u32::from), scale.to_bits())
        }
    }
}

/// A block of Q8_0 as ggml's reference makes it: the number of largest size becomes ±127.
pub fn quantise_q8_0(block: &[f32; BLOCK]) -> (f16, [i8; BLOCK]) {
    let largest = block.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    let scale = largest / 127.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    // A cast saturates, so that no number leaves the type.
    (f16::from_f32(scale), block.map(|x| (x * inverse).round() as i8))
}

/// A block of Q4_0 as ggml's reference makes it, each number 0 to 15 for −8 to 7: the number of largest size,
/// with its sign, becomes −8.
pub fn quantise_q4_0(block: &[f32; BLOCK]) -> (f16, [u8; BLOCK]) {
    let further = |largest: f32, x: &f32| if x.abs() > largest.abs() { *x } else { largest };
    let scale = block.iter().fold(0.0_f32, further) / -8.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    (f16::from_f32(scale), block.map(|x| ((x * inverse + 8.5) as u8).min(15)))
}

fn append_block(codes: &[Codes; PANEL], storage: Storage, words: &mut Vec<f32>) {
    if storage.words_of_scales() > 0 {
        let scale = |output: usize| u32::from(codes[output].1);
        words.extend((0..GROUP).map(|j| f32::from_bits(scale(j) | scale(j + GROUP) << 16)));
    }
    let (bits, inputs) = (storage.bits(), storage.inputs_of_group());
    for first in (0..BLOCK).step_by(inputs) {
        words.extend((0..GROUP).map(|j| {
            let number = |place: usize| {
                let (input, output) = (first + place / 2, j + GROUP * (place % 2));
                codes[output].0[input] << (bits * place)
            };
            f32::from_bits((0..2 * inputs).fold(0, |word, place| word | number(place)))
        }));
    }
}
