//! The linear map of a layer, `y = x · wᵀ`, with `w` as Hugging Face stores it.

use super::few_rows;
use super::gemm::{Matrix, Threads, product};

/// `y [n, output]` from `x [n, input]` and `w [output, input]`.
pub fn forward(x: &[f32], w: &[f32], input: usize) -> Vec<f32> {
    let (n, output) = (x.len() / input, w.len() / input);
    if n <= few_rows::MOST_ROWS && w.len() > 1 << 16 {
        return few_rows::product(x, w, input);
    }
    product(Matrix::new(x, n, input), Matrix::new(w, output, input).t(), Threads::All)
}

/// Gradient with respect to x, `[n, input]`, from `dy [n, output]`.
pub fn input_gradient(dy: &[f32], w: &[f32], input: usize) -> Vec<f32> {
    let output = w.len() / input;
    product(Matrix::new(dy, dy.len() / output, output), Matrix::new(w, output, input), Threads::All)
}

/// Gradient with respect to w, `[output, input]`, from `dy [n, output]`.
pub fn weight_gradient(dy: &[f32], x: &[f32], input: usize) -> Vec<f32> {
    let n = x.len() / input;
    let output = dy.len() / n.max(1);
    product(Matrix::new(dy, n, output).t(), Matrix::new(x, n, input), Threads::All)
}
