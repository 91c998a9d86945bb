//! What `wgrpo bench --count` counts: kernels, uploads and readbacks of a decoded token and of an update.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::bench::rounded;
use crate::kernel::draws_tokens;
use crate::readback::traffic::Crossing;

/// What the device did in one step of training.
#[derive(Debug)]
pub(super) struct Work {
    /// Kernels in the order in which it executed them.
    pub kernels: Vec<String>,
    /// What crossed to it and back, in its order.
    pub crossings: Vec<Crossing>,
}

/// Counts of a step's parts. A number of CubeCL's own that every launch brings along, its sizes and
/// scalars, is no upload here.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct StepCounts {
    /// From the beginning of the step to the first draw: the prompts.
    prefill: Counts,
    /// One token of all rows of a batch, from draw to draw; of several, the median by launches.
    decoded_token: Counts,
    /// Tokens of a row that were drawn for each readback of them, on average.
    tokens_a_readback: f64,
    /// From the last draw to the end of the step.
    update: Counts,
    /// The kernels of that token, and how often each is launched.
    kernels_of_a_token: BTreeMap<String, usize>,
}

/// Counts of one part.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Counts {
    launches: usize,
    uploads: usize,
    upload_bytes: usize,
    readbacks: usize,
    readback_bytes: usize,
}

/// One part of a step.
#[derive(Debug, Clone, Copy)]
struct Part<'a> {
    kernels: &'a [String],
    crossings: &'a [Crossing],
}

impl StepCounts {
    /// The counts of a step; `None` where it drew fewer than two tokens in a row, or not by the kernel
    /// that draws.
    pub(super) fn of(work: &Work) -> Option<Self> {
        let kernels = cut(&work.kernels, |kernel| draws_tokens(kernel));
        let crossings = cut_after_readback(&work.crossings);
        if kernels.len() != crossings.len() || kernels.len() < 3 {
            return None;
        }
        let parts = kernels.into_iter().zip(crossings);
        let parts: Vec<_> = parts.map(|(kernels, crossings)| Part { kernels, crossings }).collect();
        let [prefill, tokens @ .., update] = &parts[..] else { return None };
        let mut tokens = tokens.to_vec();
        let drawing = parts.len() - 1;
        let readbacks: usize = parts[..drawing].iter().map(|part| part.counts().readbacks).sum();
        let tokens_a_readback = rounded(drawing as f64 / readbacks.max(1) as f64);
        tokens.sort_by_key(Part::counts);
        let token = tokens[tokens.len() / 2];
        Some(Self {
            prefill: prefill.counts(),
            decoded_token: token.counts(),
            tokens_a_readback,
            update: update.counts(),
            kernels_of_a_token: token.times_of_each_kernel(),
        })
    }

    /// A table of them.
    pub(super) fn table(&self) -> String {
        let mut table = format!(
            "{:<14}{:>9}{:>9}{:>13}{:>11}{:>16}\n",
            "", "launches", "uploads", "upload bytes", "readbacks", "readback bytes"
        );
        let rows = [
            ("prefill", self.prefill),
            ("decoded token", self.decoded_token),
            ("update", self.update),
        ];
        for (name, counts) in rows {
            let Counts { launches, uploads, upload_bytes, readbacks, readback_bytes } = counts;
            // Writing to a String cannot fail.
            let _ = writeln!(
                table,
                "{name:<14}{launches:>9}{uploads:>9}{upload_bytes:>13}{readbacks:>11}{readback_bytes:>16}"
            );
        }
        let _ = writeln!(table, "tokens of a row for each readback: {}", self.tokens_a_readback);
        table
    }
}

impl Part<'_> {
    fn counts(&self) -> Counts {
        let mut counts = Counts { launches: self.kernels.len(), ..Counts::default() };
        for crossing in self.crossings {
            match crossing {
                Crossing::Upload(bytes) => {
                    counts.uploads += 1;
                    counts.upload_bytes += bytes;
                }
                Crossing::Readback(bytes) => {
                    counts.readbacks += 1;
                    counts.readback_bytes += bytes;
                }
                Crossing::Draw => {}
            }
        }
        counts
    }

    fn times_of_each_kernel(&self) -> BTreeMap<String, usize> {
        let mut times = BTreeMap::new();
        for kernel in self.kernels {
            *times.entry(kernel.clone()).or_default() += 1;
        }
        times
    }
}

/// Cuts behind each item that ends a part; what is left is the last part.
fn cut<T>(items: &[T], ends: impl Fn(&T) -> bool) -> Vec<&[T]> {
    let mut parts: Vec<&[T]> = items.split_inclusive(&ends).collect();
    if items.last().is_none_or(ends) {
        parts.push(&[]);
    }
    parts
}

/// A draw's part ends with the draw, and with the readback of what was drawn where that comes next: the host
/// may have more drawn before it reads.
fn cut_after_readback(crossings: &[Crossing]) -> Vec<&[Crossing]> {
    let mut parts = Vec::new();
    let mut rest = crossings;
    while let Some(draw) = rest.iter().position(|crossing| *crossing == Crossing::Draw) {
        let is_read = matches!(rest.get(draw + 1), Some(Crossing::Readback(_)));
        let (part, later) = rest.split_at(draw + 1 + usize::from(is_read));
        parts.push(part);
        rest = later;
    }
    parts.push(rest);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_what_lies_between_two_draws_and_an_update_what_comes_after_the_last() {
        let kernels =
            ["Matmul", "SampleKernel", "Matmul", "Norm", "Matmul", "SampleKernel", "AdamW"];
        let crossings = [
            Crossing::Upload(40),
            Crossing::Draw,
            Crossing::Readback(8),
            Crossing::Upload(4),
            Crossing::Upload(6),
            Crossing::Draw,
            Crossing::Readback(8),
            Crossing::Readback(4),
        ];
        let work =
            Work { kernels: kernels.map(str::to_owned).to_vec(), crossings: crossings.to_vec() };
        let counts = StepCounts::of(&work).unwrap();
        let of = |launches, uploads, upload_bytes, readbacks, readback_bytes| Counts {
            launches,
            uploads,
            upload_bytes,
            readbacks,
            readback_bytes,
        };
        assert_eq!(counts.prefill, of(2, 1, 40, 1, 8));
        assert_eq!(counts.decoded_token, of(4, 2, 10, 1, 8));
        assert_eq!(counts.update, of(1, 0, 0, 1, 4));
        assert_eq!(counts.kernels_of_a_token["Matmul"], 2);
        assert_eq!(counts.tokens_a_readback, 1.0);
        assert_eq!(counts.table().lines().count(), 5);
    }

    #[test]
    fn tokens_that_are_drawn_before_one_readback_are_parts_of_their_own() {
        let kernels = ["SampleKernel", "Matmul", "SampleKernel", "Matmul", "SampleKernel", "AdamW"];
        let kernels = kernels.map(str::to_owned).to_vec();
        let (upload, draw) = (Crossing::Upload(4), Crossing::Draw);
        let crossings = vec![
            upload,
            draw,
            upload,
            draw,
            upload,
            draw,
            Crossing::Readback(24),
            Crossing::Readback(4),
        ];
        let counts = StepCounts::of(&Work { kernels, crossings }).unwrap();
        assert_eq!((counts.prefill.readbacks, counts.tokens_a_readback), (0, 3.0));
        assert_eq!((counts.decoded_token.launches, counts.decoded_token.uploads), (2, 1));
        assert_eq!((counts.update.readbacks, counts.update.readback_bytes), (1, 4));
    }

    #[test]
    fn a_step_that_drew_once_has_no_token_from_draw_to_draw() {
        let kernels = ["Matmul", "SampleKernel", "AdamW"].map(str::to_owned).to_vec();
        let crossings = vec![Crossing::Draw, Crossing::Readback(8)];
        assert_eq!(StepCounts::of(&Work { kernels, crossings }), None);
    }
}
