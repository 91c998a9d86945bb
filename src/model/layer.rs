//! A layer of the decoder: attention and a feed-forward part around the residual stream.
//!
//! What a family has or lacks is settled when a layer is made; no pass asks for it.

use burn::module::Module;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Tensor, backend::Backend};

use super::kv_cache::LayerCache;
use super::linear::{Linear, Norm};
use super::lora::UpdatePass;
use super::pass::Pass;
use super::{Gate, ModelConfig};
use crate::kernel::Kernels;

/// `x [n, d]` as a block takes it or as it joins the residual stream: normalised where the family does so.
pub(super) fn normalised<B: Kernels>(norm: Option<&Norm<B>>, x: Tensor<B, 2>) -> Tensor<B, 2> {
    match norm {
        Some(norm) => norm.forward(&x),
        None => x,
    }
}

/// Attention and a feed-forward part, each with a norm of what it takes, of what it gives, or both.
#[derive(Module, Debug)]
pub(super) struct Layer<B: Backend> {
    input_layernorm: Option<Norm<B>>,
    self_attn: Attention<B>,
    /// Of what the feed-forward part takes, or of what attention gives where `norms_outputs`.
    post_attention_layernorm: Norm<B>,
    pre_feedforward_layernorm: Option<Norm<B>>,
    mlp: Mlp<B>,
    post_feedforward_layernorm: Option<Norm<B>>,
    norms_outputs: bool,
}

impl<B: Backend> Layer<B> {
    /// Layer `index`, without values yet.
    pub(super) fn new(config: &ModelConfig, index: usize, device: &B::Device) -> Self {
        let (norms_inputs, norms_outputs) = (config.norms_inputs(), config.norms_outputs());
        let norm = |epsilon| Norm::new(config.hidden_size, [epsilon, config.norm_offset()], device);
        let of_outputs = || norm(config.rms_norm_eps);
        let of_stream = || norm(config.stream_epsilon());
        Self {
            input_layernorm: norms_inputs.then(of_stream),
            self_attn: Attention::new(config, index, device),
            post_attention_layernorm: if norms_outputs { of_outputs() } else { of_stream() },
            pre_feedforward_layernorm: (norms_inputs && norms_outputs).then(of_stream),
            mlp: Mlp::new(config, device),
            post_feedforward_layernorm: norms_outputs.then(of_outputs),
            norms_outputs,
        }
    }

    /// Heads, key heads and the width of one.
    pub(super) fn heads(&self) -> [usize; 3] {
        let Attention { heads, kv_heads, head_dim, .. } = self.self_attn;
        [heads, kv_heads, head_dim]
    }

    /// The norm of what attention takes, where the family has one.
    pub(super) fn input_norm(&self) -> Option<&Norm<B>> {
        self.input_layernorm.as_ref()
    }

    /// Its matrices with their names in it.
    pub(super) fn linears(&mut self) -> [(&'static str, &mut Linear<B>); 7] {
        let (attention, mlp) = (&mut self.self_attn, &mut self.mlp);
        [
            ("self_attn.q_proj", &mut attention.q_proj),
            ("self_attn.k_proj", &mut attention.k_proj),
            ("self_attn.v_proj", &mut attention.v_proj),
            ("self_attn.o_proj", &mut attention.o_proj),
            ("mlp.gate_proj", &mut mlp.gate_proj),
            ("mlp.up_proj", &mut mlp.up_proj),
            ("mlp.down_proj", &mut mlp.down_proj),
        ]
    }
}

impl<B: Kernels> Layer<B> {
    /// The residual stream after this layer, from that before it.
    pub(super) fn forward_alone(&self, x: Tensor<B, 2>, pass: &Pass) -> Tensor<B, 2> {
        let normed = normalised(self.input_layernorm.as_ref(), x.clone());
        let [x, _] = self.forward([x, normed], None, pass, None);
        x
    }

    /// The residual stream and its norm after this layer, from those before it; `next` is the norm of
    /// whatever follows.
    pub(super) fn forward(
        &self,
        [x, normed]: [Tensor<B, 2>; 2],
        next: Option<&Norm<B>>,
        pass: &Pass,
        cache: Option<&mut LayerCache<B>>,
    ) -> [Tensor<B, 2>; 2] {
        let attended = self.self_attn.forward(&normed, pass, cache);
        let [x, normed] = joined(x, attended, self.around_attention());
        let y = self.mlp.forward(&normed, pass.update);
        joined(x, y, [self.post_feedforward_layernorm.as_ref(), next])
    }

    /// The norm of what attention gives, and that of what the feed-forward part takes.
    fn around_attention(&self) -> [Option<&Norm<B>>; 2] {
        let norm = Some(&self.post_attention_layernorm);
        match self.norms_outputs {
            true => [norm, self.pre_feedforward_layernorm.as_ref()],
            false => [None, norm],
        }
    }
}

/// The residual stream x `[n, d]` after a block gave y `[n, d]`, and what the next block takes; the norms are
/// of y and of that, where the family has them.
fn joined<B: Kernels>(
    x: Tensor<B, 2>,
    y: Tensor<B, 2>,
    [of_output, of_input]: [Option<&Norm<B>>; 2],
) -> [Tensor<B, 2>; 2] {
    let y = normalised(of_output, y);
    match of_input {
        Some(norm) => norm.forward_sum(x, y),
        None => {
            let sum = x + y;
            [sum.clone(), sum]
        }
    }
}

#[derive(Module, Debug)]
struct Attention<B: Backend> {
    q_proj: Linear<B>,
    k_proj: Linear<B>,
    v_proj: Linear<B>,
    q_norm: Option<Norm<B>>,
    k_norm: Option<Norm<B>>,
    o_proj: Linear<B>,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    /// Which of the model's rotations this layer has.
    rotation: usize,
}

impl<B: Backend> Attention<B> {
    fn new(config: &ModelConfig, index: usize, device: &B::Device) -> Self {
        let (heads, kv_heads) = (config.num_attention_heads, config.num_key_value_heads());
        let (width, head_dim) = (config.hidden_size, config.head_dim());
        let project = |heads, bias| Linear::new([heads * head_dim, width], bias, device);
        let norm = |width| Norm::new(width, [config.rms_norm_eps, config.norm_offset()], device);
        let [q_norm, k_norm] = match config.qk_norm_widths() {
            Some(widths) => widths.map(norm).map(Some),
            None => [None, None],
        };
        let bias = config.has_qkv_bias();
        Self {
            q_proj: project(heads, bias),
            k_proj: project(kv_heads, bias),
            v_proj: project(kv_heads, bias),
            q_norm,
            k_norm,
            o_proj: Linear::new([width, heads * head_dim], config.has_output_bias(), device),
            heads,
            kv_heads,
            head_dim,
            rotation: config.rotation_of(index),
        }
    }
}

impl<B: Kernels> Attention<B> {
    fn forward(
        &self,
        x: &Tensor<B, 2>,
        pass: &Pass,
        cache: Option<&mut LayerCache<B>>,
    ) -> Tensor<B, 2> {
        let maps = [&self.q_proj, &self.k_proj, &self.v_proj];
        let [q, k, v] = Linear::forward_all(maps, x, pass.update);
        let (q, k) = (by_parts(&self.q_norm, q), by_parts(&self.k_norm, k));
        self.o_proj.forward(&pass.attend([q, k, v], self.rotation, cache), pass.update)
    }
}

/// Normalises every part of a row by itself that is as wide as the norm: each head, or all of them together.
fn by_parts<B: Kernels>(norm: &Option<Norm<B>>, x: Tensor<B, 2>) -> Tensor<B, 2> {
    let Some(norm) = norm else { return x };
    let ([n, width], part) = (x.dims(), norm.width());
    norm.forward(&x.reshape([n * width / part, part])).reshape([n, width])
}

#[derive(Module, Debug)]
struct Mlp<B: Backend> {
    gate_proj: Linear<B>,
    up_proj: Linear<B>,
    down_proj: Linear<B>,
    gate: Gate,
}

impl<B: Backend> Mlp<B> {
    fn new(config: &ModelConfig, device: &B::Device) -> Self {
        let (width, inner, bias) = (config.hidden_size, config.intermediate_size, config.mlp_bias);
        Self {
            gate_proj: Linear::new([inner, width], bias, device),
            up_proj: Linear::new([inner, width], bias, device),
            down_proj: Linear::new([width, inner], bias, device),
            gate: config.gate(),
        }
    }
}

impl<B: Kernels> Mlp<B> {
    fn forward(&self, x: &Tensor<B, 2>, update: Option<UpdatePass>) -> Tensor<B, 2> {
        let (gate, up) = (&self.gate_proj, &self.up_proj);
        let gated = match self.gate {
            Gate::Silu => Linear::gated([gate, up], x, update),
            Gate::GeluTanh => gelu(gate.forward(x, update)) * up.forward(x, update),
        };
        self.down_proj.forward(&gated, update)
    }
}

/// ½·x·(1 + tanh u) = x·σ(2u) with u = √(2/π)·(x + 0.044715·x³), element by element.
fn gelu<B: Backend>(x: Tensor<B, 2>) -> Tensor<B, 2> {
    let twice_root = 2.0 * (2.0 / std::f64::consts::PI).sqrt();
    let square = x.clone() * x.clone();
    let twice_u = x.clone() * (square * (0.044715 * twice_root) + twice_root);
    x * sigmoid(twice_u)
}
