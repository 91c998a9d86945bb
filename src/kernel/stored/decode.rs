//! From few bits back to f32, a tile at a time.

use std::hint::black_box;

use multiversion::multiversion;

use super::storage::{BLOCK, GROUP, PANEL, Storage};
use crate::kernel::cpu::dots::Lanes;

/// Inputs of a tile, by the 16 outputs of a panel: half a block.
const TILE: usize = BLOCK / 2;

/// A panel as the right side of `x · weightᵀ`: for each input in turn, the weights of 16 outputs. `panel` is its
/// words, `out` as long as there are inputs.
#[multiversion(targets = "simd")]
pub fn open_outputs(panel: &[f32], storage: Storage, out: &mut [Lanes]) {
    match storage {
        Storage::Bf16 => open_outputs_of::<Bf16>(panel, out),
        Storage::F16 => open_outputs_of::<F16>(panel, out),
        Storage::Q8_0 => open_outputs_of::<Q8>(panel, out),
        Storage::Q4_0 => open_outputs_of::<Q4>(panel, out),
    }
}

#[inline(always)]
fn open_outputs_of<N: Numbers>(panel: &[f32], out: &mut [Lanes]) {
    let blocks = panel.chunks_exact(N::STORAGE.words_of_block());
    for (block, out) in blocks.zip(out.chunks_mut(BLOCK)) {
        for (half, out) in out.chunks_mut(TILE).enumerate() {
            match <&mut [Lanes; TILE]>::try_from(&mut *out) {
                Ok(out) => open_tile::<N>(block, half, out),
                Err(_) => {
                    let mut tile = [[0.0; PANEL]; TILE];
                    open_tile::<N>(block, half, &mut tile);
                    out.copy_from_slice(&tile[..out.len()]);
                }
            }
        }
    }
}

/// Part of a panel as the right side of `dy · weight`: for each of 16 outputs in turn, the weights of 16 inputs,
/// the first of which is `16 · tile`.
#[multiversion(targets = "simd")]
pub fn open_transposed(panel: &[f32], storage: Storage, tile: usize, out: &mut [Lanes]) {
    match storage {
        Storage::Bf16 => open_transposed_of::<Bf16>(panel, tile, out),
        Storage::F16 => open_transposed_of::<F16>(panel, tile, out),
        Storage::Q8_0 => open_transposed_of::<Q8>(panel, tile, out),
        Storage::Q4_0 => open_transposed_of::<Q4>(panel, tile, out),
    }
}

#[inline(always)]
fn open_transposed_of<N: Numbers>(panel: &[f32], tile: usize, out: &mut [Lanes]) {
    let words = N::STORAGE.words_of_block();
    let mut opened = [[0.0; PANEL]; TILE];
    open_tile::<N>(&panel[tile / 2 * words..][..words], tile % 2, &mut opened);
    for (output, out) in out.iter_mut().enumerate().take(PANEL) {
        for (input, out) in out.iter_mut().enumerate() {
            *out = opened[input][output];
        }
    }
}

/// Half `half` of a block.
#[inline(always)]
fn open_tile<N: Numbers>(block: &[f32], half: usize, out: &mut [Lanes; TILE]) {
    let scales = scales(block, N::STORAGE);
    let inputs = const { N::STORAGE.inputs_of_group() };
    let groups = &block[N::STORAGE.words_of_scales() + half * TILE / inputs * GROUP..];
    let groups = groups.as_chunks::<GROUP>().0;
    for (group, out) in groups.iter().zip(out.chunks_exact_mut(inputs)) {
        for (place, out) in out.iter_mut().enumerate() {
            // What the compiler cannot see through, it does not vectorise over: that would scatter every number by
            // itself. A lane for each output is what the registers are for.
            let group = black_box(group);
            let mut opened = [0.0; PANEL];
            for lane in 0..PANEL {
                let word = group[lane % GROUP].to_bits();
                opened[lane] = N::number(word, 2 * place + lane / GROUP) * scales[lane];
            }
            *out = opened;
        }
    }
}

/// The scales of a block's outputs.
#[inline(always)]
fn scales(block: &[f32], storage: Storage) -> Lanes {
    let mut scales = [1.0; PANEL];
    if storage.words_of_scales() > 0 {
        for j in 0..GROUP {
            let word = block[j].to_bits();
            scales[j] = F16::number(word, 0);
            scales[j + GROUP] = F16::number(word, 1);
        }
    }
    scales
}

/// Row `output % 16` of a panel, as long as `out`.
pub fn open_row(panel: &[f32], storage: Storage, output: usize, out: &mut [f32]) {
    let number = match storage {
        Storage::Bf16 => Bf16::number,
        Storage::F16 => F16::number,
        Storage::Q8_0 => Q8::number,
        Storage::Q4_0 => Q4::number,
    };
    let (j, upper) = (output % GROUP, output / GROUP % 2);
    let (inputs, first) = (storage.inputs_of_group(), storage.words_of_scales());
    for (block, out) in panel.chunks_exact(storage.words_of_block()).zip(out.chunks_mut(BLOCK)) {
        let scale = if first > 0 { F16::number(block[j].to_bits(), upper) } else { 1.0 };
        for (input, out) in out.iter_mut().enumerate() {
            let word = block[first + input / inputs * GROUP + j].to_bits();
            *out = number(word, 2 * (input % inputs) + upper) * scale;
        }
    }
}

/// What the bits of a word stand for.
trait Numbers {
    /// In what they are.
    const STORAGE: Storage;

    /// The number in one of a word's places, before its scale.
    fn number(word: u32, place: usize) -> f32;
}

struct Bf16;
struct F16;
struct Q8;
struct Q4;

impl Numbers for Bf16 {
    const STORAGE: Storage = Storage::Bf16;

    #[inline(always)]
    fn number(word: u32, place: usize) -> f32 {
        f32::from_bits((word << (16 - 16 * place)) & 0xffff_0000)
    }
}

impl Numbers for F16 {
    const STORAGE: Storage = Storage::F16;

    // Finite numbers only, as loading sees to. The exponent's bias is 15, that of f32 127; the product brings
    // numbers below the normal ones to their place, too.
    #[inline(always)]
    fn number(word: u32, place: usize) -> f32 {
        let bits = word >> (16 * place);
        let size = f32::from_bits((bits & 0x7fff) << 13) * f32::from_bits((127 + 127 - 15) << 23);
        f32::from_bits(size.to_bits() | (bits & 0x8000) << 16)
    }
}

impl Numbers for Q8 {
    const STORAGE: Storage = Storage::Q8_0;

    #[inline(always)]
    fn number(word: u32, place: usize) -> f32 {
        ((word << (24 - 8 * place)).cast_signed() >> 24) as f32
    }
}

impl Numbers for Q4 {
    const STORAGE: Storage = Storage::Q4_0;

    #[inline(always)]
    fn number(word: u32, place: usize) -> f32 {
        ((word >> (4 * place) & 15).cast_signed() - 8) as f32
    }
}
