//! Products of tiles in registers.
//!
//! A tile of scores is `[keys, queries]`: neighbours in memory are queries, so that the softmax of
//! sixteen queries runs side by side and needs no sum across a register. Every element of a product is
//! one chain of additions in the order of what is summed over, so it depends neither on the tile
//! around it nor on the thread.

use multiversion::multiversion;
use multiversion::target::match_target;

use super::blocks::Mask;
use crate::kernel::cpu::dots::{LANES, Lanes, add_scaled};

/// Row stride of a tile that is `width` wide: whole registers and one to spare, for a product that
/// begins between two of them. The odd number of cache lines spreads rows over the cache's sets.
pub const fn stride(width: usize) -> usize {
    width.next_multiple_of(LANES) + LANES
}

/// Rows of a buffer, `stride` apart.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    /// From the first element on.
    pub data: &'a [f32],
    /// Distance of two rows.
    pub stride: usize,
}

/// Rows of a buffer that is written.
pub struct RowsMut<'a> {
    /// From the first element on.
    pub data: &'a mut [f32],
    /// Distance of two rows.
    pub stride: usize,
}

/// `scores[key][query] = Σ_i keys[key][i] · queries[i][query]` for `[keys, queries, i]`, but for
/// whole registers of queries that do not see the key.
pub fn scores(
    scores: RowsMut,
    keys: Rows,
    queries: Rows,
    [n_keys, n_queries, d]: [usize; 3],
    mask: Mask,
) {
    let part = |first: usize, _| {
        let start = mask.first_query(first).min(n_queries) / LANES * LANES;
        Part { columns: start..n_queries, inner: 0..d }
    };
    let left = Left::rows(keys);
    compute(Product::<_, false> { out: scores, left, right: queries, part }, n_keys);
}

/// `out[query][·] += Σ_key weights[key][query] · x[key][·]` for `[queries, keys, width]`.
pub fn add_over_keys(
    out: RowsMut,
    weights: Rows,
    x: Rows,
    [n_queries, n_keys, width]: [usize; 3],
    mask: Mask,
) {
    let part =
        |_, last: usize| Part { columns: 0..width, inner: 0..mask.keys_of(last).min(n_keys) };
    let left = Left::columns(weights);
    compute(Product::<_, true> { out, left, right: x, part }, n_queries);
}

/// `out[key][·] += Σ_query weights[key][query] · x[query][·]` for `[keys, queries, width]`.
pub fn add_over_queries(
    out: RowsMut,
    weights: Rows,
    x: Rows,
    [n_keys, n_queries, width]: [usize; 3],
    mask: Mask,
) {
    let part = |first: usize, _| Part {
        columns: 0..width,
        inner: mask.first_query(first).min(n_queries)..n_queries,
    };
    let left = Left::rows(weights);
    compute(Product::<_, true> { out, left, right: x, part }, n_keys);
}

/// What is computed for some rows of the result.
struct Part {
    /// Columns, from a multiple of [`LANES`] on.
    columns: std::ops::Range<usize>,
    /// What is summed over.
    inner: std::ops::Range<usize>,
}

/// The left side: element `(row, k)` is `data[row · row_stride + k · inner_stride]`.
///
/// Both strides are known at run time only. Where the compiler knows that one of them is 1, it takes elements of
/// several rows by one load and spreads them by gathers, which takes ten times as long.
#[derive(Clone, Copy)]
struct Left<'a> {
    data: &'a [f32],
    row_stride: usize,
    inner_stride: usize,
}

impl<'a> Left<'a> {
    /// `[rows, inner]`.
    fn rows(of: Rows<'a>) -> Self {
        Self { data: of.data, row_stride: of.stride, inner_stride: 1 }
    }

    /// `[inner, rows]`.
    fn columns(of: Rows<'a>) -> Self {
        Self { data: of.data, row_stride: 1, inner_stride: of.stride }
    }

    /// Stops where some rows, none of them empty, are not inside.
    #[inline(always)]
    fn check(self, rows: &std::ops::Range<usize>, inner: &std::ops::Range<usize>) {
        let last = |range: &std::ops::Range<usize>| range.end.max(1) - 1;
        let end = last(rows) * self.row_stride + last(inner) * self.inner_stride;
        assert!(end < self.data.len(), "a tile reaches beyond its buffer");
    }
}

/// A product: `left` is `[rows, inner]`, `right` is `[inner, columns]`; `ADD` keeps what `out` held. `part`
/// says what is computed for rows from a first to a last one.
struct Product<'a, P, const ADD: bool> {
    out: RowsMut<'a>,
    left: Left<'a>,
    right: Rows<'a>,
    part: P,
}

/// All of a product, in groups of rows that fit the registers.
#[multiversion(targets = "simd")]
fn compute<P, const ADD: bool>(product: Product<'_, P, ADD>, rows: usize)
where
    P: Fn(usize, usize) -> Part,
{
    match_target! {
        "x86_64+avx512f" => product.in_groups::<true, 12>(rows),
        "x86_64+fma" => product.in_groups::<true, 6>(rows),
        "aarch64" => product.in_groups::<true, 6>(rows),
        _ => product.in_groups::<false, 2>(rows),
    }
}

impl<P, const ADD: bool> Product<'_, P, ADD>
where
    P: Fn(usize, usize) -> Part,
{
    /// Rows `X` at a time, as many as have their sums in registers; then what is left of them.
    #[inline(always)]
    fn in_groups<const FUSED: bool, const X: usize>(mut self, rows: usize) {
        let mut at = 0;
        self.groups::<FUSED, X>(rows, &mut at);
        self.groups::<FUSED, 4>(rows, &mut at);
        self.groups::<FUSED, 2>(rows, &mut at);
        self.groups::<FUSED, 1>(rows, &mut at);
    }

    #[inline(always)]
    fn groups<const FUSED: bool, const X: usize>(&mut self, rows: usize, at: &mut usize) {
        while *at + X <= rows {
            let Part { columns, inner } = (self.part)(*at, *at + X - 1);
            for column in columns.step_by(LANES) {
                self.group::<FUSED, X>(*at, column, inner.clone());
            }
            *at += X;
        }
    }

    /// `X` rows and [`LANES`] columns of the result.
    #[inline(always)]
    fn group<const FUSED: bool, const X: usize>(
        &mut self,
        row: usize,
        column: usize,
        inner: std::ops::Range<usize>,
    ) {
        if inner.is_empty() && ADD {
            return;
        }
        let (rows, lanes) = (row..row + X, column..column + LANES);
        self.left.check(&rows, &inner);
        self.right.check(&inner, &lanes);
        Rows { data: self.out.data, stride: self.out.stride }.check(&rows, &lanes);
        // SAFETY: the checks above keep every element that is read or written inside its buffer, and
        // arrays of floats need no more alignment than a float.
        unsafe { self.group_unchecked::<FUSED, X>(row, column, inner) }
    }

    /// # Safety
    /// The rows, columns and inner indices must lie inside the three buffers.
    #[inline(always)]
    unsafe fn group_unchecked<const FUSED: bool, const X: usize>(
        &mut self,
        row: usize,
        column: usize,
        inner: std::ops::Range<usize>,
    ) {
        let Left { data, row_stride, inner_stride } = self.left;
        let (left, right) = (data.as_ptr(), self.right.data.as_ptr());
        let out = self.out.data.as_mut_ptr();
        let place = |x: usize| (row + x) * self.out.stride + column;
        let mut sums = [[0.0_f32; LANES]; X];
        // SAFETY: see above.
        unsafe {
            if ADD {
                for (x, sums) in sums.iter_mut().enumerate() {
                    *sums = out.add(place(x)).cast::<Lanes>().read();
                }
            }
            for k in inner {
                let b = right.add(k * self.right.stride + column).cast::<Lanes>().read();
                for (x, sums) in sums.iter_mut().enumerate() {
                    let a = *left.add((row + x) * row_stride + k * inner_stride);
                    add_scaled::<FUSED>(sums, a, &b);
                }
            }
            for (x, sums) in sums.iter().enumerate() {
                out.add(place(x)).cast::<Lanes>().write(*sums);
            }
        }
    }
}

impl Rows<'_> {
    /// Stops where some rows and columns, none of them empty, are not inside.
    #[inline(always)]
    fn check(self, rows: &std::ops::Range<usize>, columns: &std::ops::Range<usize>) {
        let end = (rows.end.max(1) - 1) * self.stride + columns.end;
        assert!(end <= self.data.len(), "a tile reaches beyond its buffer");
    }
}
