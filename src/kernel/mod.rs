//! Operations that Burn does not have or does slowly, as an extension of its `Backend` trait.
//!
//! Each operation is one file: the formula and its plain-Rust twin for the CPU with a hand-written
//! gradient; its form for GPUs is in `kernel/cube` or `shaders/`. [`Kernels`] is what a backend must
//! bring; the functions below are what the rest of the program calls, on any backend, with or without
//! autodiff.
//!
//! Tokens are packed: activations are `[n, width]` over all tokens of all rows, without padding.
//! What belongs together is said by an [`AttentionPlan`].

mod adamw;
mod attention;
mod autodiff;
pub mod check;
#[cfg(feature = "cube")]
mod cube;
mod few_rows;
mod gemm;
pub mod group_advantage;
pub mod group_baseline;
pub mod group_rule;
pub mod groups;
mod host;
mod linear;
mod math;
mod memory;
mod rms_norm;
mod rope;
mod rows;
mod sample;
#[cfg(feature = "wgpu")]
#[cfg(test)]
mod shader_tests;
mod swiglu;
mod token_logprob;
mod token_weights;
#[cfg(feature = "wgpu")]
mod wgsl;
pub mod whiten;

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorPrimitive};

pub use adamw::AdamW;
pub use attention::{AttentionPlan, Span};
pub use memory::DeviceMemory;
pub use rope::Rotary;
pub use sample::Sampling;
pub use token_weights::TokenWeighting;

use group_rule::{GroupRule, PivotDraws};

/// The backend of every graphics API, with Burn's fusion.
#[cfg(feature = "wgpu")]
pub type Graphics = burn::backend::Wgpu;

/// The backend of NVIDIA's CUDA, with Burn's fusion.
#[cfg(feature = "cuda")]
pub type Cuda = burn::backend::Cuda;

/// A backend that runs this program's kernels forwards. The shapes are those of the functions below.
#[allow(missing_docs)]
pub trait Kernels: Backend {
    fn project(x: &FloatTensor<Self>, weight: &FloatTensor<Self>) -> FloatTensor<Self>;
    fn rms_norm(
        x: &FloatTensor<Self>,
        gamma: &FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;
    fn swiglu(gate: &FloatTensor<Self>, up: &FloatTensor<Self>) -> FloatTensor<Self>;
    fn rope(x: FloatTensor<Self>, rotary: &Rotary) -> FloatTensor<Self>;
    fn packed_attention(
        qkv: [&FloatTensor<Self>; 3],
        plan: &AttentionPlan,
    ) -> [FloatTensor<Self>; 2];
    fn token_logprob(
        hidden: &FloatTensor<Self>,
        head: &FloatTensor<Self>,
        tokens: &[u32],
        temperature: f32,
    ) -> [FloatTensor<Self>; 2];
    fn logit_logprob(
        logits: &FloatTensor<Self>,
        tokens: &[u32],
        temperature: f32,
    ) -> [FloatTensor<Self>; 2];
    fn token_weights(
        advantages: &FloatTensor<Self>,
        lengths: &[u32],
        tokens: usize,
        weighting: TokenWeighting,
    ) -> [FloatTensor<Self>; 2];
    fn group_baseline(
        rewards_valid_lengths: [&FloatTensor<Self>; 3],
        rule: &GroupRule,
        draws: PivotDraws,
    ) -> FloatTensor<Self>;
    fn group_advantage(
        rewards_valid: [&FloatTensor<Self>; 2],
        baselines: &FloatTensor<Self>,
        clip: f32,
    ) -> [FloatTensor<Self>; 2];
    fn whiten(advantages: &FloatTensor<Self>, tokens: &FloatTensor<Self>) -> FloatTensor<Self>;
    fn gather_rows(x: &FloatTensor<Self>, index: &[u32]) -> FloatTensor<Self>;
    fn write_rows(
        x: FloatTensor<Self>,
        index: &[u32],
        rows: &FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    fn sample(
        logits: &FloatTensor<Self>,
        uniforms: &[f32],
        sampling: Sampling,
    ) -> FloatTensor<Self>;
    fn device_memory(device: &Self::Device) -> Option<DeviceMemory>;
}

/// The other half, which training adds: gradients of the kernels and the optimiser's pass. Under
/// `Autodiff` it is the inner backend that brings it.
#[allow(missing_docs)]
pub trait TrainingKernels: Kernels {
    fn project_backward(
        x: &FloatTensor<Self>,
        weight: &FloatTensor<Self>,
        dy: &FloatTensor<Self>,
        needs: [bool; 2],
    ) -> [Option<FloatTensor<Self>>; 2];
    fn rms_norm_backward(
        x: &FloatTensor<Self>,
        gamma: &FloatTensor<Self>,
        epsilon: f32,
        dy: &FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 2];
    fn swiglu_backward(
        gate: &FloatTensor<Self>,
        up: &FloatTensor<Self>,
        dy: &FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 2];
    fn rope_backward(dy: FloatTensor<Self>, rotary: &Rotary) -> FloatTensor<Self>;
    fn packed_attention_backward(
        qkv: [&FloatTensor<Self>; 3],
        plan: &AttentionPlan,
        saved: [&FloatTensor<Self>; 2],
        dout: &FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3];
    fn token_logprob_backward(
        inputs: [&FloatTensor<Self>; 2],
        tokens: &[u32],
        temperature: f32,
        saved: [&FloatTensor<Self>; 2],
        dout: &FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 2];
    fn logit_logprob_backward(
        logits: &FloatTensor<Self>,
        tokens: &[u32],
        temperature: f32,
        saved: [&FloatTensor<Self>; 2],
        dout: &FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    fn gather_rows_backward(
        dout: &FloatTensor<Self>,
        index: &[u32],
        rows: usize,
    ) -> FloatTensor<Self>;
    fn sum_of_squares(x: &FloatTensor<Self>) -> FloatTensor<Self>;
    fn adamw_step(
        hyper: AdamW,
        weight: FloatTensor<Self>,
        moments: [FloatTensor<Self>; 2],
        gradient: &FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3];
}

/// `x · weightᵀ`: `[n, input]` and `[output, input]` (as Hugging Face stores it) to `[n, output]`.
pub fn linear<B: Kernels>(x: &Tensor<B, 2>, weight: &Tensor<B, 2>) -> Tensor<B, 2> {
    float(B::project(&primitive(x), &primitive(weight)))
}

/// Root-mean-square normalisation of the rows of `x [n, d]` with scale `gamma [d]`.
pub fn rms_norm<B: Kernels>(x: &Tensor<B, 2>, gamma: &Tensor<B, 1>, epsilon: f32) -> Tensor<B, 2> {
    float(B::rms_norm(&primitive(x), &primitive(gamma), epsilon))
}

/// `silu(gate) · up`, element by element of `[n, d]`.
pub fn swiglu<B: Kernels>(gate: &Tensor<B, 2>, up: &Tensor<B, 2>) -> Tensor<B, 2> {
    float(B::swiglu(&primitive(gate), &primitive(up)))
}

/// Rotates the heads of `x [n, heads · head_dim]` by their tokens' positions.
pub fn rope<B: Kernels>(x: Tensor<B, 2>, rotary: &Rotary) -> Tensor<B, 2> {
    float(B::rope(x.into_primitive().tensor(), rotary))
}

/// Attention output `[n, heads·d]` of `q [n, heads·d]` over `k` and `v` `[m, kv_heads·d]`.
pub fn attention<B: Kernels>(
    q: &Tensor<B, 2>,
    k: &Tensor<B, 2>,
    v: &Tensor<B, 2>,
    plan: &AttentionPlan,
) -> Tensor<B, 2> {
    let [out, _] = B::packed_attention([&primitive(q), &primitive(k), &primitive(v)], plan);
    float(out)
}

/// Log-probability of `tokens [n]` and entropy of their distributions: two tensors `[n]`, in nats, from
/// hidden states `[n, d]` and an output head `[v, d]`, logits divided by `temperature`.
pub fn token_logprob<B: Kernels>(
    hidden: &Tensor<B, 2>,
    head: &Tensor<B, 2>,
    tokens: &[u32],
    temperature: f32,
) -> [Tensor<B, 1>; 2] {
    let [out, _] = B::token_logprob(&primitive(hidden), &primitive(head), tokens, temperature);
    let out: Tensor<B, 2> = float(out);
    [0, 1].map(|column| out.clone().narrow(1, column, 1).squeeze_dim(1))
}

/// The same from logits `[n, v]` that exist already; no `[n, v]` log-softmax is ever stored.
pub fn logit_logprob<B: Kernels>(
    logits: &Tensor<B, 2>,
    tokens: &[u32],
    temperature: f32,
) -> [Tensor<B, 1>; 2] {
    let [out, _] = B::logit_logprob(&primitive(logits), tokens, temperature);
    let out: Tensor<B, 2> = float(out);
    [0, 1].map(|column| out.clone().narrow(1, column, 1).squeeze_dim(1))
}

/// Weight of every token's loss and its advantage, both `[b, tokens]` and 0 behind a row's length.
///
/// Advantages are `[b, 1]` or `[b, tokens]`, lengths `[b]`; whatever stands on a pad is never read.
pub fn token_weights<B: Kernels>(
    advantages: &Tensor<B, 2>,
    lengths: &[u32],
    tokens: usize,
    weighting: TokenWeighting,
) -> [Tensor<B, 2>; 2] {
    B::token_weights(&primitive(advantages), lengths, tokens, weighting).map(float)
}

/// Rows `index` of `x [m, d]`: `[index.len(), d]`.
pub fn gather_rows<B: Kernels>(x: &Tensor<B, 2>, index: &[u32]) -> Tensor<B, 2> {
    float(B::gather_rows(&primitive(x), index))
}

/// `x [m, d]` with rows `index` replaced by `rows [index.len(), d]`; in place where `x` is unshared.
pub fn write_rows<B: Kernels>(x: Tensor<B, 2>, index: &[u32], rows: &Tensor<B, 2>) -> Tensor<B, 2> {
    float(B::write_rows(x.into_primitive().tensor(), index, &primitive(rows)))
}

/// One token for each row of `logits [n, v]` and its log-probability, `[n, 2]`, from `uniforms` in
/// (0, 1). Ids stand among floats so that one readback brings both; they are exact below 16.7
/// million.
pub fn sample<B: Kernels>(
    logits: &Tensor<B, 2>,
    uniforms: &[f32],
    sampling: Sampling,
) -> Tensor<B, 2> {
    float(B::sample(&primitive(logits), uniforms, sampling))
}

/// What the device holds for this process, once it has done all that it was given; `None` where its
/// tensors lie in the process itself, whose own memory tells.
pub fn device_memory<B: Kernels>(device: &B::Device) -> Option<DeviceMemory> {
    B::device_memory(device)
}

/// Σ x² as a tensor of one element, summed in double precision where the device has it.
pub fn sum_of_squares<B: TrainingKernels, const D: usize>(x: &Tensor<B, D>) -> Tensor<B, 1> {
    float(B::sum_of_squares(&primitive(x)))
}

/// A weight and its two moments after one AdamW step, in place where they are unshared. Moments and
/// gradient are flat, `[n]` for a weight of n elements.
pub fn adamw_step<B: TrainingKernels, const D: usize>(
    hyper: AdamW,
    weight: Tensor<B, D>,
    moments: [Tensor<B, 1>; 2],
    gradient: &Tensor<B, 1>,
) -> (Tensor<B, D>, [Tensor<B, 1>; 2]) {
    let moments = moments.map(|m| m.into_primitive().tensor());
    let weight = weight.into_primitive().tensor();
    let [weight, first, second] = B::adamw_step(hyper, weight, moments, &primitive(gradient));
    (float(weight), [float(first), float(second)])
}

fn float<B: Backend, const D: usize>(tensor: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(tensor))
}

fn primitive<B: Backend, const D: usize>(tensor: &Tensor<B, D>) -> FloatTensor<B> {
    tensor.clone().into_primitive().tensor()
}
