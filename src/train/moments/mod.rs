//! The two moments that AdamW keeps of a parameter, by the parameter's name.

mod storage;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::tensor::{Tensor, TensorData};

pub use storage::MomentStorage;

use super::TrainError;
use super::checkpoint::{broken, check_names};
use crate::kernel::{Kernels, WORDS_OF_CODES};
use crate::model::{
    ModelError, Parameter, Place, TensorFile, TensorType, WeightStorage, save_places,
};
use crate::readback;

/// First and second moment of every parameter that ever had a gradient, each flat: its numbers, or the words of
/// their codes.
#[derive(Debug)]
pub struct Moments<B: Kernels> {
    storage: MomentStorage,
    named: BTreeMap<String, [Tensor<B, 1>; 2]>,
}

/// The key under which a file names the trainable parameters that it holds no moments of.
const WITHOUT_MOMENTS: &str = "without_moments";

impl<B: Kernels> Moments<B> {
    /// Those of an optimiser that has not stepped.
    pub fn new(storage: MomentStorage) -> Self {
        Self { storage, named: BTreeMap::new() }
    }

    /// Whether the moments of a parameter of so many numbers are words of codes.
    pub(super) fn has_codes(&self, count: usize) -> bool {
        self.storage.has_codes(count)
    }

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
        // Words of zeros are codes with a scale of 0, so they stand for zeros, too.
        let zeros = || Tensor::zeros([self.storage.words(count)], device);
        self.named.remove(name).unwrap_or_else(|| [zeros(), zeros()])
    }

    /// Puts back what [`Self::take`] handed out, as it is now.
    pub(super) fn put(&mut self, name: &str, moments: [Tensor<B, 1>; 2]) {
        self.named.insert(name.to_owned(), moments);
    }

    /// Writes the moments of the trainable ones among `parameters` as `first.NAME` and
    /// `second.NAME`, one tensor in memory at a time: in the parameter's shape, or as words `[blocks, 65]`.
    ///
    /// # Errors
    /// A file that cannot be written, or a device that failed.
    pub fn save(&self, path: &Path, parameters: &[Parameter]) -> Result<(), ModelError> {
        let trainable = parameters.iter().filter(|parameter| parameter.trainable);
        let (kept, without): (Vec<_>, Vec<_>) =
            trainable.partition(|parameter| self.named.contains_key(&parameter.name));
        let places = |parameter: &&Parameter| places_of(parameter, self.storage);
        let layout: Vec<Place> = kept.iter().flat_map(places).collect();
        let moments = kept.iter().flat_map(|parameter| &self.named[&parameter.name]);
        let values = moments.map(|moment| readback::floats(moment.clone()));
        let without: Vec<&str> = without.iter().map(|parameter| parameter.name.as_str()).collect();
        let metadata = [(WITHOUT_MOMENTS, without.join(" "))];
        let metadata = metadata.each_ref().map(|(key, names)| (*key, names.as_str()));
        Ok(save_places(path, &layout, &metadata, values)?)
    }

    /// Reads what [`Self::save`] wrote for the same parameters, to the last bit.
    ///
    /// # Errors
    /// A file that cannot be read, that lacks moments of a trainable parameter or has moments of
    /// one that is not, moments of another shape, or kept in something else than `storage`.
    pub fn read(
        path: &Path,
        parameters: &[Parameter],
        storage: MomentStorage,
        device: &B::Device,
    ) -> Result<Self, TrainError> {
        let file = TensorFile::open(path).map_err(ModelError::from)?;
        let without = file.metadata().get(WITHOUT_MOMENTS).map_or("", String::as_str);
        let without: BTreeSet<&str> = without.split_whitespace().collect();
        let kept = parameters.iter().filter(|parameter| parameter.trainable);
        let kept: Vec<&Parameter> =
            kept.filter(|parameter| !without.contains(parameter.name.as_str())).collect();
        let places = |parameter: &&Parameter| places_of(parameter, storage).map(|place| place.name);
        check_names(path, &file, &kept.iter().flat_map(places).collect())?;
        let read = |parameter: &&Parameter| {
            let [first, second] = places_of(parameter, storage);
            let moments = [moment(&file, &first, device)?, moment(&file, &second, device)?];
            Ok((parameter.name.clone(), moments))
        };
        let named: Result<_, TrainError> = kept.iter().map(read).collect();
        Ok(Self { storage, named: named? })
    }
}

/// Both moments of a parameter in a file.
fn places_of(parameter: &Parameter, storage: MomentStorage) -> [Place; 2] {
    let Parameter { name, shape, .. } = parameter;
    let count = shape.iter().product();
    let is_words = storage.has_codes(count);
    let shape = match is_words {
        true => vec![storage.words(count) / WORDS_OF_CODES, WORDS_OF_CODES],
        false => shape.clone(),
    };
    let kind = if is_words { TensorType::Words } else { TensorType::Numbers(WeightStorage::F32) };
    let place = |moment| Place { name: format!("{moment}.{name}"), shape: shape.clone(), kind };
    ["first", "second"].map(place)
}

/// Refuses a moment that was kept in something else.
fn check_storage(file: &TensorFile, Place { name, kind, .. }: &Place) -> Result<(), TrainError> {
    let of = |is_words| if is_words { MomentStorage::Q8 } else { MomentStorage::F32 };
    let is_words = *kind == TensorType::Words;
    let (found, wanted) = (of(file.is_words(name)).name(), of(is_words).name());
    if found == wanted {
        return Ok(());
    }
    let problem = format!(
        "its moments are {found}, and this run keeps {wanted}; go on with optimizer.moments {found}"
    );
    Err(broken(file.path(), problem))
}

fn moment<B: Kernels>(
    file: &TensorFile,
    place: &Place,
    device: &B::Device,
) -> Result<Tensor<B, 1>, TrainError> {
    check_storage(file, place)?;
    let Place { name, shape, kind } = place;
    let is_words = *kind == TensorType::Words;
    let values = match is_words {
        true => file.get_words(place),
        false => file.get_finite(name, shape),
    };
    let values = values.map_err(ModelError::from)?;
    let is_scale = |scale: &f32| scale.is_finite() && *scale >= 0.0;
    if is_words && !values.iter().step_by(WORDS_OF_CODES).all(is_scale) {
        let problem = format!("{name} has scales that are NaN, infinite or below 0");
        return Err(broken(file.path(), problem));
    }
    let count = values.len();
    Ok(Tensor::from_data(TensorData::new(values, [count]), device))
}
