//! Gradients of an optimiser step, by the names of parameters, with the global norm that Burn does
//! not have.

use std::collections::BTreeMap;

use burn::backend::Autodiff;
use burn::module::Param;
use burn::tensor::Tensor;

use crate::kernel::{self, Kernels};
use crate::model::{Decoder, Gradients, ParameterVisitor, TrainingPass};
use crate::readback::{self, DeviceFailed};

/// Gradients of the parameters that have one, each flat under its parameter's name.
#[derive(Debug)]
pub struct StepGradients<B: Kernels> {
    /// In the order of the module, in which the norm sums them.
    named: Vec<(String, Tensor<B, 1>)>,
    /// What the losses were multiplied by.
    scale: f32,
}

impl<B: Kernels> Default for StepGradients<B> {
    fn default() -> Self {
        Self::of_scaled(1.0)
    }
}

impl<B: Kernels> StepGradients<B> {
    /// Gradients of 0 for what the decoder trains: those of rows that pull nowhere.
    pub fn zeros(decoder: &Decoder<Autodiff<B>>) -> Self {
        let mut zeros = Zeros(Vec::new());
        decoder.visit_parameters(&mut zeros);
        Self { named: zeros.0, ..Self::default() }
    }

    /// Gradients of losses that are multiplied by this before they are differentiated; the optimiser divides by it.
    pub fn of_scaled(scale: f32) -> Self {
        Self { named: Vec::new(), scale }
    }

    /// Differentiates a micro-batch's loss, which was made from a pass of the decoder, and adds its gradients to the
    /// step's.
    pub fn add(
        &mut self,
        decoder: &Decoder<Autodiff<B>>,
        pass: TrainingPass<B>,
        loss: &Tensor<Autodiff<B>, 1>,
    ) {
        // A loss in which nothing is trainable has no graph to go back along.
        if !decoder.parameters().iter().any(|parameter| parameter.trainable) {
            return;
        }
        let earlier = self.named.drain(..).collect();
        let new = match self.scale {
            1.0 => pass.gradients(decoder, loss),
            scale => pass.gradients(decoder, &(loss.clone() * scale)),
        };
        let mut sums = Sums { earlier, new, named: Vec::new() };
        decoder.visit_parameters(&mut sums);
        self.named = sums.named;
    }

    /// What the losses were multiplied by.
    pub(super) fn scale(&self) -> f32 {
        self.scale
    }

    /// Euclidean norm over all parameters together, of the loss itself; and the name of the first parameter whose own is
    /// not finite.
    ///
    /// # Errors
    /// A device that failed.
    pub fn norm(&self) -> Result<(f64, Option<&str>), DeviceFailed> {
        let squares: Vec<_> =
            self.named.iter().map(|(_, gradient)| kernel::sum_of_squares(gradient)).collect();
        if squares.is_empty() {
            return Ok((0.0, None));
        }
        let squares: Vec<f64> = readback::read(Tensor::cat(squares, 0))?.iter().collect();
        let mut named = self.named.iter().zip(&squares);
        let first =
            named.find(|(_, square)| !square.is_finite()).map(|((name, _), _)| name.as_str());
        Ok((squares.iter().sum::<f64>().sqrt() / f64::from(self.scale), first))
    }

    /// Each gradient under its parameter's name.
    pub(super) fn by_name(self) -> BTreeMap<String, Tensor<B, 1>> {
        self.named.into_iter().collect()
    }
}

struct Zeros<B: Kernels>(Vec<(String, Tensor<B, 1>)>);

impl<B: Kernels> ParameterVisitor<Autodiff<B>> for Zeros<B> {
    fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<Autodiff<B>, D>>) {
        let weight = param.val();
        if weight.is_require_grad() {
            let count = weight.shape().num_elements();
            self.0.push((name.to_owned(), Tensor::zeros([count], &weight.device())));
        }
    }
}

/// What earlier micro-batches gave and what a new one adds to it.
struct Sums<B: Kernels> {
    earlier: BTreeMap<String, Tensor<B, 1>>,
    new: Vec<Gradients<B>>,
    named: Vec<(String, Tensor<B, 1>)>,
}

impl<B: Kernels> ParameterVisitor<Autodiff<B>> for Sums<B> {
    fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<Autodiff<B>, D>>) {
        let weight = param.val();
        let parts = self.new.iter_mut().filter_map(|gradients| weight.grad_remove(gradients));
        let new = parts.map(flat).reduce(|sum, part| sum + part);
        let sum = match (self.earlier.remove(name), new) {
            (Some(earlier), Some(new)) => Some(earlier + new),
            (earlier, new) => earlier.or(new),
        };
        self.named.extend(sum.map(|sum| (name.to_owned(), sum)));
    }
}

fn flat<B: Kernels, const D: usize>(gradient: Tensor<B, D>) -> Tensor<B, 1> {
    let count = gradient.shape().num_elements();
    gradient.reshape([count])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burn::backend::NdArray;

    use super::*;
    use crate::model::{LoraConfig, ModelConfig, PackedCompletions, PromptGroup, UpdatePass};
    use crate::train::testing::{any_pass, gradients, loss, policy, values};
    use crate::train::{Optimizer, OptimizerConfig};

    const EMBEDDING: &str = "model.embed_tokens.weight";

    fn floats(gradients: StepGradients<NdArray>) -> Vec<(String, Vec<f32>)> {
        let named = gradients.named.into_iter();
        named.map(|(name, gradient)| (name, gradient.into_data().iter().collect())).collect()
    }

    #[test]
    fn every_parameter_has_a_gradient_under_its_name() {
        let policy = policy();
        let names: Vec<_> = policy.parameters().into_iter().map(|p| p.name).collect();
        let found: Vec<_> = floats(gradients(&policy)).into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, names);
    }

    #[test]
    fn what_is_frozen_has_no_gradient_and_the_others_have_theirs_to_the_last_bit() {
        for part in ["embed_tokens", "norm", "k_proj", "layers.1.", "bias"] {
            let mut expected = floats(gradients(&policy()));
            expected.retain(|(name, _)| !name.contains(part));
            let frozen = policy().freeze(|name| name.contains(part));
            assert_eq!(floats(gradients(&frozen)), expected, "{part}");
        }
    }

    #[test]
    fn where_everything_is_frozen_a_step_changes_nothing() {
        let frozen = policy().freeze(|_| true);
        let gradients = gradients(&frozen);
        assert_eq!(gradients.norm(), Ok((0.0, None)));
        let (after, _) = Optimizer::new(OptimizerConfig::default(), 1).step(frozen, gradients);
        assert_eq!(values(&after), values(&policy()));
    }

    #[test]
    fn micro_batches_add_up_by_name_though_one_reaches_a_single_parameter() {
        let policy = policy();
        let alone = floats(gradients(&policy));
        let mut later = gradients(&policy);
        later.add(&policy, any_pass(&policy), &policy.head().matrix().sum());
        let mut earlier = StepGradients::default();
        earlier.add(&policy, any_pass(&policy), &policy.head().matrix().sum());
        earlier.add(&policy, any_pass(&policy), &loss(&policy));
        let (later, earlier) = (floats(later), floats(earlier));
        assert_eq!(later, earlier);
        for ((name, sum), (_, alone)) in later.iter().zip(&alone) {
            // The gradient of a sum is 1 everywhere.
            let added = if name == EMBEDDING { 1.0 } else { 0.0 };
            let expected: Vec<f32> = alone.iter().map(|gradient| gradient + added).collect();
            assert_eq!(sum, &expected, "{name}");
        }
    }

    #[test]
    fn a_step_finds_gradients_by_name_in_whatever_order_they_come() {
        let config =
            OptimizerConfig { learning_rate: 0.1, max_grad_norm: 0.0, ..Default::default() };
        let step =
            |gradients| values(&Optimizer::new(config.clone(), 1).step(policy(), gradients).0);
        let mut reversed = gradients(&policy());
        reversed.named.reverse();
        let after = step(gradients(&policy()));
        assert_ne!(after, values(&policy()));
        assert_eq!(step(reversed), after);
    }

    /// Gradients of a loss by way of a pass with or without checkpoints.
    fn by_pass(
        policy: &Decoder<Autodiff<NdArray>>,
        has_checkpoints: bool,
    ) -> Vec<(String, Vec<f32>)> {
        let group = PromptGroup { prompt: &[3, 4], completions: vec![&[5, 8, 2], &[7]] };
        let packing = PackedCompletions::new(&[group]);
        let pass = policy
            .training_pass(&packing.packed, UpdatePass { has_checkpoints, ..Default::default() });
        let loss = policy.logps_after(pass.hidden(), &packing, 0.7).logps.mean().neg();
        let mut gradients = StepGradients::default();
        gradients.add(policy, pass, &loss);
        floats(gradients)
    }

    fn of_fixture(name: &str) -> Decoder<Autodiff<NdArray>> {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models");
        let config = ModelConfig::from_folder(&models.join(name)).unwrap();
        Decoder::load(&config, &models.join(name), &Default::default()).unwrap()
    }

    #[test]
    fn checkpoints_change_no_bit_of_a_gradient() {
        let frozen = || policy().freeze(|name| !name.contains("layers.1."));
        let lora = |dropout| {
            let targets = ["v_proj", "up_proj"].map(str::to_owned).into();
            LoraConfig { rank: 2, alpha: 4.0, targets, rslora: false, dropout }
        };
        let adapted = |dropout| policy().with_fresh_adapter(&lora(dropout), 3).unwrap();
        let families = ["smollm3", "granite", "olmo2", "gemma3"].map(of_fixture);
        for policy in [policy(), frozen(), adapted(0.0), adapted(0.5)].into_iter().chain(families) {
            let (kept, again) = (by_pass(&policy, false), by_pass(&policy, true));
            assert_eq!(kept.len(), again.len());
            for ((name, kept), (_, again)) in kept.iter().zip(&again) {
                assert_eq!(kept, again, "{name}");
            }
        }
    }
}
