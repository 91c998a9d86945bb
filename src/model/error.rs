//! What can be wrong with a model.

use std::path::PathBuf;

use super::{ModelConfigError, WeightsError};
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
    /// A file of the folder that cannot be written.
    #[error("{}: cannot be written: {source}; free some space or choose another output_dir", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
