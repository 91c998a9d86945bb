//! Characters and ids: tokenizers and chat templates; nothing of problems or models.

mod boundary;
mod characters;
mod chat;
mod error;
mod folder;
mod growth;
mod limits;
mod read;
mod special;
mod template;
mod tokenizer;

pub use error::TextError;
pub use tokenizer::Tokenizer;
