//! Weight and advantage of every token's loss: the CPU twin of `shaders/token_weights.wgsl`.
//!
//! ```text
//! weight_it = factor            or  factor / n_i      for t < n_i, else 0
//! ```

/// How rows become weights: each aggregation of the losses is one of these two forms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenWeighting {
    /// What every token weighs, counted over the whole optimiser step.
    pub factor: f32,
    /// Whether a token weighs less in a longer row.
    pub per_row_length: bool,
}

/// Weights and advantages, both `[b, tokens]`.
///
/// Shapes: `lengths [b]`; `advantages` holds one value a row or one a token, `[b, 1]` or `[b, tokens]`.
pub fn token_weights(
    advantages: &[f32],
    lengths: &[u32],
    tokens: usize,
    weighting: TokenWeighting,
) -> [Vec<f32>; 2] {
    let b = lengths.len();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pads_weigh_nothing_and_their_advantages_are_never_read() {
        let weighting = TokenWeighting { factor: 0.5, per_row_length: false };
        let advantages = [2.0, f32::NAN, f32::NAN, -1.0, 3.0, 4.0];
        let [weights, spread] = token_weights(&advantages, &[1, 3], 3, weighting);
        assert_eq!(weights, [0.5, 0.0, 0.0, 0.5, 0.5, 0.5]);
        assert_eq!(spread, [2.0, 0.0, 0.0, -1.0, 3.0, 4.0]);
    }

    #[test]
    fn a_row_shares_its_weight_among_its_tokens_where_asked() {
        let weighting = TokenWeighting { factor: 1.0, per_row_length: true };
        let [weights, spread] = token_weights(&[2.0, -1.0, 5.0], &[1, 4, 0], 4, weighting);
        assert_eq!(weights, [[1.0, 0.0, 0.0, 0.0], [0.25; 4], [0.0; 4]].concat());
        assert_eq!(spread[3..6], [0.0, -1.0, -1.0]);
    }
}
