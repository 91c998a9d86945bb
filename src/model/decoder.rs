//! The decoder: all families as configurations of one module.
//!
//! Field names are those of Hugging Face's tensors, so the path of a parameter inside the module is
//! its name in a checkpoint. Weights keep Hugging Face's layout, `[output, input]`.
//! What a family has or lacks is settled when a decoder is made: a norm or a bias that is not there, a factor of 1, a
//! rotation by nothing.

use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};

use super::kv_cache::KvCache;
use super::layer::{Layer, normalised};
use super::linear::{Linear, Norm};
use super::lora::UpdatePass;
use super::packing::{self, Newest, NextTokens, Packed};
use super::parameters::Source;
use super::pass::{Keys, Pass, Tokens};
use super::{ModelConfig, ModelError, Rotation};
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
        let heads = self.model.layers.first().map(Layer::heads);
        heads.map_or(0, |[_, kv_heads, head_dim]| kv_heads * head_dim)
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

    /// The same in an update.
    pub(super) fn forward_in(&self, packed: &Packed, update: UpdatePass) -> Tensor<B, 2> {
        let tokens = Tokens { update: Some(update), ..packed.tokens(&[]) };
        self.model.forward(self.embedded(&packed.ids), tokens, None)
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
        let tokens = Tokens { positions, keys: Keys::OfCache(&next.keys), slots, update: None };
        self.model.forward(x, tokens, Some(cache))
    }

    /// What all layers share of an update's pass over packed tokens.
    pub(super) fn pass(&self, packed: &Packed, update: UpdatePass) -> Pass {
        self.model.pass(&Tokens { update: Some(update), ..packed.tokens(&[]) })
    }

    /// The residual stream `[n, d]` before each layer, and after the last.
    pub(super) fn stream(&self, packed: &Packed, pass: &Pass) -> (Vec<Tensor<B, 2>>, Tensor<B, 2>) {
        let (mut x, mut before) = (self.embeddings_of(packed), Vec::with_capacity(self.depth()));
        for layer in &self.model.layers {
            before.push(x.clone());
            x = layer.forward_alone(x, pass);
        }
        (before, x)
    }

    /// The residual stream after layer `index`, from that before it.
    pub(super) fn layer(&self, index: usize, x: Tensor<B, 2>, pass: &Pass) -> Tensor<B, 2> {
        self.model.layers[index].forward_alone(x, pass)
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
        // Without a layer nothing asks for it.
        let heads = self.layers.first().map_or([1, 1, 2], Layer::heads);
        Pass::new(tokens, heads, &self.rotations)
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
        let mut normed = normalised(first.input_norm(), x.clone());
        for (index, layer) in self.layers.iter().enumerate() {
            let cache = cache.as_mut().map(|cache| cache.layer(index));
            let next = match self.layers.get(index + 1) {
                Some(next) => next.input_norm(),
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
