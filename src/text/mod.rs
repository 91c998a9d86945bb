//! Characters and ids: tokenizers and chat templates; nothing of problems or models.

mod characters;
mod chat;
mod chat_functions;
mod error;
mod folder;
mod special;
mod tokenizer;

pub use error::TextError;
pub use tokenizer::Tokenizer;
