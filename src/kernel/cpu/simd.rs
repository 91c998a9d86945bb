//! Scalar functions that the compiler can turn into SIMD, and how passes are spread over threads.

use rayon::prelude::*;

use super::dots::dots;

/// e^x to within 2 units in the last place, flushing to 0 below -87 and staying finite above 88.
///
/// The library's `exp` is a call that keeps a loop scalar; this one is a polynomial on the reduced
/// argument (Cody and Waite's split of ln 2) and vectorises.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2^23: adding it rounds to an integer
    let clamped = x.clamp(-87.0, 88.0);
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (clamped - n * LN2_HIGH) - n * LN2_LOW;
    let mut p = 1.987_569_1e-4_f32;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_5e-2;
    p = p * r + 0.166_666_65;
    p = p * r + 0.5;
    let mantissa = p * r * r + r + 1.0;
    let exponent = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let power = f32::from_bits(((exponent + 127) << 23) as u32);
    if x < -87.0 { 0.0 } else { mantissa * power }
}

/// The logistic function 1 / (1 + e^-x).
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Runs `work(first_row, rows_of_out)` over chunks of whole rows, on all threads where that pays.
pub fn for_rows(out: &mut [f32], width: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    // Below some 32 KiB a pass is over before a second thread has woken.
    const SERIAL: usize = 8 * 1024;
    if out.len() <= SERIAL || width == 0 {
        return work(0, out);
    }
    let rows_of_chunk = (SERIAL / width).max(1);
    out.par_chunks_mut(rows_of_chunk * width)
        .enumerate()
        .for_each(|(chunk, rows)| work(chunk * rows_of_chunk, rows));
}

/// Like [`for_rows`], with a second output of `other_width` columns a row.
pub fn for_rows2(
    out: &mut [f32],
    width: usize,
    other: &mut [f32],
    other_width: usize,
    work: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
) {
    let rows_of_chunk = (8 * 1024 / width.max(1)).max(1);
    out.par_chunks_mut(rows_of_chunk * width)
        .zip(other.par_chunks_mut(rows_of_chunk * other_width))
        .enumerate()
        .for_each(|(chunk, (a, b))| work(chunk * rows_of_chunk, a, b));
}

/// Sums per-chunk vectors of `width` columns in a fixed order, so that the sum does not depend on
/// which thread was first: `part(rows, sums)` adds rows `rows` to `sums`.
pub fn sum_over_rows(
    rows: usize,
    width: usize,
    part: impl Fn(std::ops::Range<usize>, &mut [f32]) + Sync,
) -> Vec<f32> {
    const ROWS_OF_CHUNK: usize = 256;
    let parts: Vec<Vec<f32>> = (0..rows.div_ceil(ROWS_OF_CHUNK))
        .into_par_iter()
        .map(|chunk| {
            let mut sums = vec![0.0; width];
            part(chunk * ROWS_OF_CHUNK..rows.min((chunk + 1) * ROWS_OF_CHUNK), &mut sums);
            sums
        })
        .collect();
    let mut total = vec![0.0; width];
    for sums in parts {
        for (t, s) in total.iter_mut().zip(sums) {
            *t += s;
        }
    }
    total
}

/// The largest of some numbers; −∞ for none. Sixteen at a time: one after another, each comparison would
/// wait for the one before.
#[inline(always)]
pub fn largest(numbers: &[f32]) -> f32 {
    let (chunks, rest) = numbers.as_chunks::<16>();
    let mut lanes = [f32::NEG_INFINITY; 16];
    for chunk in chunks {
        for (lane, number) in lanes.iter_mut().zip(chunk) {
            *lane = lane.max(*number);
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |largest, number| largest.max(*number))
}

/// Dot product of two rows of the same length.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    dots::<false, 1, 1>([a], [b])[0][0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_agrees_with_the_library_to_a_few_units_in_the_last_place() {
        for i in -8_600..8_700 {
            let x = i as f32 * 0.01;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 2.5e-7, "exp({x}) is off by {error:e}");
        }
    }

    #[test]
    fn exp_stays_finite_and_flushes_to_zero() {
        assert_eq!((exp(-1e30), exp(f32::NEG_INFINITY)), (0.0, 0.0));
        assert!(exp(1e30).is_finite());
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn dot_takes_any_length() {
        for len in [0, 1, 15, 16, 17, 40] {
            let a: Vec<f32> = (0..len).map(|i| i as f32).collect();
            let exact: usize = (0..len).map(|i| i * i).sum();
            assert_eq!(dot(&a, &a), exact as f32);
        }
    }
}
