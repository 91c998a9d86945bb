//! What a thread computes attention in: some tiles, whatever the number of queries and keys.

use std::ops::Range;

use multiversion::multiversion;

use super::AttentionPlan;
use super::blocks::{Block, MOST};
use super::tile::{Rows, RowsMut, stride};
use crate::kernel::cpu::dots::LANES;

/// Sizes of the tiles that some blocks need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    rows: usize,
    keys: usize,
    d: usize,
}

impl Sizes {
    /// Those of `blocks`, whose queries have so many rows.
    pub fn of(plan: &AttentionPlan, blocks: &[Block]) -> Self {
        let queries = blocks.iter().map(|block| block.queries.len()).max().unwrap_or(0);
        let keys = blocks.iter().map(Block::most_keys).max().unwrap_or(0);
        Self { rows: queries * plan.heads / plan.kv_heads, keys: keys.min(MOST), d: plan.head_dim }
    }

    /// A tile `[rows, d]`.
    pub fn of_rows(self) -> Tile {
        Tile::new(self.rows, self.d)
    }

    /// A tile `[d, rows]`.
    pub fn of_turned_rows(self) -> Tile {
        Tile::new(self.d, self.rows)
    }

    /// A tile `[keys, d]`.
    pub fn of_keys(self) -> Tile {
        Tile::new(self.keys, self.d)
    }

    /// A tile of scores `[keys, rows]`.
    pub fn of_scores(self) -> Tile {
        Tile::new(self.keys, self.rows)
    }

    /// One number for every row.
    pub fn for_each_row(self) -> Vec<f32> {
        vec![0.0; self.rows]
    }
}

/// Rows in a buffer that a product may read and write by whole registers.
#[derive(Debug)]
pub struct Tile {
    data: Vec<f32>,
    stride: usize,
}

impl Tile {
    fn new(rows: usize, width: usize) -> Self {
        let stride = stride(width);
        Self { data: vec![0.0; rows * stride], stride }
    }

    /// From column 0 of a row on.
    pub fn at_row(&self, row: usize) -> Rows<'_> {
        Rows { data: &self.data[row * self.stride..], stride: self.stride }
    }

    /// From a column of row 0 on.
    pub fn at_column(&self, column: usize) -> Rows<'_> {
        Rows { data: &self.data[column..], stride: self.stride }
    }

    /// From column 0 of a row on, to be written.
    pub fn at_row_mut(&mut self, row: usize) -> RowsMut<'_> {
        RowsMut { data: &mut self.data[row * self.stride..], stride: self.stride }
    }

    /// The first `width` elements of a row.
    pub fn row(&self, row: usize, width: usize) -> &[f32] {
        &self.data[row * self.stride..][..width]
    }

    /// The same to be written.
    pub fn row_mut(&mut self, row: usize, width: usize) -> &mut [f32] {
        &mut self.data[row * self.stride..][..width]
    }

    /// Zeros in the first rows.
    pub fn clear(&mut self, rows: usize) {
        self.data[..rows * self.stride].fill(0.0);
    }

    /// Number of floats.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.data.len()
    }
}

/// The heads of a tensor `[n, heads·d]` that belong together: row `i` is head `i % group` of them, of
/// token `first + i / group`.
#[derive(Clone, Copy)]
pub struct HeadRows {
    /// Where head 0 of the tensor's first token begins, in rows of `d`.
    start: usize,
    heads: usize,
    group: usize,
    d: usize,
}

impl HeadRows {
    /// The query heads of a key head, from a token on.
    pub fn of_queries(plan: &AttentionPlan, kv_head: usize, token: usize) -> Self {
        let group = plan.heads / plan.kv_heads;
        let (heads, d) = (plan.heads, plan.head_dim);
        Self { start: token * heads + kv_head * group, heads, group, d }
    }

    /// A key head of all tokens.
    pub fn of_keys(plan: &AttentionPlan, kv_head: usize) -> Self {
        Self { start: kv_head, heads: plan.kv_heads, group: 1, d: plan.head_dim }
    }

    /// Which row of `[n·heads, d]` row `i` is.
    #[inline(always)]
    pub fn index(self, i: usize) -> usize {
        // A division costs as much as a row of keys.
        match self.group {
            1 => self.start + i * self.heads,
            group => self.start + i / group * self.heads + i % group,
        }
    }

    /// Its elements.
    #[inline(always)]
    pub fn elements(self, i: usize) -> Range<usize> {
        let at = self.index(i) * self.d;
        at..at + self.d
    }

    /// Visits the first rows in their order: number and elements.
    #[inline(always)]
    pub fn for_each(self, rows: usize, mut visit: impl FnMut(usize, Range<usize>)) {
        let mut token = self.start;
        for first in (0..rows).step_by(self.group) {
            for head in 0..self.group {
                let at = (token + head) * self.d;
                visit(first + head, at..at + self.d);
            }
            token += self.heads;
        }
    }
}

/// Copies rows of a tensor, times `scale`.
#[multiversion(targets = "simd")]
pub fn read(of: HeadRows, from: &[f32], rows: usize, scale: f32, to: &mut Tile) {
    of.for_each(rows, |i, elements| {
        for (to, from) in to.row_mut(i, of.d).iter_mut().zip(&from[elements]) {
            *to = from * scale;
        }
    });
}

/// Copies rows of a tensor, times `scale`, as columns; behind the last row it is repeated, up to a whole
/// register.
#[multiversion(targets = "simd")]
pub fn read_turned(of: HeadRows, from: &[f32], rows: usize, scale: f32, to: &mut Tile) {
    for first in (0..rows.next_multiple_of(LANES)).step_by(4) {
        let x: [&[f32]; 4] = [0, 1, 2, 3].map(|i| &from[of.elements((first + i).min(rows - 1))]);
        let [a, b, c, d] = x.map(|x| x.as_chunks::<4>());
        for (i, (((a, b), c), d)) in a.0.iter().zip(b.0).zip(c.0).zip(d.0).enumerate() {
            for j in 0..4 {
                let column = [a[j], b[j], c[j], d[j]].map(|x| x * scale);
                to.row_mut(4 * i + j, first + 4)[first..].copy_from_slice(&column);
            }
        }
        for i in of.d / 4 * 4..of.d {
            let column = x.map(|x| x[i] * scale);
            to.row_mut(i, first + 4)[first..].copy_from_slice(&column);
        }
    }
}

/// Keys and values of a tile.
pub struct KeyTile {
    /// Keys `[keys, d]`.
    pub k: Tile,
    /// Values `[keys, d]`.
    pub v: Tile,
    first: Range<usize>,
}

impl KeyTile {
    /// Room for a tile.
    pub fn new(sizes: Sizes) -> Self {
        Self { k: sizes.of_keys(), v: sizes.of_keys(), first: 0..0 }
    }

    /// Forgets what was read: the next keys are of another head.
    pub fn forget(&mut self) {
        self.first = 0..0;
    }

    /// Reads keys `first` and `second` of a head; the first are kept where they are there already, as
    /// for the spans of one prefix.
    pub fn load(
        &mut self,
        head: HeadRows,
        [k, v]: [&[f32]; 2],
        first: &Range<usize>,
        second: &Range<usize>,
    ) {
        let is_there = if self.first == *first { first.len() } else { 0 };
        self.first = first.clone();
        read_keys(head, k, [first, second], is_there, &mut self.k);
        read_keys(head, v, [first, second], is_there, &mut self.v);
    }
}

/// Copies the rows of some keys, but for the first that are there already.
#[multiversion(targets = "simd")]
fn read_keys(
    of: HeadRows,
    from: &[f32],
    [first, second]: [&Range<usize>; 2],
    is_there: usize,
    to: &mut Tile,
) {
    let keys = first.clone().chain(second.clone()).enumerate().skip(is_there);
    keys.for_each(|(at, key)| copy(&from[of.elements(key)], to.row_mut(at, of.d)));
}

/// Copies a row: too short for a call of the library's.
#[inline(always)]
pub fn copy(from: &[f32], to: &mut [f32]) {
    let (from, from_rest) = from.as_chunks::<8>();
    let (to, to_rest) = to.as_chunks_mut::<8>();
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    to_rest.iter_mut().zip(from_rest).for_each(|(to, from)| *to = *from);
}
