//! What training asks of a decoder: log-probabilities of completions, and how frozen weights are stored.

use burn::module::Param;
use burn::tensor::backend::{Backend, DTypeUsage};
use burn::tensor::{DType, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decoder::Decoder;
use super::packing::PackedCompletions;
use super::parameters::ParameterMapper;
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
        self.logps_after(&self.forward(&packing.packed), packing, temperature)
    }

    /// The same from the hidden states `[n, d]` of all packed tokens.
    pub fn logps_after(
        &self,
        hidden: &Tensor<B, 2>,
        packing: &PackedCompletions,
        temperature: f32,
    ) -> TokenLogps<B> {
        let hidden = kernel::gather_rows(hidden, &packing.predictors);
        let [logps, entropies] =
            kernel::token_logprob(&hidden, &self.head(), &packing.targets, temperature);
        TokenLogps { logps, entropies }
    }
}

/// How the numbers of frozen weights are stored. All that is computed with them is computed in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
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

impl<B: Backend> ParameterMapper<B> for WeightStorage {
    fn map<const D: usize>(&mut self, _: &str, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        param.map(|weight| weight.cast(self.dtype()))
    }
}
