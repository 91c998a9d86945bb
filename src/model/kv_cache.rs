//! Keys and values of tokens that were already computed.

use burn::tensor::{Tensor, backend::Backend};

use super::decoder::Decoder;
use crate::kernel::{self, Cached, Kernels, PAGE, Rotary, Table};

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
    /// Writes the keys and values of new tokens to their slots.
    pub(super) fn write(&mut self, slots: &[u32], keys: &Tensor<B, 2>, values: &Tensor<B, 2>) {
        for (cache, rows) in [(&mut self.keys, keys), (&mut self.values, values)] {
            // Taken out while it is written, so that nobody else holds it and it changes in place.
            *cache = cache.take().map(|cache| kernel::write_rows(cache, slots, rows));
        }
    }

    /// Rotates new queries and keys, and writes new keys and values to their slots; gives the queries and
    /// the keys and values of all slots.
    pub(super) fn rotate_into(
        &mut self,
        slots: &Table<u32>,
        rotary: &Rotary,
        new: [Tensor<B, 2>; 3],
    ) -> Cached<B> {
        // Taken out while they are written, so that nobody else holds them and they change in place.
        let (Some(keys), Some(values)) = (self.keys.take(), self.values.take()) else {
            unreachable!("a layer's cache is only away during this call")
        };
        let cached = kernel::rotate_into_cache([keys, values], slots, rotary, new);
        (self.keys, self.values) = (Some(cached.keys.clone()), Some(cached.values.clone()));
        cached
    }
}
