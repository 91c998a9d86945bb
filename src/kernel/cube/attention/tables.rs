//! What a cube works on, as the kernels of attention read it: a few queries with the keys that they see, or a
//! few keys with the queries that see them.

use std::ops::Range;

use crate::kernel::ops::attention::{AttentionPlan, Span};

/// Numbers of a block of queries: first query of its span; first pair of a query and a head in the span, and
/// how many follow from there; first key and number of keys of the prefix; first own key; number of keys that
/// the span's first query sees. The eighth is not used.
pub(super) const NUMBERS_OF_A_BLOCK: usize = 8;

/// Blocks of at most `rows` pairs of a query and a head that share a key head, none across two spans.
pub(super) fn query_blocks(plan: &AttentionPlan, rows: usize) -> Vec<u32> {
    let sharing = plan.heads / plan.kv_heads;
    let block = |span: &Span, pairs: Range<usize>| {
        let (prefix, own) = (&span.prefix, span.own.start);
        [
            span.queries.start,
            pairs.start,
            pairs.len(),
            prefix.start,
            prefix.len(),
            own,
            span.seen(0),
            0,
        ]
    };
    let mut blocks = Vec::new();
    for span in plan.spans.iter() {
        let pairs = span.queries.len() * sharing;
        for first in (0..pairs).step_by(rows) {
            blocks.extend(block(span, first..pairs.min(first + rows)).map(|n| n as u32));
        }
    }
    blocks
}

/// Numbers of a block of keys: its first key and how many follow; its first run, and the one behind its last.
pub(super) const NUMBERS_OF_KEYS: usize = 4;

/// Numbers of a run of queries: the first that sees the first key of the block, how many follow, and 1 where
/// each later key of the block is seen from one query later on.
pub(super) const NUMBERS_OF_A_RUN: usize = 3;

/// Blocks of at most `rows` keys that follow one another and that the same runs of queries see, and those runs.
pub(super) fn key_blocks(plan: &AttentionPlan, keys: usize, rows: usize) -> (Vec<u32>, Vec<u32>) {
    let mut blocks: Vec<KeyBlock> = Vec::new();
    for (key, runs) in queries_of_keys(plan, keys).into_iter().enumerate() {
        let joins = blocks.last_mut().is_some_and(|block| block.count < rows && block.take(&runs));
        if !joins {
            blocks.push(KeyBlock { first: key, count: 1, is_causal: vec![0; runs.len()], runs });
        }
    }
    let (mut numbers, mut all_runs) = (Vec::new(), Vec::new());
    let mut first_run = 0;
    for block in &blocks {
        let end = first_run + block.runs.len();
        numbers.extend([block.first, block.count, first_run, end].map(|n| n as u32));
        first_run = end;
        let runs = block.runs.iter().zip(&block.is_causal);
        all_runs.extend(runs.flat_map(|(&[first, count], &is_causal)| [first, count, is_causal]));
    }
    (numbers, all_runs)
}

/// Keys that follow one another, with the runs of queries that see the first.
struct KeyBlock {
    first: usize,
    count: usize,
    runs: Vec<[u32; 2]>,
    is_causal: Vec<u32>,
}

impl KeyBlock {
    /// Takes the next key in if these runs, which see it, are those of the block.
    fn take(&mut self, runs: &[[u32; 2]]) -> bool {
        let later = self.count as u32;
        let is_causal = |(ours, theirs): (&[u32; 2], &[u32; 2])| match (*ours, *theirs) {
            (ours, theirs) if ours == theirs => Some(0),
            ([first, count], theirs) if theirs == [first + later, count.saturating_sub(later)] => {
                Some(1)
            }
            _ => None,
        };
        let found: Option<Vec<u32>> = self.runs.iter().zip(runs).map(is_causal).collect();
        let found = found.filter(|found| later == 1 || *found == self.is_causal);
        match found {
            Some(found) if self.runs.len() == runs.len() => {
                self.is_causal = found;
                self.count += 1;
                true
            }
            _ => false,
        }
    }
}

/// The queries that see each of `keys` keys, as runs of a first query and a number of queries.
fn queries_of_keys(plan: &AttentionPlan, keys: usize) -> Vec<Vec<[u32; 2]>> {
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
    runs_of_key
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A prompt of three tokens, a completion of two that sees it, and a sequence alone.
    fn plan() -> AttentionPlan {
        let span = |queries, prefix, own| Span { queries, prefix, own };
        let spans = vec![span(0..3, 0..0, 0..3), span(3..5, 0..3, 3..5), span(5..6, 0..0, 5..6)];
        AttentionPlan::new(spans, 4, 2, 8)
    }

    #[test]
    fn blocks_of_queries_cover_every_pair_once_and_stay_in_their_span() {
        let blocks = query_blocks(&plan(), 4);
        let blocks: Vec<&[u32]> = blocks.chunks(NUMBERS_OF_A_BLOCK).collect();
        assert_eq!(
            blocks,
            [
                [0, 0, 4, 0, 0, 0, 1, 0],
                [0, 4, 2, 0, 0, 0, 1, 0],
                [3, 0, 4, 0, 3, 3, 4, 0],
                [5, 0, 2, 0, 0, 5, 1, 0],
            ]
        );
    }

    #[test]
    fn keys_of_a_prompt_are_a_block_that_its_own_queries_see_later_and_later() {
        let (blocks, runs) = key_blocks(&plan(), 6, 8);
        assert_eq!(blocks, [0, 3, 0, 2, 3, 2, 2, 3, 5, 1, 3, 4]);
        assert_eq!(runs, [0, 3, 1, 3, 2, 0, 3, 2, 1, 5, 1, 0]);
        let (blocks, _) = key_blocks(&plan(), 6, 2);
        assert_eq!(
            blocks.chunks(NUMBERS_OF_KEYS).map(|block| block[1]).collect::<Vec<_>>(),
            [2, 1, 2, 1]
        );
    }
}
