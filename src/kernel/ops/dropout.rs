//! Dropout (Srivastava et al. 2014): numbers are left out at random, and the others make up for them.
//!
//! ```text
//! y = x · mask / (1 − p),   mask = 0 with probability p, else 1
//! ```
//!
//! The mask is a pure function of what it is for, so it is not kept for the backward pass but drawn once more.

use burn::tensor::ops::FloatTensor;
use burn::tensor::{Shape, Tensor};

use crate::kernel::check::{Case, N, Visitor, WIDTH, noise};
use crate::kernel::cpu::simd::for_rows;
use crate::kernel::op::{Elements, Keeps, Saved};
use crate::kernel::{Kernels, Op, float, primitive};
use crate::random::{key_of, philox4x32};

/// What sets these random numbers apart from the others of a seed.
const PURPOSE: u32 = 0x6470 << 16;

/// Numbers of x that one draw of four random words decides on, by 16 bits each.
const A_DRAW: usize = 8;

/// Numbers that are left out: which ones, and how many.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    key: [u32; 2],
    counter: [u32; 3],
    /// Of 65536 numbers so many are left out.
    share: u32,
}

impl Dropout {
    /// A share `p` of all numbers, from 0 to below 1, in steps of 1 / 65536; `counter` says what of a seed's they are.
    pub fn new(p: f64, seed: u64, counter: [u32; 3]) -> Self {
        let [low, high] = key_of(seed);
        let share = (p.clamp(0.0, 1.0) * 65_536.0).round().min(65_535.0) as u32;
        Self { key: [low, high ^ PURPOSE], counter, share }
    }

    /// What a number is multiplied by that stays.
    pub(in crate::kernel) fn factor(&self) -> f32 {
        65_536.0 / (65_536 - self.share) as f32
    }

    /// Which of the eight numbers from the `draw`-th eight on stay, the first as the lowest bit.
    fn kept(&self, draw: usize) -> u8 {
        let [step, pass, matrix] = self.counter;
        let words = philox4x32(self.key, [draw as u32, step, pass, matrix]);
        let halves = words.into_iter().flat_map(|word| [word & 0xffff, word >> 16]);
        halves.enumerate().fold(0, |bits, (at, half)| bits | u8::from(half >= self.share) << at)
    }

    /// Which of `count` numbers stay: a bit each, the first as the lowest bit of the first word.
    #[cfg(feature = "cube")]
    pub(in crate::kernel) fn mask(&self, count: usize) -> Vec<u32> {
        use rayon::prelude::*;
        let word =
            |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| self.kept(at * 4 + byte)));
        (0..count.div_ceil(32)).into_par_iter().map(word).collect()
    }
}

/// `x [n, d]` with some of its numbers left out.
pub fn dropout<B: Kernels>(x: &Tensor<B, 2>, which: Dropout) -> Tensor<B, 2> {
    let [y] = B::run(which, [primitive(x)]);
    float(y)
}

impl Op<1, 1> for Dropout {
    const NAME: &'static str = "dropout";

    fn shapes(&self, [x]: [&Shape; 1]) -> [Shape; 1] {
        [x.clone()]
    }

    fn cpu(&self, [x]: [Elements; 1]) -> [Vec<f32>; 1] {
        let (mut y, factor) = (vec![0.0; x.len()], self.factor());
        // "Rows" of one draw: chunks begin where a draw does.
        for_rows(&mut y, A_DRAW, |first, y| {
            let draws = y.chunks_mut(A_DRAW).zip(x[first * A_DRAW..].chunks(A_DRAW));
            for (draw, (y, x)) in draws.enumerate() {
                let kept = self.kept(first + draw);
                for (at, (y, x)) in y.iter_mut().zip(x).enumerate() {
                    *y = if kept >> at & 1 == 1 { x * factor } else { 0.0 };
                }
            }
        });
        [y]
    }

    fn keeps(_: [bool; 1]) -> Option<Keeps<1>> {
        Some(Keeps::NOTHING)
    }

    fn gradients<B: Kernels>(
        &self,
        _: Saved<FloatTensor<B>, 1, 1>,
        dy: FloatTensor<B>,
        _: [bool; 1],
    ) -> [Option<FloatTensor<B>>; 1] {
        B::run(*self, [dy]).map(Some)
    }
}

/// The row of `dropout` in the list of operations.
pub fn visit(visitor: &mut impl Visitor) {
    let which = Dropout::new(0.3, 7, [1, 2, 3]);
    visitor.visit(Case::new("dropout", which, [noise([N, WIDTH], 53)]));
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: usize = 100_003;

    fn of_ones(which: Dropout) -> Vec<f32> {
        let [y] = which.cpu([Elements::new(vec![1.0; COUNT], Shape::new([COUNT]))]);
        y
    }

    #[test]
    fn a_share_of_the_numbers_is_left_out_and_the_mean_stays() {
        for p in [0.0, 0.05, 0.5, 0.9] {
            let y = of_ones(Dropout::new(p, 11, [0, 0, 0]));
            let left_out = y.iter().filter(|y| **y == 0.0).count() as f64 / COUNT as f64;
            let deviation = (p * (1.0 - p) / COUNT as f64).sqrt();
            assert!((left_out - p).abs() <= 4.0 * deviation, "{p}: {left_out}");
            let expected = (1.0 / (1.0 - p)) as f32;
            assert!(y.iter().all(|y| *y == 0.0 || (y - expected).abs() < 1e-4 * expected), "{p}");
        }
    }

    #[test]
    fn every_step_pass_matrix_and_seed_leaves_out_others() {
        let first = of_ones(Dropout::new(0.5, 11, [0, 0, 0]));
        assert_eq!(of_ones(Dropout::new(0.5, 11, [0, 0, 0])), first);
        for (seed, counter) in [(12, [0, 0, 0]), (11, [1, 0, 0]), (11, [0, 1, 0]), (11, [0, 0, 1])]
        {
            let other = of_ones(Dropout::new(0.5, seed, counter));
            let same = first.iter().zip(&other).filter(|(a, b)| a == b).count() as f64;
            assert!((same / COUNT as f64 - 0.5).abs() < 0.01, "{seed} {counter:?}: {same}");
        }
    }
}
