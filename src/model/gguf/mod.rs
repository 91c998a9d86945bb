//! Models in llama.cpp's GGUF files: read as if they were Hugging Face folders, and written.
//!
//! A GGUF file is a whole model: sizes, tokenizer, chat template and tensors, these often in few bits. [`GgufModel`]
//! shows one under Hugging Face's names, shapes and orders, so that the rest of the program reads it as any other
//! model; [`write()`] makes one that llama.cpp loads. No crate of the registry reads hostile files within bounds, gives
//! rows of a tensor and has the tokenizer besides, so this is our own.

mod architecture;
mod config;
mod cursor;
mod encoding;
mod error;
mod file;
mod header;
mod metadata;
mod model;
mod names;
mod rope;
mod rotation;
mod sizes;
#[cfg(test)]
mod tests;
mod tokenizer;
mod value;
mod writer;

pub use architecture::Architecture;
pub use error::GgufError;
pub use file::GgufFile;
pub use model::GgufModel;
pub use writer::{FileType, ModelFiles, write};
