//! What happens to new queries, keys and values before cached attention: queries and keys are rotated, keys
//! and values go to their slots of the cache, all in one pass.

use burn::tensor::backend::Backend;
use burn::tensor::{Shape, Tensor};

use super::rope::Rotary;
use super::write_rows::write;
use crate::kernel::check::{Case, Visitor, noise};
use crate::kernel::op::Elements;
use crate::kernel::{Kernels, Op, Table, float, primitive};

/// Keys and values of one layer, `[slots, kv_heads · head_dim]` each, and queries that look at them.
#[derive(Debug)]
pub struct Cached<B: Backend> {
    /// Keys of all slots, rotated.
    pub keys: Tensor<B, 2>,
    /// Values of all slots.
    pub values: Tensor<B, 2>,
    /// Queries `[n, heads · head_dim]`.
    pub queries: Tensor<B, 2>,
}

/// Rotates `queries` and new `keys` by their tokens' positions and writes `keys` and `values`
/// `[n, kv_heads · head_dim]` to `slots [n]` of `cache`; in place where the cache is unshared. Nobody
/// differentiates it: a cache is written while generating.
pub fn rotate_into_cache<B: Kernels>(
    cache: [Tensor<B, 2>; 2],
    slots: &Table<u32>,
    rotary: &Rotary,
    [queries, keys, values]: [Tensor<B, 2>; 3],
) -> Cached<B> {
    let op = RotateIntoCache { slots: slots.clone(), rotary: rotary.clone() };
    let [cached_keys, cached_values] = cache.map(|cache| cache.into_primitive().tensor());
    let [queries, keys] = [queries, keys].map(|rows| rows.into_primitive().tensor());
    let inputs = [cached_keys, cached_values, queries, keys, primitive(&values)];
    let [keys, values, queries] = B::run(op, inputs).map(float);
    Cached { keys, values, queries }
}

/// Cached keys and values `[slots, kv_width]` and queries `[n, width]` from these three, new keys and new
/// values `[n, kv_width]`.
#[derive(Debug, Clone)]
pub struct RotateIntoCache {
    /// Where each token's keys and values go.
    pub slots: Table<u32>,
    /// The angles of the tokens.
    pub rotary: Rotary,
}

impl Op<5, 3> for RotateIntoCache {
    const NAME: &'static str = "rotate_into_cache";
    const IN_PLACE: usize = 4;

    fn shapes(&self, [cached_keys, cached_values, queries, ..]: [&Shape; 5]) -> [Shape; 3] {
        [cached_keys.clone(), cached_values.clone(), queries.clone()]
    }

    fn cpu(
        &self,
        [cached_keys, cached_values, queries, keys, values]: [Elements; 5],
    ) -> [Vec<f32>; 3] {
        let [_, width] = keys.dims();
        let [mut cached_keys, mut cached_values, mut queries, mut keys] =
            [cached_keys, cached_values, queries, keys].map(Elements::into_vec);
        self.rotary.rotate(&mut queries, false);
        self.rotary.rotate(&mut keys, false);
        write(&mut cached_keys, width, &self.slots, &keys);
        write(&mut cached_values, width, &self.slots, &values);
        [cached_keys, cached_values, queries]
    }
}

/// The row of `rotate_into_cache` in the list of operations.
pub fn visit(visitor: &mut impl Visitor) {
    let rotary = Rotary::new(&[5, 0, 130], 16, 10_000.0);
    let op = RotateIntoCache { slots: Table::new([7, 0, 4]), rotary };
    let (cache, new) = (|seed| noise([9, 32], seed), |seed| noise([3, 32], seed));
    let inputs = [cache(50), cache(51), noise([3, 96], 52), new(53), new(54)];
    visitor.visit(Case::new("rotate_into_cache", op, inputs));
}
