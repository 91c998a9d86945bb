//! What a run holds from its first to its last step.

use super::MemoryOf;
use crate::model::WeightStorage;
use crate::train::buffers::bytes;

/// The program itself, its threads and what it knows of a vocabulary beside its tokens.
const PROGRAM: u64 = 44 << 20;

/// What a tokenizer takes for a token: its text, its place, its merge. Measured on vocabularies of 49,152 tokens.
const BYTES_OF_TOKEN: u64 = 1100;

impl MemoryOf<'_> {
    /// Weights, reference, moments, and the program.
    pub(super) fn held(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("the program and its tokenizer", self.program()),
            ("weights", self.weights()),
            ("the reference", self.reference()),
            ("moments of the optimiser", self.moments()),
        ]
    }

    /// Both moments of what is trained, tensor by tensor: small ones have no codes.
    fn moments(&self) -> u64 {
        let storage = self.run.settings.training.optimizer.moments;
        let of = |count: usize| bytes(&[2, storage.words(count)]);
        match self.adapter {
            Some((lora, _)) => lora.sizes(self.model).into_iter().map(of).sum(),
            None => {
                let shapes = self.model.parameters().into_iter().map(|(_, shape)| shape);
                shapes.map(|shape| of(shape.iter().product())).sum()
            }
        }
    }

    fn program(&self) -> u64 {
        PROGRAM + BYTES_OF_TOKEN * self.model.vocab_size as u64
    }

    /// Numbers that are trained.
    pub(super) fn trained(&self) -> usize {
        match self.adapter {
            Some((lora, _)) => lora.parameter_count(self.model),
            None => self.model.parameter_count(),
        }
    }

    /// All weights, the adapter's included.
    fn weights(&self) -> u64 {
        let Some((lora, base)) = self.adapter else {
            return bytes(&[self.model.parameter_count()]);
        };
        let stored =
            self.model.parameters().into_iter().map(|(name, shape)| base.bytes(&name, &shape));
        bytes(&[lora.parameter_count(self.model)]) + stored.sum::<u64>()
    }

    /// A second model, where the run has one.
    fn reference(&self) -> u64 {
        let settings = self.run.settings;
        if !settings.needs_reference() || settings.reference_is_base {
            return 0;
        }
        // The base of an adapter is there once for both.
        let in_f32 = bytes(&[self.trained()]);
        match settings.reference_storage {
            WeightStorage::F32 => in_f32,
            // A backend of this process stores no 16 bits.
            _ if self.is_host => in_f32,
            WeightStorage::F16 | WeightStorage::Bf16 => in_f32 / 2,
        }
    }
}
