//! One forward pass: its tokens, where they are written, and which keys they see.

use burn::tensor::Tensor;

use super::Rotation;
use super::kv_cache::LayerCache;
use super::lora::UpdatePass;
use crate::kernel::{self, AttentionPlan, Cached, DecodePlan, Kernels, Paged, Rotary, Span, Table};

/// Tokens of one forward pass, but for their ids.
pub(super) struct Tokens<'a> {
    /// Position of each in its sequence `[n]`.
    pub(super) positions: &'a [u32],
    /// The keys that they see.
    pub(super) keys: Keys<'a>,
    /// Cache slot of each `[n]`; empty without a cache.
    pub(super) slots: &'a [u32],
    /// The update that it belongs to, if it does.
    pub(super) update: Option<UpdatePass>,
}

/// The keys that the queries of a pass see.
pub(super) enum Keys<'a> {
    /// Those of the pass itself.
    OfPass(&'a [Span]),
    /// Those of a cache, one query a row.
    OfCache(&'a [[Paged<'a>; 2]]),
}

/// What all layers of a pass share.
#[derive(Debug)]
pub(super) struct Pass {
    /// For each rotation of the model.
    rotaries: Vec<Rotary>,
    plan: Plan,
    slots: Table<u32>,
    /// The update that it belongs to, if it does.
    pub(super) update: Option<UpdatePass>,
}

#[derive(Debug)]
enum Plan {
    OfPass(AttentionPlan),
    OfCache(DecodePlan),
}

impl Pass {
    /// The pass of these tokens, in layers of this shape: `[heads, kv_heads, head_dim]`, that have these
    /// rotations.
    pub(super) fn new(tokens: &Tokens, shape: [usize; 3], rotations: &[Rotation]) -> Self {
        let [heads, kv_heads, d] = shape;
        let plan = match tokens.keys {
            Keys::OfPass(spans) => {
                Plan::OfPass(AttentionPlan::new(spans.to_vec(), heads, kv_heads, d))
            }
            Keys::OfCache(rows) => Plan::OfCache(DecodePlan::new(rows, heads, kv_heads, d)),
        };
        let rotary =
            |by: &Rotation| Rotary::by_frequencies(tokens.positions, &by.frequencies, by.factor);
        Self {
            rotaries: rotations.iter().map(rotary).collect(),
            plan,
            slots: Table::new(tokens.slots),
            update: tokens.update,
        }
    }

    /// Attention of a layer's `q [n, heads·d]` and new `k`, `v` `[n, kv_heads·d]`, which are yet to be
    /// rotated by one of the model's rotations and join the layer's cache where there is one.
    pub(super) fn attend<B: Kernels>(
        &self,
        [q, k, v]: [Tensor<B, 2>; 3],
        rotation: usize,
        cache: Option<&mut LayerCache<B>>,
    ) -> Tensor<B, 2> {
        let rotary = &self.rotaries[rotation];
        match (&self.plan, cache) {
            (Plan::OfPass(plan), cache) => {
                let [q, k] = [q, k].map(|x| kernel::rope(x, rotary));
                if let Some(cache) = cache {
                    cache.write(&self.slots, &k, &v);
                }
                kernel::attention(&q, &k, &v, plan)
            }
            (Plan::OfCache(plan), Some(cache)) => {
                let Cached { keys, values, queries } =
                    cache.rotate_into(&self.slots, rotary, [q, k, v]);
                kernel::decode_attention(&queries, &keys, &values, plan)
            }
            (Plan::OfCache(_), None) => unreachable!("rows over a cache come with it"),
        }
    }
}
