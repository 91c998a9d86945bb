//! Rows of different lengths laid one after another, a group's prompt once before its completions.
//!
//! ```text
//! ids:   p0 p1 p2 | a0 a1 | b0 b1 b2 | q0 q1 | c0 …
//!        └ prompt ┘ └ a ┘   └── b ──┘   the next group
//! ```
//!
//! The last token of a completion predicts nothing that is trained, so it is never computed; the
//! first one is predicted by the last token of the prompt, which all rows of the group share.

use burn::tensor::{Tensor, backend::Backend};

use super::pass::{Keys, Tokens};
use crate::kernel::{Paged, Span};

/// A prompt and completions of it.
#[derive(Debug, Clone)]
pub struct PromptGroup<'a> {
    /// Tokens of the prompt; at least one.
    pub prompt: &'a [u32],
    /// Tokens of each completion; at least one each.
    pub completions: Vec<&'a [u32]>,
}

/// Tokens of one forward pass and how they see each other.
#[derive(Debug, Clone, Default)]
pub struct Packed {
    /// Token ids `[n]`.
    pub ids: Vec<u32>,
    /// Position of each token in its own sequence `[n]`.
    pub positions: Vec<u32>,
    /// Which keys each run of tokens sees.
    pub spans: Vec<Span>,
}

/// The newest token of each of some rows, which sees what came before through a cache.
#[derive(Debug, Clone)]
pub struct NextTokens<'a, B: Backend> {
    /// The tokens `[n]`.
    pub newest: Newest<'a, B>,
    /// Where the keys of each row are: its prompt's, then its own with the token's as the last.
    pub keys: Vec<[Paged<'a>; 2]>,
}

/// Which tokens the newest ones are.
#[derive(Debug, Clone)]
pub enum Newest<'a, B: Backend> {
    /// Those of these ids.
    Known(Vec<u32>),
    /// Those that [`sample`](crate::kernel::sample) drew, and that the host has not seen yet.
    Drawn {
        /// Tokens and their log-probabilities `[drawn, 2]`.
        drawn: &'a Tensor<B, 2>,
        /// Which of them.
        index: Vec<u32>,
    },
}

/// Position of each of some newest tokens in its sequence `[n]`.
pub(super) fn positions(keys: &[[Paged; 2]]) -> Vec<u32> {
    keys.iter().map(|[prompt, own]| (prompt.tokens + own.tokens - 1) as u32).collect()
}

/// Cache slot of each of some newest tokens `[n]`.
pub(super) fn slots(keys: &[[Paged; 2]]) -> Vec<u32> {
    keys.iter().map(|[_, own]| own.slot(own.tokens - 1) as u32).collect()
}

/// Packed groups together with what is to be predicted.
#[derive(Debug, Clone, Default)]
pub struct PackedCompletions {
    /// The tokens to run through the decoder.
    pub packed: Packed,
    /// For every completion token, row after row, the packed token that predicts it.
    pub predictors: Vec<u32>,
    /// The completion tokens, row after row.
    pub targets: Vec<u32>,
    /// Number of completion tokens of each row.
    pub row_lengths: Vec<usize>,
}

impl Packed {
    /// Appends a run of tokens that sees `prefix` and itself causally; returns where it lies.
    fn push(
        &mut self,
        ids: &[u32],
        first_position: usize,
        prefix: std::ops::Range<usize>,
    ) -> std::ops::Range<usize> {
        let run = self.ids.len()..self.ids.len() + ids.len();
        self.ids.extend(ids);
        self.positions.extend((first_position..first_position + ids.len()).map(|p| p as u32));
        self.spans.push(Span { queries: run.clone(), prefix, own: run.clone() });
        run
    }

    /// As a forward pass takes it, with a cache's slots where there is one.
    pub(super) fn tokens<'a>(&'a self, slots: &'a [u32]) -> Tokens<'a> {
        let Self { positions, spans, .. } = self;
        Tokens { positions, keys: Keys::OfPass(spans), slots, update: None }
    }

    /// Whole sequences, each by itself.
    pub fn sequences(sequences: &[&[u32]]) -> Self {
        let mut packed = Self::default();
        for ids in sequences {
            packed.push(ids, 0, 0..0);
        }
        packed
    }
}

impl PackedCompletions {
    /// Packs groups.
    ///
    /// # Panics
    /// At an empty prompt or completion: nothing could predict the first token.
    pub fn new(groups: &[PromptGroup]) -> Self {
        let mut packing = Self::default();
        for group in groups {
            assert!(!group.prompt.is_empty(), "a prompt needs at least one token");
            let prompt = packing.packed.push(group.prompt, 0, 0..0);
            for completion in &group.completions {
                packing.push_completion(completion, prompt.clone());
            }
        }
        packing
    }

    fn push_completion(&mut self, completion: &[u32], prompt: std::ops::Range<usize>) {
        let Some((_, inputs)) = completion.split_last() else {
            panic!("a completion needs at least one token");
        };
        let last_of_prompt = prompt.end as u32 - 1;
        self.predictors.push(last_of_prompt);
        if !inputs.is_empty() {
            let run = self.packed.push(inputs, prompt.len(), prompt);
            self.predictors.extend(run.map(|token| token as u32));
        }
        self.targets.extend(completion);
        self.row_lengths.push(completion.len());
    }

    /// Number of tokens that the decoder computes for a group, which is what memory follows.
    pub fn tokens_of(prompt: usize, completions: impl Iterator<Item = usize>) -> usize {
        prompt + completions.map(|length| length.saturating_sub(1)).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_packed_once_and_its_last_token_predicts_every_first_one() {
        let group =
            PromptGroup { prompt: &[1, 2, 3], completions: vec![&[4, 5], &[6], &[7, 8, 9]] };
        let packing = PackedCompletions::new(&[group]);
        assert_eq!(packing.packed.ids, [1, 2, 3, 4, 7, 8]);
        assert_eq!(packing.packed.positions, [0, 1, 2, 3, 3, 4]);
        assert_eq!(packing.predictors, [2, 3, 2, 2, 4, 5]);
        assert_eq!(packing.targets, [4, 5, 6, 7, 8, 9]);
        assert_eq!(packing.row_lengths, [2, 1, 3]);
    }

    #[test]
    fn a_next_token_stands_behind_its_prompt_and_in_the_last_slot_of_its_own() {
        let of = |pages, tokens| Paged { pages, tokens };
        let keys = [[of(&[3], 5), of(&[9], 1)], [of(&[3, 1], 20), of(&[2, 4], 18)]];
        assert_eq!(positions(&keys), [5, 37]);
        assert_eq!(slots(&keys), [9 * 16, 4 * 16 + 1]);
    }

    #[test]
    fn the_last_token_of_a_completion_is_never_computed() {
        let group = PromptGroup { prompt: &[1], completions: vec![&[42]] };
        assert!(!PackedCompletions::new(&[group]).packed.ids.contains(&42));
        assert_eq!(PackedCompletions::tokens_of(1, [1, 5].into_iter()), 5);
    }
}
