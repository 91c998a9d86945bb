//! Moving whole rows: embedding look-up, picking hidden states, writing a cache.

use super::math::for_rows;

/// `out[i] = x[index[i]]` for rows of `width`.
pub fn gather(x: &[f32], width: usize, index: &[u32]) -> Vec<f32> {
    let mut out = vec![0.0; index.len() * width];
    for_rows(&mut out, width, |first, rows| {
        for (row, from) in rows.chunks_exact_mut(width).zip(&index[first..]) {
            row.copy_from_slice(&x[*from as usize * width..(*from as usize + 1) * width]);
        }
    });
    out
}

/// The gradient of [`gather`]: rows of `dout` summed where they came from, in order.
pub fn scatter_add(dout: &[f32], width: usize, index: &[u32], rows: usize) -> Vec<f32> {
    let mut dx = vec![0.0; rows * width];
    for (row, to) in dout.chunks_exact(width).zip(index) {
        let to = &mut dx[*to as usize * width..(*to as usize + 1) * width];
        for (sum, g) in to.iter_mut().zip(row) {
            *sum += g;
        }
    }
    dx
}

/// `x[index[i]] ← rows[i]` for rows of `width`.
pub fn write(x: &mut [f32], width: usize, index: &[u32], rows: &[f32]) {
    for (row, to) in rows.chunks_exact(width).zip(index) {
        x[*to as usize * width..(*to as usize + 1) * width].copy_from_slice(row);
    }
}
