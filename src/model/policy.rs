//! What training asks of a decoder: log-probabilities of completions, and a frozen reference.

use burn::module::{AutodiffModule, Module, ModuleMapper, Param};
use burn::tensor::backend::DTypeUsage;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{DType, Tensor};
use serde::{Deserialize, Serialize};

use super::decoder::Decoder;
use super::packing::PackedCompletions;
use crate::kernel::{self, Kernels};

/// Log-probability and entropy of every completion token, row after row.
#[derive(Debug, Clone)]
pub struct TokenLogps<B: Backend> {
    /// Log-probabilities `[n]` in nats, of the distribution with logits divided by the temperature.
    pub logps: Tensor<B, 1>,
    /// Entropies `[n]` of those distributions, in nats.
    pub entropies: Tensor<B, 1>,
}

impl<B: Kernels> Decoder<B> {
    /// Log-probabilities of packed completions. Only their positions go through the output head.
    pub fn completion_logps(&self, packing: &PackedCompletions, temperature: f32) -> TokenLogps<B> {
        let hidden = self.forward(&packing.packed, None);
        let hidden = kernel::gather_rows(&hidden, &packing.predictors);
        let [logps, entropies] =
            kernel::token_logprob(&hidden, &self.head(), &packing.targets, temperature);
        TokenLogps { logps, entropies }
    }
}

/// How the numbers of frozen weights are stored. All that is computed with them is computed in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightStorage {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits, 11 of them digits; no weight may be beyond 65504.
    F16,
    /// 16 bits, 8 of them digits, over the range of f32.
    Bf16,
}

impl WeightStorage {
    /// The name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    /// The same where `device` has it, and f32 elsewhere.
    pub fn or_f32<B: Backend>(self, device: &B::Device) -> Self {
        // They are stored in it and brought back to f32; nothing is computed in it.
        match B::dtype_usage(device, self.dtype()).contains(DTypeUsage::Storage) {
            true => self,
            false => Self::F32,
        }
    }

    fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }
}

impl<B: Backend> ModuleMapper<B> for WeightStorage {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let (id, weight, mapper) = param.consume();
        Param::from_mapped_value(id, weight.cast(self.dtype()), mapper)
    }
}

/// A frozen copy of the policy, with no gradient and no optimiser.
#[derive(Debug)]
pub struct Reference<B: Backend> {
    decoder: Decoder<B>,
}

impl<B: Kernels> Reference<B> {
    /// The policy as it is now.
    ///
    /// Tensors are copied on write, so the copy costs memory only once the policy has moved on.
    pub fn snapshot<A>(policy: &Decoder<A>) -> Self
    where
        A: AutodiffBackend<InnerBackend = B>,
    {
        Self { decoder: policy.valid().no_grad() }
    }

    /// A reference with parameters of its own, as a resumed run loads it.
    pub fn new(decoder: Decoder<B>) -> Self {
        Self { decoder }
    }

    /// The reference with its weights stored like this, where its device can, and in f32 elsewhere.
    pub fn stored_as(self, storage: WeightStorage) -> Self {
        let mut storage = storage.or_f32::<B>(&self.decoder.device());
        Self { decoder: self.decoder.map(&mut storage) }
    }

    /// Log-probabilities of packed completions under the reference.
    pub fn completion_logps(&self, packing: &PackedCompletions, temperature: f32) -> Tensor<B, 1> {
        self.decoder.completion_logps(packing, temperature).logps
    }

    /// The frozen parameters.
    pub fn decoder(&self) -> &Decoder<B> {
        &self.decoder
    }
}
