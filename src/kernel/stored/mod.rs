//! Frozen weights in 16, 8 or 4 bits, in the order in which products read them.
//!
//! A weight `[output, input]` is cut into panels of 16 outputs, and each panel into blocks of 32 inputs; what is
//! missing at the ends is filled up with zeros. A block of 8 or 4 bits begins with a scale for each output, as a
//! block of GGUF's types of the same names has one (f16, eight words of two). Its numbers follow, input after
//! input, eight words at a time: word `j` holds those of outputs `j` and `j + 8`, the first in the lower bits,
//! then those of the next input, as many as fit 32 bits.
//!
//! To a backend they are a tensor of f32 like any other, whose bits nobody takes for numbers.

mod decode;
mod encode;
mod storage;
#[cfg(test)]
mod tests;

use std::ops::Range;

use burn::module::Module;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};

pub use decode::{open_outputs, open_row, open_transposed};
pub use encode::{encode_rows, quantise_q4_0, quantise_q8_0};
pub use storage::{BLOCK, PANEL, Storage};

/// A frozen weight `[output, input]` in few bits.
#[derive(Module, Debug)]
pub struct StoredWeight<B: Backend> {
    words: Tensor<B, 1>,
    output: usize,
    input: usize,
    #[module(skip)]
    storage: Storage,
}

impl<B: Backend> StoredWeight<B> {
    /// A weight of this shape, whose rows `rows` gives as f32, some at a time and in their order. So the weight is
    /// never there in f32 as a whole.
    ///
    /// # Errors
    /// What `rows` answers.
    ///
    /// # Panics
    /// Another number of values than rows were asked for.
    pub fn from_rows<E>(
        [output, input]: [usize; 2],
        storage: Storage,
        mut rows: impl FnMut(Range<usize>) -> Result<Vec<f32>, E>,
        device: &B::Device,
    ) -> Result<Self, E> {
        let mut words = Vec::with_capacity(storage.words([output, input]));
        // About a megabyte of f32, in whole panels.
        let step = ((1 << 18) / input.max(1)).next_multiple_of(PANEL).max(PANEL);
        for first in (0..output).step_by(step) {
            let range = first..output.min(first + step);
            let count = range.len() * input;
            let values = rows(range)?;
            assert_eq!(values.len(), count, "rows of a weight [{output}, {input}]");
            encode_rows(&values, input, storage, &mut words);
        }
        let words =
            Tensor::from_data(TensorData::new(words, [storage.words([output, input])]), device);
        Ok(Self { words, output, input, storage })
    }

    /// A weight of the inner backend as a constant among tensors that carry gradients.
    pub fn from_inner(weight: StoredWeight<B::InnerBackend>) -> Self
    where
        B: AutodiffBackend,
    {
        let StoredWeight { words, output, input, storage } = weight;
        Self { words: Tensor::from_inner(words), output, input, storage }
    }

    /// Output and input.
    pub fn shape(&self) -> [usize; 2] {
        [self.output, self.input]
    }

    /// In what it is stored.
    pub fn storage(&self) -> Storage {
        self.storage
    }

    /// The words, as operations take them.
    pub fn words(&self) -> &Tensor<B, 1> {
        &self.words
    }
}
