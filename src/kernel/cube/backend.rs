//! The backend traits on CubeCL's runtimes.

use burn::tensor::DType;
use burn::tensor::ops::{FloatTensor, FloatTensorOps};
use burn_cubecl::element::BoolElement;
use burn_cubecl::kernel::matmul::{MatmulStrategy, matmul};
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, CubeRuntime};

use super::tensor::{dims, zeros};
use super::{attention, elementwise, rms_norm, rows, sample, token_logprob};
use crate::kernel::group_rule::{GroupRule, PivotDraws};
use crate::kernel::sample as sample_twin;
use crate::kernel::{
    AdamW, AttentionPlan, DeviceMemory, Kernels, Rotary, Sampling, TokenWeighting, TrainingKernels,
};

/// A runtime and its form of the kernels that exist as shaders.
pub trait Runtime: CubeRuntime {
    fn group_baseline(
        table: [&CubeTensor<Self>; 3],
        rule: &GroupRule,
        draws: PivotDraws,
    ) -> CubeTensor<Self>;
    fn group_advantage(
        table: [&CubeTensor<Self>; 2],
        baselines: &CubeTensor<Self>,
        clip: f32,
    ) -> [CubeTensor<Self>; 2];
    fn whiten(advantages: &CubeTensor<Self>, tokens: &CubeTensor<Self>) -> CubeTensor<Self>;
    fn token_weights(
        advantages: &CubeTensor<Self>,
        lengths: &[u32],
        tokens: usize,
        weighting: TokenWeighting,
    ) -> [CubeTensor<Self>; 2];
    fn logit_logprob(
        logits: &CubeTensor<Self>,
        tokens: &[u32],
        temperature: f32,
    ) -> [CubeTensor<Self>; 2];
    fn logit_logprob_backward(
        logits: &CubeTensor<Self>,
        tokens: &[u32],
        temperature: f32,
        saved: [&CubeTensor<Self>; 2],
        dout: &CubeTensor<Self>,
    ) -> CubeTensor<Self>;
}

/// Implements [`Runtime`] with the functions of a module.
macro_rules! runtime_with {
    ($runtime:ty, $module:ident) => {
        impl Runtime for $runtime {
            fn group_baseline(
                table: [&CubeTensor<Self>; 3],
                rule: &GroupRule,
                draws: PivotDraws,
            ) -> CubeTensor<Self> {
                $module::group_baseline(table, rule, draws)
            }

            fn group_advantage(
                table: [&CubeTensor<Self>; 2],
                baselines: &CubeTensor<Self>,
                clip: f32,
            ) -> [CubeTensor<Self>; 2] {
                $module::group_advantage(table, baselines, clip)
            }

            fn whiten(
                advantages: &CubeTensor<Self>,
                tokens: &CubeTensor<Self>,
            ) -> CubeTensor<Self> {
                $module::whiten(advantages, tokens)
            }

            fn token_weights(
                advantages: &CubeTensor<Self>,
                lengths: &[u32],
                tokens: usize,
                weighting: TokenWeighting,
            ) -> [CubeTensor<Self>; 2] {
                $module::token_weights(advantages, lengths, tokens, weighting)
            }

            fn logit_logprob(
                logits: &CubeTensor<Self>,
                tokens: &[u32],
                temperature: f32,
            ) -> [CubeTensor<Self>; 2] {
                $module::logit_logprob(logits, tokens, temperature)
            }

            fn logit_logprob_backward(
                logits: &CubeTensor<Self>,
                tokens: &[u32],
                temperature: f32,
                saved: [&CubeTensor<Self>; 2],
                dout: &CubeTensor<Self>,
            ) -> CubeTensor<Self> {
                $module::logit_logprob_backward(logits, tokens, temperature, saved, dout)
            }
        }
    };
}

#[cfg(feature = "wgpu")]
use crate::kernel::wgsl;
#[cfg(feature = "wgpu")]
runtime_with!(cubecl::wgpu::WgpuRuntime, wgsl);

#[cfg(feature = "cuda")]
use super::forms;
#[cfg(feature = "cuda")]
runtime_with!(cubecl::cuda::CudaRuntime, forms);

/// `lhs · rhs`, of no rows where `lhs` has none.
fn product<R: CubeRuntime>(lhs: CubeTensor<R>, rhs: CubeTensor<R>) -> CubeTensor<R> {
    let ([n, inner], [_, columns]) = (dims(&lhs), dims(&rhs));
    if n * inner * columns == 0 {
        return zeros(&lhs, [n, columns]);
    }
    match matmul(lhs, rhs, None, MatmulStrategy::default(), DType::F32) {
        Ok(product) => product,
        Err(error) => panic!("no matrix product for {n} × {inner} × {columns}: {error:?}"),
    }
}

fn transposed<R: CubeRuntime>(tensor: &CubeTensor<R>) -> CubeTensor<R> {
    let mut tensor = tensor.clone();
    tensor.meta.swap(0, 1);
    tensor
}

impl<R: Runtime, BT: BoolElement> Kernels for CubeBackend<R, f32, i32, BT> {
    fn project(x: &FloatTensor<Self>, weight: &FloatTensor<Self>) -> FloatTensor<Self> {
        product(x.clone(), transposed(weight))
    }

    fn rms_norm(
        x: &FloatTensor<Self>,
        gamma: &FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        rms_norm::forward(x, gamma, epsilon)
    }

    fn swiglu(gate: &FloatTensor<Self>, up: &FloatTensor<Self>) -> FloatTensor<Self> {
        elementwise::swiglu(gate, up)
    }

    fn rope(x: FloatTensor<Self>, rotary: &Rotary) -> FloatTensor<Self> {
        elementwise::rotate(&x, rotary, false)
    }

    fn packed_attention(
        qkv: [&FloatTensor<Self>; 3],
        plan: &AttentionPlan,
    ) -> [FloatTensor<Self>; 2] {
        attention::forward(qkv, plan)
    }

    fn token_logprob(
        hidden: &FloatTensor<Self>,
        head: &FloatTensor<Self>,
        tokens: &[u32],
        temperature: f32,
    ) -> [FloatTensor<Self>; 2] {
        token_logprob::forward::<Self>([hidden, head], tokens, temperature)
    }

    fn logit_logprob(
        logits: &FloatTensor<Self>,
        tokens: &[u32],
        temperature: f32,
    ) -> [FloatTensor<Self>; 2] {
        R::logit_logprob(logits, tokens, temperature)
    }

    fn token_weights(
        advantages: &FloatTensor<Self>,
        lengths: &[u32],
        tokens: usize,
        weighting: TokenWeighting,
    ) -> [FloatTensor<Self>; 2] {
        R::token_weights(advantages, lengths, tokens, weighting)
    }

    fn group_baseline(
        table: [&FloatTensor<Self>; 3],
        rule: &GroupRule,
        draws: PivotDraws,
    ) -> FloatTensor<Self> {
        R::group_baseline(table, rule, draws)
    }

    fn group_advantage(
        table: [&FloatTensor<Self>; 2],
        baselines: &FloatTensor<Self>,
        clip: f32,
    ) -> [FloatTensor<Self>; 2] {
        R::group_advantage(table, baselines, clip)
    }

    fn whiten(advantages: &FloatTensor<Self>, tokens: &FloatTensor<Self>) -> FloatTensor<Self> {
        R::whiten(advantages, tokens)
    }

    fn gather_rows(x: &FloatTensor<Self>, index: &[u32]) -> FloatTensor<Self> {
        rows::gather(x, index)
    }

    fn write_rows(
        x: FloatTensor<Self>,
        index: &[u32],
        rows: &FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        rows::write(x, index, rows)
    }

    fn sample(
        logits: &FloatTensor<Self>,
        uniforms: &[f32],
        sampling: Sampling,
    ) -> FloatTensor<Self> {
        if !sampling.truncates() || sampling.temperature == 0.0 {
            return sample::draw(logits, uniforms, sampling.temperature);
        }
        // Top-k and top-p need the order of the whole vocabulary, which a sort on the host gives.
        let device = Self::float_device(logits);
        let read = burn::tensor::read_sync(Self::float_into_data(logits.clone()));
        let Ok(values) = read.map(|data| data.iter::<f32>().collect::<Vec<_>>()) else {
            panic!("the logits could not be read back from the device")
        };
        Self::float_from_data(sample_twin::rows(&values, uniforms, sampling), &device)
    }

    fn device_memory(device: &Self::Device) -> Option<DeviceMemory> {
        let usage = R::client(device).memory_usage().ok()?;
        Some(DeviceMemory { in_use: usage.bytes_in_use, reserved: usage.bytes_reserved })
    }
}

impl<R: Runtime, BT: BoolElement> TrainingKernels for CubeBackend<R, f32, i32, BT> {
    fn project_backward(
        x: &FloatTensor<Self>,
        weight: &FloatTensor<Self>,
        dy: &FloatTensor<Self>,
        needs: [bool; 2],
    ) -> [Option<FloatTensor<Self>>; 2] {
        let dx = needs[0].then(|| product(dy.clone(), weight.clone()));
        let dweight = needs[1].then(|| product(transposed(dy), x.clone()));
        [dx, dweight]
    }

    fn rms_norm_backward(
        x: &FloatTensor<Self>,
        gamma: &FloatTensor<Self>,
        epsilon: f32,
        dy: &FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 2] {
        rms_norm::backward(x, gamma, epsilon, dy)
    }

    fn swiglu_backward(
        gate: &FloatTensor<Self>,
        up: &FloatTensor<Self>,
        dy: &FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 2] {
        elementwise::swiglu_backward(gate, up, dy)
    }

    fn rope_backward(dy: FloatTensor<Self>, rotary: &Rotary) -> FloatTensor<Self> {
        elementwise::rotate(&dy, rotary, true)
    }

    fn packed_attention_backward(
        qkv: [&FloatTensor<Self>; 3],
        plan: &AttentionPlan,
        saved: [&FloatTensor<Self>; 2],
        dout: &FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3] {
        attention::backward(qkv, plan, saved, dout)
    }

    fn token_logprob_backward(
        inputs: [&FloatTensor<Self>; 2],
        tokens: &[u32],
        temperature: f32,
        saved: [&FloatTensor<Self>; 2],
        dout: &FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 2] {
        token_logprob::backward::<Self>(inputs, tokens, temperature, saved, dout)
    }

    fn logit_logprob_backward(
        logits: &FloatTensor<Self>,
        tokens: &[u32],
        temperature: f32,
        saved: [&FloatTensor<Self>; 2],
        dout: &FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        R::logit_logprob_backward(logits, tokens, temperature, saved, dout)
    }

    fn gather_rows_backward(
        dout: &FloatTensor<Self>,
        index: &[u32],
        rows: usize,
    ) -> FloatTensor<Self> {
        rows::scatter_add(dout, index, rows)
    }

    fn sum_of_squares(x: &FloatTensor<Self>) -> FloatTensor<Self> {
        elementwise::sum_of_squares(x)
    }

    fn adamw_step(
        hyper: AdamW,
        weight: FloatTensor<Self>,
        [first, second]: [FloatTensor<Self>; 2],
        gradient: &FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3] {
        elementwise::adamw(hyper, [weight, first, second], gradient)
    }
}
