//! Causal grouped-query attention over packed rows, with prompts shared by the rows of a group.
//!
//! Tokens lie one after another without padding. A [`Span`] says which of them are queries and
//! which keys each query sees: all of `prefix` (a group's prompt, computed once), then `own` up to
//! itself. The same description serves training, prefill and cached generation.
//!
//! ```text
//! o_i = Σ_j softmax_j(q_i·k_j / √d) · v_j      over the keys j that query i sees
//! ```
//!
//! The backward pass recomputes the probabilities from the saved log-sum-exp (Dao et al. 2022,
//! arXiv 2205.14135), so no [t, t] matrix outlives a span.

use std::ops::Range;
use std::sync::Arc;

use multiversion::multiversion;
use rayon::prelude::*;

use super::gemm::{Matrix, Threads, product_into};
use super::math::{dot, exp};

/// One run of queries and the keys that they see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Rows of the query tensor.
    pub queries: Range<usize>,
    /// Rows of the key tensor that every query of the span sees.
    pub prefix: Range<usize>,
    /// Rows of the key tensor seen causally: the last query sees all of them, the one before it
    /// all but the last, and so on.
    pub own: Range<usize>,
}

impl Span {
    fn keys(&self) -> usize {
        self.prefix.len() + self.own.len()
    }

    /// Number of keys that query `i` of the span sees.
    fn seen(&self, i: usize) -> usize {
        self.keys() + i + 1 - self.queries.len()
    }
}

/// What the attention of one forward pass looks like, the same for all of its layers.
#[derive(Debug, Clone)]
pub struct AttentionPlan {
    spans: Arc<[Span]>,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
}

impl AttentionPlan {
    /// A plan for `spans` whose queries follow one another without gaps from 0.
    ///
    /// # Panics
    /// Where the queries leave gaps, a span has fewer own keys than queries, or the heads do not
    /// divide: each is a bug of the caller.
    pub fn new(spans: Vec<Span>, heads: usize, kv_heads: usize, head_dim: usize) -> Self {
        assert!(heads.is_multiple_of(kv_heads), "{heads} heads over {kv_heads} key-value heads");
        let mut next = 0;
        for span in &spans {
            assert_eq!(span.queries.start, next, "queries must follow one another without gaps");
            assert!(span.own.len() >= span.queries.len(), "a query must see itself");
            next = span.queries.end;
        }
        Self { spans: spans.into(), heads, kv_heads, head_dim }
    }

    /// Query heads.
    #[cfg(feature = "cube")]
    pub(super) fn heads(&self) -> usize {
        self.heads
    }

    /// Key-value heads.
    #[cfg(feature = "cube")]
    pub(super) fn kv_heads(&self) -> usize {
        self.kv_heads
    }

    /// Width of a head.
    #[cfg(feature = "cube")]
    pub(super) fn head_dim(&self) -> usize {
        self.head_dim
    }

    /// For each query the keys it sees, `[n, 4]`: first and number of its prefix, then of its own.
    #[cfg(feature = "cube")]
    pub(super) fn keys_of_queries(&self) -> Vec<u32> {
        let of_query = |span: &Span, i: usize| {
            let own = span.seen(i) - span.prefix.len();
            [span.prefix.start, span.prefix.len(), span.own.start, own].map(|n| n as u32)
        };
        let of_span =
            |span: &'_ Span| (0..span.queries.len()).map(|i| of_query(span, i)).collect::<Vec<_>>();
        self.spans.iter().flat_map(of_span).flatten().collect()
    }

    /// The queries that see each of `keys` keys, as runs (first query, number of queries): those of
    /// key `k` are `runs[2 · starts[k]..2 · starts[k + 1]]`.
    #[cfg(feature = "cube")]
    pub(super) fn queries_of_keys(&self, keys: usize) -> (Vec<u32>, Vec<u32>) {
        let mut runs_of_key: Vec<Vec<[u32; 2]>> = vec![Vec::new(); keys];
        for span in self.spans.iter() {
            let queries = &span.queries;
            for key in span.prefix.clone() {
                runs_of_key[key].push([queries.start as u32, queries.len() as u32]);
            }
            let before = span.own.len() - queries.len();
            for (i, key) in span.own.clone().enumerate() {
                let first = queries.start + i.saturating_sub(before);
                runs_of_key[key].push([first as u32, (queries.end - first) as u32]);
            }
        }
        let mut starts = vec![0];
        starts.extend(runs_of_key.iter().scan(0, |sum, runs| {
            *sum += runs.len() as u32;
            Some(*sum)
        }));
        (runs_of_key.into_iter().flatten().flatten().collect(), starts)
    }

    fn width(&self) -> usize {
        self.heads * self.head_dim
    }

    fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    fn kv_head(&self, head: usize) -> usize {
        head / (self.heads / self.kv_heads)
    }

    pub(super) fn scale(&self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }

    /// Runs of spans that read or write no token of another run: a prompt and its completions.
    /// The backward pass adds up key gradients within a run, so runs go to threads of their own.
    fn families(&self) -> Vec<Family<'_>> {
        let mut families: Vec<Family> = Vec::new();
        for (i, span) in self.spans.iter().enumerate() {
            let joined = families
                .last_mut()
                .filter(|f| f.tokens.contains(&span.prefix.start) && !span.prefix.is_empty());
            match joined {
                Some(family) => {
                    family.spans = &self.spans[i - family.spans.len()..=i];
                    family.tokens.end = span.queries.end;
                }
                None => families
                    .push(Family { spans: &self.spans[i..=i], tokens: span.queries.clone() }),
            }
        }
        families
    }
}

/// Spans of one group of rows and the range of tokens they cover.
struct Family<'a> {
    spans: &'a [Span],
    tokens: Range<usize>,
}

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
pub fn forward(plan: &AttentionPlan, inputs: Inputs) -> (Vec<f32>, Vec<f32>) {
    let (width, heads) = (plan.width(), plan.heads);
    let n = inputs.q.len() / width;
    let (mut out, mut lse) = (vec![0.0; n * width], vec![0.0; n * heads]);
    let jobs = split(&mut out, plan.spans.iter().map(|s| s.queries.len() * width))
        .into_iter()
        .zip(split(&mut lse, plan.spans.iter().map(|s| s.queries.len() * heads)))
        .zip(plan.spans.iter())
        .collect::<Vec<_>>();
    // A span of one query, as in generation, is less work than handing it to a thread.
    let spans_of_job = (32 * plan.spans.len()).div_ceil(n.max(1)).clamp(1, 8);
    jobs.into_par_iter().with_min_len(spans_of_job).for_each(|((out, lse), span)| {
        for head in 0..heads {
            attend(plan, inputs, span, head, out, lse);
        }
    });
    (out, lse)
}

/// What [`forward`] returned and the gradient of its output.
#[derive(Clone, Copy)]
pub struct Saved<'a> {
    /// Output `[n, heads·d]`.
    pub out: &'a [f32],
    /// Log-sum-exp `[n, heads]`.
    pub lse: &'a [f32],
    /// Gradient of the output `[n, heads·d]`.
    pub dout: &'a [f32],
}

/// Gradients `(dq, dk, dv)`. Queries and keys must be the same tokens (a pass without a cache).
pub fn backward(plan: &AttentionPlan, inputs: Inputs, saved: Saved) -> [Vec<f32>; 3] {
    let (width, kv_width) = (plan.width(), plan.kv_width());
    assert_eq!(
        inputs.q.len() * kv_width,
        inputs.k.len() * width,
        "gradients need a pass without a cache"
    );
    let families = plan.families();
    let mut dq = vec![0.0; inputs.q.len()];
    let [mut dk, mut dv] = [vec![0.0; inputs.k.len()], vec![0.0; inputs.v.len()]];
    let kv_sizes = || families.iter().map(|f| f.tokens.len() * kv_width);
    let jobs = split(&mut dq, families.iter().map(|f| f.tokens.len() * width))
        .into_iter()
        .zip(split(&mut dk, kv_sizes()))
        .zip(split(&mut dv, kv_sizes()))
        .zip(&families)
        .collect::<Vec<_>>();
    jobs.into_par_iter().for_each(|(((dq, dk), dv), family)| {
        let mut gradients = Gradients { first: family.tokens.start, dq, dk, dv };
        for span in family.spans {
            for head in 0..plan.heads {
                gradients.add(plan, inputs, saved, span, head);
            }
        }
    });
    [dq, dk, dv]
}

/// Cuts a buffer into consecutive pieces of the given sizes.
fn split(mut rest: &mut [f32], sizes: impl Iterator<Item = usize>) -> Vec<&mut [f32]> {
    sizes
        .map(|size| {
            let (piece, tail) = std::mem::take(&mut rest).split_at_mut(size);
            rest = tail;
            piece
        })
        .collect()
}

// A span with more score elements than this is worth the matrix kernel's packing.
const BLOCKED: usize = 512;

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

/// One query at a time: for generation and short completions.
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
fn scores(plan: &AttentionPlan, inputs: Inputs, span: &Span, head: usize) -> Vec<f32> {
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

fn query_rows<'a>(plan: &AttentionPlan, q: &'a [f32], span: &Span, head: usize) -> Matrix<'a> {
    let width = plan.width();
    let start = span.queries.start * width + head * plan.head_dim;
    Matrix::strided(&q[start..], span.queries.len(), plan.head_dim, width)
}

/// The rows of `k` or `v` that a span sees, as its two runs and their place among the span's keys.
fn key_parts<'a>(
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
fn softmax(scores: &mut [f32]) -> f32 {
    let max = scores.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
    let mut sum = 0.0;
    for s in scores.iter_mut() {
        *s = exp(*s - max);
        sum += *s;
    }
    let inverse = 1.0 / sum;
    for s in scores.iter_mut() {
        *s *= inverse;
    }
    max + sum.ln()
}

#[multiversion(targets = "simd")]
fn softmax_row(scores: &mut [f32]) -> f32 {
    softmax(scores)
}

#[inline(always)]
fn add_scaled(out: &mut [f32], x: &[f32], scale: f32) {
    for (o, x) in out.iter_mut().zip(x) {
        *o += scale * x;
    }
}

/// Gradient buffers of one family; row 0 is token `first`.
struct Gradients<'a> {
    first: usize,
    dq: &'a mut [f32],
    dk: &'a mut [f32],
    dv: &'a mut [f32],
}

impl Gradients<'_> {
    fn add(
        &mut self,
        plan: &AttentionPlan,
        inputs: Inputs,
        saved: Saved,
        span: &Span,
        head: usize,
    ) {
        if span.queries.len() * span.keys() > BLOCKED && span.queries.len() > 4 {
            self.add_blocked(plan, inputs, saved, span, head)
        } else {
            add_rows(self, plan, inputs, saved, span, head)
        }
    }

    // dv = pᵀ·do;  ds = p·(do·vᵀ − o·do);  dq = ds·k·scale;  dk = dsᵀ·q·scale.
    fn add_blocked(
        &mut self,
        plan: &AttentionPlan,
        inputs: Inputs,
        saved: Saved,
        span: &Span,
        head: usize,
    ) {
        let (keys, queries) = (span.keys(), span.queries.len());
        let (width, kv_width, d) = (plan.width(), plan.kv_width(), plan.head_dim);
        let (column, kv_column) = (head * d, plan.kv_head(head) * d);
        let mut p = scores(plan, inputs, span, head);
        let mut ds = vec![0.0; queries * keys];
        let (q, dout) =
            (query_rows(plan, inputs.q, span, head), query_rows(plan, saved.dout, span, head));
        for (part, range) in key_parts(plan, inputs.v, span, head) {
            product_into(&mut ds[range.start..], keys, dout, part.t(), 1.0, false, Threads::One);
        }
        for i in 0..queries {
            let token = span.queries.start + i;
            let row = token * width + column..token * width + column + d;
            let along = dot(&saved.out[row.clone()], &saved.dout[row]);
            let lse = saved.lse[token * plan.heads + head];
            let range = i * keys..(i + 1) * keys;
            score_gradients(&mut p[range.clone()], &mut ds[range], span.seen(i), lse, along);
        }
        let to = &mut self.dq[(span.queries.start - self.first) * width + column..];
        for (part, range) in key_parts(plan, inputs.k, span, head) {
            let ds = Matrix::strided(&ds[range.start..], queries, range.len(), keys);
            product_into(to, width, ds, part, plan.scale(), true, Threads::One);
        }
        for (rows, at) in [(&span.prefix, 0), (&span.own, span.prefix.len())] {
            if rows.is_empty() {
                continue;
            }
            let to = (rows.start - self.first) * kv_width + kv_column;
            let ds = Matrix::strided(&ds[at..], queries, rows.len(), keys).t();
            let p = Matrix::strided(&p[at..], queries, rows.len(), keys).t();
            product_into(&mut self.dk[to..], kv_width, ds, q, plan.scale(), true, Threads::One);
            product_into(&mut self.dv[to..], kv_width, p, dout, 1.0, true, Threads::One);
        }
    }
}

/// Scores become probabilities, and `ds` (holding do·vᵀ) the gradient of the scores.
#[multiversion(targets = "simd")]
fn score_gradients(p: &mut [f32], ds: &mut [f32], seen: usize, lse: f32, along: f32) {
    for (p, ds) in p[..seen].iter_mut().zip(&mut ds[..seen]) {
        *p = exp(*p - lse);
        *ds = *p * (*ds - along);
    }
    p[seen..].fill(0.0);
    ds[seen..].fill(0.0);
}

#[multiversion(targets = "simd")]
fn add_rows(
    to: &mut Gradients<'_>,
    plan: &AttentionPlan,
    inputs: Inputs<'_>,
    saved: Saved<'_>,
    span: &Span,
    head: usize,
) {
    let (width, kv_width, d) = (plan.width(), plan.kv_width(), plan.head_dim);
    let (column, kv_column, scale) = (head * d, plan.kv_head(head) * d, plan.scale());
    for i in 0..span.queries.len() {
        let token = span.queries.start + i;
        let at = token * width + column;
        let (q, dout) = (&inputs.q[at..at + d], &saved.dout[at..at + d]);
        let along = dot(&saved.out[at..at + d], dout);
        let lse = saved.lse[token * plan.heads + head];
        let at = (token - to.first) * width + column;
        let dq = &mut to.dq[at..at + d];
        for key in span.prefix.clone().chain(span.own.clone()).take(span.seen(i)) {
            let at = key * kv_width + kv_column;
            let (k, v) = (&inputs.k[at..at + d], &inputs.v[at..at + d]);
            let p = exp(dot(q, k) * scale - lse);
            let ds = p * (dot(dout, v) - along) * scale;
            let at = (key - to.first) * kv_width + kv_column;
            add_scaled(&mut to.dv[at..at + d], dout, p);
            add_scaled(&mut to.dk[at..at + d], q, ds);
            add_scaled(dq, k, ds);
        }
    }
}
