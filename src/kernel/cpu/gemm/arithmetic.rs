//! How products are added up, and in what numbers.

use crate::kernel::cpu::dots::{Lanes, add_scaled};
use crate::kernel::precision::{ComputeDtype, rounds_to};

/// What the factors of a product are rounded to before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Factors {
    /// Nothing: f32 as it is, a number a lane.
    F32,
    /// bf16, two neighbours of the inner dimension a lane: the first in the lower half.
    Bf16,
}

impl Factors {
    /// Those of this process's products.
    pub fn current() -> Self {
        // Another device of this process may compute in bf16 where its CPU cannot.
        if rounds_to(ComputeDtype::Bf16) && has_bf16() { Self::Bf16 } else { Self::F32 }
    }

    /// Steps of an inner dimension, each a lane deep.
    pub fn steps(self, inner: usize) -> usize {
        match self {
            Self::F32 => inner,
            Self::Bf16 => inner.div_ceil(2),
        }
    }
}

/// Whether this machine multiplies bf16: all that [`Pairs`] and the loops around it are compiled for.
pub fn has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx512bf16")
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("bmi2");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// How sums take on products.
pub trait Arithmetic {
    /// What stands in a lane.
    const FACTORS: Factors;

    /// `sums += x · row`, lane by lane.
    ///
    /// # Safety
    /// The machine must have the instructions for it.
    unsafe fn add(sums: &mut Lanes, x: f32, row: &Lanes);
}

/// Multiplies and adds in one instruction, with one rounding.
pub struct Fused;

/// Multiplies, then adds.
pub struct Plain;

impl Arithmetic for Fused {
    const FACTORS: Factors = Factors::F32;

    #[inline(always)]
    unsafe fn add(sums: &mut Lanes, x: f32, row: &Lanes) {
        add_scaled::<true>(sums, x, row);
    }
}

impl Arithmetic for Plain {
    const FACTORS: Factors = Factors::F32;

    #[inline(always)]
    unsafe fn add(sums: &mut Lanes, x: f32, row: &Lanes) {
        add_scaled::<false>(sums, x, row);
    }
}

/// Two products of bf16 a lane, by AVX512-BF16.
#[cfg(target_arch = "x86_64")]
pub struct Pairs;

#[cfg(target_arch = "x86_64")]
impl Arithmetic for Pairs {
    const FACTORS: Factors = Factors::Bf16;

    #[inline(always)]
    unsafe fn add(sums: &mut Lanes, x: f32, row: &Lanes) {
        use std::arch::x86_64::{__m512, __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_set1_epi32};
        use std::mem::transmute;
        // SAFETY: as the caller promises; each of these types is 64 bytes of numbers.
        unsafe {
            let x = transmute::<__m512i, __m512bh>(_mm512_set1_epi32(x.to_bits().cast_signed()));
            let row = transmute::<Lanes, __m512bh>(*row);
            let of = transmute::<Lanes, __m512>(*sums);
            *sums = transmute::<__m512, Lanes>(_mm512_dpbf16_ps(of, x, row));
        }
    }
}

/// Two numbers rounded to bf16, in one lane.
#[inline(always)]
pub fn pair(low: f32, high: f32) -> f32 {
    f32::from_bits(rounded(low) | rounded(high) << 16)
}

/// To the nearest bf16, ties to even; NaN stays NaN.
#[inline(always)]
fn rounded(x: f32) -> u32 {
    let bits = x.to_bits();
    let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    if x.is_nan() { bits >> 16 | 0x40 } else { nearest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_to_bf16_is_that_of_the_crate_half() {
        let more =
            [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN_POSITIVE, 1e-42];
        // A step that passes every exponent, and ties between two neighbours.
        let all = (0..1 << 16).map(|i| f32::from_bits(i * 65_537)).filter(|x| !x.is_nan());
        let ties = (0..1 << 15).map(|i| f32::from_bits(i << 16 | 0x8000)).filter(|x| !x.is_nan());
        for x in all.chain(ties).chain(more) {
            assert_eq!(rounded(x), u32::from(half::bf16::from_f32(x).to_bits()), "{x}");
        }
        assert!(half::bf16::from_bits(rounded(f32::NAN) as u16).is_nan());
        assert_eq!(pair(1.0, -2.0).to_bits(), 0xc000_3f80);
    }
}
