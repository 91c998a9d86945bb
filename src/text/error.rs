//! What can be wrong with a tokenizer, a text or a chat template.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::quote::passage;

/// Why text could not be turned into ids, or a tokenizer not be read or written.
#[derive(Debug, Error)]
pub enum TextError {
    /// A file could not be read.
    #[error("cannot read {}: {source}; the folder must be a model in Hugging Face's layout", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be written; the error names it.
    #[error("{0}; check the disk and the output folder")]
    Write(#[from] io::Error),
    /// A file does not hold what it should.
    #[error("{}: {problem}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what was expected.
        problem: String,
    },
    /// A tokenizer could not be made.
    #[error("cannot make a character tokenizer: {0}")]
    Alphabet(String),
    /// A text holds something the tokenizer has no token for.
    #[error("cannot tokenize {text:?}: {problem}")]
    Encode {
        /// The beginning of the text.
        text: String,
        /// What is wrong.
        problem: String,
    },
    /// A text has a token that the model has no row for.
    #[error(
        "the text {text:?} has the token {token:?} with id {id}, and the model's embedding has \
         {rows} rows; take the token out of the text, or use a model that knows it"
    )]
    NoRow {
        /// The beginning of the text.
        text: String,
        /// The token.
        token: String,
        /// Its id.
        id: u32,
        /// The rows.
        rows: usize,
    },
    /// A text is longer than what is tokenised.
    #[error(
        "a prompt has {bytes} bytes, and at most {limit} are tokenised; shorten it or leave it out"
    )]
    TooLong {
        /// The length.
        bytes: usize,
        /// The most for this tokenizer.
        limit: usize,
    },
    /// The prompt is a conversation, and the model has no template for one.
    #[error(
        "the tokenizer has no chat template; use plain text prompts (data.chat: false), or add \
         chat_template.jinja to the model folder"
    )]
    NoChatTemplate,
    /// The chat template failed.
    #[error("the chat template failed: {0}")]
    Chat(String),
}

impl TextError {
    /// A file that does not hold what it should; what is wrong may quote the file.
    pub(super) fn broken(path: &Path, problem: &str) -> Self {
        Self::Broken { path: path.into(), problem: passage(problem).into() }
    }
}
