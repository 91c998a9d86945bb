//! What can be wrong with a GGUF file, and with a model that is to become one.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::mapped::{nearest, the_nearest};
use crate::quote::shown;

/// What can be wrong with a GGUF file, and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// A file that is not there or cannot be read.
    #[error("cannot read {}: {source}; check the path, or download the model again", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file of another kind, or a damaged one.
    #[error("{} is no GGUF file that can be read: {problem}; download it again, or convert the model again", file.display())]
    NotGguf {
        /// The file.
        file: PathBuf,
        /// What is wrong in it.
        problem: String,
    },
    /// A file that ends too early.
    #[error(
        "{} is cut short: {found} bytes, and its header asks for {expected}; download it again",
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
        "{} has no tensor {tensor}{}; check that it is a whole model",
        file.display(), the_nearest(nearest)
    )]
    Missing {
        /// The file.
        file: PathBuf,
        /// The tensor looked for.
        tensor: String,
        /// The name most like it.
        nearest: Option<String>,
    },
    /// A tensor of another shape.
    #[error(
        "{}: tensor {tensor} has shape {}, expected {expected:?}; the file contradicts itself: convert the model again",
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
    /// A tensor in an encoding that is not read.
    #[error(
        "{}: tensor {tensor} is stored as {kind}; {read} are read: take the model in one of them",
        file.display()
    )]
    Encoding {
        /// The file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its encoding, as ggml calls it.
        kind: String,
        /// Those that are read.
        read: String,
    },
    /// A tensor with values that are no numbers, with which everything computed would be none.
    #[error(
        "{}: {count} of {of} values read of tensor {tensor} are not finite ({nans} of them NaN); the file is damaged, or the model had diverged: download it again, or take another one",
        file.display()
    )]
    NotFinite {
        /// The file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// How many of the values read are NaN or infinite.
        count: usize,
        /// How many are NaN.
        nans: usize,
        /// How many values were read.
        of: usize,
    },
    /// A key of the file's metadata that is missing or holds what it cannot hold.
    #[error("{}: {key} {problem}; convert the model again", file.display())]
    Key {
        /// The file.
        file: PathBuf,
        /// The key.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Something that the decoder or the tokenizer does not have.
    #[error("{} has {feature}, which is not supported: {mend}", file.display())]
    Unsupported {
        /// The file.
        file: PathBuf,
        /// What it has.
        feature: String,
        /// What to do.
        mend: String,
    },
    /// A model that GGUF, or llama.cpp behind it, has no place for.
    #[error("the model cannot be written as GGUF: {problem}; {mend}")]
    Unwritable {
        /// What stands in the way.
        problem: String,
        /// What to do.
        mend: String,
    },
    /// A GGUF file that cannot be written.
    #[error("cannot write the GGUF file: {0}; check the folder, or choose another one")]
    Write(#[from] io::Error),
}

impl GgufError {
    pub(super) fn missing<'a>(
        file: &Path,
        tensor: &str,
        names: impl Iterator<Item = &'a str>,
    ) -> Self {
        let nearest = nearest(tensor, names);
        Self::Missing { file: file.into(), tensor: tensor.into(), nearest }
    }

    pub(super) fn unwritable(problem: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::Unwritable { problem: problem.into(), mend: mend.into() }
    }
}
