//! Which rows and keys meet in a tile.

use std::ops::Range;

use super::Span;
use crate::kernel::cpu::dots::LANES;

/// Most rows of a block and most keys of a tile; a row is a query in one of the heads of a key head.
/// Whole registers, and whole groups of a product's rows; the tiles of a task stay in a core's cache.
pub const MOST: usize = 96;

/// Queries whose rows are computed together: a part of a span, or whole spans of one prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block<'a> {
    spans: &'a [Span],
    /// Rows of the query tensor.
    pub queries: Range<usize>,
}

/// Rows of a block and a tile of keys that they see. The keys lie in up to two places.
#[derive(Debug, Clone)]
pub struct Meeting {
    /// Rows of the block.
    pub rows: Range<usize>,
    /// Keys of the prefix, which all rows see.
    pub first: Range<usize>,
    /// Keys of the span's own, which the rows see causally.
    pub second: Range<usize>,
    /// Which keys which rows see.
    pub mask: Mask,
}

/// Which keys of a tile a row sees: the first `all`, then `lead` and one more for every query.
#[derive(Debug, Clone, Copy)]
pub struct Mask {
    all: usize,
    lead: isize,
    heads: usize,
}

impl Mask {
    /// The first row that sees a key.
    #[inline(always)]
    pub fn first_query(self, key: usize) -> usize {
        if key < self.all {
            return 0;
        }
        (key as isize - self.all as isize + 1 - self.lead).max(0) as usize * self.heads
    }

    /// How many of the sixteen rows from `first` on do not see a key.
    #[inline(always)]
    pub fn unseen(self, key: usize, first: usize) -> usize {
        if key < self.all { 0 } else { self.first_query(key).saturating_sub(first).min(LANES) }
    }

    /// The number of keys that a row sees, where the tile has so many.
    #[inline(always)]
    pub fn keys_of(self, row: usize) -> usize {
        self.all + (self.lead + (row / self.heads) as isize).max(0) as usize
    }
}

impl Meeting {
    /// Number of keys.
    pub fn keys(&self) -> usize {
        self.first.len() + self.second.len()
    }
}

/// The queries of some spans in blocks of at most [`MOST`] rows where a query has `heads` of them, and
/// of one query where that is more.
pub fn blocks(spans: &[Span], heads: usize) -> Vec<Block<'_>> {
    let most = (MOST / heads).max(1);
    let mut blocks: Vec<Block> = Vec::new();
    let mut begun = 0;
    for (i, span) in spans.iter().enumerate().filter(|(_, span)| !span.queries.is_empty()) {
        let fits = blocks.last().is_some_and(|block| {
            block.spans[0].prefix == span.prefix && span.queries.end - block.queries.start <= most
        });
        match blocks.last_mut() {
            Some(block) if fits => {
                block.spans = &spans[begun..=i];
                block.queries.end = span.queries.end;
            }
            _ => {
                begun = i;
                let length = span.queries.len().div_ceil(span.queries.len().div_ceil(most));
                let starts = span.queries.clone().step_by(length);
                blocks.extend(starts.map(|start| Block {
                    spans: &spans[i..=i],
                    queries: start..span.queries.end.min(start + length),
                }));
            }
        }
    }
    blocks
}

impl Block<'_> {
    /// Whether a query sees a key of `window`.
    pub fn sees(&self, window: &Range<usize>) -> bool {
        let own = |span: &Span| !overlap(&self.seen_own(span), window).is_empty();
        !overlap(&self.spans[0].prefix, window).is_empty() || self.spans.iter().any(own)
    }

    /// Largest number of keys that a query sees.
    pub fn most_keys(&self) -> usize {
        let own = self.spans.iter().map(|span| self.seen_own(span).len()).max().unwrap_or(0);
        self.spans[0].prefix.len() + own
    }

    /// All rows and keys of `window` that meet, the keys of a row in their order: whole tiles of the
    /// prefix for all rows, what is left of it with each span's own keys.
    pub fn for_each_meeting(
        &self,
        window: &Range<usize>,
        heads: usize,
        mut visit: impl FnMut(Meeting),
    ) {
        let prefix = overlap(&self.spans[0].prefix, window);
        let shared = prefix.start + prefix.len() / MOST * MOST;
        for start in (prefix.start..shared).step_by(MOST) {
            let mask = Mask { all: MOST, lead: 0, heads };
            let rows = 0..self.queries.len() * heads;
            visit(Meeting { rows, first: start..start + MOST, second: 0..0, mask });
        }
        for span in self.spans.iter().filter(|span| !self.of_span(span).is_empty()) {
            let mut first = shared..prefix.end;
            let own = overlap(&self.seen_own(span), window);
            let mut at = own.start;
            while !first.is_empty() || at < own.end {
                let second = at..own.end.min(at + MOST - first.len());
                at = second.end;
                visit(self.meeting(span, first, second, heads));
                first = 0..0;
            }
        }
    }

    fn meeting(
        &self,
        span: &Span,
        first: Range<usize>,
        second: Range<usize>,
        heads: usize,
    ) -> Meeting {
        let mut queries = self.of_span(span);
        let lead = |query: usize| own_end(span, query) as isize - second.start as isize;
        if first.is_empty() {
            // Queries before the tile see none of it.
            queries.start += (1 - lead(queries.start)).max(0) as usize;
        }
        let mask = Mask { all: first.len(), lead: lead(queries.start), heads };
        let row = |query: usize| (query - self.queries.start) * heads;
        Meeting { rows: row(queries.start)..row(queries.end), first, second, mask }
    }

    /// The own keys that queries of the block see.
    fn seen_own(&self, span: &Span) -> Range<usize> {
        let queries = self.of_span(span);
        if queries.is_empty() { 0..0 } else { span.own.start..own_end(span, queries.end - 1) }
    }

    /// The block's queries of one of its spans.
    fn of_span(&self, span: &Span) -> Range<usize> {
        overlap(&span.queries, &self.queries)
    }
}

/// The end of the own keys that a query of a span sees.
fn own_end(span: &Span, query: usize) -> usize {
    span.own.start + span.seen(query - span.queries.start) - span.prefix.len()
}

/// What two ranges have in common; empty where that is nothing.
pub fn overlap(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}
