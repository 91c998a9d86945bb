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
pub use tensor_writer::{Place, TensorType, save_places, save_readings, save_tensors};

use super::config::{ModelConfig, is_gguf};
use super::gguf::GgufModel;

/// The one file of a model that is not split into shards.
pub const MODEL_FILE: &str = "model.safetensors";

const INDEX_FILE: &str = "model.safetensors.index.json";
const EMBEDDING: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

/// The tensors of a model: of a folder with `model.safetensors` or with shards and an index, or of a GGUF file.
#[derive(Debug)]
pub struct Weights {
    path: PathBuf,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Folder { files: Vec<TensorFile>, file_of: BTreeMap<String, usize> },
    Gguf(GgufModel),
}

impl Weights {
    /// Maps the files of a model into memory without reading their tensors.
    ///
    /// # Errors
    /// No weights there, a shard that is missing, a file that is cut short or of another kind.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let source = match is_gguf(path) {
            true => Source::Gguf(GgufModel::open(path)?),
            false => Source::of_folder(path)?,
        };
        Ok(Self { path: path.into(), source })
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
            self.source.check(&self.path, name, shape)?;
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
            folder: self.path.clone(),
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
        match &self.source {
            Source::Folder { .. } => {
                self.source.file(&self.path, name)?.get_finite(name, expected_shape)
            }
            Source::Gguf(model) => Ok(model.get(name, expected_shape)?),
        }
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
        match &self.source {
            Source::Folder { .. } => {
                self.source.file(&self.path, name)?.rows(name, expected_shape, rows)
            }
            Source::Gguf(model) => {
                model.check(name, &expected_shape)?;
                Ok(model.rows(name, rows)?)
            }
        }
    }

    /// Whether a tensor is stored in f16.
    pub fn is_f16(&self, name: &str) -> bool {
        self.in_folder(name).is_some_and(|file| file.is_f16(name))
    }

    /// Lets the system take back the memory in which tensors of the file of this one were read.
    pub fn forget(&self, name: &str) {
        match (&self.source, self.in_folder(name)) {
            (Source::Gguf(model), _) => model.forget(),
            (_, Some(file)) => file.forget(),
            (_, None) => {}
        }
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        match &self.source {
            Source::Folder { file_of, .. } => file_of.contains_key(name),
            Source::Gguf(model) => model.contains(name),
        }
    }

    /// The names of all tensors in alphabetical order.
    pub fn names(&self) -> Vec<&str> {
        match &self.source {
            Source::Folder { file_of, .. } => file_of.keys().map(String::as_str).collect(),
            Source::Gguf(model) => model.names().collect(),
        }
    }

    /// The names of the tensors that are not among `used`.
    pub fn unused<'a>(&self, used: impl IntoIterator<Item = &'a str>) -> Vec<&str> {
        let used: BTreeSet<&str> = used.into_iter().collect();
        self.names().into_iter().filter(|name| !used.contains(name)).collect()
    }

    /// The file of a folder that has a tensor.
    fn in_folder(&self, name: &str) -> Option<&TensorFile> {
        match &self.source {
            Source::Folder { .. } => self.source.file(&self.path, name).ok(),
            Source::Gguf(_) => None,
        }
    }

    /// A bias of zeros adds nothing.
    fn is_zero_bias(&self, name: &str) -> bool {
        let stored = self.in_folder(name).and_then(|file| file.stored(name));
        name.ends_with(".bias") && stored.is_some_and(|(_, bytes)| bytes.iter().all(|b| *b == 0))
    }

    fn check_tied_head(&self) -> Result<(), WeightsError> {
        let (Some(head), Some(embedding)) = (self.in_folder(HEAD), self.in_folder(EMBEDDING))
        else {
            return Ok(());
        };
        if embedding.stored(EMBEDDING) == head.stored(HEAD) {
            return Ok(());
        }
        Err(WeightsError::HeadNotTied { folder: self.path.clone() })
    }
}

impl Source {
    fn of_folder(folder: &Path) -> Result<Self, WeightsError> {
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
        Ok(Self::Folder { files, file_of })
    }

    fn check(&self, path: &Path, name: &str, shape: &[usize]) -> Result<(), WeightsError> {
        match self {
            Self::Folder { .. } => self.file(path, name)?.check(name, shape),
            Self::Gguf(model) => Ok(model.check(name, shape)?),
        }
    }

    /// The file of a folder at `path` that has a tensor.
    fn file(&self, path: &Path, name: &str) -> Result<&TensorFile, WeightsError> {
        let Self::Folder { files, file_of } = self else {
            unreachable!("a GGUF file has no files in it")
        };
        match file_of.get(name) {
            Some(at) => Ok(&files[*at]),
            None if name == HEAD && file_of.contains_key(EMBEDDING) => {
                Err(WeightsError::MissingHead { folder: path.into() })
            }
            None => Err(WeightsError::missing(path, name, file_of.keys().map(String::as_str))),
        }
    }
}
