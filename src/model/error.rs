//! What can be wrong with a model.

use std::borrow::Cow;
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
    /// A file of the folder that cannot be written.
    #[error("{}: cannot be written: {source}; free some space or choose another output_dir", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Longest piece of a file's own text in a message, in bytes.
pub(super) const LONGEST_SHOWN: usize = 200;

/// Text out of a file as it stands in a message: not too long, and nothing that moves a cursor.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    let mut end = text.len().min(LONGEST_SHOWN);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    if end == text.len() && !text.contains(char::is_control) {
        return text.into();
    }
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    let mut short: String = text[..end].chars().map(escape).collect();
    if end < text.len() {
        short.push('…');
    }
    short.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_own_text_is_shown_short_and_without_control_characters() {
        assert_eq!(shown("model.norm.weight"), "model.norm.weight");
        assert_eq!(shown("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
        let long = shown(&"é".repeat(1000)).into_owned();
        assert_eq!((long.chars().count(), long.ends_with('…')), (101, true));
    }
}
