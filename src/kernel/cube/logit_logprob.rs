//! Log-probability of given tokens and entropy from logits, and the gradient: as shaders, and once more in
//! CubeCL's language.
//!
//! In CubeCL each cube holds one row. Every unit strides over it once and keeps its largest z and,
//! relative to that, the sums of e^(z - max) and of e^(z - max)·(z - max); then halves meet.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::shader::Shader;
use super::tensor::{contiguous, dims, empty, grid, numbers};
use super::{GpuForm, LANES};
use crate::kernel::ops::logit_logprob::{LogitLogprob, LogitLogprobBackward};

/// The maximum of no z at all: below every z, and not so far that a difference would overflow.
const LOWEST: f32 = -1e38;

/// The z of a lane that are summed before they meet the others.
const BLOCK: usize = 32;

const FORWARD: Shader = Shader {
    name: "logit_logprob",
    source: include_str!("../../../shaders/logit_logprob.wgsl"),
    lanes: LANES,
};

const BACKWARD: Shader = Shader {
    name: "logit_logprob_backward",
    source: include_str!("../../../shaders/logit_logprob_backward.wgsl"),
    lanes: LANES,
};

impl GpuForm<1, 2> for LogitLogprob {
    fn cubecl<R: CubeRuntime>(&self, [logits]: [CubeTensor<R>; 1]) -> [CubeTensor<R>; 2] {
        let logits = contiguous(&logits);
        let [n, v] = shape(&logits, &self.tokens);
        let (out, lse) = (empty(&logits, [n, 2]), empty(&logits, [n]));
        if n > 0 {
            forward_kernel::launch(
                &logits.client,
                grid(n),
                CubeDim::new_1d(LANES as u32),
                logits.clone().into_array_arg(),
                numbers(&logits, &self.tokens).into_array_arg(),
                out.clone().into_array_arg(),
                lse.clone().into_array_arg(),
                v,
                1.0 / self.temperature,
            );
        }
        [out, lse]
    }

    fn wgsl<R: CubeRuntime>(&self, [logits]: [CubeTensor<R>; 1]) -> [CubeTensor<R>; 2] {
        let logits = contiguous(&logits);
        let [n, v] = shape(&logits, &self.tokens);
        let (out, lse) = (empty(&logits, [n, 2]), empty(&logits, [n]));
        if n > 0 {
            let tokens = numbers(&logits, &self.tokens);
            FORWARD.run(n, &[&logits, &tokens, &out, &lse], &info(n, v, self.temperature));
        }
        [out, lse]
    }
}

impl GpuForm<4, 1> for LogitLogprobBackward {
    fn cubecl<R: CubeRuntime>(&self, inputs: [CubeTensor<R>; 4]) -> [CubeTensor<R>; 1] {
        let [logits, out, lse, dout] = inputs.each_ref().map(contiguous);
        let [n, v] = dims(&logits);
        assert!(n == self.tokens.len(), "{n} rows of logits, {} tokens", self.tokens.len());
        assert!(dims(&out) == [n, 2] && dims(&lse) == [n] && dims(&dout) == [n, 2]);
        let dlogits = empty(&logits, [n, v]);
        if n > 0 {
            backward_kernel::launch(
                &logits.client,
                grid((n * v).div_ceil(LANES)),
                CubeDim::new_1d(LANES as u32),
                logits.clone().into_array_arg(),
                numbers(&logits, &self.columns()).into_array_arg(),
                out.into_array_arg(),
                lse.into_array_arg(),
                dout.into_array_arg(),
                dlogits.clone().into_array_arg(),
                v,
                1.0 / self.temperature,
            );
        }
        [dlogits]
    }

    fn wgsl<R: CubeRuntime>(&self, inputs: [CubeTensor<R>; 4]) -> [CubeTensor<R>; 1] {
        let [logits, out, lse, dout] = inputs.each_ref().map(contiguous);
        let [n, v] = dims(&logits);
        assert!(n == self.tokens.len(), "{n} rows of logits, {} tokens", self.tokens.len());
        assert!(dims(&out) == [n, 2] && dims(&lse) == [n] && dims(&dout) == [n, 2]);
        let dlogits = empty(&logits, [n, v]);
        if n > 0 {
            let tokens = numbers(&logits, &self.columns());
            let tensors = [&logits, &tokens, &out, &lse, &dout, &dlogits];
            BACKWARD.run_each(n * v, &tensors, &info(n, v, self.temperature));
        }
        [dlogits]
    }
}

impl LogitLogprobBackward {
    /// The column of each row's token; one that is not among the columns has a number beyond them.
    fn columns(&self) -> Vec<u32> {
        self.tokens.iter().map(|token| token.wrapping_sub(self.first as u32)).collect()
    }
}

fn shape<R: CubeRuntime>(logits: &CubeTensor<R>, tokens: &[u32]) -> [usize; 2] {
    let [n, v] = dims(logits);
    assert!(n == tokens.len(), "{n} rows of logits, {} tokens", tokens.len());
    let fits = tokens.iter().all(|token| (*token as usize) < v);
    assert!(fits, "a token beyond a vocabulary of {v}");
    [n, v]
}

fn info(n: usize, v: usize, temperature: f32) -> [u32; 3] {
    [n as u32, v as u32, (1.0 / temperature).to_bits()]
}

#[cube(launch)]
fn forward_kernel(
    logits: &Array<f32>,
    tokens: &Array<u32>,
    out: &mut Array<f32>,
    lse: &mut Array<f32>,
    v: usize,
    inverse: f32,
) {
    let row = CUBE_POS;
    if row >= tokens.len() {
        terminate!();
    }
    let start = row * v;
    let lane = UNIT_POS as usize;
    let mut max = f32::new(LOWEST);
    let mut sum = 0.0f32;
    let mut mean = 0.0f32;
    let mut first = lane;
    while first < v {
        // A block of z, which then meets what the lane has: beside a probability near 1 a running sum
        // would lose every smaller one.
        let mut block_max = f32::new(LOWEST);
        let mut block_sum = 0.0f32;
        let mut block_mean = 0.0f32;
        let end = min(first + LANES * BLOCK, v);
        let mut i = first;
        while i < end {
            let z = logits[start + i] * inverse;
            let rise = z - block_max;
            let e = exp_below_zero(-f32::abs(rise));
            if rise > 0.0 {
                block_mean = (block_mean - block_sum * rise) * e;
                block_sum = block_sum * e + 1.0;
                block_max = z;
            } else {
                block_sum += e;
                block_mean += e * rise;
            }
            i += LANES;
        }
        let top = f32::max(max, block_max);
        let fall = max - top;
        let block_fall = block_max - top;
        let e = exp_below_zero(fall);
        let block_e = exp_below_zero(block_fall);
        mean = (mean + sum * fall) * e + (block_mean + block_sum * block_fall) * block_e;
        sum = sum * e + block_sum * block_e;
        max = top;
        first += LANES * BLOCK;
    }
    let mut maxima = SharedMemory::<f32>::new(LANES);
    let mut sums = SharedMemory::<f32>::new(LANES);
    let mut means = SharedMemory::<f32>::new(LANES);
    maxima[lane] = max;
    sums[lane] = sum;
    means[lane] = mean;
    let mut half = CUBE_DIM as usize / 2;
    while half > 0 {
        sync_cube();
        if lane < half {
            let other = lane + half;
            let top = f32::max(maxima[lane], maxima[other]);
            let fall = maxima[lane] - top;
            let other_fall = maxima[other] - top;
            let e = exp_below_zero(fall);
            let other_e = exp_below_zero(other_fall);
            means[lane] = (means[lane] + sums[lane] * fall) * e
                + (means[other] + sums[other] * other_fall) * other_e;
            sums[lane] = sums[lane] * e + sums[other] * other_e;
            maxima[lane] = top;
        }
        half /= 2;
    }
    if lane == 0 {
        let log_sum = f32::ln(sums[0]);
        lse[row] = maxima[0] + log_sum;
        let z = logits[start + tokens[row] as usize] * inverse;
        out[row * 2] = (z - maxima[0]) - log_sum;
        out[row * 2 + 1] = log_sum - means[0] / sums[0];
    }
}

/// The exponential of no more than 0, clamped where it would leave the normal numbers.
#[cube]
fn exp_below_zero(x: f32) -> f32 {
    f32::exp(f32::max(x, -87.0))
}

#[cube(launch)]
fn backward_kernel(
    logits: &Array<f32>,
    tokens: &Array<u32>,
    out: &Array<f32>,
    lse: &Array<f32>,
    dout: &Array<f32>,
    dlogits: &mut Array<f32>,
    v: usize,
    inverse: f32,
) {
    let index = ABSOLUTE_POS;
    if index >= tokens.len() * v {
        terminate!();
    }
    let row = index / v;
    let dlogp = dout[row * 2] * inverse;
    let dentropy = dout[row * 2 + 1] * inverse;
    let entropy = out[row * 2 + 1];
    // Below -87 a probability leaves the normal numbers; it is nothing either way.
    let logp = f32::max(logits[index] * inverse - lse[row], -87.0);
    let mut dz = -f32::exp(logp) * (dlogp + dentropy * (logp + entropy));
    if index % v == tokens[row] as usize {
        dz += dlogp;
    }
    dlogits[index] = dz;
}
