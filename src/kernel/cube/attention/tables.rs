//! Which keys a query sees and which queries see a key, as the kernels of attention read it.

use crate::kernel::ops::attention::{AttentionPlan, Span};

/// For each query the keys it sees, `[n, 4]`: first and number of its prefix, then of its own.
pub(super) fn keys_of_queries(plan: &AttentionPlan) -> Vec<u32> {
    let of_query = |span: &Span, i: usize| {
        let own = span.seen(i) - span.prefix.len();
        [span.prefix.start, span.prefix.len(), span.own.start, own].map(|n| n as u32)
    };
    let of_span =
        |span: &'_ Span| (0..span.queries.len()).map(|i| of_query(span, i)).collect::<Vec<_>>();
    plan.spans.iter().flat_map(of_span).flatten().collect()
}

/// The queries that see each of `keys` keys, as runs (first query, number of queries): those of
/// key `k` are `runs[2 · starts[k]..2 · starts[k + 1]]`.
pub(super) fn queries_of_keys(plan: &AttentionPlan, keys: usize) -> (Vec<u32>, Vec<u32>) {
    let mut runs_of_key: Vec<Vec<[u32; 2]>> = vec![Vec::new(); keys];
    for span in plan.spans.iter() {
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
