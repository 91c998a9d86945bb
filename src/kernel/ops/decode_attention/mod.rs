//! Attention of single queries over a cache: one token of generation for each of many rows.
//!
//! ```text
//! o_i = Σ_j softmax_j(q_i·k_j / √d) · v_j      over the keys j of row i: its prompt's, then its own
//! ```
//!
//! The cache is cut into pages of [`PAGE`] slots, and a [`DecodePlan`] says which pages hold a row's
//! keys. Rows of a group name the same pages for their prompt. Nobody differentiates it.

mod attend;
mod plan;
#[cfg(test)]
mod tests;

use burn::tensor::{Shape, Tensor};

pub use self::plan::{DecodePlan, PAGE, Paged};
use crate::kernel::check::{Case, Visitor, noise};
use crate::kernel::op::Elements;
use crate::kernel::{Kernels, Op, float, primitive};

/// Attention output `[rows, heads·d]` of `q [rows, heads·d]` over a cache's `k` and `v`
/// `[slots, kv_heads·d]`.
pub fn decode_attention<B: Kernels>(
    q: &Tensor<B, 2>,
    k: &Tensor<B, 2>,
    v: &Tensor<B, 2>,
    plan: &DecodePlan,
) -> Tensor<B, 2> {
    let [out] = B::run(DecodeAttention { plan: plan.clone() }, [q, k, v].map(primitive));
    float(out)
}

/// Output `[rows, heads·d]` of q `[rows, heads·d]`, k and v `[slots, kv_heads·d]`.
#[derive(Debug, Clone)]
pub struct DecodeAttention {
    /// Where each row's keys are.
    pub plan: DecodePlan,
}

impl Op<3, 1> for DecodeAttention {
    const NAME: &'static str = "decode_attention";

    fn shapes(&self, [q, _, _]: [&Shape; 3]) -> [Shape; 1] {
        [q.clone()]
    }

    fn cpu(&self, [q, k, v]: [Elements; 3]) -> [Vec<f32>; 1] {
        [attend::attend(&self.plan, attend::Inputs { q: &q, k: &k, v: &v })]
    }
}

/// The row of `decode_attention` in the list of operations: a group of two rows on a prompt that ends
/// within a page, a lone row of one key, pages in no order, heads of one key head and of two; then rows of
/// which one has more keys than a workgroup takes.
pub fn visit(visitor: &mut impl Visitor) {
    let of = |pages, tokens| Paged { pages, tokens };
    let prompt = of(&[6, 1, 2, 11, 4, 9, 0], 100);
    let rows = [
        [prompt, of(&[7], 3)],
        [prompt, of(&[10, 3], 17)],
        [of(&[], 0), of(&[8], 1)],
        [of(&[5], 16), of(&[8], 2)],
    ];
    let long: Vec<u32> = (0..75).map(|i| i * 31 % 75).collect();
    let prompt = of(&long, 1190);
    let long_rows =
        [[prompt, of(&[76], 5)], [of(&[], 0), of(&[75], 9)], [of(&long[..60], 955), of(&[77], 1)]];
    let cases: [(&[_], _, _); 3] =
        [(&rows, 12, [2, 1, 80]), (&rows, 12, [4, 2, 24]), (&long_rows, 78, [2, 1, 72])];
    for (rows, pages, [heads, kv_heads, d]) in cases {
        let op = DecodeAttention { plan: DecodePlan::new(rows, heads, kv_heads, d) };
        let [k, v] = [12, 13].map(|seed| noise([pages * PAGE, kv_heads * d], seed));
        let inputs = [noise([rows.len(), heads * d], 11), k, v];
        visitor.visit(Case::new("attention with a cache", op, inputs));
    }
}
