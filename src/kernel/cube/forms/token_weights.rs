//! Weight and advantage of every token's loss: the twin of `kernel/token_weights.rs`.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::LANES;
use crate::kernel::cube::tensor::{contiguous, dims, empty, grid, upload};
use crate::kernel::token_weights::TokenWeighting;

/// Weights and advantages `[b, tokens]` of advantages `[b, 1]` or `[b, tokens]`.
pub fn token_weights<R: CubeRuntime>(
    advantages: &CubeTensor<R>,
    lengths: &[u32],
    tokens: usize,
    weighting: TokenWeighting,
) -> [CubeTensor<R>; 2] {
    let advantages = contiguous(advantages);
    let (b, [rows, width]) = (lengths.len(), dims(&advantages));
    assert!(rows == b, "{rows} rows of advantages, {b} lengths");
    assert!(width == 1 || width == tokens, "advantages [{b}, {width}] beside {tokens} tokens");
    let [weights, spread] = [(); 2].map(|()| empty(&advantages, [b, tokens]));
    if b * tokens > 0 {
        weigh::launch(
            &advantages.client,
            grid((b * tokens).div_ceil(LANES)),
            CubeDim::new_1d(LANES as u32),
            advantages.clone().into_array_arg(),
            upload(&advantages, lengths).into_array_arg(),
            weights.clone().into_array_arg(),
            spread.clone().into_array_arg(),
            tokens,
            width,
            weighting.factor,
            u32::from(weighting.per_row_length),
        );
    }
    [weights, spread]
}

#[cube(launch)]
fn weigh(
    row_advantages: &Array<f32>,
    lengths: &Array<u32>,
    weights: &mut Array<f32>,
    advantages: &mut Array<f32>,
    tokens: usize,
    width: usize,
    factor: f32,
    per_row_length: u32,
) {
    let index = ABSOLUTE_POS;
    if index >= lengths.len() * tokens {
        terminate!();
    }
    let row = index / tokens;
    let token = index % tokens;
    weights[index] = 0.0;
    advantages[index] = 0.0;
    if token < lengths[row] as usize {
        let mut divisor = 1.0f32;
        if per_row_length != 0 {
            divisor = f32::cast_from(lengths[row]);
        }
        weights[index] = factor / divisor;
        advantages[index] = row_advantages[row * width + token % width];
    }
}
