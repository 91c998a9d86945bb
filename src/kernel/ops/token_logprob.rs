//! Log-probability of given tokens and entropy of the whole distribution, straight from hidden states.
//!
//! ```text
//! z = h·Wᵀ / T      logp = z[token] − lse(z)      entropy = lse(z) − Σ_v softmax(z)_v · z_v
//! ```
//!
//! Logits exist for one block of rows at a time and are computed again in the backward pass from
//! the saved log-sum-exp: an [n, v] tensor of 16 × 96 tokens over a vocabulary of 49,152 would be 300 MB.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::ops::FloatTensor;
use burn::tensor::{Shape, Tensor};

use super::logit_logprob::{Part, Rows, columns, of_logits, turn_into_gradients};
use super::weight::{CpuWeight, Layout, Weight};
use crate::kernel::check::{Case, N, Visitor, WIDTH, noise, stored_noise, tokens};
use crate::kernel::cpu::gemm::{Matrix, Panels, pack, product_of_panels};
use crate::kernel::op::{Elements, Keeps, Saved, needed, only};
use crate::kernel::stored::Storage;
use crate::kernel::{Kernels, Op, primitive};

/// Log-probability of `tokens [n]` and entropy of their distributions: two tensors `[n]`, in nats, from
/// hidden states `[n, d]` and an output head `[v, d]`, logits divided by `temperature`.
pub fn token_logprob<B: Kernels>(
    hidden: &Tensor<B, 2>,
    head: &Weight<B>,
    tokens: &[u32],
    temperature: f32,
) -> [Tensor<B, 1>; 2] {
    let op = TokenLogprob { tokens: tokens.into(), temperature, head: head.layout() };
    let [out, _] = B::run(op, [primitive(hidden), head.elements()]);
    columns(out)
}

/// Rows of (log-probability, entropy) `[n, 2]` and log-sum-exps `[n]` of hidden states `[n, d]` after
/// the final norm, and an output head `[v, d]`.
#[derive(Debug, Clone)]
pub struct TokenLogprob {
    /// Chosen token of each row `[n]`.
    pub tokens: Arc<[u32]>,
    /// Sampling temperature that divides the logits.
    pub temperature: f32,
    /// How the head is laid out.
    pub head: Layout,
}

impl Op<2, 2> for TokenLogprob {
    const NAME: &'static str = "token_logprob";

    fn shapes(&self, _: [&Shape; 2]) -> [Shape; 2] {
        [Shape::new([self.tokens.len(), 2]), Shape::new([self.tokens.len()])]
    }

    fn cpu(&self, [hidden, head]: [Elements; 2]) -> [Vec<f32>; 2] {
        forward(Inputs::new(&hidden, (self.head, &head), &self.tokens, self.temperature))
    }

    fn keeps(_: [bool; 2]) -> Option<Keeps<2>> {
        Some(Keeps::EVERYTHING)
    }

    fn gradients<B: Kernels>(
        &self,
        saved: Saved<FloatTensor<B>, 2, 2>,
        dout: FloatTensor<B>,
        needs: [bool; 2],
    ) -> [Option<FloatTensor<B>>; 2] {
        let ([hidden, head], [out, lse]) = (saved.inputs(), saved.outputs());
        let (tokens, temperature) = (self.tokens.clone(), self.temperature);
        assert!(!(needs[1] && self.head.is_constant()), "a frozen weight has no gradient");
        let op = TokenLogprobBackward { tokens, temperature, head: self.head, needs };
        only(needs, B::run(op, [hidden, head, out, lse, dout]))
    }
}

/// Gradients of hidden states `[n, d]` and head `[v, d]` from them, what the forward pass gave, and the
/// gradient of its rows `[n, 2]`.
#[derive(Debug, Clone)]
pub struct TokenLogprobBackward {
    /// As in the forward pass.
    pub tokens: Arc<[u32]>,
    /// As in the forward pass.
    pub temperature: f32,
    /// As in the forward pass.
    pub head: Layout,
    /// Which of the two are computed.
    pub needs: [bool; 2],
}

impl Op<5, 2> for TokenLogprobBackward {
    const NAME: &'static str = "token_logprob_backward";

    fn shapes(&self, [hidden, head, ..]: [&Shape; 5]) -> [Shape; 2] {
        [needed(self.needs[0], hidden), needed(self.needs[1], head)]
    }

    fn cpu(&self, [hidden, head, out, lse, dout]: [Elements; 5]) -> [Vec<f32>; 2] {
        let inputs = Inputs::new(&hidden, (self.head, &head), &self.tokens, self.temperature);
        backward(inputs, Rows { out: &out, lse: &lse, dout: &dout }, self.needs)
    }
}

/// The row of `token_logprob` in the list of operations.
pub fn visit(visitor: &mut impl Visitor) {
    let op = TokenLogprob { tokens: tokens(301), temperature: 0.7, head: Layout::Rows };
    let inputs = [noise([N, WIDTH], 17), noise([301, WIDTH], 18)];
    visitor.visit(Case::new("token_logprob", op, inputs));
    // A frozen head gives the gradient of the hidden states alone.
    let (tokens, temperature) = (tokens(301), 0.7);
    let (hidden, storage) = (noise([N, WIDTH], 17), Storage::Bf16);
    let head = Layout::Stored { storage, output: 301, input: WIDTH };
    let words = stored_noise([301, WIDTH], storage, 18);
    let op = TokenLogprob { tokens: tokens.clone(), temperature, head };
    let [out, lse] = op.cpu([hidden.clone(), words.clone()]);
    let case = Case::new("token_logprob: few bits", op, [hidden.clone(), words.clone()]);
    visitor.visit(case.without_gradients());
    let op = TokenLogprobBackward { tokens, temperature, head, needs: [true, false] };
    let given = [out, lse].into_iter().zip([Shape::new([N, 2]), Shape::new([N])]);
    let mut given = given.map(|(values, shape)| Elements::new(values, shape));
    if let (Some(out), Some(lse)) = (given.next(), given.next()) {
        let inputs = [hidden, words, out, lse, noise([N, 2], 19)];
        visitor.visit(Case::new("token_logprob_backward: few bits", op, inputs));
    }
}

#[derive(Clone, Copy)]
struct Inputs<'a> {
    hidden: Matrix<'a>,
    head: CpuWeight<'a>,
    width: usize,
    vocabulary: usize,
    tokens: &'a [u32],
    temperature: f32,
}

impl<'a> Inputs<'a> {
    fn new(
        hidden: &'a Elements,
        (layout, head): (Layout, &'a Elements),
        tokens: &'a [u32],
        temperature: f32,
    ) -> Self {
        let ([n, width], vocabulary) = (hidden.dims(), layout.outputs(head.shape()));
        let (hidden, head) = (Matrix::new(hidden, n, width), layout.on_cpu(head, width));
        Self { hidden, head, width, vocabulary, tokens, temperature }
    }
}

/// Numbers of one block's logits: 8 MiB, and four times that where each block opens the whole head.
const LOGITS: usize = 2 << 20;

/// Cuts `0..whole` so that so many numbers make a block, where each of its members has `width`.
fn blocks(whole: usize, width: usize, numbers: usize) -> impl Iterator<Item = Range<usize>> {
    let step = (numbers / width.max(1)).next_multiple_of(48);
    (0..whole).step_by(step).map(move |start| start..whole.min(start + step))
}

fn forward(inputs: Inputs) -> [Vec<f32>; 2] {
    let (v, n) = (inputs.vocabulary, inputs.tokens.len());
    let panels = match inputs.head {
        CpuWeight::Rows(head) => Some(pack(head.t())),
        _ => None,
    };
    let (head, numbers) = match &panels {
        Some(panels) => (CpuWeight::Panels(Panels::new(panels, inputs.width, v)), LOGITS),
        None => (inputs.head, 4 * LOGITS),
    };
    let (mut out, mut lse) = (Vec::with_capacity(2 * n), Vec::with_capacity(n));
    for rows in blocks(n, v, numbers) {
        let tokens = &inputs.tokens[rows.clone()];
        let logits = head.product(inputs.hidden.some_rows(rows.start, rows.end));
        let [block_out, block_lse] = of_logits(&logits, tokens, inputs.temperature);
        out.extend(block_out);
        lse.extend(block_lse);
    }
    [out, lse]
}

/// The vocabulary comes in blocks and not the rows: so each row of the head's gradient, by far the largest
/// result, is written once.
fn backward(inputs: Inputs, given: Rows, [of_hidden, of_head]: [bool; 2]) -> [Vec<f32>; 2] {
    let (n, d, v) = (inputs.tokens.len(), inputs.width, inputs.vocabulary);
    let hidden = inputs.hidden;
    let mut dhidden = vec![0.0; if of_hidden { n * d } else { 0 }];
    let mut dhead = Vec::with_capacity(if of_head { v * d } else { 0 });
    let panels = if of_head { pack(hidden) } else { Vec::new() };
    for tokens in blocks(v, n, LOGITS) {
        let head = inputs.head.outputs(tokens.clone());
        let mut dlogits = head.product(hidden);
        let part = Part { tokens: inputs.tokens, first: tokens.start, count: tokens.len() };
        turn_into_gradients(&mut dlogits, part, inputs.temperature, given);
        let dlogits = Matrix::new(&dlogits, n, tokens.len());
        if of_hidden {
            head.add_input_gradient(&mut dhidden, dlogits);
        }
        if of_head {
            let hidden = Panels::new(&panels, n, d);
            dhead.extend(product_of_panels(dlogits.t(), hidden));
        }
    }
    [dhidden, dhead]
}
