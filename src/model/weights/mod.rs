//! The tensors of a Hugging Face model folder, memory-mapped, and safetensors files in general.

mod error;
mod header;
mod no_place;
mod shards;
mod tensor_file;
mod tensor_writer;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

pub use error::WeightsError;
pub use tensor_file::TensorFile;
pub use tensor_writer::{save_readings, save_tensors};

use super::config::ModelConfig;

/// The one file of a model that is not split into shards.
pub const MODEL_FILE: &str = "model.safetensors";

const INDEX_FILE: &str = "model.safetensors.index.json";
const EMBEDDING: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

/// The tensors of a model folder: `model.safetensors`, or shards with an index.
#[derive(Debug)]
pub struct Weights {
    folder: PathBuf,
    files: Vec<TensorFile>,
    file_of: BTreeMap<String, usize>,
}

impl Weights {
    /// Maps the files of `folder` into memory without reading their tensors.
    ///
    /// # Errors
    /// No weights there, a shard that is missing, a file that is cut short or no safetensors file.
    pub fn open(folder: &Path) -> Result<Self, WeightsError> {
        // transformers looks for the single file first, too.
        let files = if folder.join(MODEL_FILE).exists() {
            vec![TensorFile::open(&folder.join(MODEL_FILE))?]
        } else if folder.join(INDEX_FILE).exists() {
            shards::open(folder, &folder.join(INDEX_FILE))?
        } else {
            return Err(WeightsError::NoWeights { folder: folder.into() });
        };
        let names =
            files.iter().enumerate().flat_map(|(at, file)| file.names().map(move |n| (n, at)));
        let file_of = names.map(|(name, at)| (name.to_owned(), at)).collect();
        Ok(Self { folder: folder.into(), files, file_of })
    }

    /// Checks every tensor, before anything is loaded: those that `config` asks for are there, and no
    /// other would change what the decoder computes. Gives the names of the others that are left out.
    ///
    /// A tied head may be stored or not; stored, it must equal the embedding.
    ///
    /// # Errors
    /// The first tensor that is missing, misshapen or of a dtype that is not read; a tied head of its own;
    /// tensors without a place: biases, norms, layers, adapters.
    pub fn check(&self, config: &ModelConfig) -> Result<Vec<&str>, WeightsError> {
        let parameters = config.parameters();
        for (name, shape) in &parameters {
            self.file(name)?.check(name, shape)?;
        }
        if config.tie_word_embeddings {
            self.check_tied_head()?;
        }
        let unused = self.unused(parameters.iter().map(|(name, _)| name.as_str()));
        let unused = unused.into_iter().filter(|name| *name != HEAD || !config.tie_word_embeddings);
        let matters = |name: &str| no_place::is_part_of_decoder(name) && !self.is_zero_bias(name);
        let (missed, left_out): (Vec<&str>, _) = unused.partition(|name| matters(name));
        if missed.is_empty() {
            return Ok(left_out);
        }
        Err(WeightsError::NoPlace {
            folder: self.folder.clone(),
            tensors: no_place::list(&missed),
            mend: no_place::mend(&missed, config),
        })
    }

    /// One tensor as f32 in row-major order, whatever floating-point type it is stored in.
    ///
    /// # Errors
    /// A tensor that is missing, has another shape than `expected_shape`, or is no f32, f16 or bf16;
    /// one with values that are NaN or infinite.
    pub fn get(&self, name: &str, expected_shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        self.file(name)?.get_finite(name, expected_shape)
    }

    /// Some rows of a matrix as f32.
    ///
    /// # Errors
    /// Those of [`Self::get`].
    pub fn rows(
        &self,
        name: &str,
        expected_shape: [usize; 2],
        rows: Range<usize>,
    ) -> Result<Vec<f32>, WeightsError> {
        self.file(name)?.rows(name, expected_shape, rows)
    }

    /// Whether a tensor is stored in f16.
    pub fn is_f16(&self, name: &str) -> bool {
        self.file(name).is_ok_and(|file| file.is_f16(name))
    }

    /// Lets the system take back the memory in which a tensor's bytes were read.
    pub fn forget(&self, name: &str) {
        if let Ok(file) = self.file(name) {
            file.forget(name);
        }
    }

    /// Whether the folder has a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.file_of.contains_key(name)
    }

    /// The names of all tensors in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.file_of.keys().map(String::as_str)
    }

    /// The names of the tensors that are not among `used`.
    pub fn unused<'a>(&self, used: impl IntoIterator<Item = &'a str>) -> Vec<&str> {
        let used: BTreeSet<&str> = used.into_iter().collect();
        self.names().filter(|name| !used.contains(name)).collect()
    }

    fn file(&self, name: &str) -> Result<&TensorFile, WeightsError> {
        let at = self.file_of.get(name).ok_or_else(|| self.missing(name))?;
        Ok(&self.files[*at])
    }

    fn missing(&self, name: &str) -> WeightsError {
        if name == HEAD && self.contains(EMBEDDING) {
            return WeightsError::MissingHead { folder: self.folder.clone() };
        }
        WeightsError::missing(&self.folder, name, self.names())
    }

    /// A bias of zeros adds nothing.
    fn is_zero_bias(&self, name: &str) -> bool {
        let stored = self.file(name).ok().and_then(|file| file.stored(name));
        name.ends_with(".bias") && stored.is_some_and(|(_, bytes)| bytes.iter().all(|b| *b == 0))
    }

    fn check_tied_head(&self) -> Result<(), WeightsError> {
        let Ok(head) = self.file(HEAD) else {
            return Ok(());
        };
        if self.file(EMBEDDING)?.stored(EMBEDDING) == head.stored(HEAD) {
            return Ok(());
        }
        Err(WeightsError::HeadNotTied { folder: self.folder.clone() })
    }
}
