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

#[cfg(feature = "wgpu")]
pub(super) mod wgsl {
    use super::TokenWeighting;
    use crate::kernel::cube::tensor::{contiguous, dims, empty, upload};
    use crate::kernel::wgsl::{CubeTensor, Shader};

    const SHADER: Shader = Shader {
        name: "token_weights",
        source: include_str!("../../shaders/token_weights.wgsl"),
        lanes: 256,
    };

    /// Weights and advantages `[b, tokens]` of advantages `[b, 1]` or `[b, tokens]`.
    pub fn launch(
        advantages: &CubeTensor,
        lengths: &[u32],
        tokens: usize,
        weighting: TokenWeighting,
    ) -> [CubeTensor; 2] {
        let advantages = contiguous(advantages);
        let (b, [rows, width]) = (lengths.len(), dims(&advantages));
        assert!(rows == b, "{rows} rows of advantages, {b} lengths");
        assert!(width == 1 || width == tokens, "advantages [{b}, {width}] beside {tokens} tokens");
        let both = [(); 2].map(|()| empty(&advantages, [b, tokens]));
        if b * tokens > 0 {
            let lengths = upload(&advantages, lengths);
            let tensors = [&advantages, &lengths, &both[0], &both[1]];
            let (factor, per_row) = (weighting.factor.to_bits(), weighting.per_row_length);
            let info = [b as u32, tokens as u32, width as u32, factor, u32::from(per_row)];
            SHADER.run_each(b * tokens, &tensors, &info);
        }
        both
    }
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
