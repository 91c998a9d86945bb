//! What can be wrong with the description of a model.

use std::path::PathBuf;

use crate::model::gguf::GgufError;

/// What can be wrong with the description of a model, and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum ModelConfigError {
    /// A GGUF file that cannot be read.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// A path that leads to no model.
    #[error("{}: {problem}; {mend}", path.display())]
    NoModel {
        /// The path.
        path: PathBuf,
        /// What it is instead.
        problem: String,
        /// How to go on.
        mend: String,
    },
    /// A file that is not there or cannot be read.
    #[error("cannot read {}: {source}; a model folder needs config.json beside its weights", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// JSON that does not parse, lacks a key or has a value of the wrong type.
    #[error("{}: {problem}; compare it with the config.json the model was published with", file.display())]
    Json {
        /// The file.
        file: PathBuf,
        /// What the parser says, with line and column.
        problem: String,
    },
    /// A feature of Hugging Face's that this decoder does not have.
    #[error("{}: {feature} is not supported; {mend}", file.display())]
    Unsupported {
        /// The file.
        file: PathBuf,
        /// Key and value.
        feature: String,
        /// What to do instead.
        mend: String,
    },
    /// A value that does not fit the others.
    #[error("model {key} {problem}")]
    Invalid {
        /// The key.
        key: &'static str,
        /// Its value, why it cannot be, what would do.
        problem: String,
    },
    /// Prompts and completions longer than what the model is meant for.
    #[error(
        "the longest prompt has {prompt} tokens and a completion may have {response} more, {} in all, but the model's {bound} is {most}; {mend}",
        prompt.saturating_add(*response)
    )]
    TooManyPositions {
        /// Tokens of the longest prompt.
        prompt: usize,
        /// Most tokens of a completion.
        response: usize,
        /// The key of the model that bounds the two together.
        bound: &'static str,
        /// Its value.
        most: usize,
        /// What to lower.
        mend: String,
    },
    /// An invalid value that came out of a file.
    #[error("{}: {cause}", file.display())]
    InFile {
        /// The file.
        file: PathBuf,
        /// What is wrong in it.
        cause: Box<ModelConfigError>,
    },
}
