//! A model that stays as it is: loaded straight into few bits, a few rows of a matrix at a time.

use std::ops::Range;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::adapter::Merged;
use super::{Decoder, ModelConfig, ModelError, Weights, WeightsError};
use crate::kernel::Kernels;
use crate::kernel::stored::{Storage, StoredWeight};
use crate::readback;

/// How the weights of a frozen base are stored. The embedding and the output head keep 16 bits where the others
/// have fewer; norms and biases are always f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Base {
    /// 16 bits: f16 where the checkpoint has it, else bf16.
    #[default]
    Auto,
    /// 32 bits.
    F32,
    /// 16 bits, over the range of f32.
    Bf16,
    /// 16 bits with more digits and less range.
    F16,
    /// GGUF's blocks of 8 bits.
    Q8_0,
    /// GGUF's blocks of 4 bits.
    Q4_0,
}

impl Base {
    /// In what a matrix is stored; none where it stays f32.
    fn storage(self, is_f16: bool, is_outer: bool) -> Option<Storage> {
        let in_16_bits = if is_f16 { Storage::F16 } else { Storage::Bf16 };
        match self {
            Self::F32 => None,
            Self::Bf16 => Some(Storage::Bf16),
            Self::F16 => Some(Storage::F16),
            Self::Auto => Some(in_16_bits),
            Self::Q8_0 | Self::Q4_0 if is_outer => Some(in_16_bits),
            Self::Q8_0 => Some(Storage::Q8_0),
            Self::Q4_0 => Some(Storage::Q4_0),
        }
    }

    /// Whether matrices stay in f32.
    pub fn is_f32(self) -> bool {
        self == Self::F32
    }

    /// Whether most matrices have fewer than 16 bits.
    pub fn is_few(self) -> bool {
        matches!(self, Self::Q8_0 | Self::Q4_0)
    }

    /// Bytes of a parameter of the model.
    pub fn bytes(self, name: &str, shape: &[usize]) -> u64 {
        let words = match (shape, self.storage(false, !name.contains(".layers."))) {
            ([output, input], Some(storage)) => storage.words([*output, *input]),
            _ => shape.iter().product(),
        };
        4 * words as u64
    }

    /// The name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "16 bits",
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
        }
    }
}

impl<B: Kernels> Decoder<B> {
    /// The weights of a Hugging Face folder, stored as `base` says, with what an adapter adds to them where one is
    /// merged. Besides what is stored, about a megabyte of f32 is there at a time.
    ///
    /// # Errors
    /// Those of [`Decoder::load`]; numbers that the storage cannot hold.
    pub fn load_frozen(
        config: &ModelConfig,
        folder: &Path,
        base: Base,
        merged: Option<&Merged>,
        device: &B::Device,
    ) -> Result<Self, ModelError> {
        config.validate()?;
        let weights = Weights::open(folder)?;
        weights.check(config)?;
        let rows = |module: &str, shape: [usize; 2], range: Range<usize>| {
            let mut rows = weights.rows(&format!("{module}.weight"), shape, range.clone())?;
            if let Some(merged) = merged {
                merged.add_to(module, range, &mut rows);
            }
            Ok::<_, ModelError>(rows)
        };
        let mut decoder = Self::without_values(config, device);
        for (module, map) in decoder.matrices() {
            let (name, shape) = (format!("{module}.weight"), map.shape());
            let is_outer = !module.contains(".layers.");
            let Some(storage) = base.storage(weights.is_f16(&name), is_outer) else { continue };
            let checked = |range| {
                let rows = rows(&module, shape, range)?;
                // What was read is done with: of a large matrix only these rows were in memory.
                weights.forget(&name);
                check_range(&name, &rows, storage)?;
                Ok::<_, ModelError>(rows)
            };
            map.store(StoredWeight::from_rows(shape, storage, checked, device)?);
        }
        let mut others = |name: &str, shape: &[usize]| {
            let values = match (name.strip_suffix(".weight"), shape) {
                (Some(module), [output, input]) => rows(module, [*output, *input], 0..*output)?,
                _ => weights.get(name, shape)?,
            };
            weights.forget(name);
            Ok(values)
        };
        decoder.with_values(|_| true, &mut others)
    }
}

impl<B: Kernels> Decoder<B> {
    /// The decoder with every matrix frozen in few bits.
    ///
    /// # Errors
    /// A device that failed; numbers that the storage cannot hold.
    pub fn stored_in(mut self, storage: Storage) -> Result<Self, ModelError> {
        let device = self.device();
        for (module, map) in self.matrices() {
            let (name, [output, input]) = (format!("{module}.weight"), map.shape());
            let values = readback::floats(map.base().matrix()).map_err(WeightsError::from)?;
            check_range(&name, &values, storage)?;
            let rows = |range: Range<usize>| {
                Ok::<_, ModelError>(values[range.start * input..range.end * input].to_vec())
            };
            map.store(StoredWeight::from_rows([output, input], storage, rows, &device)?);
        }
        Ok(self)
    }
}

/// The largest number of f16.
const LARGEST_F16: f32 = 65_504.0;

/// A number beyond f16 would become infinite; as a scale of blocks it is beyond any weight.
fn check_range(name: &str, rows: &[f32], storage: Storage) -> Result<(), ModelError> {
    let most = match storage {
        Storage::Bf16 => half::bf16::MAX.to_f32(),
        Storage::F16 => LARGEST_F16,
        Storage::Q8_0 => 127.0 * LARGEST_F16,
        Storage::Q4_0 => 8.0 * LARGEST_F16,
    };
    match rows.iter().find(|number| number.abs() > most) {
        None => Ok(()),
        Some(number) => {
            Err(ModelError::BeyondStorage { tensor: name.into(), number: *number, storage })
        }
    }
}
