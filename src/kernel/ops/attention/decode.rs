//! Attention of single queries that share a prefix: one token of generation for the rows of a group.
//!
//! The queries of a group's rows, and of all heads of a key head, meet the prompt's keys and values
//! together, in tiles that read each key once for several queries; each row's own keys follow. A
//! query's sums have the order of its keys, whoever is beside it.

use std::ops::Range;

use multiversion::multiversion;
use multiversion::target::match_target;

use super::forward::Inputs;
use super::{AttentionPlan, Span};
use crate::kernel::cpu::dots::{add_weighted, dots, sum_of_lanes};
use crate::kernel::cpu::simd::{exp, largest};

/// What a thread computes in, kept from one run of spans to the next.
#[derive(Default)]
pub struct Scratch {
    /// Scores, then probabilities, of every query and key, `[rows, keys]`.
    scores: Vec<f32>,
    /// Weighted sums of values `[rows, d]`.
    sums: Vec<f32>,
}

/// Output `[spans, heads·d]` and log-sum-exps `[spans, heads]` of spans of one query each, whose prefix
/// is that of the first.
#[multiversion(targets = "simd")]
pub fn attend(
    plan: &AttentionPlan,
    inputs: Inputs<'_>,
    spans: &[Span],
    scratch: &mut Scratch,
    out: &mut [f32],
    lse: &mut [f32],
) {
    for kv_head in 0..plan.kv_heads {
        let heads = KeyHead { plan, inputs, spans, kv_head };
        match_target! {
            "x86_64+avx512f" => heads.attend::<true, 4, 4>(scratch, out, lse),
            "x86_64+fma" => heads.attend::<true, 2, 2>(scratch, out, lse),
            "aarch64" => heads.attend::<true, 2, 2>(scratch, out, lse),
            _ => heads.attend::<false, 1, 1>(scratch, out, lse),
        }
    }
}

/// The queries that look at one key head: a row is a span's query in one of the heads.
#[derive(Clone, Copy)]
struct KeyHead<'a> {
    plan: &'a AttentionPlan,
    inputs: Inputs<'a>,
    spans: &'a [Span],
    kv_head: usize,
}

impl<'a> KeyHead<'a> {
    #[inline(always)]
    fn attend<const FUSED: bool, const W: usize, const X: usize>(
        self,
        scratch: &mut Scratch,
        out: &mut [f32],
        lse: &mut [f32],
    ) {
        let Scratch { scores, sums } = scratch;
        let (rows, d) = (self.spans.len() * self.heads(), self.plan.head_dim);
        let keys = self.spans.iter().map(Span::keys).max().unwrap_or(0);
        scores.clear();
        scores.resize(rows * keys, 0.0);
        sums.clear();
        sums.resize(rows * d, 0.0);
        self.score::<FUSED, W, X>(scores, keys);
        for (row, scores) in scores.chunks_exact_mut(keys).enumerate() {
            let (span, head) = self.place(row);
            let scores = &mut scores[..self.spans[span].keys()];
            scores.iter_mut().for_each(|score| *score *= self.plan.scale());
            lse[span * self.plan.heads + head] = softmax(scores);
        }
        self.add_values::<FUSED, X>(scores, keys, sums);
        for (row, sums) in sums.chunks_exact(d).enumerate() {
            let (span, head) = self.place(row);
            let at = (span * self.plan.heads + head) * d;
            out[at..at + d].copy_from_slice(sums);
        }
    }

    /// Products of queries and keys, those of the prefix for all rows together.
    #[inline(always)]
    fn score<const FUSED: bool, const W: usize, const X: usize>(
        self,
        scores: &mut [f32],
        keys: usize,
    ) {
        let (prefix, heads) = (self.prefix(), self.heads());
        let rows = 0..self.spans.len() * heads;
        self.score_tiles::<FUSED, W, X>(rows, prefix.clone(), scores, keys);
        for (span, scores) in scores.chunks_exact_mut(heads * keys).enumerate() {
            let (rows, own) = (span * heads..(span + 1) * heads, self.spans[span].own.clone());
            self.score_tiles::<FUSED, W, X>(rows, own, &mut scores[prefix.len()..], keys);
        }
    }

    /// Products of some rows and keys, the first in `scores[0]`, rows `stride` apart.
    #[inline(always)]
    fn score_tiles<const FUSED: bool, const W: usize, const X: usize>(
        self,
        rows: Range<usize>,
        keys: Range<usize>,
        scores: &mut [f32],
        stride: usize,
    ) {
        let mut at = 0;
        while at + W <= keys.len() {
            self.score_keys::<FUSED, W, X>(&rows, keys.start + at, &mut scores[at..], stride);
            at += W;
        }
        for at in at..keys.len() {
            self.score_keys::<FUSED, 1, X>(&rows, keys.start + at, &mut scores[at..], stride);
        }
    }

    /// Products of some rows with `W` keys.
    #[inline(always)]
    fn score_keys<const FUSED: bool, const W: usize, const X: usize>(
        self,
        rows: &Range<usize>,
        first: usize,
        scores: &mut [f32],
        stride: usize,
    ) {
        let keys: [&[f32]; W] = std::array::from_fn(|i| self.of_key(self.inputs.k, first + i));
        let mut at = 0;
        while at + X <= rows.len() {
            let queries = std::array::from_fn(|i| self.query(rows.start + at + i));
            for (i, tile) in dots::<FUSED, W, X>(queries, keys).into_iter().enumerate() {
                scores[(at + i) * stride..][..W].copy_from_slice(&tile);
            }
            at += X;
        }
        for at in at..rows.len() {
            let [tile] = dots::<FUSED, W, 1>([self.query(rows.start + at)], keys);
            scores[at * stride..][..W].copy_from_slice(&tile);
        }
    }

    /// Sums of values by probability, those of the prefix for `X` rows at a time.
    #[inline(always)]
    fn add_values<const FUSED: bool, const X: usize>(
        self,
        scores: &[f32],
        keys: usize,
        sums: &mut [f32],
    ) {
        let (d, prefix) = (self.plan.head_dim, self.prefix());
        let values = prefix.clone().map(|key| self.of_key(self.inputs.v, key));
        let weights = |row: usize| &scores[row * keys..][..prefix.len()];
        let mut row = 0;
        let mut tiles = sums.chunks_exact_mut(X * d);
        for tile in &mut tiles {
            let mut rows = tile.chunks_exact_mut(d);
            let mut outs: [_; X] = std::array::from_fn(|_| rows.next().unwrap_or_default());
            let weights = std::array::from_fn(|i| weights(row + i));
            add_weighted::<FUSED, X>(&mut outs, weights, values.clone());
            row += X;
        }
        for out in tiles.into_remainder().chunks_exact_mut(d) {
            add_weighted::<FUSED, 1>(&mut [out], [weights(row)], values.clone());
            row += 1;
        }
        for (row, out) in sums.chunks_exact_mut(d).enumerate() {
            let own = self.spans[row / self.heads()].own.clone();
            let weights = &scores[row * keys + prefix.len()..][..own.len()];
            let values = own.map(|key| self.of_key(self.inputs.v, key));
            add_weighted::<FUSED, 1>(&mut [out], [weights], values);
        }
    }

    fn prefix(self) -> Range<usize> {
        self.spans[0].prefix.clone()
    }

    /// Heads that share the key head.
    fn heads(self) -> usize {
        self.plan.heads / self.plan.kv_heads
    }

    /// Span and head of a row.
    fn place(self, row: usize) -> (usize, usize) {
        let heads = self.heads();
        (row / heads, self.kv_head * heads + row % heads)
    }

    #[inline(always)]
    fn query(self, row: usize) -> &'a [f32] {
        let ((span, head), d) = (self.place(row), self.plan.head_dim);
        &self.inputs.q[(self.spans[span].queries.start * self.plan.heads + head) * d..][..d]
    }

    /// A key's row of `k` or `v`.
    #[inline(always)]
    fn of_key(self, of: &'a [f32], key: usize) -> &'a [f32] {
        let d = self.plan.head_dim;
        &of[(key * self.plan.kv_heads + self.kv_head) * d..][..d]
    }
}

/// Turns scores into probabilities and returns their log-sum-exp.
#[inline(always)]
fn softmax(scores: &mut [f32]) -> f32 {
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
    max + sum.ln()
}
