//! The parameters of a decoder: one walk over the module, which gives each its name.
//!
//! Whatever keeps something about parameters (a file, gradients, moments, a reference) keeps it by
//! name. The walk's order decides only in which order a file lists them and a norm sums them.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};

use super::{Decoder, ModelError};

/// Where the values of parameters come from: name and shape in, row-major values out.
pub type Source<'a> = dyn FnMut(&str, &[usize]) -> Result<Vec<f32>, ModelError> + 'a;

/// What is known of a parameter besides its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name in a Hugging Face checkpoint, which is its path in the module.
    pub name: String,
    /// Its shape, `[output, input]` for a projection.
    pub shape: Vec<usize>,
    /// Whether it is differentiated, and so trained. Never without `Autodiff`.
    pub trainable: bool,
}

/// Looks at parameters.
pub trait ParameterVisitor<B: Backend> {
    /// Looks at the parameter `name`.
    fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<B, D>>);
}

/// Changes parameters.
pub trait ParameterMapper<B: Backend> {
    /// What becomes of the parameter `name`.
    fn map<const D: usize>(
        &mut self,
        name: &str,
        param: Param<Tensor<B, D>>,
    ) -> Param<Tensor<B, D>>;
}

impl<B: Backend> Decoder<B> {
    /// Shows every parameter to `visitor`.
    pub fn visit_parameters(&self, visitor: &mut impl ParameterVisitor<B>) {
        self.visit(&mut Walk { path: Vec::new(), each: visitor });
    }

    /// The decoder with every parameter as `mapper` makes it.
    ///
    /// A mapper is the only holder of a parameter unless somebody took a clone, so that it may
    /// change it in place.
    pub fn map_parameters(self, mapper: &mut impl ParameterMapper<B>) -> Self {
        self.map(&mut Walk { path: Vec::new(), each: mapper })
    }

    /// Name, shape and `trainable` of every parameter, in the order of the module.
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut list = Vec::new();
        self.visit_parameters(&mut list);
        list
    }

    /// The decoder with new values in the parameters that `chosen` picks by name. The others, and
    /// what is trainable, stay as they are.
    ///
    /// # Errors
    /// The first error of `source`.
    ///
    /// # Panics
    /// A source that gives another number of values than the shape asks for.
    pub fn with_values(
        self,
        chosen: impl Fn(&str) -> bool,
        source: &mut Source,
    ) -> Result<Self, ModelError> {
        let mut fill = Fill { chosen, source, failed: None };
        let decoder = self.map_parameters(&mut fill);
        fill.failed.map_or(Ok(decoder), Err)
    }
}

impl<B: AutodiffBackend> Decoder<B> {
    /// Freezes the parameters that `chosen` picks by name: they are not differentiated, have no
    /// moments and stay as they are to the last bit.
    pub fn freeze(self, chosen: impl Fn(&str) -> bool) -> Self {
        self.map_parameters(&mut Freeze(chosen))
    }
}

/// The walk: it keeps the path to the parameter at hand.
struct Walk<'a, T> {
    path: Vec<String>,
    each: &'a mut T,
}

impl<B: Backend, T: ParameterVisitor<B>> ModuleVisitor<B> for Walk<'_, T> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.each.visit(&self.path.join("."), param);
    }
}

impl<B: Backend, T: ParameterMapper<B>> ModuleMapper<B> for Walk<'_, T> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        self.each.map(&self.path.join("."), param)
    }
}

impl<B: Backend> ParameterVisitor<B> for Vec<Parameter> {
    fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<B, D>>) {
        let shape = param.dims().to_vec();
        self.push(Parameter { name: name.into(), shape, trainable: param.is_require_grad() });
    }
}

struct Freeze<F>(F);

impl<B: AutodiffBackend, F: Fn(&str) -> bool> ParameterMapper<B> for Freeze<F> {
    fn map<const D: usize>(
        &mut self,
        name: &str,
        param: Param<Tensor<B, D>>,
    ) -> Param<Tensor<B, D>> {
        match (self.0)(name) {
            true => param.set_require_grad(false),
            false => param,
        }
    }
}

struct Fill<'a, 's, F> {
    chosen: F,
    source: &'a mut Source<'s>,
    failed: Option<ModelError>,
}

impl<B: Backend, F: Fn(&str) -> bool> ParameterMapper<B> for Fill<'_, '_, F> {
    fn map<const D: usize>(
        &mut self,
        name: &str,
        param: Param<Tensor<B, D>>,
    ) -> Param<Tensor<B, D>> {
        // A walk has no early end: after an error it changes nothing more.
        if self.failed.is_some() || !(self.chosen)(name) {
            return param;
        }
        let (id, shape, device) = (param.id, param.lazy_shape(), param.lazy_device());
        match (self.source)(name, &shape) {
            Ok(values) => {
                let values = TensorData::new(values, shape);
                param.transform_for_load(Tensor::from_data(values, &device), id)
            }
            Err(error) => {
                self.failed = Some(error);
                param
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::backend::{Autodiff, NdArray};

    use super::*;
    use crate::model::ModelConfig;

    fn config() -> ModelConfig {
        let json = serde_json::json!({
            "model_type": "qwen2", "vocab_size": 5, "hidden_size": 4, "intermediate_size": 6,
            "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
            "tie_word_embeddings": false,
        });
        serde_json::from_value(json).unwrap()
    }

    fn fresh<B: Backend>() -> Decoder<B> {
        Decoder::initialise(&config(), 1, &Default::default()).unwrap()
    }

    /// The names of the trainable parameters.
    fn trainable(decoder: &Decoder<Autodiff<NdArray>>) -> Vec<String> {
        let trainable = decoder.parameters().into_iter().filter(|p| p.trainable);
        trainable.map(|parameter| parameter.name).collect()
    }

    #[test]
    fn parameters_are_named_and_shaped_as_in_a_checkpoint_of_qwen2() {
        let listed = fresh::<NdArray>().parameters();
        let listed: Vec<_> = listed.iter().map(|p| (p.name.as_str(), p.shape.as_slice())).collect();
        let expected: [(&str, &[usize]); 15] = [
            ("model.embed_tokens.weight", &[5, 4]),
            ("model.layers.0.input_layernorm.weight", &[4]),
            ("model.layers.0.self_attn.q_proj.weight", &[4, 4]),
            ("model.layers.0.self_attn.q_proj.bias", &[4]),
            ("model.layers.0.self_attn.k_proj.weight", &[2, 4]),
            ("model.layers.0.self_attn.k_proj.bias", &[2]),
            ("model.layers.0.self_attn.v_proj.weight", &[2, 4]),
            ("model.layers.0.self_attn.v_proj.bias", &[2]),
            ("model.layers.0.self_attn.o_proj.weight", &[4, 4]),
            ("model.layers.0.post_attention_layernorm.weight", &[4]),
            ("model.layers.0.mlp.gate_proj.weight", &[6, 4]),
            ("model.layers.0.mlp.up_proj.weight", &[6, 4]),
            ("model.layers.0.mlp.down_proj.weight", &[4, 6]),
            ("model.norm.weight", &[4]),
            ("lm_head.weight", &[5, 4]),
        ];
        assert_eq!(listed, expected);
    }

    #[test]
    fn everything_is_trainable_until_it_is_frozen_and_nothing_is_without_gradients() {
        assert_eq!(trainable(&fresh()).len(), 15);
        let frozen = fresh().freeze(|name| name != "model.norm.weight");
        assert_eq!(trainable(&frozen), ["model.norm.weight"]);
        assert_eq!(trainable(&frozen.freeze(|_| true)), [""; 0]);
        assert!(fresh::<NdArray>().parameters().iter().all(|parameter| !parameter.trainable));
    }

    #[test]
    fn new_values_go_to_the_chosen_names_alone_and_leave_frozen_what_is_frozen() {
        let decoder = fresh::<Autodiff<NdArray>>().freeze(|name| name.ends_with("bias"));
        let before = trainable(&decoder);
        let mut asked = Vec::new();
        let mut source = |name: &str, shape: &[usize]| {
            asked.push(name.to_owned());
            Ok(vec![0.25; shape.iter().product()])
        };
        let chosen = |name: &str| name.ends_with("q_proj.bias") || name == "lm_head.weight";
        let decoder = decoder.with_values(chosen, &mut source).unwrap();
        assert_eq!(asked, ["model.layers.0.self_attn.q_proj.bias", "lm_head.weight"]);
        assert_eq!(trainable(&decoder), before);
        assert!(decoder.head().matrix().into_data().iter::<f32>().all(|value| value == 0.25));
    }
}
