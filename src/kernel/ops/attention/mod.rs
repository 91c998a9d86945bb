//! Causal grouped-query attention over packed rows, with prompts shared by the rows of a group.
//!
//! Tokens lie one after another without padding. A [`Span`] says which of them are queries and
//! which keys each query sees: all of `prefix` (a group's prompt, computed once), then `own` up to
//! itself. Single queries over a cache have an operation of their own, `decode_attention`.
//!
//! ```text
//! o_i = Σ_j softmax_j(q_i·k_j / √d) · v_j      over the keys j that query i sees
//! ```
//!
//! The backward pass recomputes the probabilities from the saved log-sum-exp (Dao et al. 2022,
//! arXiv 2205.14135), and both passes go in tiles, so there is no [t, t] matrix.

mod backward;
mod blocks;
mod forward;
mod plan;
mod scratch;
#[cfg(test)]
mod tests;
mod tile;
mod units;
mod work;

use burn::tensor::ops::FloatTensor;
use burn::tensor::{Shape, Tensor};

pub use self::plan::{AttentionPlan, Span};
use crate::kernel::check::{Case, N, Visitor, noise};
use crate::kernel::op::{Elements, Keeps, Saved, needed, only};
use crate::kernel::{Kernels, Op, float, primitive};

/// Attention output `[n, heads·d]` of `q [n, heads·d]` over `k` and `v` `[m, kv_heads·d]`.
pub fn attention<B: Kernels>(
    q: &Tensor<B, 2>,
    k: &Tensor<B, 2>,
    v: &Tensor<B, 2>,
    plan: &AttentionPlan,
) -> Tensor<B, 2> {
    let [out, _] = B::run(Attention { plan: plan.clone() }, [q, k, v].map(primitive));
    float(out)
}

/// Output `[n, heads·d]` and log-sum-exps `[n, heads]` of q `[n, heads·d]`, k and v `[m, kv_heads·d]`.
#[derive(Debug, Clone)]
pub struct Attention {
    /// Which keys each query sees.
    pub plan: AttentionPlan,
}

impl Op<3, 2> for Attention {
    const NAME: &'static str = "attention";

    fn shapes(&self, [q, _, _]: [&Shape; 3]) -> [Shape; 2] {
        [q.clone(), Shape::new([q[0], self.plan.heads])]
    }

    fn cpu(&self, [q, k, v]: [Elements; 3]) -> [Vec<f32>; 2] {
        forward::forward(&self.plan, forward::Inputs { q: &q, k: &k, v: &v })
    }

    fn keeps(_: [bool; 3]) -> Option<Keeps<3>> {
        Some(Keeps::EVERYTHING)
    }

    fn gradients<B: Kernels>(
        &self,
        saved: Saved<FloatTensor<B>, 3, 2>,
        dout: FloatTensor<B>,
        needs: [bool; 3],
    ) -> [Option<FloatTensor<B>>; 3] {
        let ([q, k, v], [out, lse]) = (saved.inputs(), saved.outputs());
        let op = AttentionBackward { plan: self.plan.clone(), needs };
        only(needs, B::run(op, [q, k, v, out, lse, dout]))
    }
}

/// Gradients of q, k and v from them, what the forward pass gave, and the gradient of its output.
/// Queries and keys must be the same tokens.
#[derive(Debug, Clone)]
pub struct AttentionBackward {
    /// As in the forward pass.
    pub plan: AttentionPlan,
    /// Which of the three are computed.
    pub needs: [bool; 3],
}

impl Op<6, 3> for AttentionBackward {
    const NAME: &'static str = "attention_backward";

    fn shapes(&self, [q, k, v, ..]: [&Shape; 6]) -> [Shape; 3] {
        let [of_q, of_k, of_v] = self.needs;
        [needed(of_q, q), needed(of_k, k), needed(of_v, v)]
    }

    fn cpu(&self, [q, k, v, out, lse, dout]: [Elements; 6]) -> [Vec<f32>; 3] {
        let inputs = forward::Inputs { q: &q, k: &k, v: &v };
        let saved = backward::Saved { out: &out, lse: &lse, dout: &dout };
        backward::backward(&self.plan, inputs, saved, self.needs)
    }
}

/// The row of `attention` in the list of operations: two groups that share their prompts, a prompt
/// longer than a tile, short and long rows.
pub fn visit(visitor: &mut impl Visitor) {
    let span = |queries, prefix, own| Span { queries, prefix, own };
    let spans = vec![
        span(0..40, 0..0, 0..40),
        span(40..45, 0..40, 40..45),
        span(45..46, 0..40, 45..46),
        span(46..50, 0..0, 46..50),
        span(50..N, 46..50, 50..N),
    ];
    let op = Attention { plan: AttentionPlan::new(spans, 4, 2, 24) };
    let inputs = [noise([N, 96], 8), noise([N, 48], 9), noise([N, 48], 10)];
    visitor.visit(Case::new("attention", op, inputs));
}
