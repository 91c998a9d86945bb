//! Matrix products on slices: the one place that calls the `gemm` crate.
//!
//! `gemm` picks its instruction set at run time and reads its operands through strides, so a
//! transposed operand costs no copy. That is what Burn's own CPU matmul spends its time on.

use gemm::Parallelism;

/// A matrix inside a slice: element `(row, col)` is `data[row * row_stride + col * col_stride]`.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A row-major matrix whose rows start `row_stride` elements apart.
    pub fn strided(data: &'a [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        let end = if rows * cols == 0 { 0 } else { (rows - 1) * row_stride + cols };
        assert!(
            end <= data.len(),
            "a [{rows}, {cols}] matrix of stride {row_stride} needs {end} elements"
        );
        Self { data, rows, cols, row_stride, col_stride: 1 }
    }

    /// A contiguous row-major matrix.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// The transpose, without a copy.
    pub fn t(self) -> Self {
        let Self { data, rows, cols, row_stride, col_stride } = self;
        Self { data, rows: cols, cols: rows, row_stride: col_stride, col_stride: row_stride }
    }
}

/// Whether a product may use every thread or runs on the caller's alone.
#[derive(Clone, Copy)]
pub enum Threads {
    /// All of rayon's threads.
    All,
    /// The calling thread: for products inside a loop that is already parallel.
    One,
}

/// `a · b` as a new contiguous row-major buffer.
pub fn product(a: Matrix, b: Matrix, threads: Threads) -> Vec<f32> {
    let len = a.rows * b.cols;
    let mut out = Vec::with_capacity(len);
    // SAFETY: the pointer owns room for `len` elements and `gemm` writes each of them without
    // reading (`read_dst` is false), also when the inner dimension is empty.
    unsafe {
        multiply(out.as_mut_ptr(), b.cols, a, b, 1.0, false, threads);
        out.set_len(len);
    }
    out
}

/// `out ← scale · a · b`, plus what `out` held where `accumulate`; rows of `out` are `row_stride` apart.
pub fn product_into(
    out: &mut [f32],
    row_stride: usize,
    a: Matrix,
    b: Matrix,
    scale: f32,
    accumulate: bool,
    threads: Threads,
) {
    if a.rows * b.cols == 0 {
        return;
    }
    assert!((a.rows - 1) * row_stride + b.cols <= out.len(), "the product does not fit its output");
    // SAFETY: the assertion above keeps every written element inside `out`.
    unsafe { multiply(out.as_mut_ptr(), row_stride, a, b, scale, accumulate, threads) }
}

/// # Safety
/// `out` must be valid for writes (and reads where `accumulate`) of `a.rows` rows of `b.cols`
/// elements that start `row_stride` apart.
unsafe fn multiply(
    out: *mut f32,
    row_stride: usize,
    a: Matrix,
    b: Matrix,
    scale: f32,
    accumulate: bool,
    threads: Threads,
) {
    assert_eq!(a.cols, b.rows, "inner dimensions of a matrix product differ");
    // Starting threads costs some ten microseconds; a small product is done before that.
    let work = a.rows * a.cols * b.cols;
    let parallelism = match threads {
        Threads::All if work > 1 << 18 => Parallelism::Rayon(0),
        _ => Parallelism::None,
    };
    // SAFETY: a `Matrix` only exists where its data holds every element that its strides reach.
    unsafe {
        gemm::gemm(
            a.rows,
            b.cols,
            a.cols,
            out,
            1,
            row_stride as isize,
            accumulate,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            1.0,
            scale,
            false,
            false,
            false,
            parallelism,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

    #[test]
    fn a_product_with_a_transpose_reads_through_strides() {
        let a = Matrix::new(&A, 2, 3);
        assert_eq!(product(a, a.t(), Threads::One), [14.0, 32.0, 32.0, 77.0]);
        assert_eq!(
            product(a.t(), a, Threads::All),
            [17.0, 22.0, 27.0, 22.0, 29.0, 36.0, 27.0, 36.0, 45.0]
        );
    }

    #[test]
    fn accumulating_adds_to_what_was_there_and_leaves_the_gaps_alone() {
        let column = Matrix::strided(&A, 2, 1, 3);
        let mut out = [10.0, 7.0, 20.0, 7.0];
        product_into(&mut out, 2, column, Matrix::new(&[2.0], 1, 1), 0.5, true, Threads::One);
        assert_eq!(out, [11.0, 7.0, 24.0, 7.0]);
    }

    #[test]
    fn an_empty_inner_dimension_gives_zeros() {
        assert_eq!(product(Matrix::new(&[], 2, 0), Matrix::new(&[], 0, 2), Threads::One), [0.0; 4]);
    }
}
