//! One step of AdamW on moments of 8 bits, in a single pass over memory: a block is opened, stepped by the formula of
//! `adamw_step` and closed again before the next (Dettmers et al. 2021, arXiv 2110.02861).

use burn::tensor::{Shape, Tensor};
use multiversion::multiversion;
use rayon::prelude::*;

use super::adamw::{AdamW, Factors, step_numbers};
use crate::kernel::check::{Case, Visitor, noise};
use crate::kernel::codes::{BLOCK, CodeMap, SIGNED, UNSIGNED, WORDS, words_of};
use crate::kernel::op::Elements;
use crate::kernel::{Kernels, Op, float, primitive};

/// A weight and its two moments after one AdamW step, in place where they are unshared. Moments are the words
/// `[words_of(n)]` of n numbers in 8 bits, first with a sign and second without; words of zeros stand for zeros. The
/// gradient is `[n]` for a weight of n elements.
///
/// # Panics
/// Moments of another number of words.
pub fn adamw_step_q8<B: Kernels, const D: usize>(
    hyper: AdamW,
    weight: Tensor<B, D>,
    moments: [Tensor<B, 1>; 2],
    gradient: &Tensor<B, 1>,
) -> (Tensor<B, D>, [Tensor<B, 1>; 2]) {
    let words = words_of(weight.shape().num_elements());
    assert!(moments.each_ref().map(Tensor::dims) == [[words]; 2], "moments of {words} words");
    let [first, second] = moments.map(|m| m.into_primitive().tensor());
    let weight = weight.into_primitive().tensor();
    let inputs = [weight, first, second, primitive(gradient)];
    let [weight, first, second] = B::run(AdamWQ8(hyper), inputs);
    (float(weight), [float(first), float(second)])
}

/// A step of AdamW whose moments are words of codes.
#[derive(Debug, Clone, Copy)]
pub struct AdamWQ8(pub AdamW);

// Weight of any shape of n elements, both moments [words_of(n)], and gradient [n] to the first three.
impl Op<4, 3> for AdamWQ8 {
    const NAME: &'static str = "adamw_step_q8";
    const IN_PLACE: usize = 3;

    fn shapes(&self, [weight, first, second, _]: [&Shape; 4]) -> [Shape; 3] {
        [weight, first, second].map(Shape::clone)
    }

    fn cpu(&self, [weight, first, second, gradient]: [Elements; 4]) -> [Vec<f32>; 3] {
        const BLOCKS: usize = 64;
        let [mut weight, mut first, mut second] = [weight, first, second].map(Elements::into_vec);
        weight
            .par_chunks_mut(BLOCKS * BLOCK)
            .zip(first.par_chunks_mut(BLOCKS * WORDS))
            .zip(second.par_chunks_mut(BLOCKS * WORDS))
            .zip(gradient.par_chunks(BLOCKS * BLOCK))
            .for_each(|(((w, m), v), g)| step_blocks(self.0.factors(), w, m, v, g));
        [weight, first, second]
    }
}

#[multiversion(targets = "simd")]
fn step_blocks(factors: Factors, w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32]) {
    let moments = m.as_chunks_mut::<WORDS>().0.iter_mut().zip(v.as_chunks_mut::<WORDS>().0);
    let weights = w.chunks_mut(BLOCK).zip(g.chunks(BLOCK));
    for ((w, g), (m, v)) in weights.zip(moments) {
        let (mut first, mut second) = (SIGNED.open(m), UNSIGNED.open(v));
        step_numbers(factors, w, &mut first, &mut second, g);
        for moment in [&mut first, &mut second] {
            moment[w.len()..].fill(0.0);
        }
        SIGNED.close(&first, m);
        UNSIGNED.close(&second, v);
    }
}

/// The row of `adamw_step_q8` in the list of operations: blocks whose last is not full.
pub fn visit(visitor: &mut impl Visitor) {
    let hyper = AdamW {
        learning_rate: 0.1,
        beta_1: 0.9,
        beta_2: 0.99,
        epsilon: 1e-8,
        weight_decay: 0.01,
        grad_scale: 0.5,
        step: 3,
    };
    let flat = |seed| noise([650], seed);
    let squares = flat(28).iter().map(|x| x * x).collect::<Vec<f32>>();
    let moments = [closed(&SIGNED, &flat(27)), closed(&UNSIGNED, &squares)];
    let [first, second] = moments;
    let inputs = [noise([5, 130], 29), first, second, flat(26)];
    visitor.visit(Case::new("adamw_step_q8", AdamWQ8(hyper), inputs).read_by(as_numbers));
}

/// Words of these numbers.
fn closed(map: &CodeMap, numbers: &[f32]) -> Elements<'static> {
    let mut words = vec![0.0; words_of(numbers.len())];
    for (words, numbers) in words.as_chunks_mut().0.iter_mut().zip(numbers.chunks(BLOCK)) {
        let mut block = [0.0; BLOCK];
        block[..numbers.len()].copy_from_slice(numbers);
        map.close(&block, words);
    }
    let shape = Shape::new([words.len()]);
    Elements::new(words, shape)
}

/// The numbers of weight, first or second moment.
fn as_numbers(place: usize, values: Vec<f32>) -> Vec<f32> {
    let map = match place {
        0 => return values,
        1 => &SIGNED,
        _ => &UNSIGNED,
    };
    values.as_chunks().0.iter().flat_map(|words| map.open(words)).collect()
}
