//! What training asks of a decoder: log-probabilities of completions, and a frozen reference.

use burn::module::{AutodiffModule, Module};
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};

use super::decoder::Decoder;
use super::packing::PackedCompletions;
use crate::kernel::{self, Kernels};

/// Log-probability and entropy of every completion token, row after row.
#[derive(Debug, Clone)]
pub struct TokenLogps<B: Backend> {
    /// Log-probabilities `[n]` in nats, of the law with logits divided by the temperature.
    pub logps: Tensor<B, 1>,
    /// Entropies `[n]` of those laws, in nats.
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

    /// Log-probabilities of packed completions under the reference.
    pub fn completion_logps(&self, packing: &PackedCompletions, temperature: f32) -> Tensor<B, 1> {
        self.decoder.completion_logps(packing, temperature).logps
    }

    /// The frozen parameters.
    pub fn decoder(&self) -> &Decoder<B> {
        &self.decoder
    }
}
