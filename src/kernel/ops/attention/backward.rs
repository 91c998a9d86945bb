//! The backward pass on the CPU, which computes probabilities again from the saved log-sum-exp.

use multiversion::multiversion;
use rayon::prelude::*;

use super::forward::{BLOCKED, Inputs, add_scaled, key_parts, query_rows, scores, split};
use super::{AttentionPlan, Span};
use crate::kernel::cpu::gemm::{Matrix, Threads, product_into};
use crate::kernel::cpu::simd::{dot, exp};

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

/// Gradients `[dq, dk, dv]`, each empty where it is not needed. Queries and keys must be the same tokens (a pass without a cache).
pub fn backward(
    plan: &AttentionPlan,
    inputs: Inputs,
    saved: Saved,
    needs: [bool; 3],
) -> [Vec<f32>; 3] {
    let (width, kv_width) = (plan.width(), plan.kv_width());
    assert_eq!(
        inputs.q.len() * kv_width,
        inputs.k.len() * width,
        "gradients need a pass without a cache"
    );
    let families = plan.families();
    let widths = [width, kv_width, kv_width];
    let widths: [usize; 3] = std::array::from_fn(|i| if needs[i] { widths[i] } else { 0 });
    let tokens = inputs.q.len() / width.max(1);
    let [mut dq, mut dk, mut dv] = widths.map(|width| vec![0.0; tokens * width]);
    let sizes = |i: usize| families.iter().map(move |f| f.tokens.len() * widths[i]);
    let jobs = split(&mut dq, sizes(0))
        .into_iter()
        .zip(split(&mut dk, sizes(1)))
        .zip(split(&mut dv, sizes(2)))
        .zip(&families)
        .collect::<Vec<_>>();
    jobs.into_par_iter().for_each(|(((dq, dk), dv), family)| {
        let mut gradients = Gradients { first: family.tokens.start, needs, dq, dk, dv };
        for span in family.spans {
            for head in 0..plan.heads {
                gradients.add(plan, inputs, saved, span, head);
            }
        }
    });
    [dq, dk, dv]
}

/// Gradient buffers of one family; row 0 is token `first`. What is not needed has no buffer.
struct Gradients<'a> {
    first: usize,
    needs: [bool; 3],
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
        let [of_q, of_k, of_v] = self.needs;
        if of_q {
            let to = &mut self.dq[(span.queries.start - self.first) * width + column..];
            for (part, range) in key_parts(plan, inputs.k, span, head) {
                let ds = Matrix::strided(&ds[range.start..], queries, range.len(), keys);
                product_into(to, width, ds, part, plan.scale(), true, Threads::One);
            }
        }
        for (rows, at) in [(&span.prefix, 0), (&span.own, span.prefix.len())] {
            if rows.is_empty() {
                continue;
            }
            let to = (rows.start - self.first) * kv_width + kv_column;
            let ds = Matrix::strided(&ds[at..], queries, rows.len(), keys).t();
            let p = Matrix::strided(&p[at..], queries, rows.len(), keys).t();
            if of_k {
                product_into(&mut self.dk[to..], kv_width, ds, q, plan.scale(), true, Threads::One);
            }
            if of_v {
                product_into(&mut self.dv[to..], kv_width, p, dout, 1.0, true, Threads::One);
            }
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
        let place = (token - to.first) * width + column;
        let [of_q, of_k, of_v] = to.needs;
        for key in span.prefix.clone().chain(span.own.clone()).take(span.seen(i)) {
            let at = key * kv_width + kv_column;
            let (k, v) = (&inputs.k[at..at + d], &inputs.v[at..at + d]);
            let p = exp(dot(q, k) * scale - lse);
            let ds = p * (dot(dout, v) - along) * scale;
            let at = (key - to.first) * kv_width + kv_column;
            if of_v {
                add_scaled(&mut to.dv[at..at + d], dout, p);
            }
            if of_k {
                add_scaled(&mut to.dk[at..at + d], q, ds);
            }
            if of_q {
                add_scaled(&mut to.dq[place..place + d], k, ds);
            }
        }
    }
}
