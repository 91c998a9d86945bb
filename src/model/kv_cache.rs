//! Keys and values of tokens that were already computed.

use burn::tensor::{Tensor, backend::Backend};

use super::decoder::Decoder;
use crate::kernel::{self, Kernels, PAGE};

/// One slot a token and layer, in pages of [`PAGE`]. Which row sees which pages is said with each step, so
/// the rows of a group share their prompt's and a finished row simply is not mentioned again.
#[derive(Debug)]
pub struct KvCache<B: Backend> {
    layers: Vec<LayerCache<B>>,
}

/// Keys and values of one layer, `[slots, kv_heads · head_dim]` each.
#[derive(Debug)]
pub struct LayerCache<B: Backend> {
    keys: Option<Tensor<B, 2>>,
    values: Option<Tensor<B, 2>>,
}

impl<B: Backend> KvCache<B> {
    /// An empty cache of so many pages for `decoder`.
    pub fn new(decoder: &Decoder<B>, pages: usize) -> Self {
        let shape = [pages * PAGE, decoder.kv_width()];
        let empty = || Some(Tensor::zeros(shape, &decoder.device()));
        let layers = (0..decoder.depth()).map(|_| LayerCache { keys: empty(), values: empty() });
        Self { layers: layers.collect() }
    }

    pub(super) fn layer(&mut self, index: usize) -> &mut LayerCache<B> {
        &mut self.layers[index]
    }
}

impl<B: Kernels> LayerCache<B> {
    /// Writes the keys and values of new tokens to their slots; gives those of all slots.
    pub(super) fn write(
        &mut self,
        slots: &[u32],
        keys: &Tensor<B, 2>,
        values: &Tensor<B, 2>,
    ) -> (Tensor<B, 2>, Tensor<B, 2>) {
        let write = |cache: &mut Option<Tensor<B, 2>>, rows: &Tensor<B, 2>| match cache.take() {
            // Taken out while it is written, so that nobody else holds it and it changes in place.
            Some(whole) => cache.insert(kernel::write_rows(whole, slots, rows)).clone(),
            None => unreachable!("a layer's cache is only away during this call"),
        };
        (write(&mut self.keys, keys), write(&mut self.values, values))
    }
}
