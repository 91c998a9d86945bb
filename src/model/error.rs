//! What can be wrong with a model.

use std::path::PathBuf;

use super::{ModelConfigError, WeightsError};
use crate::kernel::stored::Storage;
use crate::text::TextError;

/// A model that cannot be made, loaded or saved.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Sizes that do not fit, or a `config.json` that is not understood.
    #[error(transparent)]
    Config(#[from] ModelConfigError),
    /// Tensors that are missing, misshapen or cannot be written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The folder's tokenizer.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A parameter of a new model for which there is no memory.
    #[error("there is no memory for the {count} values of {tensor}; make the model smaller")]
    Memory {
        /// The parameter.
        tensor: String,
        /// How many values it has.
        count: usize,
    },
    /// The tokenizer has ids for which the model has no embedding.
    #[error(
        "tokenizer.json: the token {token:?} has id {id}, and the embedding has {rows} rows (vocab_size in \
         config.json); give the model the tokenizer that it was trained with"
    )]
    TokenBeyondEmbedding {
        /// The token with the largest id.
        token: String,
        /// Its id.
        id: u32,
        /// Rows of the embedding.
        rows: usize,
    },
    /// A number of a weight that the type cannot hold in which it is to be stored.
    #[error("{tensor} has {number}, which {storage} cannot hold; choose lora.base: bf16")]
    BeyondStorage {
        /// The parameter.
        tensor: String,
        /// The number.
        number: f32,
        /// In what it was to be stored.
        storage: Storage,
    },
    /// An adapter's folder that is not what it has to be.
    #[error("the adapter in {}: {problem}", folder.display())]
    Adapter {
        /// The folder.
        folder: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A file of the folder that cannot be written.
    #[error("{}: cannot be written: {source}; free some space or choose another output_dir", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
