//! The exact KL from policy to reference at every completion token.

use burn::backend::Autodiff;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Tensor, backend::Backend};

use crate::kernel::{self, Kernels, TrainingKernels};
use crate::model::{Decoder, PackedCompletions};

/// What decides the law of every completion token: hidden states `[n, d]` and the head `[v, d]`.
#[derive(Debug, Clone)]
pub(super) struct Law<B: Backend> {
    hidden: Tensor<B, 2>,
    head: Tensor<B, 2>,
}

impl<B: Kernels> Law<B> {
    /// The law of a model before each completion token.
    pub(super) fn of(decoder: &Decoder<B>, packing: &PackedCompletions) -> Self {
        let hidden = decoder.forward(&packing.packed, None);
        let hidden = kernel::gather_rows(&hidden, &packing.predictors);
        Self { hidden, head: decoder.head() }
    }

    /// Log-probability of each token and entropy of its law, `[n]`, in nats.
    pub(super) fn logps(&self, targets: &[u32], temperature: f32) -> [Tensor<B, 1>; 2] {
        kernel::token_logprob(&self.hidden, &self.head, targets, temperature)
    }

    /// Log-probabilities of the whole vocabulary at each token, `[n, v]`.
    fn log_laws(&self, temperature: f32) -> Tensor<B, 2> {
        log_softmax(kernel::linear(&self.hidden, &self.head) / temperature, 1)
    }
}

impl<B: TrainingKernels> Law<B> {
    /// The same law as a constant among tensors that carry gradients.
    pub(super) fn with_gradients(&self) -> Law<Autodiff<B>> {
        let constant = |tensor: &Tensor<B, 2>| Tensor::from_inner(tensor.clone());
        Law { hidden: constant(&self.hidden), head: constant(&self.head) }
    }
}

/// KL of policy to reference at each token, `[n]`, in nats.
///
/// ```text
/// Σ_v π_v · (log π_v − log π_ref,v)
/// ```
///
/// The gradient keeps `[n, v]` tensors a few times over, the largest of a step where the vocabulary
/// has tens of thousands of tokens: lower `device.micro_batch_tokens` there.
pub(super) fn exact_kls<B: Kernels>(
    policy: &Law<B>,
    reference: &Law<B>,
    temperature: f32,
) -> Tensor<B, 1> {
    let log_policy = policy.log_laws(temperature);
    let differences = log_policy.clone() - reference.log_laws(temperature);
    (log_policy.exp() * differences).sum_dim(1).squeeze_dim(1)
}
