//! A step of AdamW on moments of 8 bits on a device: a cube a block, a unit a word of four codes. Each unit opens its
//! codes, steps its weights, finds the block's largest moments with the others, and closes its codes again.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::adamw::hyper_parameters;
use super::stored::words_of;
use super::tensor::{empty_like, writable};
use super::{GpuForm, ROW_UNITS, a_cube_each, alone, array, cube_max, upload};
use crate::kernel::codes::{BLOCK, SIGNED, UNSIGNED, WORDS};
use crate::kernel::ops::adamw_q8::AdamWQ8;

/// Codes of a word, the numbers of a unit.
const CODES: usize = BLOCK / ROW_UNITS;
const _: () = assert!(WORDS == 1 + ROW_UNITS && CODES == 4);

/// Where the tables of codes and their middles begin, behind the numbers of the step: first those of the first moment.
const TABLES: usize = 8;

/// The numbers of a word of codes.
#[cube]
fn opened(word: u32, scale: f32, tables: &Array<f32>, #[comptime] table: usize) -> Array<f32> {
    let mut numbers = Array::<f32>::new(CODES);
    #[unroll]
    for i in 0..CODES {
        let code = word >> (8 * i as u32) & 255;
        numbers[i] = tables[table + code as usize] * scale;
    }
    numbers
}

/// The step of a unit's weights, from the number `from` on; what is missing of the last block are zeros.
#[cube]
fn step(
    weight: &mut Array<f32>,
    first: &mut Array<f32>,
    second: &mut Array<f32>,
    gradient: &Array<f32>,
    tables: &Array<f32>,
    from: usize,
    count: usize,
) {
    #[unroll]
    for i in 0..CODES {
        let at = from + i;
        if at < count {
            let g = gradient[at] * tables[5];
            let m = tables[1] * first[i] + (1.0 - tables[1]) * g;
            let v = tables[2] * second[i] + (1.0 - tables[2]) * g * g;
            let update = m * tables[6] / ((v * tables[7]).sqrt() + tables[3]);
            let w = weight[at];
            weight[at] = w - tables[0] * (tables[4] * w + update);
            first[i] = m;
            second[i] = v;
        } else {
            first[i] = 0.0;
            second[i] = 0.0;
        }
    }
}

/// The largest size of a block's numbers, of which each unit has four.
#[cube]
fn largest_of_block(numbers: &Array<f32>, shared: &mut SharedMemory<f32>) -> f32 {
    let mut largest = 0.0f32;
    #[unroll]
    for i in 0..CODES {
        largest = max(largest, numbers[i].abs());
    }
    cube_max(largest, shared)
}

/// The code nearest to a part of a block's largest number.
#[cube]
fn nearest(part: f32, tables: &Array<f32>, #[comptime] middles: usize) -> u32 {
    let mut code = 0usize;
    #[unroll]
    for halving in 0..8u32 {
        let step = comptime!(128usize >> halving);
        if part > tables[middles + code + step - 1] {
            code += step;
        }
    }
    code as u32
}

/// The word of four numbers of a block whose largest is known.
#[cube]
fn closed(
    numbers: &Array<f32>,
    largest: f32,
    tables: &Array<f32>,
    #[comptime] middles: usize,
) -> u32 {
    let divisor = select(largest > 0.0, largest, 1.0);
    let mut word = 0u32;
    #[unroll]
    for i in 0..CODES {
        word |= nearest(numbers[i] / divisor, tables, middles) << (8 * i as u32);
    }
    word
}

#[cube(launch)]
fn adamw_q8_kernel(
    weight: &mut Array<f32>,
    first: &mut Array<u32>,
    second: &mut Array<u32>,
    gradient: &Array<f32>,
    tables: &Array<f32>,
    count: u32,
    blocks: u32,
) {
    let block = CUBE_POS;
    if block >= blocks as usize {
        terminate!();
    }
    let mut shared = SharedMemory::<f32>::new(ROW_UNITS);
    let unit = UNIT_POS as usize;
    let scale_at = block * WORDS;
    let word_at = scale_at + 1 + unit;
    let (m_scale, v_scale) = (first[scale_at], second[scale_at]);
    let mut m = opened(first[word_at], f32::reinterpret(m_scale), tables, TABLES);
    let mut v = opened(second[word_at], f32::reinterpret(v_scale), tables, TABLES + 2 * BLOCK);
    let from = block * BLOCK + unit * CODES;
    step(weight, &mut m, &mut v, gradient, tables, from, count as usize);
    // Past the first of these every unit has read the scales.
    let largest_m = largest_of_block(&m, &mut shared);
    let largest_v = largest_of_block(&v, &mut shared);
    first[word_at] = closed(&m, largest_m, tables, TABLES + BLOCK);
    second[word_at] = closed(&v, largest_v, tables, TABLES + 3 * BLOCK);
    if unit == 0 {
        first[scale_at] = u32::reinterpret(largest_m);
        second[scale_at] = u32::reinterpret(largest_v);
    }
}

impl GpuForm<4, 3> for AdamWQ8 {
    fn cubecl<R: CubeRuntime>(
        &self,
        [weight, first, second, gradient]: [CubeTensor<R>; 4],
    ) -> [CubeTensor<R>; 3] {
        let (count, client) = (gradient.meta.num_elements(), &gradient.client);
        let (weight, [first, second]) = (writable(weight), [first, second].map(writable_words));
        if count > 0 {
            let blocks = count.div_ceil(BLOCK);
            let (cubes, units) = a_cube_each(blocks);
            adamw_q8_kernel::launch(
                client,
                cubes,
                units,
                weight.clone().into_array_arg(),
                words_of(&first),
                words_of(&second),
                array(&gradient),
                upload(client, &self.tables()),
                count as u32,
                blocks as u32,
            );
        }
        [weight, first, second]
    }
}

impl AdamWQ8 {
    /// The numbers of the step, and codes and middles of both moments.
    fn tables(&self) -> Vec<f32> {
        let maps = [&SIGNED, &UNSIGNED].map(|map| [map.numbers, map.middles].concat());
        [&hyper_parameters(self.0)[..], &maps.concat()].concat()
    }
}

#[cube(launch)]
fn copy_kernel(from: &Array<u32>, to: &mut Array<u32>, count: u32) {
    if ABSOLUTE_POS < count as usize {
        to[ABSOLUTE_POS] = from[ABSOLUTE_POS];
    }
}

/// Words to be written to: themselves where nobody else holds them. A device may change the bits of what it copies as
/// f32, so they are copied as words.
fn writable_words<R: CubeRuntime>(words: CubeTensor<R>) -> CubeTensor<R> {
    let count = words.meta.num_elements();
    if words.can_mut() || count == 0 {
        return words;
    }
    let (copy, client) = (empty_like(&words), words.client.clone());
    let (cubes, units) = alone(&client, count);
    copy_kernel::launch(&client, cubes, units, words_of(&words), words_of(&copy), count as u32);
    copy
}
