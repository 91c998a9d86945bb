//! Which slots of a cache each row sees.

use std::sync::Arc;

#[cfg(feature = "cube")]
use crate::kernel::uploaded::Uploaded;

/// Slots of a page of the cache: slot `i` of page `p` is row `p · PAGE + i` of its keys and values.
pub const PAGE: usize = 16;

/// Tokens in a cache: the first [`PAGE`] of them lie in the first page, and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paged<'a> {
    /// The pages, in the order of their tokens.
    pub pages: &'a [u32],
    /// Number of tokens, no more than the pages hold.
    pub tokens: usize,
}

impl Paged<'_> {
    /// The slot of a token.
    #[inline(always)]
    pub fn slot(self, token: usize) -> usize {
        self.pages[token / PAGE] as usize * PAGE + token % PAGE
    }
}

/// Where the keys of every row are, the same for all layers of a pass.
#[derive(Debug, Clone)]
pub struct DecodePlan {
    pub(in crate::kernel) rows: Arc<[DecodeRow]>,
    /// Pages of all rows, those of a prompt once for its neighbouring rows.
    pub(in crate::kernel) pages: Arc<[u32]>,
    pub(in crate::kernel) heads: usize,
    pub(in crate::kernel) kv_heads: usize,
    pub(in crate::kernel) head_dim: usize,
    /// What the kernel reads of the plan, once it is on a GPU.
    #[cfg(feature = "cube")]
    pub(in crate::kernel) tables: Uploaded,
}

/// What one query sees: its prompt, then its own tokens with itself as the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kernel) struct DecodeRow {
    pub prompt: Listed,
    pub own: Listed,
}

/// Tokens whose pages are listed from a place on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kernel) struct Listed {
    pub first: usize,
    pub tokens: usize,
}

impl DecodePlan {
    /// A plan for rows of one query each, whose keys are their prompt's and then their own.
    ///
    /// # Panics
    /// Where tokens have no page, a query does not see itself, or the heads do not divide: each is a
    /// bug of the caller.
    pub fn new(rows: &[[Paged; 2]], heads: usize, kv_heads: usize, head_dim: usize) -> Self {
        assert!(heads.is_multiple_of(kv_heads), "{heads} heads over {kv_heads} key-value heads");
        let mut pages = Vec::new();
        let mut listed: Vec<DecodeRow> = Vec::with_capacity(rows.len());
        for (i, [prompt, own]) in rows.iter().enumerate() {
            assert!(own.tokens > 0, "a query must see itself");
            let shared = listed.last().filter(|_| rows[i - 1][0] == *prompt);
            let prompt = shared.map_or_else(|| list(&mut pages, *prompt), |row| row.prompt);
            listed.push(DecodeRow { prompt, own: list(&mut pages, *own) });
        }
        Self {
            rows: listed.into(),
            pages: pages.into(),
            heads,
            kv_heads,
            head_dim,
            #[cfg(feature = "cube")]
            tables: Uploaded::default(),
        }
    }

    pub(in crate::kernel) fn scale(&self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }

    /// Query heads that share a key head.
    pub(super) fn heads_of_key(&self) -> usize {
        self.heads / self.kv_heads
    }

    #[inline(always)]
    pub(super) fn paged(&self, of: Listed) -> Paged<'_> {
        Paged { pages: &self.pages[of.first..][..of.tokens.div_ceil(PAGE)], tokens: of.tokens }
    }
}

impl DecodeRow {
    /// Number of keys.
    pub fn keys(self) -> usize {
        self.prompt.tokens + self.own.tokens
    }
}

fn list(pages: &mut Vec<u32>, of: Paged) -> Listed {
    let first = pages.len();
    pages.extend(&of.pages[..of.tokens.div_ceil(PAGE)]);
    Listed { first, tokens: of.tokens }
}
