//! The reference: a frozen view of the policy.

use std::collections::BTreeMap;

use burn::module::{AutodiffModule, Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};

use super::packing::PackedCompletions;
use super::parameters::{ParameterMapper, ParameterVisitor};
use super::{Decoder, WeightStorage};
use crate::kernel::Kernels;

/// A view of the policy as it once was, with no gradient and no optimiser.
///
/// It shares the policy's tensors until training changes them, and for good those that the policy
/// does not train, unless it is stored in 16 bits.
#[derive(Debug)]
pub struct Reference<B: Backend> {
    decoder: Decoder<B>,
    storage: WeightStorage,
}

impl<B: Kernels> Reference<B> {
    /// The policy as it is now.
    ///
    /// Tensors are copied on write, so it costs memory only once the policy has moved on.
    pub fn of<A>(policy: &Decoder<A>) -> Self
    where
        A: AutodiffBackend<InnerBackend = B>,
    {
        Self::new(policy.valid().no_grad())
    }

    /// The model that the policy's adapter belongs to: all of it is shared with the policy.
    pub fn of_base<A>(policy: &Decoder<A>) -> Self
    where
        A: AutodiffBackend<InnerBackend = B>,
    {
        Self::new(policy.valid().no_grad().without_adapter())
    }

    /// A reference with parameters of its own.
    pub fn new(decoder: Decoder<B>) -> Self {
        Self { decoder, storage: WeightStorage::F32 }
    }

    /// The reference with its weights stored like this, where its device can, and in f32 elsewhere.
    pub fn stored_as(self, storage: WeightStorage) -> Self {
        let mut on_device = storage.or_f32::<B>(&self.decoder.device());
        Self { decoder: self.decoder.map_parameters(&mut on_device), storage }
    }

    /// The reference moved towards the policy; its weights stay stored as they are.
    ///
    /// ```text
    /// share · policy + (1 − share) · reference
    /// ```
    ///
    /// A share of 1 is the policy itself. What the policy does not train stays shared with it.
    ///
    /// # Panics
    /// A policy of other parameters.
    pub fn moved<A>(&self, policy: &Decoder<A>, share: f64) -> Self
    where
        A: AutodiffBackend<InnerBackend = B>,
    {
        let view = Self::of(policy);
        let moved = match share {
            1.0 => view,
            _ => Self::new(view.decoder.map_parameters(&mut self.mix(policy, share))),
        };
        moved.stored_as(self.storage)
    }

    fn mix<A>(&self, policy: &Decoder<A>, share: f64) -> Mix<B>
    where
        A: AutodiffBackend<InnerBackend = B>,
    {
        let parameters = policy.parameters().into_iter();
        let mixed = parameters.filter(|parameter| parameter.trainable);
        let mut weights = Flat(BTreeMap::new());
        self.decoder.visit_parameters(&mut weights);
        let mut earlier = weights.0;
        let own = mixed.map(|parameter| match earlier.remove(&parameter.name) {
            Some(weight) => (parameter.name, weight),
            None => panic!("the reference has no parameter {}", parameter.name),
        });
        Mix { reference: own.collect(), share }
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

/// Every parameter of a decoder, flat, by name.
struct Flat<B: Backend>(BTreeMap<String, Tensor<B, 1>>);

impl<B: Backend> ParameterVisitor<B> for Flat<B> {
    fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<B, D>>) {
        let weight = param.val();
        let count = weight.shape().num_elements();
        self.0.insert(name.to_owned(), weight.reshape([count]));
    }
}

/// Mixes the reference's own parameters into the policy's.
struct Mix<B: Backend> {
    reference: BTreeMap<String, Tensor<B, 1>>,
    share: f64,
}

impl<B: Backend> ParameterMapper<B> for Mix<B> {
    fn map<const D: usize>(
        &mut self,
        name: &str,
        param: Param<Tensor<B, D>>,
    ) -> Param<Tensor<B, D>> {
        let Some(reference) = self.reference.remove(name) else { return param };
        param.map(|policy| {
            let reference = reference.reshape(policy.shape()).cast(policy.dtype());
            policy * self.share + reference * (1.0 - self.share)
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::backend::ndarray::NdArrayTensor;
    use burn::backend::{Autodiff, NdArray};

    use super::*;

    fn policy(seed: u64) -> Decoder<Autodiff<NdArray>> {
        let config = serde_json::from_str(
            r#"{"vocab_size": 7, "hidden_size": 4, "intermediate_size": 4, "num_hidden_layers": 1,
                "num_attention_heads": 1}"#,
        )
        .unwrap();
        Decoder::initialise(&config, seed, &Default::default()).unwrap()
    }

    /// Values of every parameter, by name.
    fn values(decoder: &Decoder<NdArray>) -> BTreeMap<String, Vec<f32>> {
        let mut flat = Flat(BTreeMap::new());
        decoder.visit_parameters(&mut flat);
        let read = |(name, weight): (String, Tensor<NdArray, 1>)| {
            (name, weight.into_data().iter().collect())
        };
        flat.0.into_iter().map(read).collect()
    }

    /// Where the values of every parameter lie in memory, by name.
    fn addresses(decoder: &Decoder<NdArray>) -> BTreeMap<String, *const f32> {
        let mut addresses = Addresses(BTreeMap::new());
        decoder.visit_parameters(&mut addresses);
        addresses.0
    }

    struct Addresses(BTreeMap<String, *const f32>);

    impl ParameterVisitor<NdArray> for Addresses {
        fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<NdArray, D>>) {
            let NdArrayTensor::F32(storage) = param.val().into_primitive().tensor() else {
                panic!("{name} is not in f32")
            };
            self.0.insert(name.to_owned(), storage.view().as_ptr());
        }
    }

    #[test]
    fn a_reference_is_a_view_of_the_policys_own_tensors() {
        let policy = policy(1);
        assert_eq!(addresses(Reference::of(&policy).decoder()), addresses(&policy.valid()));
    }

    #[test]
    fn a_moved_reference_lies_between_the_one_before_and_the_policy() {
        let (policy, reference) = (policy(1), Reference::of(&policy(2)));
        let moved = values(reference.moved(&policy, 0.25).decoder());
        let (of_policy, of_reference) = (values(&policy.valid()), values(reference.decoder()));
        assert_ne!(of_policy, of_reference);
        for (name, moved) in moved {
            let pairs = of_policy[&name].iter().zip(&of_reference[&name]);
            for (moved, (policy, reference)) in moved.iter().zip(pairs) {
                assert!((moved - (0.25 * policy + 0.75 * reference)).abs() < 1e-6, "{name}");
            }
        }
    }

    #[test]
    fn a_share_of_one_makes_it_the_policy() {
        let policy = policy(1);
        let moved = Reference::of(&self::policy(2)).moved(&policy, 1.0);
        assert_eq!(addresses(moved.decoder()), addresses(&policy.valid()));
    }

    #[test]
    fn what_the_policy_does_not_train_stays_shared_when_the_reference_moves() {
        let policy = policy(1).freeze(|name| name.contains("mlp"));
        let moved = addresses(Reference::of(&self::policy(2)).moved(&policy, 0.25).decoder());
        for (name, address) in addresses(&policy.valid()) {
            assert_eq!(moved[&name] == address, name.contains("mlp"), "{name}");
        }
    }
}
