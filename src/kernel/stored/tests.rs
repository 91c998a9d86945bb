//! Weights in few bits: what is read back, and products with them.

use std::convert::Infallible;

use burn::backend::NdArray;

use super::*;
use crate::kernel::check::noise;
use crate::kernel::cpu::gemm::{
    Matrix, StoredMatrix, add_product, add_product_of_stored_transposed, product,
    product_of_stored, product_of_stored_transposed,
};

/// A weight of noise in words.
fn stored(shape: [usize; 2], storage: Storage) -> Vec<f32> {
    let weight = noise(shape, 5);
    let rows = |rows: Range<usize>| {
        Ok::<_, Infallible>(weight[rows.start * shape[1]..rows.end * shape[1]].to_vec())
    };
    let stored = StoredWeight::<NdArray>::from_rows(shape, storage, rows, &Default::default());
    let Ok(stored) = stored;
    stored.words().clone().into_data().iter().collect()
}

/// The f32 that the words stand for.
fn opened(words: &[f32], storage: Storage, [output, input]: [usize; 2]) -> Vec<f32> {
    let mut rows = vec![0.0; output * input];
    for (row, out) in rows.chunks_exact_mut(input).enumerate() {
        let panel = &words[row / PANEL * storage.words_of_panel(input)..];
        open_row(&panel[..storage.words_of_panel(input)], storage, row % PANEL, out);
    }
    rows
}

/// Shapes that fill whole panels and blocks, and such that do not.
const SHAPES: [[usize; 2]; 6] = [[16, 32], [48, 64], [1, 1], [37, 70], [130, 33], [300, 290]];

#[test]
fn numbers_of_16_bits_are_the_nearest() {
    for shape in SHAPES {
        let weight = noise(shape, 5);
        let bf16 = opened(&stored(shape, Storage::Bf16), Storage::Bf16, shape);
        let f16 = opened(&stored(shape, Storage::F16), Storage::F16, shape);
        for ((x, bf16), f16) in weight.iter().zip(bf16).zip(f16) {
            assert_eq!(bf16, half::bf16::from_f32(*x).to_f32());
            assert_eq!(f16, half::f16::from_f32(*x).to_f32());
        }
    }
}

#[test]
fn every_finite_f16_is_opened_as_it_is() {
    let all: Vec<f32> = (0..=u16::MAX).map(|bits| half::f16::from_bits(bits).to_f32()).collect();
    let finite: Vec<f32> = all.into_iter().filter(|x| x.is_finite()).collect();
    let (mut words, input) = (Vec::new(), finite.len());
    encode_rows(&finite, input, Storage::F16, &mut words);
    let opened = opened(&words, Storage::F16, [1, input]);
    assert!(opened.iter().zip(&finite).all(|(got, want)| got.to_bits() == want.to_bits()));
}

#[test]
fn numbers_of_few_bits_are_within_half_a_step_of_their_blocks_scale() {
    for (storage, step) in [(Storage::Q8_0, 1.0 / 127.0), (Storage::Q4_0, 1.0 / 8.0)] {
        for shape in SHAPES {
            let (weight, got) = (noise(shape, 5), opened(&stored(shape, storage), storage, shape));
            let rows = weight.chunks_exact(shape[1]).zip(got.chunks_exact(shape[1]));
            for (weight, got) in rows.flat_map(|(a, b)| a.chunks(BLOCK).zip(b.chunks(BLOCK))) {
                let largest = weight.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
                for (x, y) in weight.iter().zip(got) {
                    // Q4_0 has 8 steps on one side of zero and 7 on the other; scales are rounded to f16.
                    let steps = if storage == Storage::Q4_0 { 1.0 } else { 0.5 };
                    assert!((x - y).abs() <= (steps + 0.1) * step * largest, "{storage}: {x}, {y}");
                }
            }
        }
    }
}

#[test]
fn products_are_those_of_the_opened_weight_to_the_last_bit() {
    for storage in Storage::ALL {
        for shape in SHAPES {
            let [output, input] = shape;
            let words = stored(shape, storage);
            let weight = opened(&words, storage, shape);
            let (weight, words) =
                (Matrix::new(&weight, output, input), StoredMatrix::new(&words, storage, shape));
            for n in [0, 1, 7, 47, 100, 250] {
                let (x, dy) = (noise([n, input], 6), noise([n, output], 7));
                let (x, dy) = (Matrix::new(&x, n, input), Matrix::new(&dy, n, output));
                assert_eq!(product_of_stored(x, words), product(x, weight.t()), "{storage}");
                assert_eq!(product_of_stored_transposed(dy, words), product(dy, weight));
                let mut sums = [noise([n, input], 8).to_vec(), noise([n, input], 8).to_vec()];
                add_product_of_stored_transposed(&mut sums[0], dy, words);
                add_product(&mut sums[1], dy, weight);
                assert_eq!(sums[0], sums[1], "{storage} {shape:?} {n}");
            }
        }
    }
}

#[test]
fn some_outputs_of_a_weight_are_a_weight() {
    for storage in Storage::ALL {
        let (shape, words) = ([70, 40], stored([70, 40], storage));
        let all = StoredMatrix::new(&words, storage, shape);
        let x = noise([3, 40], 6);
        let x = Matrix::new(&x, 3, 40);
        let (whole, part) = (product_of_stored(x, all), product_of_stored(x, all.outputs(32..70)));
        let expected: Vec<f32> = whole.chunks(70).flat_map(|row| row[32..].to_vec()).collect();
        assert_eq!(part, expected);
    }
}

#[test]
fn a_weight_takes_16_8_and_a_half_or_4_and_a_half_bits_a_number() {
    let bits = |storage: Storage| 32.0 * storage.words([576, 1536]) as f64 / (576.0 * 1536.0);
    assert_eq!(Storage::ALL.map(bits), [16.0, 16.0, 8.5, 4.5]);
}
