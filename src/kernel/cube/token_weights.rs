//! Weight and advantage of every token's loss: a unit a token.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::shader::Shader;
use super::tensor::{contiguous, dims, empty, grid, numbers};
use super::{GpuForm, LANES};
use crate::kernel::ops::token_weights::TokenWeights;

const SHADER: Shader = Shader {
    name: "token_weights",
    source: include_str!("../../../shaders/token_weights.wgsl"),
    lanes: LANES,
};

impl GpuForm<1, 2> for TokenWeights {
    fn cubecl<R: CubeRuntime>(&self, [advantages]: [CubeTensor<R>; 1]) -> [CubeTensor<R>; 2] {
        let advantages = contiguous(&advantages);
        let [b, tokens, width] = self.sizes(&advantages);
        let [weights, spread] = [(); 2].map(|()| empty(&advantages, [b, tokens]));
        if b * tokens > 0 {
            weigh_kernel::launch(
                &advantages.client,
                grid((b * tokens).div_ceil(LANES)),
                CubeDim::new_1d(LANES as u32),
                advantages.clone().into_array_arg(),
                numbers(&advantages, &self.lengths).into_array_arg(),
                weights.clone().into_array_arg(),
                spread.clone().into_array_arg(),
                tokens,
                width,
                self.weighting.factor,
                u32::from(self.weighting.per_row_length),
            );
        }
        [weights, spread]
    }

    fn wgsl<R: CubeRuntime>(&self, [advantages]: [CubeTensor<R>; 1]) -> [CubeTensor<R>; 2] {
        let advantages = contiguous(&advantages);
        let [b, tokens, width] = self.sizes(&advantages);
        let both = [(); 2].map(|()| empty(&advantages, [b, tokens]));
        if b * tokens > 0 {
            let lengths = numbers(&advantages, &self.lengths);
            let tensors = [&advantages, &lengths, &both[0], &both[1]];
            let (factor, per_row) = (self.weighting.factor, self.weighting.per_row_length);
            let sizes = [b, tokens, width].map(|size| size as u32);
            let info = [&sizes[..], &[factor.to_bits(), u32::from(per_row)]].concat();
            SHADER.run_each(b * tokens, &tensors, &info);
        }
        both
    }
}

impl TokenWeights {
    /// Rows, tokens of the longest, and advantages of a row.
    fn sizes<R: CubeRuntime>(&self, advantages: &CubeTensor<R>) -> [usize; 3] {
        let (b, tokens, [rows, width]) = (self.lengths.len(), self.tokens, dims(advantages));
        assert!(rows == b, "{rows} rows of advantages, {b} lengths");
        assert!(width == 1 || width == tokens, "advantages [{b}, {width}] beside {tokens} tokens");
        [b, tokens, width]
    }
}

#[cube(launch)]
fn weigh_kernel(
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
