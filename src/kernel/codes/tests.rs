//! Code maps, and steps of AdamW on codes, against numpy: `tests/fixtures/moments/make.py` made the values and held them
//! against bitsandbytes.

use burn::backend::NdArray;
use burn::tensor::Tensor;
use serde::Deserialize;

use super::{BLOCK, CodeMap, SIGNED, UNSIGNED, WORDS, words_of};
use crate::kernel::{AdamW, adamw_step_q8};

#[derive(Deserialize)]
struct Golden {
    maps: Maps,
    hyper: Hyper,
    weight: String,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Maps {
    signed: String,
    unsigned: String,
}

#[derive(Deserialize)]
struct Hyper {
    beta_1: f32,
    beta_2: f32,
    epsilon: f32,
    weight_decay: f32,
    grad_scale: f32,
}

#[derive(Deserialize)]
struct Step {
    learning_rate: f32,
    gradient: String,
    weight: String,
    first: Moment,
    second: Moment,
}

#[derive(Deserialize)]
struct Moment {
    scales: String,
    codes: String,
}

fn golden() -> Golden {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/moments/golden.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn floats(hex: &str) -> Vec<f32> {
    bytes(hex).as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
}

fn tensor(values: Vec<f32>) -> Tensor<NdArray, 1> {
    Tensor::from_floats(values.as_slice(), &Default::default())
}

fn values(tensor: &Tensor<NdArray, 1>) -> Vec<f32> {
    tensor.to_data().into_vec().unwrap()
}

#[test]
fn codes_stand_for_the_numbers_of_the_dynamic_map() {
    let maps = golden().maps;
    for (map, expected) in [(&SIGNED, maps.signed), (&UNSIGNED, maps.unsigned)] {
        let expected = floats(&expected);
        assert_eq!(expected.len(), BLOCK);
        for (got, expected) in map.numbers.iter().zip(expected) {
            assert!((got - expected).abs() <= 1.2e-7 * expected.abs(), "{got} and {expected}");
        }
    }
}

#[test]
fn a_number_takes_the_code_that_no_other_is_nearer_than() {
    for map in [&SIGNED, &UNSIGNED] {
        let parts = (-20_000..=20_000).map(|i| (i as f32 / 20_000.0).powi(3));
        let parts: Vec<f32> = map.numbers.into_iter().chain(parts).collect();
        for parts in parts.as_chunks().0 {
            for (part, code) in parts.iter().zip(map.nearest(parts)) {
                let distance = |code: &f32| (f64::from(*code) - f64::from(*part)).abs();
                // Without a sign 0 is taken by 0 alone.
                let from = usize::from(map.numbers[0] == 0.0 && *part > 0.0);
                let least = map.numbers[from..].iter().map(distance).fold(f64::MAX, f64::min);
                let taken = distance(&map.numbers[code as usize]);
                let rounding = 1e-7 * f64::from(part.abs());
                assert!(taken <= least + rounding, "{part}: {taken} and {least}");
            }
        }
    }
}

/// Asserts the scales and codes of a moment's words.
fn assert_moment(words: &Tensor<NdArray, 1>, expected: &Moment, what: &str) {
    let (words, scales) = (values(words), floats(&expected.scales));
    assert_eq!(words.len(), scales.len() * WORDS);
    let blocks = words.chunks(WORDS);
    let codes = blocks.clone().flat_map(|block| &block[1..]).flat_map(|word| word.to_le_bytes());
    assert_eq!(codes.collect::<Vec<u8>>(), bytes(&expected.codes), "{what}");
    for (block, scale) in blocks.zip(scales) {
        assert!((block[0] - scale).abs() <= 1e-6 * scale, "{what}: {} and {scale}", block[0]);
    }
}

#[test]
fn steps_on_codes_are_those_of_numpy_over_ordinary_huge_tiny_and_no_gradients() {
    let Golden { hyper, weight, steps, .. } = golden();
    let mut weight = tensor(floats(&weight));
    let words = words_of(weight.dims()[0]);
    let mut moments = [tensor(vec![0.0; words]), tensor(vec![0.0; words])];
    let Hyper { beta_1, beta_2, epsilon, weight_decay, grad_scale } = hyper;
    for (step, row) in (1..).zip(steps) {
        let learning_rate = row.learning_rate;
        let hyper =
            AdamW { learning_rate, beta_1, beta_2, epsilon, weight_decay, grad_scale, step };
        (weight, moments) = adamw_step_q8(hyper, weight, moments, &tensor(floats(&row.gradient)));
        for (got, expected) in values(&weight).iter().zip(floats(&row.weight)) {
            let tolerance = 1e-6 * (1.0 + expected.abs());
            assert!((got - expected).abs() <= tolerance, "step {step}: {got} and {expected}");
        }
        assert_moment(&moments[0], &row.first, &format!("first moment of step {step}"));
        assert_moment(&moments[1], &row.second, &format!("second moment of step {step}"));
    }
}

#[test]
fn what_is_no_number_or_infinite_is_closed_and_opened_without_a_panic() {
    let mut words = [0.0; WORDS];
    for strange in [f32::NAN, f32::INFINITY, f32::MIN_POSITIVE / 8.0, f32::MAX] {
        for map in [&SIGNED, &UNSIGNED] {
            map.close(&[strange; BLOCK], &mut words);
            let opened = CodeMap::open(map, &words);
            assert!(!strange.is_finite() || opened.iter().all(|x| *x == strange), "{strange}");
        }
    }
}

#[test]
fn no_step_divides_by_epsilon_alone_where_a_gradient_becomes_0() {
    let hyper = AdamW {
        learning_rate: 1e-3,
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.0,
        grad_scale: 1.0,
        step: 1,
    };
    // One number sets the block's scale; the others' second moments are far below its smallest code.
    let mut gradient = vec![1e-4; BLOCK];
    gradient[0] = 1.0;
    let zeros = || tensor(vec![0.0; WORDS]);
    let (weight, moments) =
        adamw_step_q8(hyper, tensor(vec![0.0; BLOCK]), [zeros(), zeros()], &tensor(gradient));
    let before = values(&weight);
    let hyper = AdamW { step: 2, ..hyper };
    let (weight, _) = adamw_step_q8(hyper, weight, moments, &tensor(vec![0.0; BLOCK]));
    for (before, after) in before.iter().zip(values(&weight)) {
        assert!((after - before).abs() <= hyper.learning_rate, "from {before} to {after}");
    }
}
