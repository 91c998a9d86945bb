//! A model folder as Hugging Face's tools open it: configuration, weights and tokenizer.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::module::Param;
use burn::tensor::{Tensor, backend::Backend};

use super::config::find_model;
use super::gguf::GgufModel;
use super::linear::Linear;
use super::lora::is_of_adapter;
use super::weights::MODEL_FILE;
use super::{
    Adapter, Base, Decoder, ModelConfig, ModelError, ParameterVisitor, Place, TensorType,
    WeightStorage, Weights, WeightsError, is_gguf, save_places, save_readings,
};
use crate::files::write_atomically;
use crate::kernel::Kernels;
use crate::quote::shown;
use crate::random::Stream;
use crate::readback::{self, DeviceFailed};
use crate::text::Tokenizer;

// Which of a seed's number sequences fresh weights come from.
const INITIAL_WEIGHTS: u32 = 0x1417;

/// A decoder with the tokenizer it was made for.
#[derive(Debug, Clone)]
pub struct LoadedModel<B: Backend> {
    /// Sizes and options.
    pub config: ModelConfig,
    /// Parameters.
    pub decoder: Decoder<B>,
    /// Text to ids and back.
    pub tokenizer: Tokenizer,
}

impl<B: Kernels> LoadedModel<B> {
    /// Loads a Hugging Face folder, the model in the folder of a run, or a GGUF file.
    ///
    /// # Errors
    /// A file that is missing or broken, a family that is not known, a tensor that does not fit or has
    /// no place, values that are no numbers.
    pub fn open(folder: &Path, device: &B::Device) -> Result<Self, ModelError> {
        let folder = &find_model(folder)?;
        let (config, tokenizer) = describe(folder)?;
        let decoder = Decoder::load(&config, folder, device)?;
        Ok(Self { config, decoder, tokenizer })
    }

    /// The same as a base that stays as it is, stored as `base` says, with what an adapter adds where one is merged.
    ///
    /// # Errors
    /// Those of [`Self::open`], and numbers that the storage cannot hold.
    pub fn open_frozen(
        folder: &Path,
        base: Base,
        merged: Option<&Adapter>,
        device: &B::Device,
    ) -> Result<Self, ModelError> {
        let folder = &find_model(folder)?;
        let (config, tokenizer) = describe(folder)?;
        let merged = merged.map(|adapter| adapter.merged(&config)).transpose()?;
        let decoder = Decoder::load_frozen(&config, folder, base, merged.as_ref(), device)?;
        Ok(Self { config, decoder, tokenizer })
    }

    /// Writes the folder, each file whole or not at all.
    ///
    /// # Errors
    /// A file that cannot be written, named with its path.
    pub fn save(&self, folder: &Path) -> Result<(), ModelError> {
        let write = |name: &str, json: serde_json::Value| {
            let path = folder.join(name);
            let text = format!("{json:#}\n");
            write_atomically(&path, text.as_bytes())
                .map_err(|source| ModelError::Write { path, source })
        };
        std::fs::create_dir_all(folder)
            .map_err(|source| ModelError::Write { path: folder.into(), source })?;
        write("config.json", self.config.to_hf_json())?;
        write("generation_config.json", self.config.to_generation_json())?;
        self.tokenizer.save(folder)?;
        self.decoder.save(&folder.join(MODEL_FILE))
    }
}

/// What a folder's model is, without its weights.
/// A model's configuration and tokenizer, from its folder or its file of llama.cpp's, without its weights.
///
/// # Errors
/// Those of [`LoadedModel::open`] but for the weights.
pub fn describe(path: &Path) -> Result<(ModelConfig, Tokenizer), ModelError> {
    let config = ModelConfig::from_folder(path)?;
    let tokenizer = match is_gguf(path) {
        true => {
            let model = GgufModel::open(path).map_err(WeightsError::from)?;
            let parts =
                [model.tokenizer_json(), model.tokenizer_config_json(), model.config_json()];
            let [tokenizer, tokenizer_config, config] =
                parts.map(|part| part.map_err(WeightsError::from));
            Tokenizer::from_values(path, [&tokenizer?, &tokenizer_config?, &config?])?
        }
        false => Tokenizer::from_folder(path)?,
    };
    check_ids(&config, &tokenizer)?;
    let tokenizer = tokenizer.for_rows(config.vocab_size);
    Ok((config, tokenizer))
}

/// The names of the tensors in a folder that the decoder has no use for, though nothing depends on
/// them: rotary buffers, heads of other tasks. Those that differ by numbers alone are one name, with
/// stars for the numbers.
///
/// # Errors
/// Those of [`LoadedModel::open`] that do not need the tensors' values.
pub fn tensors_left_out(folder: &Path) -> Result<Vec<String>, ModelError> {
    let folder = &find_model(folder)?;
    let weights = Weights::open(folder)?;
    let names = weights.check(&ModelConfig::from_folder(folder)?)?;
    let starred = |name: &str| {
        let star =
            |part: &str| if part.parse::<u64>().is_ok() { "*".into() } else { part.to_owned() };
        shown(&name.split('.').map(star).collect::<Vec<_>>().join(".")).into_owned()
    };
    Ok(names.into_iter().map(starred).collect::<BTreeSet<_>>().into_iter().collect())
}

/// An empty list with room for the values of a parameter.
fn room_for(name: &str, count: usize) -> Result<Vec<f32>, ModelError> {
    let mut values = Vec::new();
    let reserved = values.try_reserve_exact(count);
    reserved.map_err(|_| ModelError::Memory { tensor: name.into(), count })?;
    Ok(values)
}

/// Any text may hold the tokens of the vocabulary, so each needs its row of the embedding; an added
/// token is refused where a text has it.
fn check_ids(config: &ModelConfig, tokenizer: &Tokenizer) -> Result<(), ModelError> {
    let (token, id) = tokenizer.largest_id();
    if (id as usize) < config.vocab_size {
        return Ok(());
    }
    let token = token.chars().take(40).collect();
    Err(ModelError::TokenBeyondEmbedding { token, id, rows: config.vocab_size })
}

impl<B: Backend> Decoder<B> {
    /// Fresh weights: normal with the configured deviation, norms 1, biases 0; fixed by `seed`
    /// whatever the device.
    ///
    /// # Errors
    /// Sizes that do not fit each other, or the memory.
    pub fn initialise(
        config: &ModelConfig,
        seed: u64,
        device: &B::Device,
    ) -> Result<Self, ModelError> {
        let mut stream = Stream::new(seed, INITIAL_WEIGHTS);
        let deviation = config.initializer_range as f32;
        let stored_one = 1.0 - config.norm_offset() as f32;
        let mut fresh = |name: &str, shape: &[usize]| {
            let count = shape.iter().product();
            let mut values = room_for(name, count)?;
            match name {
                _ if name.ends_with("bias") => values.resize(count, 0.0),
                _ if shape.len() == 1 => values.resize(count, stored_one),
                _ => values.extend((0..count).map(|_| deviation * stream.normal())),
            }
            Ok(values)
        };
        Self::new(config, &mut fresh, device)
    }

    /// The weights of a Hugging Face folder.
    ///
    /// # Errors
    /// A tensor that is missing, misshapen, of a type that is not read or without a place; values that
    /// are no numbers.
    pub fn load(
        config: &ModelConfig,
        folder: &Path,
        device: &B::Device,
    ) -> Result<Self, ModelError> {
        let weights = Weights::open(folder)?;
        weights.check(config)?;
        Self::new(config, &mut |name, shape| Ok(weights.get(name, shape)?), device)
    }

    /// Writes the parameters that `chosen` picks by name, under their own names.
    ///
    /// # Errors
    /// A file that cannot be written, or a device that failed.
    pub fn save_where(&self, path: &Path, chosen: impl Fn(&str) -> bool) -> Result<(), ModelError> {
        self.save_renamed(path, chosen, str::to_owned, WeightStorage::F32)
    }

    /// The same under other names, in numbers of a type.
    pub(super) fn save_renamed(
        &self,
        path: &Path,
        chosen: impl Fn(&str) -> bool,
        renamed: impl Fn(&str) -> String,
        dtype: WeightStorage,
    ) -> Result<(), ModelError> {
        let mut list = Stored { chosen, renamed, layout: Vec::new(), values: Vec::new() };
        self.visit_parameters(&mut list);
        let values = list.values.into_iter().map(|read| read());
        let place = |(name, shape)| Place { name, shape, kind: TensorType::Numbers(dtype) };
        let layout: Vec<Place> = list.layout.into_iter().map(place).collect();
        Ok(save_places(path, &layout, &[("format", "pt")], values)?)
    }
}

impl<B: Kernels> Decoder<B> {
    /// Writes the whole model as one safetensors file under Hugging Face's names, in f32: matrices in few bits are
    /// opened and adapters merged, one at a time.
    ///
    /// # Errors
    /// A file that cannot be written, or a device that failed.
    pub fn save(&self, path: &Path) -> Result<(), ModelError> {
        let (layout, values) = self.tensors();
        let values = values.into_iter().map(|read| read());
        Ok(save_readings(path, &layout, &[("format", "pt")], values)?)
    }

    /// Every tensor of the whole model: name and shape under Hugging Face's names, and what reads its values off the
    /// device when its turn comes.
    pub fn tensors(&self) -> Tensors {
        let mut decoder = self.clone();
        let composed = decoder.matrices().into_iter().filter(|(_, map)| map.is_composed());
        let composed: BTreeMap<String, Linear<B>> =
            composed.map(|(module, map)| (format!("{module}.weight"), map.clone())).collect();
        let plain = |name: &str| !is_of_adapter(name) && !composed.contains_key(name);
        let renamed = str::to_owned;
        let mut list = Stored { chosen: plain, renamed, layout: Vec::new(), values: Vec::new() };
        self.visit_parameters(&mut list);
        let Stored { mut layout, mut values, .. } = list;
        for (name, map) in composed {
            layout.push((name, map.shape().to_vec()));
            values.push(Box::new(move || readback::floats(map.merged())));
        }
        (layout, values)
    }
}

/// Tensors on their way to a file: names and shapes, and what reads the values of each.
pub type Tensors = (Vec<(String, Vec<usize>)>, Vec<Box<Readback>>);

/// Reads one parameter off the device.
pub type Readback = dyn FnOnce() -> Result<Vec<f32>, DeviceFailed>;

/// Parameters on their way to a file: name and shape, and what reads each off the device when its
/// turn comes.
struct Stored<F, N> {
    chosen: F,
    renamed: N,
    layout: Vec<(String, Vec<usize>)>,
    values: Vec<Box<Readback>>,
}

impl<B: Backend, F: Fn(&str) -> bool, N: Fn(&str) -> String> ParameterVisitor<B> for Stored<F, N> {
    fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<B, D>>) {
        if (self.chosen)(name) {
            let tensor = param.val();
            self.layout.push(((self.renamed)(name), tensor.dims().to_vec()));
            self.values.push(Box::new(|| readback::floats(tensor)));
        }
    }
}
