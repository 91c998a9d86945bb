//! The two moments that AdamW keeps of a parameter, by the parameter's name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::tensor::{Tensor, TensorData};

use super::TrainError;
use super::checkpoint::check_names;
use crate::kernel::Kernels;
use crate::model::{ModelError, Parameter, TensorFile, save_readings};
use crate::readback;

/// First and second moment of every parameter that ever had a gradient, each flat.
#[derive(Debug)]
pub struct Moments<B: Kernels> {
    named: BTreeMap<String, [Tensor<B, 1>; 2]>,
}

impl<B: Kernels> Default for Moments<B> {
    fn default() -> Self {
        Self { named: BTreeMap::new() }
    }
}

/// The key under which a file names the trainable parameters that it holds no moments of.
const WITHOUT_MOMENTS: &str = "without_moments";

impl<B: Kernels> Moments<B> {
    /// The names of the parameters that have moments, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.named.keys().map(String::as_str)
    }

    /// Hands out the moments of a parameter of `count` numbers; zeros where it has none yet.
    pub(super) fn take(
        &mut self,
        name: &str,
        count: usize,
        device: &B::Device,
    ) -> [Tensor<B, 1>; 2] {
        let zeros = || Tensor::zeros([count], device);
        self.named.remove(name).unwrap_or_else(|| [zeros(), zeros()])
    }

    /// Puts back what [`Self::take`] handed out, as it is now.
    pub(super) fn put(&mut self, name: &str, moments: [Tensor<B, 1>; 2]) {
        self.named.insert(name.to_owned(), moments);
    }

    /// Writes the moments of the trainable ones among `parameters` as `first.NAME` and
    /// `second.NAME`, one tensor in memory at a time.
    ///
    /// # Errors
    /// A file that cannot be written, or a device that failed.
    pub fn save(&self, path: &Path, parameters: &[Parameter]) -> Result<(), ModelError> {
        let trainable = parameters.iter().filter(|parameter| parameter.trainable);
        let (kept, without): (Vec<_>, Vec<_>) =
            trainable.partition(|parameter| self.named.contains_key(&parameter.name));
        let layout: Vec<_> = kept.iter().flat_map(|parameter| layout_of(parameter)).collect();
        let moments = kept.iter().flat_map(|parameter| &self.named[&parameter.name]);
        let values = moments.map(|moment| readback::floats(moment.clone()));
        let without: Vec<&str> = without.iter().map(|parameter| parameter.name.as_str()).collect();
        let metadata = [(WITHOUT_MOMENTS, without.join(" "))];
        let metadata = metadata.each_ref().map(|(key, names)| (*key, names.as_str()));
        Ok(save_readings(path, &layout, &metadata, values)?)
    }

    /// Reads what [`Self::save`] wrote for the same parameters.
    ///
    /// # Errors
    /// A file that cannot be read, that lacks moments of a trainable parameter or has moments of
    /// one that is not, or moments of another shape.
    pub fn read(
        path: &Path,
        parameters: &[Parameter],
        device: &B::Device,
    ) -> Result<Self, TrainError> {
        let file = TensorFile::open(path).map_err(ModelError::from)?;
        let without = file.metadata().get(WITHOUT_MOMENTS).map_or("", String::as_str);
        let without: BTreeSet<&str> = without.split_whitespace().collect();
        let kept = parameters.iter().filter(|parameter| parameter.trainable);
        let kept: Vec<&Parameter> =
            kept.filter(|parameter| !without.contains(parameter.name.as_str())).collect();
        let names = kept.iter().flat_map(|parameter| layout_of(parameter)).map(|(name, _)| name);
        check_names(path, &file, &names.collect())?;
        let read = |parameter: &&Parameter| {
            let [first, second] = layout_of(parameter);
            let moments = [moment(&file, &first, device)?, moment(&file, &second, device)?];
            Ok((parameter.name.clone(), moments))
        };
        let named: Result<_, ModelError> = kept.iter().map(read).collect();
        Ok(Self { named: named? })
    }
}

/// Names and shapes of both moments of a parameter in a file.
fn layout_of(parameter: &Parameter) -> [(String, Vec<usize>); 2] {
    let Parameter { name, shape, .. } = parameter;
    ["first", "second"].map(|moment| (format!("{moment}.{name}"), shape.clone()))
}

fn moment<B: Kernels>(
    file: &TensorFile,
    (name, shape): &(String, Vec<usize>),
    device: &B::Device,
) -> Result<Tensor<B, 1>, ModelError> {
    let values = file.get_finite(name, shape)?;
    let count = values.len();
    Ok(Tensor::from_data(TensorData::new(values, [count]), device))
}

#[cfg(test)]
mod tests {
    use burn::backend::{Autodiff, NdArray};

    use super::*;
    use crate::model::{Decoder, save_tensors};
    use crate::train::testing::{any_pass, gradients, policy, values};
    use crate::train::{Optimizer, OptimizerConfig, StepGradients};

    type Policy = Decoder<Autodiff<NdArray>>;

    fn optimizer() -> Optimizer<NdArray> {
        Optimizer::new(OptimizerConfig { learning_rate: 0.1, ..Default::default() }, 9)
    }

    /// A policy after a step over everything that is not frozen, its moments in a file.
    fn stepped(policy: Policy, file: &Path) -> (Policy, Optimizer<NdArray>) {
        let (gradients, mut optimizer) = (gradients(&policy), optimizer());
        let (policy, _) = optimizer.step(policy, gradients);
        optimizer.moments().save(file, &policy.parameters()).unwrap();
        (policy, optimizer)
    }

    fn read(file: &Path, policy: &Policy) -> Result<Moments<NdArray>, TrainError> {
        Moments::read(file, &policy.parameters(), &Default::default())
    }

    /// Writes the tensors of `file` again, as `change` leaves them.
    fn rewrite(file: &Path, change: impl Fn(&mut Vec<(String, Vec<usize>)>)) {
        let opened = TensorFile::open(file).unwrap();
        let shape_of = |name: &str| (name.to_owned(), opened.shape(name).unwrap().to_vec());
        let mut layout: Vec<_> = opened.names().map(shape_of).collect();
        change(&mut layout);
        let values = layout.iter().map(|(name, shape)| match opened.contains(name) {
            true => opened.get(name, opened.shape(name).unwrap()).unwrap(),
            false => vec![0.0; shape.iter().product()],
        });
        let values: Vec<_> = values.collect();
        save_tensors(file, &layout, &[], values).unwrap();
    }

    #[test]
    fn moments_come_back_by_name_from_a_file_in_whatever_order() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("optimizer.safetensors");
        let (policy, mut first) = stepped(policy(), &file);
        rewrite(&file, |layout| layout.reverse());
        let mut second = optimizer();
        second.restore(1, read(&file, &policy).unwrap());
        let expected = first.step(policy.clone(), gradients(&policy)).0;
        let resumed = second.step(policy.clone(), gradients(&policy)).0;
        assert_ne!(values(&expected), values(&policy));
        assert_eq!(values(&resumed), values(&expected));
    }

    #[test]
    fn a_file_has_no_moments_of_what_never_had_a_gradient_and_needs_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("optimizer.safetensors");
        let (policy, mut optimizer) = (policy(), optimizer());
        let mut gradients = StepGradients::default();
        gradients.add(&policy, any_pass(&policy), &policy.head().matrix().sum());
        let (policy, _) = optimizer.step(policy, gradients);
        optimizer.moments().save(&file, &policy.parameters()).unwrap();
        let names = ["first.model.embed_tokens.weight", "second.model.embed_tokens.weight"];
        assert!(TensorFile::open(&file).unwrap().names().eq(names));
        let again = read(&file, &policy).unwrap();
        assert_eq!(again.names().collect::<Vec<_>>(), ["model.embed_tokens.weight"]);
    }

    #[test]
    fn a_missing_and_a_surplus_moment_are_named_with_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("optimizer.safetensors");
        let (policy, _) = stepped(policy(), &file);
        rewrite(&file, |layout| {
            layout.retain(|(name, _)| name != "second.model.norm.weight");
            layout.push(("first.value_head.weight".into(), vec![1]));
        });
        let message = read(&file, &policy).unwrap_err().to_string();
        let lacks = "it lacks second.model.norm.weight, and it has first.value_head.weight";
        for part in ["optimizer.safetensors", lacks] {
            assert!(message.contains(part), "{part} is not in: {message}");
        }
    }

    #[test]
    fn moments_of_another_shape_are_refused_with_both_shapes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("optimizer.safetensors");
        let (policy, _) = stepped(policy(), &file);
        rewrite(&file, |layout| {
            let place = layout.iter_mut().find(|(name, _)| name == "first.model.norm.weight");
            place.unwrap().1 = vec![2, 2];
        });
        let message = read(&file, &policy).unwrap_err().to_string();
        for part in ["first.model.norm.weight", "[2, 2]", "[4]"] {
            assert!(message.contains(part), "{part} is not in: {message}");
        }
    }

    #[test]
    fn a_policy_that_trains_more_than_the_file_has_moments_of_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("optimizer.safetensors");
        let frozen = policy().freeze(|name| name.contains("mlp"));
        stepped(frozen, &file);
        let message = read(&file, &policy()).unwrap_err().to_string();
        let lacks = "it lacks first.model.layers.0.mlp.down_proj.weight, \
                     first.model.layers.0.mlp.gate_proj.weight, \
                     first.model.layers.0.mlp.up_proj.weight and 9 more";
        assert!(message.contains(lacks), "{message}");
    }
}
