//! Attention over a cache on the CPU.
//!
//! The queries of a group's rows, and of all heads of a key head, meet the prompt's keys and values
//! together, in tiles that read each key once for several queries; each row's own keys follow. A
//! query's sums have the order of its keys, whoever is beside it.

use std::ops::Range;

use multiversion::multiversion;
use multiversion::target::match_target;

use super::DecodePlan;
use super::plan::{DecodeRow, Paged};
use crate::kernel::cpu::dots::{add_weighted, dots, sum_of_lanes};
use crate::kernel::cpu::simd::{exp, largest};
use crate::kernel::cpu::tasks::{Shared, for_each_task};

/// Most rows that meet their prompt together: a prompt's keys are then read seldom enough, and the scores
/// of a task stay in a core's cache.
const MOST_ROWS: usize = 16;

/// Tensors of one attention: `q [rows, heads·d]`, `k` and `v` `[slots, kv_heads·d]`.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// Queries.
    pub q: &'a [f32],
    /// Keys.
    pub k: &'a [f32],
    /// Values.
    pub v: &'a [f32],
}

/// Output `[rows, heads·d]`.
pub fn attend(plan: &DecodePlan, inputs: Inputs) -> Vec<f32> {
    let mut out = vec![0.0; inputs.q.len()];
    let to = Shared::new(&mut out);
    let most = plan.rows.len().div_ceil(rayon::current_num_threads()).clamp(4, MOST_ROWS);
    let mut tasks = Vec::new();
    let mut first = 0;
    for of_prompt in plan.rows.chunk_by(|a, b| a.prompt == b.prompt) {
        for rows in of_prompt.chunks(most) {
            let of_key_head = |kv_head| KeyHead { plan, inputs, rows, first, kv_head };
            tasks.extend((0..plan.kv_heads).map(of_key_head));
            first += rows.len();
        }
    }
    for_each_task(&tasks, KeyHead::work, Scratch::default, |scratch, task| {
        attend_rows(*task, scratch, to);
    });
    out
}

/// What a thread computes in, kept from one task to the next.
#[derive(Default)]
struct Scratch {
    /// Scores, then probabilities, of every query and key, `[queries, keys]`.
    scores: Vec<f32>,
    /// Weighted sums of values `[queries, d]`.
    sums: Vec<f32>,
}

#[multiversion(targets = "simd")]
fn attend_rows(task: KeyHead<'_>, scratch: &mut Scratch, to: Shared) {
    match_target! {
        "x86_64+avx512f" => task.attend::<true, 4, 4>(scratch, to),
        "x86_64+fma" => task.attend::<true, 2, 2>(scratch, to),
        "aarch64" => task.attend::<true, 2, 2>(scratch, to),
        _ => task.attend::<false, 1, 1>(scratch, to),
    }
}

/// Rows of one prompt in the heads that share a key head: a query is a row in one of the heads.
#[derive(Clone, Copy)]
struct KeyHead<'a> {
    plan: &'a DecodePlan,
    inputs: Inputs<'a>,
    rows: &'a [DecodeRow],
    /// Place of the first of the rows among all.
    first: usize,
    kv_head: usize,
}

impl<'a> KeyHead<'a> {
    /// About how many products its scores take.
    fn work(&self) -> usize {
        let keys: usize = self.rows.iter().map(|row| row.keys()).sum();
        keys * self.plan.heads_of_key() * self.plan.head_dim
    }

    #[inline(always)]
    fn attend<const FUSED: bool, const W: usize, const X: usize>(
        self,
        scratch: &mut Scratch,
        to: Shared,
    ) {
        let Scratch { scores, sums } = scratch;
        let (heads, d) = (self.plan.heads_of_key(), self.plan.head_dim);
        let keys = self.rows.iter().map(|row| row.keys()).max().unwrap_or(0);
        scores.clear();
        scores.resize(self.rows.len() * heads * keys, 0.0);
        sums.clear();
        sums.resize(self.rows.len() * heads * d, 0.0);
        self.score::<FUSED, W, X>(scores, keys);
        for (query, scores) in scores.chunks_exact_mut(keys).enumerate() {
            let scores = &mut scores[..self.rows[query / heads].keys()];
            scores.iter_mut().for_each(|score| *score *= self.plan.scale());
            softmax(scores);
        }
        self.add_values::<FUSED, X>(scores, keys, sums);
        for (query, sums) in sums.chunks_exact(d).enumerate() {
            // SAFETY: the queries of a task are its own.
            unsafe { to.part(self.elements(query)) }.copy_from_slice(sums);
        }
    }

    /// Products of queries and keys, those of the prompt for all rows together.
    #[inline(always)]
    fn score<const FUSED: bool, const W: usize, const X: usize>(
        self,
        scores: &mut [f32],
        keys: usize,
    ) {
        let (prompt, heads) = (self.prompt(), self.plan.heads_of_key());
        self.score_tiles::<FUSED, W, X>(0..self.rows.len() * heads, prompt, scores, keys);
        for (row, scores) in scores.chunks_exact_mut(heads * keys).enumerate() {
            let (queries, own) = (row * heads..(row + 1) * heads, self.own(row));
            self.score_tiles::<FUSED, W, X>(queries, own, &mut scores[prompt.tokens..], keys);
        }
    }

    /// Products of some queries and keys, the first in `scores[0]`, queries `stride` apart.
    #[inline(always)]
    fn score_tiles<const FUSED: bool, const W: usize, const X: usize>(
        self,
        queries: Range<usize>,
        keys: Paged<'_>,
        scores: &mut [f32],
        stride: usize,
    ) {
        let mut at = 0;
        while at + W <= keys.tokens {
            self.score_keys::<FUSED, W, X>(&queries, keys, at, &mut scores[at..], stride);
            at += W;
        }
        for at in at..keys.tokens {
            self.score_keys::<FUSED, 1, X>(&queries, keys, at, &mut scores[at..], stride);
        }
    }

    /// Products of some queries with `W` keys.
    #[inline(always)]
    fn score_keys<const FUSED: bool, const W: usize, const X: usize>(
        self,
        queries: &Range<usize>,
        keys: Paged<'_>,
        first: usize,
        scores: &mut [f32],
        stride: usize,
    ) {
        let mut tile_of_keys = [&[][..]; W];
        for (i, key) in tile_of_keys.iter_mut().enumerate() {
            *key = self.of_slot(self.inputs.k, keys.slot(first + i));
        }
        // Three heads often share a key head: where tiles are larger, a row's own keys meet them together.
        let mut left = queries.clone();
        self.score_queries::<FUSED, W, X>(&mut left, tile_of_keys, scores, queries.start, stride);
        self.score_queries::<FUSED, W, 3>(&mut left, tile_of_keys, scores, queries.start, stride);
        self.score_queries::<FUSED, W, 1>(&mut left, tile_of_keys, scores, queries.start, stride);
    }

    /// Products of `W` keys with as many of the queries that are left as make whole tiles of `X`.
    #[inline(always)]
    fn score_queries<const FUSED: bool, const W: usize, const X: usize>(
        self,
        left: &mut Range<usize>,
        keys: [&[f32]; W],
        scores: &mut [f32],
        first: usize,
        stride: usize,
    ) {
        while left.len() >= X {
            let mut queries = [&[][..]; X];
            for (i, query) in queries.iter_mut().enumerate() {
                *query = self.query(left.start + i);
            }
            for (i, tile) in dots::<FUSED, W, X>(queries, keys).iter().enumerate() {
                scores[(left.start + i - first) * stride..][..W].copy_from_slice(tile);
            }
            left.start += X;
        }
    }

    /// Sums of values by probability, those of the prompt for all rows together.
    #[inline(always)]
    fn add_values<const FUSED: bool, const X: usize>(
        self,
        scores: &[f32],
        stride: usize,
        sums: &mut [f32],
    ) {
        let (prompt, heads) = (self.prompt(), self.plan.heads_of_key());
        let mut all = 0..self.rows.len() * heads;
        self.add_values_of::<FUSED, X>(&mut all, prompt, scores, stride, sums);
        for row in 0..self.rows.len() {
            let mut queries = row * heads..(row + 1) * heads;
            let scores = &scores[prompt.tokens..];
            self.add_values_of::<FUSED, X>(&mut queries, self.own(row), scores, stride, sums);
        }
    }

    /// The same of some keys and the queries that see them; probabilities of queries are `stride` apart.
    #[inline(always)]
    fn add_values_of<const FUSED: bool, const X: usize>(
        self,
        left: &mut Range<usize>,
        keys: Paged<'_>,
        scores: &[f32],
        stride: usize,
        sums: &mut [f32],
    ) {
        self.add_tiles::<FUSED, X>(left, keys, scores, stride, sums);
        self.add_tiles::<FUSED, 3>(left, keys, scores, stride, sums);
        self.add_tiles::<FUSED, 1>(left, keys, scores, stride, sums);
    }

    /// The same for as many of the queries that are left as make whole tiles of `X`.
    #[inline(always)]
    fn add_tiles<const FUSED: bool, const X: usize>(
        self,
        left: &mut Range<usize>,
        keys: Paged<'_>,
        scores: &[f32],
        stride: usize,
        sums: &mut [f32],
    ) {
        let d = self.plan.head_dim;
        while left.len() >= X {
            let mut queries = sums[left.start * d..].chunks_exact_mut(d);
            let mut outs: [_; X] = std::array::from_fn(|_| queries.next().unwrap_or_default());
            let weights: [&[f32]; X] =
                std::array::from_fn(|i| &scores[(left.start + i) * stride..][..keys.tokens]);
            add_weighted::<FUSED, X>(&mut outs, weights, self.values(keys));
            left.start += X;
        }
    }

    fn prompt(self) -> Paged<'a> {
        self.plan.paged(self.rows[0].prompt)
    }

    fn own(self, row: usize) -> Paged<'a> {
        self.plan.paged(self.rows[row].own)
    }

    #[inline(always)]
    fn values(self, keys: Paged<'a>) -> impl Iterator<Item = &'a [f32]> + Clone {
        (0..keys.tokens).map(move |key| self.of_slot(self.inputs.v, keys.slot(key)))
    }

    #[inline(always)]
    fn query(self, query: usize) -> &'a [f32] {
        &self.inputs.q[self.elements(query)]
    }

    /// Where a query stands in `q`, and its output in `out`.
    #[inline(always)]
    fn elements(self, query: usize) -> Range<usize> {
        let (heads, d) = (self.plan.heads_of_key(), self.plan.head_dim);
        let (row, head) = (self.first + query / heads, self.kv_head * heads + query % heads);
        let at = (row * self.plan.heads + head) * d;
        at..at + d
    }

    /// A slot's row of `k` or `v`.
    #[inline(always)]
    fn of_slot(self, of: &'a [f32], slot: usize) -> &'a [f32] {
        let d = self.plan.head_dim;
        &of[(slot * self.plan.kv_heads + self.kv_head) * d..][..d]
    }
}

/// Turns scores into probabilities.
#[inline(always)]
fn softmax(scores: &mut [f32]) {
    let max = largest(scores);
    let (chunks, rest) = scores.as_chunks_mut::<16>();
    let mut sums = [0.0; 16];
    for chunk in chunks {
        for (score, sum) in chunk.iter_mut().zip(&mut sums) {
            *score = exp(*score - max);
            *sum += *score;
        }
    }
    let mut sum = sum_of_lanes(sums);
    for score in rest {
        *score = exp(*score - max);
        sum += *score;
    }
    let inverse = 1.0 / sum;
    for score in scores.iter_mut() {
        *score *= inverse;
    }
}
