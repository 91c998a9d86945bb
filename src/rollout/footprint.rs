//! How much a generation holds at once, known before it starts.

use super::{Generator, Prompt};
use crate::kernel::PAGE;

/// Most tokens of a pass over prompts, or one prompt where that is longer.
pub(super) const PREFILL_TOKENS: usize = 4096;

/// Prompts that completions are wanted of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Number of prompts.
    pub prompts: usize,
    /// Tokens of the longest of them.
    pub longest_prompt: usize,
    /// Completions of all of them together.
    pub rows: usize,
}

/// What a generation holds at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Slots of the cache, in whole pages: as many as could be needed, within `cache_tokens` but never
    /// fewer than [`Self::least_slots`].
    pub slots: usize,
    /// Slots that the longest prompt and one completion of it take.
    pub least_slots: usize,
    /// Most completions under way.
    pub rows: usize,
    /// Most tokens of a pass over prompts.
    pub prefill_tokens: usize,
    /// Whether no completion waits for others to end.
    pub is_at_once: bool,
}

impl Wanted {
    /// Those of some prompts.
    pub fn of(prompts: &[Prompt]) -> Self {
        Self {
            prompts: prompts.len(),
            longest_prompt: prompts.iter().map(|prompt| prompt.ids.len()).max().unwrap_or(0),
            rows: prompts.iter().map(|prompt| prompt.samples).sum(),
        }
    }
}

impl Generator {
    /// What a generation holds at once.
    pub fn footprint(&self, wanted: Wanted) -> Footprint {
        let rows = wanted.rows.min(self.rows_at_once.max(1));
        let (prompt, completion) = (wanted.longest_prompt.div_ceil(PAGE), self.pages_of_row());
        let least = prompt + completion;
        // No more prompts are held than rows are under way.
        let needed = (wanted.prompts.min(rows) * prompt + rows * completion).max(least);
        let pages = needed.min((self.cache_tokens / PAGE).max(least));
        // A row holds a page from the beginning, and there is a prompt.
        let rows = rows.min(pages.saturating_sub(1));
        let of_prompts = wanted.prompts.saturating_mul(wanted.longest_prompt);
        let at_once = of_prompts.min(pages * PAGE).min(PREFILL_TOKENS);
        Footprint {
            slots: pages * PAGE,
            least_slots: least * PAGE,
            rows,
            prefill_tokens: at_once.max(wanted.longest_prompt),
            is_at_once: pages == needed && rows == wanted.rows,
        }
    }

    /// Pages of the longest completion: its last token is never computed.
    pub(super) fn pages_of_row(&self) -> usize {
        self.response_length.saturating_sub(1).div_ceil(PAGE).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::Sampling;

    fn generator(cache_tokens: usize) -> Generator {
        Generator {
            sampling: Sampling::default(),
            response_length: 34,
            eos_ids: Vec::new(),
            cache_tokens,
            rows_at_once: 256,
            tokens_a_readback: None,
        }
    }

    const WANTED: Wanted = Wanted { prompts: 4, longest_prompt: 20, rows: 32 };

    #[test]
    fn a_cache_holds_what_is_needed_what_is_allowed_or_one_completion() {
        // A prompt takes two pages; a completion of 34 tokens, of which 33 are computed, three.
        let slots = |cache_tokens| generator(cache_tokens).footprint(WANTED).slots;
        assert_eq!(slots(100_000), (4 * 2 + 32 * 3) * 16);
        assert_eq!(slots(1000), 62 * 16);
        assert_eq!((slots(80), slots(79), slots(1)), (80, 80, 80));
    }

    #[test]
    fn rows_and_prompts_at_once_follow_from_the_cache() {
        let of = |cache_tokens| generator(cache_tokens).footprint(WANTED);
        assert_eq!((of(100_000).rows, of(100_000).is_at_once), (32, true));
        assert_eq!((of(160).rows, of(160).is_at_once), (9, false));
        assert_eq!((of(100_000).prefill_tokens, of(1).prefill_tokens), (80, 80));
        let long = Wanted { longest_prompt: 3000, ..WANTED };
        assert_eq!(generator(100_000).footprint(long).prefill_tokens, 4096);
        assert_eq!(generator(1).footprint(long).prefill_tokens, 3056);
        let capped = Generator { rows_at_once: 31, ..generator(100_000) }.footprint(WANTED);
        assert_eq!((capped.rows, capped.is_at_once), (31, false));
    }
}
