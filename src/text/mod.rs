//! Characters and ids: tokenizers and chat templates; nothing of problems or models.
//!
//! Both come as files from anywhere, so neither is trusted: see `boundary`, `limits` and `template`.

mod boundary;
mod characters;
mod chat;
mod error;
mod fill;
mod folder;
mod growing;
mod growth;
#[cfg(test)]
mod hostile;
mod limits;
mod read;
mod special;
mod template;
mod tokenizer;

pub use boundary::{caught, with_large_stack};
pub use error::TextError;
pub use fill::Fill;
pub use growing::GrowingText;
pub use tokenizer::Tokenizer;
