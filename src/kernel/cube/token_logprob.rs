//! Log-probabilities straight from hidden states on a device: logits in blocks of rows, and of the vocabulary on the way
//! back, so that each row of the head's gradient, by far the largest result, is written once.

use std::ops::Range;

use burn::tensor::Slice;
use burn::tensor::ops::FloatTensorOps;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, CubeRuntime};

use super::stored::open;
use super::tensor::{dims, empty, nothing, zeros};
use super::{GpuForm, run};
use crate::kernel::ops::linear::{Linear, LinearInputGradient, LinearWeightGradient};
use crate::kernel::ops::logit_logprob::{LogitLogprob, LogitLogprobBackward};
use crate::kernel::ops::token_logprob::{TokenLogprob, TokenLogprobBackward};
use crate::kernel::ops::weight::Layout;

/// Bytes of one block's logits; the backward pass holds two such blocks.
const BLOCK_BYTES: usize = 64 << 20;

/// Burn's own operations on the tensors of a runtime; the type of its booleans makes no difference.
type Burn<R> = CubeBackend<R, f32, i32, u8>;

impl GpuForm<2, 2> for TokenLogprob {
    fn cubecl<R: CubeRuntime>(&self, [hidden, head]: [CubeTensor<R>; 2]) -> [CubeTensor<R>; 2] {
        let (mut outs, mut lses) = (Vec::new(), Vec::new());
        for rows in blocks(self.tokens.len(), self.head.outputs(head.meta.shape())) {
            let [logits] =
                run(&Linear { weight: self.head }, [rows_of(&hidden, &rows), head.clone()]);
            let tokens = self.tokens[rows].into();
            let [out, lse] = run(&LogitLogprob { tokens, temperature: self.temperature }, [logits]);
            outs.push(out);
            lses.push(lse);
        }
        [joined(outs), joined(lses)]
    }
}

impl GpuForm<5, 2> for TokenLogprobBackward {
    fn cubecl<R: CubeRuntime>(
        &self,
        [hidden, head, out, lse, dout]: [CubeTensor<R>; 5],
    ) -> [CubeTensor<R>; 2] {
        let ([n, d], v) = (dims(&hidden), self.head.outputs(head.meta.shape()));
        let (mut dhidden, mut dhead) = (zeros(&hidden, [n, d]), None);
        for columns in blocks(v, n) {
            let part = head_of(self.head, &head, &columns, d);
            let dlogits = self.dlogits([&hidden, &out, &lse, &dout], &part, columns.start);
            if self.needs[0] {
                let op = LinearInputGradient { weight: Layout::Rows };
                let [new] = run(&op, [dlogits.clone(), part]);
                dhidden = Burn::<R>::float_add(dhidden, new);
            }
            if self.needs[1] {
                let [new] = run(&LinearWeightGradient, [dlogits, hidden.clone()]);
                // Taken out, so that it changes in its place.
                let whole = dhead.take().unwrap_or_else(|| empty(&hidden, [v, d]));
                let place = [Slice::from(columns), Slice::from(0..d)];
                dhead = Some(Burn::<R>::float_slice_assign(whole, &place, new));
            }
        }
        let dhidden = if self.needs[0] { dhidden } else { nothing(&hidden) };
        [dhidden, dhead.unwrap_or_else(|| nothing(&hidden))]
    }
}

impl TokenLogprobBackward {
    /// Gradients of the logits of some of the vocabulary, from `first` on, whose part of the head is given.
    fn dlogits<R: CubeRuntime>(
        &self,
        [hidden, out, lse, dout]: [&CubeTensor<R>; 4],
        head: &CubeTensor<R>,
        first: usize,
    ) -> CubeTensor<R> {
        let [logits] = run(&Linear { weight: Layout::Rows }, [hidden.clone(), head.clone()]);
        let (tokens, temperature) = (self.tokens.clone(), self.temperature);
        let op = LogitLogprobBackward { tokens, temperature, first };
        let [dlogits] = run(&op, [logits, out.clone(), lse.clone(), dout.clone()]);
        dlogits
    }
}

/// Some outputs of the head, row after row.
fn head_of<R: CubeRuntime>(
    layout: Layout,
    head: &CubeTensor<R>,
    outputs: &Range<usize>,
    input: usize,
) -> CubeTensor<R> {
    match layout {
        Layout::Stored { storage, .. } => {
            let index: Vec<u32> = outputs.clone().map(|output| output as u32).collect();
            open(head, storage, [index.len(), input], Some(&index))
        }
        Layout::Rows => rows_of(head, outputs),
        Layout::Panels { .. } => panic!("a GPU packs no weights"),
    }
}

/// Cuts `0..whole` so that blocks have so many bytes, where each of its members has `width` floats. At least one
/// block, so that no rows still give tensors of no rows.
fn blocks(whole: usize, width: usize) -> impl Iterator<Item = Range<usize>> {
    let step = (BLOCK_BYTES / (4 * width.max(1))).max(1);
    (0..whole.max(1)).step_by(step).map(move |start| start.min(whole)..whole.min(start + step))
}

fn rows_of<R: CubeRuntime>(tensor: &CubeTensor<R>, rows: &Range<usize>) -> CubeTensor<R> {
    let shape = tensor.meta.shape();
    if *rows == (0..shape[0]) {
        return tensor.clone();
    }
    let whole = shape.iter().skip(1).map(|size| Slice::from(0..*size));
    let slices: Vec<Slice> = std::iter::once(Slice::from(rows.clone())).chain(whole).collect();
    Burn::<R>::float_slice(tensor.clone(), &slices)
}

fn joined<R: CubeRuntime>(mut pieces: Vec<CubeTensor<R>>) -> CubeTensor<R> {
    match (pieces.len(), pieces.pop()) {
        (1, Some(only)) => only,
        (_, Some(last)) => {
            pieces.push(last);
            Burn::<R>::float_cat(pieces, 0)
        }
        (_, None) => unreachable!("there is at least one block"),
    }
}

#[cfg(test)]
mod tests {
    use super::blocks;

    #[test]
    fn blocks_cover_all_rows_once_and_stay_small() {
        let cut: Vec<_> = blocks(700, 49_152).collect();
        assert_eq!(cut, [0..341, 341..682, 682..700]);
        assert_eq!(blocks(0, 8).next(), Some(0..0));
        assert_eq!(blocks(2, 100_000_000).collect::<Vec<_>>(), [0..1, 1..2]);
    }
}
