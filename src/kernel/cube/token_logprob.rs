//! Log-probabilities straight from hidden states on a device: logits in blocks of rows.

use std::ops::Range;

use burn::tensor::ops::FloatTensor;
use burn::tensor::{Slice, TensorMetadata};

use crate::kernel::TrainingKernels;

/// Bytes of one block's logits; the backward pass holds two such blocks.
const BLOCK_BYTES: usize = 64 << 20;

/// Output `[n, 2]` and log-sum-exp `[n]`.
pub fn forward<B: TrainingKernels>(
    [hidden, head]: [&FloatTensor<B>; 2],
    tokens: &[u32],
    temperature: f32,
) -> [FloatTensor<B>; 2] {
    let (mut outs, mut lses) = (Vec::new(), Vec::new());
    for rows in blocks(tokens.len(), head.shape()[0]) {
        let logits = B::project(&rows_of::<B>(hidden, &rows), head);
        let [out, lse] = B::logit_logprob(&logits, &tokens[rows], temperature);
        outs.push(out);
        lses.push(lse);
    }
    [joined::<B>(outs), joined::<B>(lses)]
}

/// Gradients of hidden states `[n, d]` and head `[v, d]`.
pub fn backward<B: TrainingKernels>(
    [hidden, head]: [&FloatTensor<B>; 2],
    tokens: &[u32],
    temperature: f32,
    [out, lse]: [&FloatTensor<B>; 2],
    dout: &FloatTensor<B>,
) -> [FloatTensor<B>; 2] {
    let (mut dhidden, mut dhead) = (Vec::new(), None);
    for rows in blocks(tokens.len(), head.shape()[0]) {
        let [hidden, out, lse, dout] =
            [hidden, out, lse, dout].map(|tensor| rows_of::<B>(tensor, &rows));
        let logits = B::project(&hidden, head);
        let saved = [&out, &lse];
        let dlogits = B::logit_logprob_backward(&logits, &tokens[rows], temperature, saved, &dout);
        let [of_hidden, of_head] = B::project_backward(&hidden, head, &dlogits, [true, true]);
        dhidden.extend(of_hidden);
        dhead = match (dhead, of_head) {
            (Some(sum), Some(new)) => Some(B::float_add(sum, new)),
            (sum, new) => sum.or(new),
        };
    }
    let nothing = || B::float_mul_scalar(head.clone(), 0.0.into());
    [joined::<B>(dhidden), dhead.unwrap_or_else(nothing)]
}

/// At least one block, so that no rows still give tensors of no rows.
fn blocks(n: usize, vocabulary: usize) -> impl Iterator<Item = Range<usize>> {
    let step = (BLOCK_BYTES / (4 * vocabulary)).max(1);
    (0..n.max(1)).step_by(step).map(move |start| start.min(n)..n.min(start + step))
}

fn rows_of<B: TrainingKernels>(tensor: &FloatTensor<B>, rows: &Range<usize>) -> FloatTensor<B> {
    let shape = tensor.shape();
    if *rows == (0..shape[0]) {
        return tensor.clone();
    }
    let whole = shape.iter().skip(1).map(|size| Slice::from(0..*size));
    let slices: Vec<Slice> = std::iter::once(Slice::from(rows.clone())).chain(whole).collect();
    B::float_slice(tensor.clone(), &slices)
}

fn joined<B: TrainingKernels>(mut pieces: Vec<FloatTensor<B>>) -> FloatTensor<B> {
    match (pieces.len(), pieces.pop()) {
        (1, Some(only)) => only,
        (_, Some(last)) => {
            pieces.push(last);
            B::float_cat(pieces, 0)
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
