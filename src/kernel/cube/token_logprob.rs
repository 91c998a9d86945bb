//! Log-probabilities straight from hidden states on a device: logits in blocks of rows.

use std::ops::Range;

use burn::tensor::Slice;
use burn::tensor::ops::FloatTensorOps;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, CubeRuntime};

use super::stored::as_rows;
use super::tensor::nothing;
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
        let head = as_rows(self.head, head);
        let (mut outs, mut lses) = (Vec::new(), Vec::new());
        for rows in blocks(self.tokens.len(), head.meta.shape()[0]) {
            let [logits] =
                run(&Linear { weight: Layout::Rows }, [rows_of(&hidden, &rows), head.clone()]);
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
        let head = as_rows(self.head, head);
        let (mut dhidden, mut dhead) = (Vec::new(), None);
        for rows in blocks(self.tokens.len(), head.meta.shape()[0]) {
            let [hidden, out, lse, dout] =
                [&hidden, &out, &lse, &dout].map(|tensor| rows_of(tensor, &rows));
            let [logits] = run(&Linear { weight: Layout::Rows }, [hidden.clone(), head.clone()]);
            let (tokens, temperature) = (self.tokens[rows].into(), self.temperature);
            let op = LogitLogprobBackward { tokens, temperature };
            let [dlogits] = run(&op, [logits, out, lse, dout]);
            if self.needs[0] {
                dhidden.extend(run(
                    &LinearInputGradient { weight: Layout::Rows },
                    [dlogits.clone(), head.clone()],
                ));
            }
            if self.needs[1] {
                let [new] = run(&LinearWeightGradient, [dlogits, hidden]);
                dhead = Some(match dhead {
                    Some(sum) => Burn::<R>::float_add(sum, new),
                    None => new,
                });
            }
        }
        let dhidden = if self.needs[0] { joined(dhidden) } else { nothing(&hidden) };
        [dhidden, dhead.unwrap_or_else(|| nothing(&head))]
    }
}

/// At least one block, so that no rows still give tensors of no rows.
fn blocks(n: usize, vocabulary: usize) -> impl Iterator<Item = Range<usize>> {
    let step = (BLOCK_BYTES / (4 * vocabulary)).max(1);
    (0..n.max(1)).step_by(step).map(move |start| start.min(n)..n.min(start + step))
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
