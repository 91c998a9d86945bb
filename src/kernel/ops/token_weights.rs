//! Weight and advantage of every token's loss; the CPU body is the reference of
//! `shaders/token_weights.wgsl`.
//!
//! ```text
//! weight_it = factor            or  factor / n_i      for t < n_i, else 0
//! ```

use std::sync::Arc;

use burn::tensor::{Shape, Tensor};

use crate::kernel::check::{Case, Visitor, noise};
use crate::kernel::op::Elements;
use crate::kernel::{Kernels, Op, float, primitive};

/// Weight of every token's loss and its advantage, both `[b, tokens]` and 0 behind a row's length.
///
/// Advantages are `[b, 1]` or `[b, tokens]`, lengths `[b]`; whatever stands on a pad is never read.
pub fn token_weights<B: Kernels>(
    advantages: &Tensor<B, 2>,
    lengths: &[u32],
    tokens: usize,
    weighting: TokenWeighting,
) -> [Tensor<B, 2>; 2] {
    let op = TokenWeights { lengths: lengths.into(), tokens, weighting };
    B::run(op, [primitive(advantages)]).map(float)
}

/// How rows become weights: each aggregation of the losses is one of these two forms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenWeighting {
    /// What every token weighs, counted over the whole optimiser step.
    pub factor: f32,
    /// Whether a token weighs less in a longer row.
    pub per_row_length: bool,
}

/// Weights and advantages `[b, tokens]` of advantages `[b, 1]` or `[b, tokens]`; both are constants to
/// the gradient.
#[derive(Debug, Clone)]
pub struct TokenWeights {
    /// Tokens of each row `[b]`.
    pub lengths: Arc<[u32]>,
    /// Tokens of the longest.
    pub tokens: usize,
    /// How rows become weights.
    pub weighting: TokenWeighting,
}

impl Op<1, 2> for TokenWeights {
    const NAME: &'static str = "token_weights";

    fn shapes(&self, _: [&Shape; 1]) -> [Shape; 2] {
        [(); 2].map(|()| Shape::new([self.lengths.len(), self.tokens]))
    }

    fn cpu(&self, [advantages]: [Elements; 1]) -> [Vec<f32>; 2] {
        self.weigh(&advantages)
    }
}

/// The row of `token_weights` in the list of operations.
pub fn visit(visitor: &mut impl Visitor) {
    let weighting = TokenWeighting { factor: 0.3, per_row_length: true };
    let op = TokenWeights { lengths: [3, 0, 7, 1, 9].into(), tokens: 9, weighting };
    visitor.visit(Case::new("token_weights", op, [noise([5, 1], 24)]));
}

impl TokenWeights {
    fn weigh(&self, advantages: &[f32]) -> [Vec<f32>; 2] {
        let Self { lengths, tokens, weighting } = self;
        let (b, tokens) = (lengths.len(), *tokens);
        let width = advantages.len() / b.max(1);
        assert!(width == 1 || width == tokens, "advantages [{b}, {width}] beside {tokens} tokens");
        let mut weights_bt = vec![0.0; b * tokens];
        let mut advantages_bt = vec![0.0; b * tokens];
        for index in 0..b * tokens {
            let (row, token) = (index / tokens, index % tokens);
            if token < lengths[row] as usize {
                let divisor = if weighting.per_row_length { lengths[row] as f32 } else { 1.0 };
                weights_bt[index] = weighting.factor / divisor;
                advantages_bt[index] = advantages[row * width + token % width];
            }
        }
        [weights_bt, advantages_bt]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weigh(
        advantages: &[f32],
        lengths: &[u32],
        tokens: usize,
        weighting: TokenWeighting,
    ) -> [Vec<f32>; 2] {
        TokenWeights { lengths: lengths.into(), tokens, weighting }.weigh(advantages)
    }

    #[test]
    fn pads_weigh_nothing_and_their_advantages_are_never_read() {
        let weighting = TokenWeighting { factor: 0.5, per_row_length: false };
        let advantages = [2.0, f32::NAN, f32::NAN, -1.0, 3.0, 4.0];
        let [weights, spread] = weigh(&advantages, &[1, 3], 3, weighting);
        assert_eq!(weights, [0.5, 0.0, 0.0, 0.5, 0.5, 0.5]);
        assert_eq!(spread, [2.0, 0.0, 0.0, -1.0, 3.0, 4.0]);
    }

    #[test]
    fn a_row_shares_its_weight_among_its_tokens_where_asked() {
        let weighting = TokenWeighting { factor: 1.0, per_row_length: true };
        let [weights, spread] = weigh(&[2.0, -1.0, 5.0], &[1, 4, 0], 4, weighting);
        assert_eq!(weights, [[1.0, 0.0, 0.0, 0.0], [0.25; 4], [0.0; 4]].concat());
        assert_eq!(spread[3..6], [0.0, -1.0, -1.0]);
    }
}
