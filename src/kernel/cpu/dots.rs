//! Dot products and weighted sums of rows, several at a time, in registers.
//!
//! Every dot product keeps sixteen running sums, adds them in halves and then what is left of the rows,
//! so its order depends on the length of the rows alone: on no neighbour, no tile and no thread.

use std::ops::Add;

/// How many numbers are added up side by side: one register of AVX-512, two of AVX2, four of NEON.
pub const LANES: usize = 16;

/// So many numbers.
pub type Lanes = [f32; LANES];

/// Dot products of `X` rows with `W` rows of the same length, `[x][w]`.
///
/// What is loaded once is used `W` or `X` times, so a tile is as large as its sums find registers:
/// 4 × 4 with AVX-512, 2 × 2 with AVX2 and NEON, 1 × 1 elsewhere. `FUSED` multiplies and adds in one
/// instruction and belongs only where the machine has it: elsewhere it is a call.
#[inline(always)]
pub fn dots<const FUSED: bool, const W: usize, const X: usize>(
    xs: [&[f32]; X],
    ws: [&[f32]; W],
) -> [[f32; W]; X] {
    let length = ws[0].len();
    assert!(xs.iter().all(|x| x.len() >= length) && ws.iter().all(|w| w.len() >= length));
    let steps = length / LANES;
    // Plain loops over pointers: with `map`, `from_fn` or a check inside, the sums do not stay in registers.
    let mut sums = [[[0.0_f32; LANES]; W]; X];
    for step in 0..steps {
        let mut w = [[0.0_f32; LANES]; W];
        for j in 0..W {
            // SAFETY: each row has `steps` whole registers.
            w[j] = unsafe { ws[j].as_ptr().cast::<Lanes>().add(step).read() };
        }
        for (i, sums) in sums.iter_mut().enumerate() {
            // SAFETY: as above.
            let x = unsafe { xs[i].as_ptr().cast::<Lanes>().add(step).read() };
            for j in 0..W {
                add_products::<FUSED>(&mut sums[j], &x, &w[j]);
            }
        }
    }
    let rest = LANES * steps..length;
    let mut dots = [[0.0; W]; X];
    for (i, (dots, sums)) in dots.iter_mut().zip(&sums).enumerate() {
        for (j, (dot, sums)) in dots.iter_mut().zip(sums).enumerate() {
            *dot = sum_of_lanes(*sums);
            if !rest.is_empty() {
                let (x, w) = (&xs[i][rest.clone()], &ws[j][rest.clone()]);
                *dot += x.iter().zip(w).map(|(x, w)| x * w).sum::<f32>();
            }
        }
    }
    dots
}

/// `outs[x] += Σ_k weights[x][k] · row_k` for `X` outputs, the rows in their order.
///
/// The rows are walked once for every 64 columns, whose sums stay in registers.
#[inline(always)]
pub fn add_weighted<'a, const FUSED: bool, const X: usize>(
    outs: &mut [&mut [f32]; X],
    weights: [&[f32]; X],
    rows: impl Iterator<Item = &'a [f32]> + Clone,
) {
    const COLUMNS: usize = 4;
    let width = outs[0].len();
    let mut at = 0;
    while at + 16 * COLUMNS <= width {
        add_weighted_columns::<FUSED, X, COLUMNS>(outs, weights, rows.clone(), at);
        at += 16 * COLUMNS;
    }
    while at + 16 <= width {
        add_weighted_columns::<FUSED, X, 1>(outs, weights, rows.clone(), at);
        at += 16;
    }
    for column in at..width {
        for (out, weights) in outs.iter_mut().zip(weights) {
            for (weight, row) in weights.iter().zip(rows.clone()) {
                out[column] += weight * row[column];
            }
        }
    }
}

#[inline(always)]
fn add_weighted_columns<'a, const FUSED: bool, const X: usize, const C: usize>(
    outs: &mut [&mut [f32]; X],
    weights: [&[f32]; X],
    rows: impl Iterator<Item = &'a [f32]>,
    at: usize,
) {
    let columns = at..at + 16 * C;
    let mut sums = [[[0.0_f32; 16]; C]; X];
    for (sums, out) in sums.iter_mut().zip(outs.iter()) {
        sums.copy_from_slice(out[columns.clone()].as_chunks::<16>().0);
    }
    for (k, row) in rows.take(weights[0].len()).enumerate() {
        let row = row[columns.clone()].as_chunks::<16>().0;
        for i in 0..X {
            for (sums, row) in sums[i].iter_mut().zip(row) {
                add_scaled::<FUSED>(sums, weights[i][k], row);
            }
        }
    }
    for (sums, out) in sums.iter().zip(outs.iter_mut()) {
        out[columns.clone()].copy_from_slice(sums.as_flattened());
    }
}

/// `sums += x · row`, in one instruction where `FUSED`.
#[inline(always)]
pub fn add_scaled<const FUSED: bool>(sums: &mut Lanes, x: f32, row: &Lanes) {
    add_products::<FUSED>(sums, &[x; LANES], row);
}

#[inline(always)]
fn add_products<const FUSED: bool>(sums: &mut Lanes, x: &Lanes, w: &Lanes) {
    for lane in 0..16 {
        sums[lane] = match FUSED {
            true => x[lane].mul_add(w[lane], sums[lane]),
            false => sums[lane] + x[lane] * w[lane],
        };
    }
}

/// The sum of sixteen numbers, halves first: a sum in order would be sixteen additions that wait for
/// each other, as long as a whole short dot product.
#[inline(always)]
pub fn sum_of_lanes<N: Copy + Add<Output = N>>(lanes: [N; 16]) -> N {
    // Each half is a value of its own: written over one another, the lanes would go through memory.
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = lanes;
    let [a, b, c, d, e, f, g, h] = [a + i, b + j, c + k, d + l, e + m, f + n, g + o, h + p];
    let [a, b, c, d] = [a + e, b + f, c + g, d + h];
    (a + c) + (b + d)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(length: usize, first: usize) -> Vec<f32> {
        (first..first + length).map(|i| (i * 7 % 11) as f32 - 5.0).collect()
    }

    /// Small whole numbers, which any order of addition gives exactly.
    #[test]
    fn a_tile_of_dot_products_is_every_dot_product_for_any_length() {
        for length in [0, 1, 15, 16, 17, 40] {
            let (xs, ws) = ([1, 2, 3].map(|i| row(length, i)), [4, 5].map(|i| row(length, i)));
            let of = |x: &[f32], w: &[f32]| x.iter().zip(w).map(|(x, w)| x * w).sum::<f32>();
            let tile = dots::<false, 2, 3>([&xs[0], &xs[1], &xs[2]], [&ws[0], &ws[1]]);
            assert_eq!(tile, [0, 1, 2].map(|i| [0, 1].map(|j| of(&xs[i], &ws[j]))), "{length}");
        }
    }

    #[test]
    fn a_dot_product_is_the_same_to_the_last_bit_in_every_tile() {
        let wave = |i: usize| (0..83).map(|k| ((k * (i + 3)) as f32).sin()).collect::<Vec<_>>();
        let rows: Vec<Vec<f32>> = (0..8).map(wave).collect();
        let [a, b, c, d, e, f, g, h] = std::array::from_fn(|i| rows[i].as_slice());
        let tile = dots::<false, 4, 4>([a, b, c, d], [e, f, g, h]);
        assert_eq!(tile[2][1], dots::<false, 1, 1>([c], [f])[0][0]);
    }

    #[test]
    fn weighted_sums_add_the_rows_to_what_is_there_for_any_width() {
        for width in [1, 16, 17, 64, 100] {
            let rows = [row(width, 1), row(width, 2), row(width, 3)];
            let (mut a, mut b) = (row(width, 4), vec![0.0; width]);
            let weights = [[1.0, 2.0, -1.0], [0.5, 0.0, 4.0]];
            let mut outs = [a.as_mut_slice(), b.as_mut_slice()];
            let all = rows.iter().map(Vec::as_slice);
            add_weighted::<false, 2>(&mut outs, [&weights[0], &weights[1]], all);
            for column in 0..width {
                let sum = |w: [f32; 3]| (0..3).map(|k| w[k] * rows[k][column]).sum::<f32>();
                assert_eq!(a[column], row(width, 4)[column] + sum(weights[0]), "{width}");
                assert_eq!(b[column], sum(weights[1]), "{width}");
            }
        }
    }
}
