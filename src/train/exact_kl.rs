//! The exact KL from policy to reference at every completion token.

use burn::backend::Autodiff;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Tensor, backend::Backend};

use crate::kernel::{self, Kernels, Weight};
use crate::model::{Decoder, PackedCompletions};

/// What decides the distribution of every completion token: hidden states `[n, d]` and the head `[v, d]`.
#[derive(Debug, Clone)]
pub(super) struct Distribution<B: Backend> {
    hidden: Tensor<B, 2>,
    pub(super) head: Weight<B>,
}

impl<B: Kernels> Distribution<B> {
    /// The distribution of a model, whose head `[v, d]` is given, before each completion token.
    pub(super) fn of(decoder: &Decoder<B>, packing: &PackedCompletions, head: Weight<B>) -> Self {
        Self::after(&decoder.forward(&packing.packed), packing, head)
    }

    /// The same from the hidden states `[n, d]` of all packed tokens.
    pub(super) fn after(
        hidden: &Tensor<B, 2>,
        packing: &PackedCompletions,
        head: Weight<B>,
    ) -> Self {
        Self { hidden: kernel::gather_rows(hidden, &packing.predictors), head }
    }

    /// Log-probability of each token and entropy of its distribution, `[n]`, in nats.
    pub(super) fn logps(&self, targets: &[u32], temperature: f32) -> [Tensor<B, 1>; 2] {
        kernel::token_logprob(&self.hidden, &self.head, targets, temperature)
    }

    /// Log-probabilities of the whole vocabulary at each token, `[n, v]`.
    fn log_distributions(&self, temperature: f32) -> Tensor<B, 2> {
        log_softmax(self.head.linear(&self.hidden) / temperature, 1)
    }
}

impl<B: Kernels> Distribution<B> {
    /// The same distribution as a constant among tensors that carry gradients.
    pub(super) fn with_gradients(&self) -> Distribution<Autodiff<B>> {
        let (hidden, head) = (self.hidden.clone(), self.head.clone());
        Distribution { hidden: Tensor::from_inner(hidden), head: Weight::from_inner(head) }
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
    policy: &Distribution<B>,
    reference: &Distribution<B>,
    temperature: f32,
) -> Tensor<B, 1> {
    let log_policy = policy.log_distributions(temperature);
    let differences = log_policy.clone() - reference.log_distributions(temperature);
    (log_policy.exp() * differences).sum_dim(1).squeeze_dim(1)
}

#[cfg(test)]
mod tests {
    use burn::backend::NdArray;

    use super::*;

    type Training = Autodiff<NdArray>;

    const HIDDEN: [f32; 6] = [0.4, -1.1, 0.7, 1.3, 0.2, -0.5];
    const HEAD: [f32; 8] = [0.9, -0.3, 0.1, 0.8, -0.7, 0.5, 0.6, -1.2];

    fn distribution(hidden: &[f32]) -> Distribution<Training> {
        let device = Default::default();
        let matrix = |values: &[f32], width: usize| {
            Tensor::<Training, 1>::from_floats(values, &device)
                .reshape([values.len() / width, width])
        };
        Distribution { hidden: matrix(hidden, 2), head: Weight::Rows(matrix(&HEAD, 2)) }
    }

    fn reference() -> Distribution<Training> {
        distribution(&HIDDEN.map(|value| 0.5 * value + 0.1))
    }

    fn total(hidden: &[f32]) -> f32 {
        exact_kls(&distribution(hidden), &reference(), 0.7).sum().into_scalar()
    }

    #[test]
    fn the_divergence_of_a_distribution_from_itself_is_zero_and_from_others_positive() {
        let same = exact_kls(&distribution(&HIDDEN), &distribution(&HIDDEN), 0.7).into_data();
        assert!(same.iter::<f32>().all(|kl| kl.abs() < 1e-6));
        let other = exact_kls(&distribution(&HIDDEN), &reference(), 0.7).into_data();
        assert!(other.iter::<f32>().all(|kl| kl > 1e-3));
    }

    #[test]
    fn its_gradient_is_the_slope() {
        let mut policy = distribution(&HIDDEN);
        policy.hidden = policy.hidden.require_grad();
        let gradients = exact_kls(&policy, &reference(), 0.7).sum().backward();
        let gradient: Vec<f32> =
            policy.hidden.grad(&gradients).unwrap().into_data().to_vec().unwrap();
        for at in 0..HIDDEN.len() {
            let shifted = |shift: f32| {
                let mut hidden = HIDDEN;
                hidden[at] += shift;
                total(&hidden)
            };
            let slope = (shifted(1e-2) - shifted(-1e-2)) / 2e-2;
            assert!((gradient[at] - slope).abs() < 1e-3, "{} against {slope}", gradient[at]);
        }
    }
}
