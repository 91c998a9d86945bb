//! The decoder: all families as configurations of one module.
//!
//! Field names are those of Hugging Face's tensors, so the path of a parameter inside the module is
//! its name in a checkpoint. Weights keep Hugging Face's layout, `[output, input]`.
//! What a family has or lacks is settled when a decoder is made: a norm or a bias that is not there, a factor of 1, a
//! rotation by nothing.

use burn::module::Module;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Tensor, backend::Backend};

use super::kv_cache::{KvCache, LayerCache};
use super::linear::{Linear, Norm};
use super::packing::{self, Newest, NextTokens, Packed};
use super::parameters::Source;
use super::pass::{Keys, Pass, Tokens};
use super::{Gate, ModelConfig, ModelError, Rotation};
use crate::kernel::{self, Kernels, Weight};

/// A decoder-only transformer over packed tokens.
#[derive(Module, Debug)]
pub struct Decoder<B: Backend> {
    model: Backbone<B>,
    lm_head: Option<Linear<B>>,
}

impl<B: Backend> Decoder<B> {
    /// Builds the decoder that `config` describes, asking `source` for every parameter.
    ///
    /// # Errors
    /// What `source` answers, and sizes that do not fit each other.
    pub fn new(
        config: &ModelConfig,
        source: &mut Source,
        device: &B::Device,
    ) -> Result<Self, ModelError> {
        config.validate()?;
        Self::without_values(config, device).with_values(|_| true, source)
    }

    pub(super) fn without_values(config: &ModelConfig, device: &B::Device) -> Self {
        let head = [config.vocab_size, config.hidden_size];
        Self {
            model: Backbone::new(config, device),
            lm_head: (!config.tie_word_embeddings).then(|| Linear::new(head, false, device)),
        }
    }

    /// Number of layers.
    pub fn depth(&self) -> usize {
        self.model.layers.len()
    }

    /// Width of the keys of one token in one layer.
    pub fn kv_width(&self) -> usize {
        let first = self.model.layers.first();
        first.map_or(0, |layer| layer.self_attn.kv_heads * layer.self_attn.head_dim)
    }

    /// Where the parameters live.
    pub fn device(&self) -> B::Device {
        self.model.embed_tokens.device()
    }
}

impl<B: Kernels> Decoder<B> {
    /// Hidden states `[n, d]` of packed tokens, after the final norm.
    pub fn forward(&self, packed: &Packed) -> Tensor<B, 2> {
        self.model.forward(self.embedded(&packed.ids), packed.tokens(&[]), None)
    }

    /// The same; keys and values go to `slots [n]` of a cache, too.
    pub fn prefill(&self, packed: &Packed, slots: &[u32], cache: &mut KvCache<B>) -> Tensor<B, 2> {
        self.model.forward(self.embedded(&packed.ids), packed.tokens(slots), Some(cache))
    }

    /// Hidden states `[n, d]` of the next tokens of rows in a cache, which their keys and values join.
    pub fn decode(&self, next: &NextTokens<B>, cache: &mut KvCache<B>) -> Tensor<B, 2> {
        let x = match &next.newest {
            Newest::Known(ids) => self.embedded(ids),
            Newest::Drawn { drawn, index } => {
                kernel::gather_drawn(&self.model.embed_tokens.base(), drawn, index)
            }
        };
        let (positions, slots) = (&packing::positions(&next.keys), &packing::slots(&next.keys));
        let tokens = Tokens { positions, keys: Keys::OfCache(&next.keys), slots };
        self.model.forward(x, tokens, Some(cache))
    }

    /// The residual stream `[n, d]` before each layer, and after the last.
    pub(super) fn stream(&self, packed: &Packed) -> (Vec<Tensor<B, 2>>, Tensor<B, 2>) {
        let pass = self.model.pass(&packed.tokens(&[]));
        let (mut x, mut before) = (self.embeddings_of(packed), Vec::with_capacity(self.depth()));
        for layer in &self.model.layers {
            before.push(x.clone());
            x = layer.forward_alone(x, &pass);
        }
        (before, x)
    }

    /// The residual stream after layer `index`, from that before it.
    pub(super) fn layer(&self, index: usize, x: Tensor<B, 2>, packed: &Packed) -> Tensor<B, 2> {
        self.model.layers[index].forward_alone(x, &self.model.pass(&packed.tokens(&[])))
    }

    /// Hidden states `[n, d]` from the residual stream after the last layer.
    pub(super) fn after_layers(&self, x: &Tensor<B, 2>) -> Tensor<B, 2> {
        self.model.leaving(x)
    }

    /// Whether the embedding has a gradient.
    pub(super) fn trains_embedding(&self) -> bool {
        self.model.embed_tokens.is_trained()
    }

    /// The residual stream `[n, d]` before the first layer, of packed tokens.
    pub(super) fn embeddings_of(&self, packed: &Packed) -> Tensor<B, 2> {
        self.model.entering(self.embedded(&packed.ids))
    }

    /// Embeddings `[n, d]` of tokens.
    fn embedded(&self, ids: &[u32]) -> Tensor<B, 2> {
        self.model.embed_tokens.base().rows(ids)
    }

    /// The decoder for a phase in which its weights do not change, as in rollouts: where the device gains by it,
    /// they are there a second time, in the order in which products read them. What is computed stays the
    /// same, to the last bit.
    pub fn for_inference(&self) -> Self {
        let mut decoder = self.clone();
        decoder.head_map_mut().pack();
        decoder.model.layers.iter_mut().flat_map(Layer::linears).for_each(|(_, map)| map.pack());
        decoder
    }

    /// Logits `[n, v]` of hidden states `[n, d]`.
    pub fn logits(&self, hidden: &Tensor<B, 2>) -> Tensor<B, 2> {
        self.head_map().as_weight().linear(hidden)
    }

    /// The output head `[v, d]`: its own matrix, or the embedding where they are tied.
    pub fn head(&self) -> Weight<B> {
        self.head_map().base()
    }
}

impl<B: Backend> Decoder<B> {
    fn head_map(&self) -> &Linear<B> {
        self.lm_head.as_ref().unwrap_or(&self.model.embed_tokens)
    }

    fn head_map_mut(&mut self) -> &mut Linear<B> {
        self.lm_head.as_mut().unwrap_or(&mut self.model.embed_tokens)
    }

    /// Every matrix with the name of its module in a checkpoint; a head that is tied comes with the embedding.
    pub(super) fn matrices(&mut self) -> Vec<(String, &mut Linear<B>)> {
        let Self { model: Backbone { embed_tokens, layers, .. }, lm_head } = self;
        let mut list = vec![("model.embed_tokens".to_owned(), embed_tokens)];
        for (index, layer) in layers.iter_mut().enumerate() {
            let named = |(name, map)| (format!("model.layers.{index}.{name}"), map);
            list.extend(layer.linears().map(named));
        }
        list.extend(lm_head.as_mut().map(|head| ("lm_head".to_owned(), head)));
        list
    }
}

/// The decoder without its output head.
#[derive(Module, Debug)]
struct Backbone<B: Backend> {
    embed_tokens: Linear<B>,
    layers: Vec<Layer<B>>,
    norm: Norm<B>,
    /// The rotations of queries and keys, of which each layer has one.
    rotations: Vec<Rotation>,
    /// What embeddings are multiplied by.
    embedding_scale: f64,
    /// What hidden states are multiplied by.
    hidden_scale: f64,
}

impl<B: Backend> Backbone<B> {
    fn new(config: &ModelConfig, device: &B::Device) -> Self {
        let embedding = [config.vocab_size, config.hidden_size];
        let layers = 0..config.num_hidden_layers;
        Self {
            embed_tokens: Linear::new(embedding, false, device),
            layers: layers.map(|index| Layer::new(config, index, device)).collect(),
            norm: Norm::new(
                config.hidden_size,
                [config.stream_epsilon(), config.norm_offset()],
                device,
            ),
            rotations: config.rotations(),
            embedding_scale: config.embedding_scale(),
            hidden_scale: config.hidden_scale(),
        }
    }
}

impl<B: Kernels> Backbone<B> {
    /// What all layers share of a pass over these tokens.
    fn pass(&self, tokens: &Tokens<'_>) -> Pass {
        let shape = self.layers.first().map_or([1, 1, 2], |layer| layer.self_attn.shape());
        Pass::new(tokens, shape, &self.rotations)
    }

    /// Hidden states `[n, d]` of tokens whose embeddings are `x [n, d]`.
    fn forward(
        &self,
        x: Tensor<B, 2>,
        tokens: Tokens<'_>,
        cache: Option<&mut KvCache<B>>,
    ) -> Tensor<B, 2> {
        let normed = self.through_layers(self.entering(x), tokens, cache);
        scaled(normed, self.hidden_scale)
    }

    /// The residual stream before the first layer, of embeddings `x [n, d]`.
    fn entering(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        scaled(x, self.embedding_scale)
    }

    /// Hidden states `[n, d]`, of the residual stream after the last layer.
    fn leaving(&self, x: &Tensor<B, 2>) -> Tensor<B, 2> {
        scaled(self.norm.forward(x), self.hidden_scale)
    }

    /// The residual stream after all layers, normalised.
    fn through_layers(
        &self,
        mut x: Tensor<B, 2>,
        tokens: Tokens<'_>,
        mut cache: Option<&mut KvCache<B>>,
    ) -> Tensor<B, 2> {
        let Some(first) = self.layers.first() else {
            return self.norm.forward(&x);
        };
        let pass = self.pass(&tokens);
        let mut normed = normalised(first.input_layernorm.as_ref(), x.clone());
        for (index, layer) in self.layers.iter().enumerate() {
            let cache = cache.as_mut().map(|cache| cache.layer(index));
            let next = match self.layers.get(index + 1) {
                Some(next) => next.input_layernorm.as_ref(),
                None => Some(&self.norm),
            };
            [x, normed] = layer.forward([x, normed], next, &pass, cache);
        }
        normed
    }
}

/// `x [n, d]` times a factor, which for most models is 1.
fn scaled<B: Backend>(x: Tensor<B, 2>, factor: f64) -> Tensor<B, 2> {
    if factor == 1.0 { x } else { x * factor }
}

/// `x [n, d]` as a block takes it or as it joins the residual stream: normalised where the family does so.
fn normalised<B: Kernels>(norm: Option<&Norm<B>>, x: Tensor<B, 2>) -> Tensor<B, 2> {
    match norm {
        Some(norm) => norm.forward(&x),
        None => x,
    }
}

/// Attention and a feed-forward part, each with a norm of what it takes, of what it gives, or both.
#[derive(Module, Debug)]
struct Layer<B: Backend> {
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
    fn new(config: &ModelConfig, index: usize, device: &B::Device) -> Self {
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

    /// Its matrices with their names in it.
    fn linears(&mut self) -> [(&'static str, &mut Linear<B>); 7] {
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
    fn forward_alone(&self, x: Tensor<B, 2>, pass: &Pass) -> Tensor<B, 2> {
        let normed = normalised(self.input_layernorm.as_ref(), x.clone());
        let [x, _] = self.forward([x, normed], None, pass, None);
        x
    }

    /// The residual stream and its norm after this layer, from those before it; `next` is the norm of
    /// whatever follows.
    fn forward(
        &self,
        [x, normed]: [Tensor<B, 2>; 2],
        next: Option<&Norm<B>>,
        pass: &Pass,
        cache: Option<&mut LayerCache<B>>,
    ) -> [Tensor<B, 2>; 2] {
        let attended = self.self_attn.forward(&normed, pass, cache);
        let [x, normed] = joined(x, attended, self.around_attention());
        joined(x, self.mlp.forward(&normed), [self.post_feedforward_layernorm.as_ref(), next])
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

    /// Heads, key heads and the width of one.
    fn shape(&self) -> [usize; 3] {
        [self.heads, self.kv_heads, self.head_dim]
    }
}

impl<B: Kernels> Attention<B> {
    fn forward(
        &self,
        x: &Tensor<B, 2>,
        pass: &Pass,
        cache: Option<&mut LayerCache<B>>,
    ) -> Tensor<B, 2> {
        let [q, k, v] = Linear::forward_all([&self.q_proj, &self.k_proj, &self.v_proj], x);
        let (q, k) = (by_parts(&self.q_norm, q), by_parts(&self.k_norm, k));
        self.o_proj.forward(&pass.attend([q, k, v], self.rotation, cache))
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
    fn forward(&self, x: &Tensor<B, 2>) -> Tensor<B, 2> {
        let (gate, up) = (&self.gate_proj, &self.up_proj);
        self.down_proj.forward(&match self.gate {
            Gate::Silu => Linear::gated([gate, up], x),
            Gate::GeluTanh => gelu(gate.forward(x)) * up.forward(x),
        })
    }
}

/// ½·x·(1 + tanh u) = x·σ(2u) with u = √(2/π)·(x + 0.044715·x³), element by element.
fn gelu<B: Backend>(x: Tensor<B, 2>) -> Tensor<B, 2> {
    let twice_root = 2.0 * (2.0 / std::f64::consts::PI).sqrt();
    let square = x.clone() * x.clone();
    let twice_u = x.clone() * (square * (0.044715 * twice_root) + twice_root);
    x * sigmoid(twice_u)
}
