//! Weights in few bits on a device: numbers are opened by arithmetic on words, so that any device has all types.

// Which branch assigns a variable is settled when a kernel is made, which the lint does not see.
#![allow(unused_assignments)]

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::tensor::{contiguous, empty};
use super::{alone, array, upload};
use crate::kernel::ops::weight::Layout;
use crate::kernel::stored::{BLOCK, PANEL, Storage};

/// Words that are read together; each is of two outputs.
const GROUP: usize = PANEL / 2;

/// A finite number of f16, in the lower half of a word.
#[cube]
fn of_f16(word: u32) -> f32 {
    // 2^112 brings the exponent from the bias of 15 to that of 127.
    let size = f32::reinterpret((word & 0x7fff) << 13) * f32::reinterpret(u32::new(239) << 23);
    f32::reinterpret(u32::reinterpret(size) | (word & 0x8000) << 16)
}

/// The weight of an output and an input.
#[cube]
pub(super) fn number_at(
    words: &Array<u32>,
    output: usize,
    input: usize,
    words_of_panel: usize,
    #[comptime] storage: Storage,
) -> f32 {
    let inputs = comptime!(storage.inputs_of_group());
    let words_of_block = comptime!(storage.words_of_block());
    let words_of_scales = comptime!(storage.words_of_scales());
    let bits = comptime!(storage.bits() as u32);
    let block = output / PANEL * words_of_panel + input / BLOCK * words_of_block;
    let (j, upper) = (output % GROUP, (output / GROUP % 2) as u32);
    let step = input % BLOCK;
    let word = words[block + words_of_scales + step / inputs * GROUP + j];
    let place = 2 * (step % inputs) as u32 + upper;
    let shifted = word >> (place * bits);
    let mut number = 0.0f32;
    if comptime!(storage == Storage::Bf16) {
        number = f32::reinterpret(shifted << 16);
    } else if comptime!(storage == Storage::F16) {
        number = of_f16(shifted);
    } else {
        let scale = of_f16(words[block + j] >> (16 * upper));
        if comptime!(storage == Storage::Q8_0) {
            let code = shifted & 255;
            number = f32::cast_from(code);
            if code > 127 {
                number -= 256.0;
            }
        } else {
            number = f32::cast_from(shifted & 15) - 8.0;
        }
        number *= scale;
    }
    number
}

/// The weight of an output and an input, in few bits or in f32 row after row.
#[cube]
pub(super) fn weight_at(
    weight: &Array<u32>,
    output: usize,
    input: usize,
    inputs: usize,
    #[comptime] storage: Option<Storage>,
) -> f32 {
    let mut number = 0.0f32;
    if comptime!(storage.is_none()) {
        number = f32::reinterpret(weight[output * inputs + input]);
    } else {
        let storage = comptime!(storage.unwrap_or(Storage::Bf16));
        let words_of_panel = inputs.div_ceil(BLOCK) * comptime!(storage.words_of_block());
        number = number_at(weight, output, input, words_of_panel, storage);
    }
    number
}

/// In what a weight is stored, if in few bits.
pub(super) fn storage_of(layout: Layout) -> Option<Storage> {
    match layout {
        Layout::Rows => None,
        Layout::Panels { .. } => panic!("a GPU packs no weights"),
        Layout::Stored { storage, .. } => Some(storage),
    }
}

#[cube(launch)]
fn open_kernel(
    words: &Array<u32>,
    index: &Array<u32>,
    out: &mut Array<f32>,
    input: u32,
    words_of_panel: u32,
    count: u32,
    #[comptime] storage: Storage,
    #[comptime] is_indexed: bool,
) {
    let at = ABSOLUTE_POS;
    if at >= count as usize {
        terminate!();
    }
    let input = input as usize;
    let mut row = at / input;
    if comptime!(is_indexed) {
        row = index[row] as usize;
    }
    out[at] = number_at(words, row, at % input, words_of_panel as usize, storage);
}

/// A weight `[output, input]` row after row: itself, or opened.
pub(super) fn as_rows<R: CubeRuntime>(layout: Layout, weight: CubeTensor<R>) -> CubeTensor<R> {
    match layout {
        Layout::Rows => weight,
        Layout::Panels { .. } => panic!("a GPU packs no weights"),
        Layout::Stored { storage, output, input } => open(&weight, storage, [output, input], None),
    }
}

/// Rows of a weight in few bits: those of an index, or the first `rows`.
pub(super) fn open<R: CubeRuntime>(
    words: &CubeTensor<R>,
    storage: Storage,
    [rows, input]: [usize; 2],
    index: Option<&[u32]>,
) -> CubeTensor<R> {
    let (out, count, client) = (empty(words, [rows, input]), rows * input, &words.client);
    if count > 0 {
        let (cubes, units) = alone(client, count);
        open_kernel::launch(
            client,
            cubes,
            units,
            words_of(words),
            upload(client, index.unwrap_or_default()),
            array(&out),
            input as u32,
            storage.words_of_panel(input) as u32,
            count as u32,
            storage,
            index.is_some(),
        );
    }
    out
}

/// A weight's words as what they are; to Burn they are f32.
pub(super) fn words_of<R: CubeRuntime>(words: &CubeTensor<R>) -> ArrayArg<R> {
    let (words, count) = (contiguous(words), words.meta.num_elements());
    // SAFETY: the buffer has four bytes for each of them.
    unsafe { ArrayArg::from_raw_parts(words.handle, count) }
}
