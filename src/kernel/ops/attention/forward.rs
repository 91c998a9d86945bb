//! The forward pass on the CPU.

use std::ops::Range;

use multiversion::multiversion;
use rayon::prelude::*;

use super::{AttentionPlan, Span, decode};
use crate::kernel::cpu::dots::sum_of_lanes;
use crate::kernel::cpu::gemm::{Matrix, Threads, product_into};
use crate::kernel::cpu::simd::{dot, exp};

/// Tensors of one attention: `q [n, heads·d]`, `k` and `v` `[m, kv_heads·d]`.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// Queries.
    pub q: &'a [f32],
    /// Keys.
    pub k: &'a [f32],
    /// Values.
    pub v: &'a [f32],
}

/// Output `[n, heads·d]` and the log-sum-exp of every query and head `[n, heads]`.
pub fn forward(plan: &AttentionPlan, inputs: Inputs) -> [Vec<f32>; 2] {
    let (width, heads) = (plan.width(), plan.heads);
    let n = inputs.q.len() / width;
    let (mut out, mut lse) = (vec![0.0; n * width], vec![0.0; n * heads]);
    let runs = runs(&plan.spans);
    let tokens = |run: &[Span]| run.iter().map(|span| span.queries.len()).sum::<usize>();
    let jobs = split(&mut out, runs.iter().map(|run| tokens(run) * width))
        .into_iter()
        .zip(split(&mut lse, runs.iter().map(|run| tokens(run) * heads)))
        .zip(&runs)
        .collect::<Vec<_>>();
    // A span of one query, as in generation, is less work than handing it to a thread.
    let runs_of_job = (32 * runs.len()).div_ceil(n.max(1)).clamp(1, 8);
    jobs.into_par_iter().with_min_len(runs_of_job).for_each_init(
        decode::Scratch::default,
        |scratch, ((out, lse), run)| match run {
            [span] if span.queries.len() > 1 => {
                for head in 0..heads {
                    attend(plan, inputs, span, head, out, lse);
                }
            }
            _ => decode::attend(plan, inputs, run, scratch, out, lse),
        },
    );
    [out, lse]
}

/// Spans that one thread takes: a longer one alone, those of one query together with others of their
/// prefix, but not so many that a thread has none.
fn runs(spans: &[Span]) -> Vec<&[Span]> {
    let most = spans.len().div_ceil(rayon::current_num_threads()).max(4);
    let alike =
        |a: &Span, b: &Span| a.queries.len() == 1 && b.queries.len() == 1 && a.prefix == b.prefix;
    spans.chunk_by(alike).flat_map(|run| run.chunks(most)).collect()
}

/// Cuts a buffer into consecutive pieces of the given sizes.
pub(super) fn split(mut rest: &mut [f32], sizes: impl Iterator<Item = usize>) -> Vec<&mut [f32]> {
    sizes
        .map(|size| {
            let (piece, tail) = std::mem::take(&mut rest).split_at_mut(size);
            rest = tail;
            piece
        })
        .collect()
}

// A span with more score elements than this is worth the matrix kernel's packing.
pub(super) const BLOCKED: usize = 512;

fn attend(
    plan: &AttentionPlan,
    inputs: Inputs,
    span: &Span,
    head: usize,
    out: &mut [f32],
    lse: &mut [f32],
) {
    if span.queries.len() * span.keys() > BLOCKED && span.queries.len() > 4 {
        attend_blocked(plan, inputs, span, head, out, lse)
    } else {
        attend_rows(plan, inputs, span, head, out, lse)
    }
}

/// One query at a time: for short completions.
#[multiversion(targets = "simd")]
fn attend_rows(
    plan: &AttentionPlan,
    inputs: Inputs,
    span: &Span,
    head: usize,
    out: &mut [f32],
    lse: &mut [f32],
) {
    let (d, width, kv_width) = (plan.head_dim, plan.width(), plan.kv_width());
    let (column, kv_column) = (head * d, plan.kv_head(head) * d);
    let mut scores = vec![0.0; span.keys()];
    for i in 0..span.queries.len() {
        let at = (span.queries.start + i) * width + column;
        let query = &inputs.q[at..at + d];
        let scores = &mut scores[..span.seen(i)];
        let keys = span.prefix.clone().chain(span.own.clone());
        for (score, key) in scores.iter_mut().zip(keys.clone()) {
            let at = key * kv_width + kv_column;
            *score = dot(query, &inputs.k[at..at + d]) * plan.scale();
        }
        lse[i * plan.heads + head] = softmax(scores);
        let out = &mut out[i * width + column..i * width + column + d];
        for (p, key) in scores.iter().zip(keys) {
            let at = key * kv_width + kv_column;
            add_scaled(out, &inputs.v[at..at + d], *p);
        }
    }
}

/// All queries of a span at once, as two matrix products.
fn attend_blocked(
    plan: &AttentionPlan,
    inputs: Inputs,
    span: &Span,
    head: usize,
    out: &mut [f32],
    lse: &mut [f32],
) {
    let width = plan.width();
    let mut p = scores(plan, inputs, span, head);
    let keys = span.keys();
    for (i, row) in p.chunks_exact_mut(keys).enumerate() {
        let (seen, unseen) = row.split_at_mut(span.seen(i));
        lse[i * plan.heads + head] = softmax_row(seen);
        unseen.fill(0.0);
    }
    let out = &mut out[head * plan.head_dim..];
    for (part, range) in key_parts(plan, inputs.v, span, head) {
        let p = Matrix::strided(&p[range.start..], span.queries.len(), range.len(), keys);
        product_into(out, width, p, part, 1.0, true, Threads::One);
    }
}

/// Scaled scores `[queries, keys]` of one span and head, unseen keys included.
pub(super) fn scores(plan: &AttentionPlan, inputs: Inputs, span: &Span, head: usize) -> Vec<f32> {
    let keys = span.keys();
    let q = query_rows(plan, inputs.q, span, head);
    let mut scores = vec![0.0; span.queries.len() * keys];
    for (part, range) in key_parts(plan, inputs.k, span, head) {
        product_into(
            &mut scores[range.start..],
            keys,
            q,
            part.t(),
            plan.scale(),
            false,
            Threads::One,
        );
    }
    scores
}

pub(super) fn query_rows<'a>(
    plan: &AttentionPlan,
    q: &'a [f32],
    span: &Span,
    head: usize,
) -> Matrix<'a> {
    let width = plan.width();
    let start = span.queries.start * width + head * plan.head_dim;
    Matrix::strided(&q[start..], span.queries.len(), plan.head_dim, width)
}

/// The rows of `k` or `v` that a span sees, as its two runs and their place among the span's keys.
pub(super) fn key_parts<'a>(
    plan: &AttentionPlan,
    kv: &'a [f32],
    span: &Span,
    head: usize,
) -> impl Iterator<Item = (Matrix<'a>, Range<usize>)> {
    let (width, column) = (plan.kv_width(), plan.kv_head(head) * plan.head_dim);
    let head_dim = plan.head_dim;
    let places = [(span.prefix.clone(), 0), (span.own.clone(), span.prefix.len())];
    places.into_iter().filter(|(rows, _)| !rows.is_empty()).map(move |(rows, at)| {
        let data = &kv[rows.start * width + column..];
        (Matrix::strided(data, rows.len(), head_dim, width), at..at + rows.len())
    })
}

/// Turns scores into probabilities and returns their log-sum-exp.
#[inline(always)]
pub(super) fn softmax(scores: &mut [f32]) -> f32 {
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

#[inline(always)]
fn largest(scores: &[f32]) -> f32 {
    let (chunks, rest) = scores.as_chunks::<16>();
    let mut lanes = [f32::NEG_INFINITY; 16];
    for chunk in chunks {
        for (lane, score) in lanes.iter_mut().zip(chunk) {
            *lane = lane.max(*score);
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |largest, score| largest.max(*score))
}

#[multiversion(targets = "simd")]
fn softmax_row(scores: &mut [f32]) -> f32 {
    softmax(scores)
}

#[inline(always)]
pub(super) fn add_scaled(out: &mut [f32], x: &[f32], scale: f32) {
    for (o, x) in out.iter_mut().zip(x) {
        *o += scale * x;
    }
}
