//! What can be wrong with a file of tensors.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::gguf::GgufError;
use crate::model::mapped::{nearest, the_nearest};
use crate::quote::shown;
use crate::readback::DeviceFailed;

/// What can be wrong with a file of tensors, and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// A model folder without weights.
    #[error(
        "{} has neither model.safetensors nor model.safetensors.index.json; name a Hugging Face model folder (pickled weights: open the model in transformers and call save_pretrained)",
        folder.display()
    )]
    NoWeights {
        /// The folder.
        folder: PathBuf,
    },
    /// A file that is not there or cannot be read.
    #[error("cannot read {}: {source}; check the path, or download the model again", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file that cannot be written; the file of that name from before, if any, is untouched.
    #[error("cannot write {}: {source}; {}", file.display(), how_to_mend(source))]
    Write {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A GGUF file that cannot be read.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// A device that failed, so that what it holds is worth no file.
    #[error(transparent)]
    Device(#[from] DeviceFailed),
    /// An index of shards that does not parse or does not fit its shards.
    #[error("{}: {problem}; download the model again", file.display())]
    Index {
        /// The index.
        file: PathBuf,
        /// What is wrong in it.
        problem: String,
    },
    /// A file of another kind, or a damaged one.
    #[error("{} is no safetensors file: {problem}; download it again, or save the model again", file.display())]
    NotSafetensors {
        /// The file.
        file: PathBuf,
        /// What is wrong in it.
        problem: String,
    },
    /// A file that ends too early.
    #[error(
        "{} is cut short: {found} bytes, and its header asks for {expected}; download it again, or save the model again",
        file.display()
    )]
    Truncated {
        /// The file.
        file: PathBuf,
        /// Bytes that should be there.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// A tensor that is not there.
    #[error(
        "{} has no tensor {tensor}{}; check that config.json belongs to these weights",
        place.display(), the_nearest(nearest)
    )]
    Missing {
        /// The file or the model folder.
        place: PathBuf,
        /// The tensor looked for.
        tensor: String,
        /// The name most like it.
        nearest: Option<String>,
    },
    /// No output head, though the model is said to have one of its own.
    #[error(
        "{} has no tensor lm_head.weight; if the output head is the embedding matrix, set tie_word_embeddings to true in config.json",
        folder.display()
    )]
    MissingHead {
        /// The model folder.
        folder: PathBuf,
    },
    /// An output head that differs from the embedding, though the two are said to be one.
    #[error(
        "{} has an lm_head.weight that differs from model.embed_tokens.weight, though config.json ties them; set tie_word_embeddings to false, or take the tensor out",
        folder.display()
    )]
    HeadNotTied {
        /// The model folder.
        folder: PathBuf,
    },
    /// Tensors that the decoder has no place for and that would change what it computes.
    #[error(
        "{}: this decoder has no place for {tensors}, without which it is another model; {mend}",
        folder.display()
    )]
    NoPlace {
        /// The model folder.
        folder: PathBuf,
        /// Some of their names, and how many there are.
        tensors: String,
        /// What is probably wrong.
        mend: String,
    },
    /// A tensor with values that are no numbers, with which everything computed would be none.
    #[error(
        "{}: {count} of the {of} values of tensor {tensor} are not finite ({nans} of them NaN); the weights are damaged, or were saved by a training run that had diverged: download the model again, or take an earlier one",
        file.display()
    )]
    NotFinite {
        /// The file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// How many of its values are NaN or infinite.
        count: usize,
        /// How many are NaN.
        nans: usize,
        /// How many values it has.
        of: usize,
    },
    /// A tensor of another shape.
    #[error(
        "{}: tensor {tensor} has shape {}, expected {expected:?}; check that config.json belongs to these weights",
        file.display(), shown(&format!("{found:?}"))
    )]
    Shape {
        /// The file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shape asked for.
        expected: Vec<usize>,
        /// The shape stored.
        found: Vec<usize>,
    },
    /// A tensor of a type that is not read.
    #[error(
        "{}: tensor {tensor} is stored as {dtype}; {mend}",
        file.display()
    )]
    Dtype {
        /// The file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its type, as safetensors calls it.
        dtype: String,
        /// What is read there, and what to do.
        mend: &'static str,
    },
}

impl WeightsError {
    pub(super) fn read(file: &Path, source: io::Error) -> Self {
        Self::Read { file: file.into(), source }
    }

    pub(super) fn missing<'a>(
        place: &Path,
        tensor: &str,
        names: impl Iterator<Item = &'a str>,
    ) -> Self {
        let nearest = nearest(tensor, names);
        Self::Missing { place: place.into(), tensor: tensor.into(), nearest }
    }
}

fn how_to_mend(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "free some space there, or choose a folder on another disk"
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            "choose a folder that you may write to"
        }
        _ => "check the folder, or choose another one",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_looked_for_among_readable_ones() {
        let names = ["x".repeat(10_000_000), "norm.weight".into()];
        let names = names.iter().map(String::as_str);
        let message = WeightsError::missing(Path::new("m"), "model.norm.weight", names).to_string();
        assert!(message.contains("nearest there is norm.weight"), "{message}");
    }

    #[test]
    fn a_full_disk_and_a_read_only_one_get_their_own_advice() {
        let message = |kind| {
            let (file, source) = ("run/model.safetensors".into(), io::Error::from(kind));
            WeightsError::Write { file, source }.to_string()
        };
        let full = message(io::ErrorKind::StorageFull);
        assert!(full.contains("run/model.safetensors") && full.contains("free some space"));
        assert!(message(io::ErrorKind::ReadOnlyFilesystem).contains("may write to"));
    }
}
