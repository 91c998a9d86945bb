//! Which keys each query sees.

use std::ops::Range;
use std::sync::Arc;

#[cfg(feature = "cube")]
use crate::kernel::uploaded::Uploaded;

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
    pub(super) fn keys(&self) -> usize {
        self.prefix.len() + self.own.len()
    }

    /// Number of keys that query `i` of the span sees.
    pub(in crate::kernel) fn seen(&self, i: usize) -> usize {
        self.keys() + i + 1 - self.queries.len()
    }
}

/// What the attention of one forward pass looks like, the same for all of its layers.
#[derive(Debug, Clone)]
pub struct AttentionPlan {
    pub(in crate::kernel) spans: Arc<[Span]>,
    pub(in crate::kernel) heads: usize,
    pub(in crate::kernel) kv_heads: usize,
    pub(in crate::kernel) head_dim: usize,
    /// What the kernels of the two passes read of the plan, once it is on a GPU.
    #[cfg(feature = "cube")]
    pub(in crate::kernel) forward_tables: Uploaded,
    #[cfg(feature = "cube")]
    pub(in crate::kernel) backward_tables: Uploaded,
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
        Self {
            spans: spans.into(),
            heads,
            kv_heads,
            head_dim,
            #[cfg(feature = "cube")]
            forward_tables: Uploaded::default(),
            #[cfg(feature = "cube")]
            backward_tables: Uploaded::default(),
        }
    }

    pub(super) fn width(&self) -> usize {
        self.heads * self.head_dim
    }

    pub(super) fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    pub(in crate::kernel) fn scale(&self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }

    /// Runs of spans that read or write no token of another run: a prompt and its completions.
    /// The backward pass adds up key gradients within a run, so runs go to threads of their own.
    pub(super) fn families(&self) -> Vec<Family<'_>> {
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
pub(super) struct Family<'a> {
    pub spans: &'a [Span],
    pub tokens: Range<usize>,
}
