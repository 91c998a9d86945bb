//! The decoder: Llama, SmolLM2, Mistral, Qwen2 and Qwen3 as configurations of one module.
//!
//! Field names are those of Hugging Face's tensors, so the path of a parameter inside the module is
//! its name in a checkpoint. Weights keep Hugging Face's layout, `[output, input]`.

use burn::module::{Module, Param};
use burn::tensor::{DType, Tensor, TensorData, backend::Backend};

use super::kv_cache::{KvCache, LayerCache};
use super::packing::Packed;
use super::{ModelConfig, ModelError};
use crate::kernel::{self, AttentionPlan, Kernels, Rotary};

/// Where the values of parameters come from: name and shape in, row-major values out.
pub type Source<'a> = dyn FnMut(&str, &[usize]) -> Result<Vec<f32>, ModelError> + 'a;

/// A decoder-only transformer over packed tokens.
#[derive(Module, Debug)]
pub struct Decoder<B: Backend> {
    embed_tokens: Embedding<B>,
    layers: Vec<Layer<B>>,
    norm: Norm<B>,
    lm_head: Option<Linear<B>>,
    rope_theta: f64,
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
        let mut build = Builder { config, source, device };
        let vocabulary = [config.vocab_size, config.hidden_size];
        Ok(Self {
            embed_tokens: Embedding {
                weight: build.matrix("model.embed_tokens.weight", vocabulary)?,
            },
            layers: (0..config.num_hidden_layers)
                .map(|layer| Layer::new(&mut build, &format!("model.layers.{layer}")))
                .collect::<Result<_, _>>()?,
            norm: Norm::new(&mut build, "model.norm", config.hidden_size)?,
            lm_head: match config.tie_word_embeddings {
                true => None,
                false => Some(Linear::new(&mut build, "lm_head", vocabulary, false)?),
            },
            rope_theta: config.rope_theta,
        })
    }

    /// Number of layers.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// Width of the keys of one token in one layer.
    pub fn kv_width(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.self_attn.kv_heads * layer.self_attn.head_dim)
    }

    /// Where the parameters live.
    pub fn device(&self) -> B::Device {
        self.embed_tokens.weight.device()
    }
}

impl<B: Kernels> Decoder<B> {
    /// Hidden states `[n, d]` of packed tokens, after the final norm.
    ///
    /// With a cache, keys and values are written to the slots of `packed` and attention reads the
    /// whole cache; without one it reads the keys of this pass.
    pub fn forward(&self, packed: &Packed, mut cache: Option<&mut KvCache<B>>) -> Tensor<B, 2> {
        let mut x = kernel::gather_rows(&in_f32(&self.embed_tokens.weight), &packed.ids);
        let Some(first) = self.layers.first() else {
            return self.norm.forward(&x);
        };
        let pass = Pass {
            rotary: Rotary::new(&packed.positions, first.self_attn.head_dim, self.rope_theta),
            plan: first.self_attn.plan(packed),
            slots: &packed.slots,
        };
        for (index, layer) in self.layers.iter().enumerate() {
            let cache = cache.as_mut().map(|cache| cache.layer(index));
            x = layer.forward(x, &pass, cache);
        }
        self.norm.forward(&x)
    }

    /// Logits `[n, v]` of hidden states `[n, d]`.
    pub fn logits(&self, hidden: &Tensor<B, 2>) -> Tensor<B, 2> {
        kernel::linear(hidden, &self.head())
    }

    /// The output head `[v, d]`: its own matrix, or the embedding where they are tied.
    pub fn head(&self) -> Tensor<B, 2> {
        match &self.lm_head {
            Some(head) => in_f32(&head.weight),
            None => in_f32(&self.embed_tokens.weight),
        }
    }
}

/// What all layers of one forward pass share.
struct Pass<'a> {
    rotary: Rotary,
    plan: AttentionPlan,
    slots: &'a [u32],
}

#[derive(Module, Debug)]
struct Embedding<B: Backend> {
    weight: Param<Tensor<B, 2>>,
}

#[derive(Module, Debug)]
struct Layer<B: Backend> {
    input_layernorm: Norm<B>,
    self_attn: Attention<B>,
    post_attention_layernorm: Norm<B>,
    mlp: Mlp<B>,
}

impl<B: Backend> Layer<B> {
    fn new(build: &mut Builder<B>, name: &str) -> Result<Self, ModelError> {
        let width = build.config.hidden_size;
        Ok(Self {
            input_layernorm: Norm::new(build, &format!("{name}.input_layernorm"), width)?,
            self_attn: Attention::new(build, &format!("{name}.self_attn"))?,
            post_attention_layernorm: Norm::new(
                build,
                &format!("{name}.post_attention_layernorm"),
                width,
            )?,
            mlp: Mlp::new(build, &format!("{name}.mlp"))?,
        })
    }
}

impl<B: Kernels> Layer<B> {
    fn forward(
        &self,
        x: Tensor<B, 2>,
        pass: &Pass,
        cache: Option<&mut LayerCache<B>>,
    ) -> Tensor<B, 2> {
        let x = self.self_attn.forward(&self.input_layernorm.forward(&x), pass, cache) + x;
        self.mlp.forward(&self.post_attention_layernorm.forward(&x)) + x
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
}

impl<B: Backend> Attention<B> {
    fn new(build: &mut Builder<B>, name: &str) -> Result<Self, ModelError> {
        let config = build.config;
        let (heads, kv_heads) = (config.num_attention_heads, config.num_key_value_heads());
        let (width, head_dim) = (config.hidden_size, config.head_dim());
        let mut linear =
            |part: &str, shape, bias| Linear::new(build, &format!("{name}.{part}"), shape, bias);
        let bias = config.has_qkv_bias();
        let q_proj = linear("q_proj", [heads * head_dim, width], bias)?;
        let k_proj = linear("k_proj", [kv_heads * head_dim, width], bias)?;
        let v_proj = linear("v_proj", [kv_heads * head_dim, width], bias)?;
        let o_proj = linear("o_proj", [width, heads * head_dim], config.has_output_bias())?;
        let mut norm = |part: &str| match config.has_qk_norm() {
            true => Norm::new(build, &format!("{name}.{part}"), head_dim).map(Some),
            false => Ok(None),
        };
        let (q_norm, k_norm) = (norm("q_norm")?, norm("k_norm")?);
        Ok(Self { q_proj, k_proj, v_proj, q_norm, k_norm, o_proj, heads, kv_heads, head_dim })
    }

    fn plan(&self, packed: &Packed) -> AttentionPlan {
        AttentionPlan::new(packed.spans.clone(), self.heads, self.kv_heads, self.head_dim)
    }
}

impl<B: Kernels> Attention<B> {
    fn forward(
        &self,
        x: &Tensor<B, 2>,
        pass: &Pass,
        cache: Option<&mut LayerCache<B>>,
    ) -> Tensor<B, 2> {
        let q = kernel::rope(self.per_head(&self.q_norm, self.q_proj.forward(x)), &pass.rotary);
        let k = kernel::rope(self.per_head(&self.k_norm, self.k_proj.forward(x)), &pass.rotary);
        let v = self.v_proj.forward(x);
        let (k, v) = match cache {
            Some(cache) => cache.write(pass.slots, &k, &v),
            None => (k, v),
        };
        self.o_proj.forward(&kernel::attention(&q, &k, &v, &pass.plan))
    }

    /// Normalises every head by itself where the family does so.
    fn per_head(&self, norm: &Option<Norm<B>>, x: Tensor<B, 2>) -> Tensor<B, 2> {
        let Some(norm) = norm else { return x };
        let [n, width] = x.dims();
        let heads = x.reshape([n * width / self.head_dim, self.head_dim]);
        norm.forward(&heads).reshape([n, width])
    }
}

#[derive(Module, Debug)]
struct Mlp<B: Backend> {
    gate_proj: Linear<B>,
    up_proj: Linear<B>,
    down_proj: Linear<B>,
}

impl<B: Backend> Mlp<B> {
    fn new(build: &mut Builder<B>, name: &str) -> Result<Self, ModelError> {
        let (width, inner) = (build.config.hidden_size, build.config.intermediate_size);
        let mut linear =
            |part: &str, shape| Linear::new(build, &format!("{name}.{part}"), shape, false);
        Ok(Self {
            gate_proj: linear("gate_proj", [inner, width])?,
            up_proj: linear("up_proj", [inner, width])?,
            down_proj: linear("down_proj", [width, inner])?,
        })
    }
}

impl<B: Kernels> Mlp<B> {
    fn forward(&self, x: &Tensor<B, 2>) -> Tensor<B, 2> {
        let (gate, up) = (self.gate_proj.forward(x), self.up_proj.forward(x));
        self.down_proj.forward(&kernel::swiglu(&gate, &up))
    }
}

#[derive(Module, Debug)]
struct Linear<B: Backend> {
    weight: Param<Tensor<B, 2>>,
    bias: Option<Param<Tensor<B, 1>>>,
}

impl<B: Backend> Linear<B> {
    fn new(
        build: &mut Builder<B>,
        name: &str,
        shape: [usize; 2],
        bias: bool,
    ) -> Result<Self, ModelError> {
        let weight = build.matrix(&format!("{name}.weight"), shape)?;
        let bias = match bias {
            true => Some(build.vector(&format!("{name}.bias"), shape[0])?),
            false => None,
        };
        Ok(Self { weight, bias })
    }
}

impl<B: Kernels> Linear<B> {
    fn forward(&self, x: &Tensor<B, 2>) -> Tensor<B, 2> {
        let y = kernel::linear(x, &in_f32(&self.weight));
        match &self.bias {
            Some(bias) => y + in_f32(bias).unsqueeze(),
            None => y,
        }
    }
}

#[derive(Module, Debug)]
struct Norm<B: Backend> {
    weight: Param<Tensor<B, 1>>,
    epsilon: f64,
}

impl<B: Backend> Norm<B> {
    fn new(build: &mut Builder<B>, name: &str, width: usize) -> Result<Self, ModelError> {
        let weight = build.vector(&format!("{name}.weight"), width)?;
        Ok(Self { weight, epsilon: build.config.rms_norm_eps })
    }
}

impl<B: Kernels> Norm<B> {
    fn forward(&self, x: &Tensor<B, 2>) -> Tensor<B, 2> {
        kernel::rms_norm(x, &in_f32(&self.weight), self.epsilon as f32)
    }
}

/// A parameter as the kernels take it. A frozen one may be stored in 16 bits; then only the weight at
/// hand is there twice.
fn in_f32<B: Backend, const D: usize>(weight: &Param<Tensor<B, D>>) -> Tensor<B, D> {
    let weight = weight.val();
    match weight.dtype() {
        DType::F32 => weight,
        _ => weight.cast(DType::F32),
    }
}

/// Makes parameters out of what a [`Source`] gives.
struct Builder<'a, 's, B: Backend> {
    config: &'a ModelConfig,
    source: &'a mut Source<'s>,
    device: &'a B::Device,
}

impl<B: Backend> Builder<'_, '_, B> {
    fn matrix(&mut self, name: &str, shape: [usize; 2]) -> Result<Param<Tensor<B, 2>>, ModelError> {
        self.parameter(name, shape)
    }

    fn vector(&mut self, name: &str, width: usize) -> Result<Param<Tensor<B, 1>>, ModelError> {
        self.parameter(name, [width])
    }

    fn parameter<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
    ) -> Result<Param<Tensor<B, D>>, ModelError> {
        let values = (self.source)(name, &shape)?;
        Ok(Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), self.device)))
    }
}
